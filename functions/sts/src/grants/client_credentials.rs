use portcullis_audit::Kind;
use portcullis_lambda::ProxyResponse;

use super::{audience, refresh};
use crate::Ports;
use crate::binding::Binding;
use crate::client::Client;
use crate::context::Context;
use crate::form::Form;
use crate::issue::{Draft, TokenAnswer, narrow, sign};
use crate::refusal::Refusal;

/// RFC 6749 section 4.4. A refresh token comes with it only where the identity is configured to get one, which section
/// 4.4.3 advises against and does not forbid.
pub(super) async fn token<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
) -> Result<ProxyResponse, Refusal> {
    let scope = narrow(&client.identity.scope(), form.value("scope"))?;
    let audience = audience(context, client.identity, form)?;
    let family = refresh::begin(context, client, &client.identity.id, &scope).await?;
    let (sid, refresh_token) = family.unzip();
    let draft = Draft::of_client(client, binding, audience, scope.clone(), "client_credentials");
    let issued = sign(context, Kind::TokenIssued, Draft { sid, ..draft }).await?;
    TokenAnswer {
        access_token: issued.token,
        issued_token_type: None,
        token_type: binding.token_type(),
        expires_in: issued.expires_in,
        refresh_token,
        scope: Some(scope.to_string()),
    }
    .to_response()
}
