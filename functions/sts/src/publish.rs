//! What is published: the key set (RFC 7517), the metadata (RFC 8414), the description of the API.

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_lambda::ProxyResponse;
use portcullis_token::DPOP_ALGS;
use serde_json::json;

use crate::Ports;
use crate::context::Context;
use crate::grants::GRANTS;
use crate::refusal::Refusal;

/// `GET /sts/jwks`. A copy of it may be used for as long as its `Cache-Control` says, which is what the ring counts with
/// before a new key signs.
pub(crate) async fn jwks<P: Ports>(context: &Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    let keys = context.parts.keeper.jwks().await?;
    Ok(cached(context, "application/jwk-set+json", keys.to_json()))
}

/// `GET /.well-known/oauth-authorization-server`.
///
/// `response_types_supported` must be there and arrays must not be empty, and there is no authorization endpoint:
/// `none` is the registered value of an answer that issues nothing.
pub(crate) fn metadata<P: Ports>(context: &Context<'_, P>) -> ProxyResponse {
    let parts = context.parts;
    let issuer = &parts.settings.issuer;
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"];
    let assertion_algorithms = ["ES256", "EdDSA", "PS256", "RS256"];
    let mut scopes: Vec<_> =
        parts.identities.iter().flat_map(|i| i.scopes.iter().map(|s| s.as_str())).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let document = json!({
        "issuer": issuer.as_str(),
        "token_endpoint": issuer.endpoint("/sts/token"),
        "jwks_uri": issuer.endpoint("/sts/jwks"),
        "introspection_endpoint": issuer.endpoint("/sts/introspect"),
        "revocation_endpoint": issuer.endpoint("/sts/revoke"),
        "service_documentation": issuer.endpoint("/openapi.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["none"],
        "grant_types_supported": GRANTS.map(portcullis_access::Grant::grant_type),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "dpop_signing_alg_values_supported": DPOP_ALGS.split(' ').collect::<Vec<_>>(),
        "tls_client_certificate_bound_access_tokens": true,
    });
    cached(context, "application/json", document.to_string())
}

/// `GET /openapi.json`.
pub(crate) fn openapi<P: Ports>(context: &Context<'_, P>) -> ProxyResponse {
    cached(context, "application/json", OPENAPI)
}

/// A document that may be cached, or `304` for whoever has it (RFC 9110 section 13.1.2).
fn cached<P: Ports>(
    context: &Context<'_, P>,
    content_type: &'static str,
    body: impl Into<std::borrow::Cow<'static, str>>,
) -> ProxyResponse {
    let body = body.into();
    let tag = format!("\"{}\"", hex::encode(digest(&SHA256, body.as_bytes()).as_ref()).split_at(32).0);
    let asked = context.request.header("If-None-Match").ok().flatten().unwrap_or_default();
    let answer = if has(asked, &tag) {
        ProxyResponse { status: 304, headers: Vec::new(), body: "".into() }
    } else {
        ProxyResponse::new(200, content_type, body)
    };
    let seconds = context.parts.keeper.settings().policy.cache_lifetime.as_secs();
    answer.with_header("Cache-Control", format!("public, max-age={seconds}")).with_header("ETag", tag)
}

fn has(if_none_match: &str, tag: &str) -> bool {
    let weak = |shown: &str| shown.trim().trim_start_matches("W/") == tag;
    if_none_match.trim() == "*" || if_none_match.split(',').any(weak)
}

/// The description of every endpoint of the stack, held against `config/access/routes.yml` by a test.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");
