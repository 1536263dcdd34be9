use portcullis_access::Identity;
use portcullis_token::{Algorithm, AssertionPolicy, ReplayWindow as _, UnverifiedToken};

use super::Failure;
use crate::Ports;
use crate::context::Context;

/// Verifies an assertion with the keys that the client registered, and takes note of it.
pub(super) async fn verify<P: Ports>(
    context: &Context<'_, P>,
    identity: Option<&Identity>,
    token: &str,
) -> Result<(), Failure> {
    let identity = identity.ok_or(Failure::Wrong("unknown-client"))?;
    let keys = identity.jwks.as_ref().ok_or(Failure::Wrong("no-client-keys"))?;
    let wrong = |error: portcullis_token::TokenError| Failure::Wrong(error.as_str());
    let assertion = UnverifiedToken::parse(token).map_err(wrong)?;
    let verified = policy(context).verify(&assertion, &identity.id, keys, context.now).map_err(wrong)?;
    let scope = format!("assertion:{}", identity.id);
    let replay = &context.parts.replay;
    if replay.first_use(&scope, verified.jti(), verified.replay_until()).await? {
        Ok(())
    } else {
        Err(Failure::Replayed)
    }
}

/// The audience is the issuer, or the URL of the endpoint: either has been asked for by one RFC or another.
fn policy<P: Ports>(context: &Context<'_, P>) -> AssertionPolicy {
    let settings = &context.parts.settings;
    let endpoint = context.request.operation.split_once(' ').map_or("", |(_, path)| path);
    AssertionPolicy {
        audiences: vec![
            settings.issuer.as_str().to_owned(),
            settings.issuer.endpoint("/sts/token"),
            settings.issuer.endpoint(endpoint),
        ],
        algorithms: Algorithm::ALL.to_vec(),
        max_lifetime_seconds: settings.assertion_max_lifetime_seconds,
        leeway_seconds: settings.leeway_seconds,
    }
}
