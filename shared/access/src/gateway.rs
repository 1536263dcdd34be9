//! What API Gateway is told: which methods of the API a principal may call.
//!
//! The gateway keeps an authorizer's answer and uses it for the caller's other requests, whatever their route. So an
//! answer is about all routes and not about the one that was asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_token::Scope;
use serde::Serialize;

use crate::policy::{AccessDecision, Because, Circumstances, PolicySet, Principal};
use crate::{Action, Route, Routes};

/// The ARN of a request: `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-control-access-using-iam-policies-to-invoke-api.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodArn<'a> {
    /// Up to and with the stage.
    stage: &'a str,
    method: &'a str,
    /// With its slash.
    path: &'a str,
}

impl<'a> MethodArn<'a> {
    /// Reads an ARN. What a policy would take for a wildcard may stand in the path only.
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("arn:")?;
        let mut parts = rest.splitn(5, ':');
        let mut part = || parts.next();
        let (partition, service, region, account) = (part()?, part()?, part()?, part()?);
        let (api, after) = part()?.split_once('/')?;
        let (stage, after) = after.split_once('/')?;
        let method_length = after.find('/')?;
        let method = after.get(..method_length)?;
        let path = after.get(method_length..)?;
        let word = |w: &str, extra: &[u8]| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
        };
        let sound = service == "execute-api"
            && word(partition, b"-")
            && word(region, b"-")
            && word(account, b"")
            && word(api, b"-")
            && word(stage, b"-_$")
            && method.bytes().all(|b| b.is_ascii_uppercase())
            && !method.is_empty()
            && text.len() <= MAX_ARN;
        let stage_length = text.len().checked_sub(after.len() + 1)?;
        sound.then_some(Self { stage: text.get(..stage_length)?, method, path })
    }

    /// The method in capitals.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The path with its slash, as the client encoded it.
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// What stands for all requests of a route. `*` stands for a parameter; it also matches slashes, and
    /// [`Routes::parse`] sees to it that this reaches no other route's requests.
    pub fn of_route(&self, route: &Route) -> String {
        [self.stage, "/", route.method.as_str(), route.path.wildcard()].concat()
    }

    /// All requests of the stage.
    pub fn of_everything(&self) -> String {
        format!("{}/*", self.stage)
    }
}

/// The policy document of an authorizer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyDocument {
    #[serde(rename = "Version")]
    version: &'static str,
    #[serde(rename = "Statement")]
    statement: [Statement; 1],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: Vec<String>,
}

impl PolicyDocument {
    /// Denies every request of the stage.
    pub fn deny_all(arn: &MethodArn<'_>) -> Self {
        Self::of("Deny", vec![arn.of_everything()])
    }

    /// Allows these routes, and by saying nothing of them denies all others. Without a route it denies all.
    ///
    /// # Errors
    /// When the document would be over the 8192 bytes that API Gateway takes.
    pub fn allow<'r>(
        arn: &MethodArn<'_>,
        routes: impl IntoIterator<Item = &'r Route>,
    ) -> Result<Self, PolicyTooLarge> {
        let resources: Vec<String> = routes.into_iter().map(|route| arn.of_route(route)).collect();
        if resources.is_empty() {
            return Ok(Self::deny_all(arn));
        }
        let size: usize = resources.iter().map(|r| r.len() + 3).sum::<usize>() + FRAME;
        if size > MAX_POLICY { Err(PolicyTooLarge) } else { Ok(Self::of("Allow", resources)) }
    }

    fn of(effect: &'static str, resource: Vec<String>) -> Self {
        Self { version: "2012-10-17", statement: [Statement { action: INVOKE, effect, resource }] }
    }

    /// Whether it allows anything.
    pub fn allows(&self) -> bool {
        self.statement.iter().any(|s| s.effect == "Allow")
    }

    /// What it speaks of: ARNs, with `*` for any text.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.statement.iter().flat_map(|s| &s.resource).map(String::as_str)
    }
}

/// There are more routes than a policy document holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("policy document is over the size that the gateway takes")]
pub struct PolicyTooLarge;

/// What principals may do on the routes of the API: policies judged once for each principal and kept.
pub struct RouteGuard {
    policies: PolicySet,
    routes: Routes,
    kept: Mutex<HashMap<Box<[u8]>, Arc<Permissions>>>,
}

