//! What the gateway is told.
//!
//! Format: <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html>

use portcullis_access::{MethodArn, PolicyDocument, RouteGuard};
use portcullis_lambda::Failure;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{AuthorizerSettings, Grant, RateAnswer, UsageKey, Verdict};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    principal_id: &'a str,
    policy_document: PolicyDocument,
    #[serde(serialize_with = "map")]
    context: &'a [(&'static str, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_identifier_key: Option<&'a str>,
}

/// The answer to a verdict.
///
/// # Errors
/// Where the gateway is answered by an error: see [`crate`].
pub(crate) fn of(
    verdict: &Verdict,
    arn: &MethodArn<'_>,
    guard: &RouteGuard,
    settings: &AuthorizerSettings,
) -> Result<Vec<u8>, Failure> {
    let usage_identifier_key = settings.usage_key.as_ref().map(UsageKey::as_str);
    match verdict {
        Verdict::Allow(grant) | Verdict::Forbidden(grant) => {
            of_grant(grant, arn, guard, usage_identifier_key)
        }
        Verdict::Unauthorized => Err(UNAUTHORIZED),
        Verdict::TooManyRequests { .. } if settings.rate_answer == RateAnswer::Error => {
            Err(TOO_MANY_REQUESTS)
        }
        Verdict::TooManyRequests { retry_after } => to_json(&Answer {
            principal_id: "anonymous",
            policy_document: PolicyDocument::deny_all(arn),
            context: &[("reason", "too-many-requests".to_owned()), ("retryAfter", retry_after.to_string())],
            usage_identifier_key,
        }),
        Verdict::Unavailable => Err(UNAVAILABLE),
    }
}

/// The same for whatever route was asked for, so that it is right for all of them.
fn of_grant(
    grant: &Grant,
    arn: &MethodArn<'_>,
    guard: &RouteGuard,
    usage_identifier_key: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let routes = guard.allowed(&grant.as_principal());
    let policy_document = PolicyDocument::allow(arn, routes).map_err(|_| {
        tracing::error!("policy document is over the size that the gateway takes");
        UNAVAILABLE
    })?;
    let (principal_id, context) = (grant.principal.as_str(), grant.context.as_slice());
    to_json(&Answer { principal_id, policy_document, context, usage_identifier_key })
}

fn to_json(answer: &Answer<'_>) -> Result<Vec<u8>, Failure> {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, answer).map_err(|_| UNAVAILABLE)?;
    Ok(json)
}

fn map<S: Serializer>(pairs: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// Room for most answers at once.
const USUAL_BYTES: usize = 1_024;
/// The one message that the gateway takes for 401.
pub(crate) const UNAUTHORIZED: Failure = Failure { kind: "Unauthorized", message: "Unauthorized" };
pub(crate) const TOO_MANY_REQUESTS: Failure = Failure { kind: "TooManyRequests", message: "TooManyRequests" };
pub(crate) const UNAVAILABLE: Failure = Failure { kind: "Unavailable", message: "Unavailable" };
