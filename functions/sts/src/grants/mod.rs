//! `POST /sts/token`.

mod approval;
mod client_credentials;
mod exchange;
mod json;
mod refresh;

use portcullis_access::{Grant, Identity};
use portcullis_lambda::ProxyResponse;

pub(crate) use refresh::kill_family;

use crate::binding::Binding;
use crate::client::{Presented, authenticate};
use crate::context::Context;
use crate::form::Form;
use crate::refusal::Refusal;
use crate::request::{self, MediaType};
use crate::{Ports, limits};

/// Answers a token request.
pub(crate) async fn token<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    context.request.refuse_query()?;
    let body = context.request.body()?;
    match context.request.media_type()? {
        MediaType::Json => json::token(context, &body).await,
        _ => of_form(context, &request::form(context.request, &body)?).await,
    }
}

async fn of_form<P: Ports>(context: &mut Context<'_, P>, form: &Form<'_>) -> Result<ProxyResponse, Refusal> {
    let grant_type = form.value("grant_type").ok_or(Refusal::InvalidRequest("grant_type is missing"))?;
    let grant = GRANTS.into_iter().find(|grant| grant.grant_type() == grant_type);
    let grant = grant.ok_or(Refusal::UnsupportedGrantType)?;
    let presented = Presented::of_form(context.request, form)?;
    let client = authenticate(context, presented).await?;
    if !client.identity.grants.contains(&grant) {
        return Err(Refusal::UnauthorizedClient("this client may not use this grant type"));
    }
    let binding = Binding::of(context, &client).await?;
    match grant {
        Grant::ClientCredentials => client_credentials::token(context, form, &client, &binding).await,
        Grant::RefreshToken => refresh::token(context, form, &client, &binding).await,
        Grant::TokenExchange => exchange::token(context, form, &client, &binding).await,
    }
}

/// Whom the token is for: the API, or one of those that the identity may ask tokens for. `resource` (RFC 8707) and `audience`
/// (RFC 8693) say the same here.
fn audience<P: Ports>(
    context: &Context<'_, P>,
    identity: &Identity,
    form: &Form<'_>,
) -> Result<String, Refusal> {
    let asked = match (form.value("audience"), form.value("resource")) {
        (Some(audience), Some(resource)) if audience != resource => {
            return Err(Refusal::InvalidTarget("a token is for one audience"));
        }
        (audience, resource) => audience.or(resource),
    };
    let ours = &context.parts.settings.audience;
    match asked {
        None => Ok(ours.clone()),
        Some(asked) if asked == ours || identity.audiences.iter().any(|a| a == asked) => Ok(asked.to_owned()),
        Some(_) => Err(Refusal::InvalidTarget("this client may not have tokens for that audience")),
    }
}

/// All grants, in the order in which the metadata lists them.
pub(crate) const GRANTS: [Grant; 3] = [Grant::ClientCredentials, Grant::RefreshToken, Grant::TokenExchange];