/// What the policies say of one principal, for every action of the routes.
#[derive(Debug)]
struct Permissions(Vec<(Action, AccessDecision)>);

impl RouteGuard {
    /// A guard that has judged nothing yet.
    pub fn new(policies: PolicySet, routes: Routes) -> Self {
        Self { policies, routes, kept: Mutex::default() }
    }

    /// The guard of the shipped policies and routes.
    ///
    /// # Errors
    /// Never, as tests hold.
    pub fn shipped() -> Result<Self, GuardError> {
        Ok(Self::new(PolicySet::shipped()?, Routes::shipped()?))
    }

    /// The routes.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The policies.
    pub const fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Whether a principal may use a route. `None`: the route is public, and nothing is decided.
    pub fn decide(&self, principal: &Principal<'_>, route: &Route) -> Option<AccessDecision> {
        let action = route.action()?;
        Some(self.permissions(principal).decision(action, principal.scopes))
    }

    /// All routes that a principal may use and for which the gateway asks.
    pub fn allowed<'g>(&'g self, principal: &Principal<'_>) -> Vec<&'g Route> {
        let permissions = self.permissions(principal);
        let allowed =
            |route: &&Route| route.action().is_some_and(|action| permissions.allow(action, principal.scopes));
        self.routes.iter().filter(allowed).collect()
    }

    fn permissions(&self, principal: &Principal<'_>) -> Arc<Permissions> {
        let key = key_of(principal);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(key.as_slice()) {
            return Arc::clone(known);
        }
        let judged = Arc::new(self.judge(principal));
        // Emptied rather than trimmed: a container sees few principals, and judging one anew takes a fraction of a millisecond.
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key.into(), Arc::clone(&judged));
        judged
    }

    fn judge(&self, principal: &Principal<'_>) -> Permissions {
        let mut judged: Vec<(Action, AccessDecision)> = Vec::new();
        for action in self.routes.iter().filter_map(Route::action) {
            if judged.iter().all(|(known, _)| known != action) {
                // A gateway knows neither the object nor an approval: policies that ask for them deny here.
                let circumstances = Circumstances::default();
                let decision = self.policies.judge(
                    principal.id,
                    principal.roles,
                    action,
                    action.object(),
                    &circumstances,
                );
                judged.push((action.clone(), decision));
            }
        }
        Permissions(judged)
    }
}

impl Permissions {
    /// Whether [`Permissions::decision`] allows it.
    fn allow(&self, action: &Action, scopes: &Scope) -> bool {
        self.known(action).is_some_and(|decision| decision.allowed) && scopes.contains(action.as_str())
    }

    fn decision(&self, action: &Action, scopes: &Scope) -> AccessDecision {
        let known = self.known(action).cloned();
        let nothing = AccessDecision {
            allowed: false,
            because: Because::NothingPermits,
            policies: Vec::new(),
            errors: Vec::new(),
        };
        known.unwrap_or(nothing).narrowed(action, scopes)
    }

    fn known(&self, action: &Action) -> Option<&AccessDecision> {
        self.0.iter().find(|(known, _)| known == action).map(|(_, decision)| decision)
    }
}

/// Unambiguous: every part is preceded by its length.
fn key_of(principal: &Principal<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    for part in std::iter::once(principal.id).chain(principal.roles.iter().map(String::as_str)) {
        key.extend_from_slice(&part.len().to_le_bytes());
        key.extend_from_slice(part.as_bytes());
    }
    key
}

/// Why the shipped guard cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The policies are wrong.
    #[error(transparent)]
    Policy(#[from] crate::PolicyError),
    /// The routes are wrong.
    #[error(transparent)]
    File(#[from] crate::FileError),
}

impl fmt::Debug for RouteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteGuard").field("policies", &self.policies).finish_non_exhaustive()
    }
}

const INVOKE: &str = "execute-api:Invoke";
const MAX_ARN: usize = 8 * 1024;
const MAX_KEPT: usize = 4_096;
// https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
const MAX_POLICY: usize = 8_192;
// All of the document that is not a resource.
const FRAME: usize = 128;

#[cfg(test)]
mod tests;
