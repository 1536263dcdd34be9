//! Policies in Cedar, and what they decide.

mod cedar;

use std::fmt;

use portcullis_token::Scope;

pub use cedar::{PolicyError, PolicySet, PolicyText};

use crate::Action;

/// Who asks, as a verified token or key says.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// Its id: `sub`.
    pub id: &'a str,
    /// Its roles.
    pub roles: &'a [String],
    /// What its token may be used for.
    pub scopes: &'a Scope,
}

/// What else counts for a decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// A single-use approval that came with the request, verified and consumed.
    pub approval: Option<ApprovalFacts<'a>>,
}

/// What an approval says.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalFacts<'a> {
    /// The plan that may be executed: the name of the resource.
    pub plan: &'a str,
    /// Who approved it.
    pub approver: &'a str,
}

/// What is decided, and why: for the audit log and for `access explain`, never for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct AccessDecision {
    /// Whether it may be done.
    pub allowed: bool,
    /// What that rests on.
    pub because: Because,
    /// The ids of the policies that it rests on, sorted: those that permit, or those that forbid.
    pub policies: Vec<String>,
    /// Ids of policies that could not be evaluated. Where there is one, nothing is allowed.
    pub errors: Vec<String>,
}

impl AccessDecision {
    /// The same for a token: without the scope of that name, a permission is none.
    pub fn narrowed(mut self, action: &Action, scopes: &Scope) -> Self {
        if self.allowed && !scopes.contains(action.as_str()) {
            self.allowed = false;
            self.because = Because::ScopeMissing;
        }
        self
    }
}

/// What a decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// Policies permit it, none forbids it, and the token has the scope.
    Permitted,
    /// No policy permits it.
    NothingPermits,
    /// A policy forbids it.
    Forbidden,
    /// Policies permit it, and the token has not the scope.
    ScopeMissing,
    /// A policy could not be evaluated.
    EvaluationFailed,
}

impl Because {
    /// A stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::NothingPermits => "nothing-permits",
            Self::Forbidden => "forbidden",
            Self::ScopeMissing => "scope-missing",
            Self::EvaluationFailed => "evaluation-failed",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
