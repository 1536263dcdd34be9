//! What is decided about a request.

use portcullis_access::Principal;
use portcullis_limit::Decision;
use portcullis_token::Scope;

/// What is decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It may pass.
    Allow(Box<Grant>),
    /// Nobody is known to be calling: 401.
    Unauthorized,
    /// The caller is known and may not do this: 403. It may do other things, and the policy that the gateway keeps must
    /// say so.
    Forbidden(Box<Grant>),
    /// Too often: 429.
    TooManyRequests {
        /// When to try again, in whole seconds.
        retry_after: u64,
    },
    /// It cannot be decided now, and what cannot be decided does not pass: 503.
    Unavailable,
}

impl Verdict {
    /// A stable word for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::TooManyRequests { .. } => "too-many-requests",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Who is calling, and what functions behind the gateway are told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The principal.
    pub principal: String,
    /// Its roles, as far as its issuer may give them.
    pub roles: Vec<String>,
    /// What its token may be used for.
    pub scopes: Scope,
    /// What stands in the gateway's context beside `principalId`: strings only, each of a bounded length.
    pub context: Vec<(&'static str, String)>,
}

impl Grant {
    /// The principal, as policies see it.
    pub fn as_principal(&self) -> Principal<'_> {
        Principal { id: &self.principal, roles: &self.roles, scopes: &self.scopes }
    }

    /// A value of the context.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.context.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

/// The context of a principal.
pub(crate) fn context(
    roles: &[String],
    scopes: &Scope,
    limit: (&str, &Decision),
    token: Option<&str>,
    actor: Option<&str>,
    certificate: Option<String>,
) -> Vec<(&'static str, String)> {
    let (quota, decision) = limit;
    let mut context = vec![
        ("roles", roles.join(" ")),
        ("scopes", scopes.to_string()),
        ("limit", quota.to_owned()),
        ("limitRemaining", decision.remaining.to_string()),
        ("limitReset", decision.reset.as_secs().to_string()),
        ("reason", "authenticated".to_owned()),
    ];
    context.extend(token.map(|jti| ("tokenId", jti.to_owned())));
    context.extend(actor.map(|sub| ("actor", sub.to_owned())));
    context.extend(certificate.map(|print| ("clientCertFingerprint", print)));
    context
}
