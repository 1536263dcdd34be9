//! The source document's own form of the request: `{"service_id": …, "client_secret": …}`.

use portcullis_access::Grant;
use portcullis_audit::Kind;
use portcullis_base::SecretString;
use portcullis_lambda::ProxyResponse;
use serde::Deserialize;

use crate::Ports;
use crate::binding::Binding;
use crate::client::{Presented, authenticate};
use crate::context::Context;
use crate::issue::{Draft, TokenAnswer, narrow, sign};
use crate::refusal::Refusal;

/// Answers as that document does: three members, `bearer` in small letters.
pub(super) async fn token<P: Ports>(
    context: &mut Context<'_, P>,
    body: &[u8],
) -> Result<ProxyResponse, Refusal> {
    let (service_id, secret) = read(body)?;
    let presented = Presented::of_json(context.request, service_id, secret)?;
    let client = authenticate(context, presented).await?;
    if !client.identity.grants.contains(&Grant::ClientCredentials) {
        return Err(Refusal::UnauthorizedClient("this client may not use this grant type"));
    }
    let binding = Binding::of(context, &client).await?;
    let audience = context.parts.settings.audience.clone();
    let scope = narrow(&client.identity.scope(), None)?;
    let draft = Draft::of_client(&client, &binding, audience, scope, "client_credentials");
    let issued = sign(context, Kind::TokenIssued, draft).await?;
    TokenAnswer {
        access_token: issued.token,
        issued_token_type: None,
        token_type: if binding.proof.is_some() { "DPoP" } else { "bearer" },
        expires_in: issued.expires_in,
        refresh_token: None,
        scope: None,
    }
    .to_response()
}

fn read(body: &[u8]) -> Result<(String, SecretString), Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        service_id: String,
        client_secret: String,
    }
    let malformed = Refusal::InvalidRequest("the body must be an object with service_id and client_secret");
    // serde would also take an array of the two in order.
    if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(malformed);
    }
    let Body { service_id, client_secret } = serde_json::from_slice(body).map_err(|_| malformed)?;
    if service_id.is_empty() || client_secret.is_empty() {
        return Err(malformed);
    }
    Ok((service_id, client_secret.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_object_is_read() {
        assert!(read(br#" {"service_id":"svc.actuator","client_secret":"x"} "#).is_ok());
        for (label, body) in [
            ("nothing", &b""[..]),
            ("an array of both", br#"["svc.actuator","x"]"#),
            ("a member twice", br#"{"service_id":"a","service_id":"b","client_secret":"x"}"#),
            ("an unknown member", br#"{"service_id":"a","client_secret":"x","role":"admin"}"#),
            ("no secret", br#"{"service_id":"a"}"#),
            ("an empty secret", br#"{"service_id":"a","client_secret":""}"#),
            ("a number", br#"{"service_id":1,"client_secret":"x"}"#),
            ("two documents", br#"{"service_id":"a","client_secret":"x"}{}"#),
            ("not utf-8", b"{\"service_id\":\"\xff\",\"client_secret\":\"x\"}"),
        ] {
            assert!(read(body).is_err(), "{label}");
        }
    }
}
