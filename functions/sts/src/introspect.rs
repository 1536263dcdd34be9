//! `POST /sts/introspect` (RFC 7662).

use portcullis_audit::Kind;
use portcullis_lambda::ProxyResponse;
use portcullis_token::Claims;
use serde_json::{Map, Value, json};

use crate::asked::Asked;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::{Ports, bearer, limits, request};

/// Answers what a token is, to those who may know: its client, its audience, and whoever has the scope
/// `introspect:tokens`. Everybody else is told that it is not active, as of a token that does not exist (section 4).
pub(crate) async fn introspect<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    context.request.refuse_query()?;
    let body = context.request.body()?;
    let form = request::form(context.request, &body)?;
    let (caller, may_all) = bearer::or_client(context, &form, SCOPE).await?;
    let asked = Asked::of(context, &form).await?;
    let known =
        |client: &str, audiences: &[String]| may_all || client == caller || audiences.contains(&caller);
    let (answer, jti) = match &asked {
        Asked::Access(claims) if known(claims.client_id.as_deref().unwrap_or_default(), &claims.aud) => {
            (of_claims(claims, access_type(claims)), claims.jti.clone())
        }
        Asked::Approval(claims, approval)
            if known(&approval.approver, std::slice::from_ref(&approval.actor)) =>
        {
            (of_claims(claims, "N_A"), claims.jti.clone())
        }
        Asked::Refresh { family, is_good: true, .. } if known(&family.client_id, &[]) => {
            let ends = family.ends(&context.parts.settings.family).as_second();
            let answer = json!({
                "active": true, "client_id": family.client_id, "sub": family.subject, "scope": family.scope,
                "iss": context.parts.settings.issuer.as_str(), "exp": ends,
            });
            (answer, None)
        }
        _ => (json!({"active": false}), None),
    };
    let event = context.event(Kind::TokenIntrospected, &caller);
    let is_active = answer.get("active").is_some_and(|active| active == true);
    let active = if is_active { "true" } else { "false" };
    context.note(event.token(jti.as_deref().unwrap_or_default(), None).detail("active", active));
    Ok(ProxyResponse::json(200, answer.to_string()).with_header("Pragma", "no-cache"))
}

/// The claims under the names of section 2.2, which are those of the token itself.
fn of_claims(claims: &Claims, token_type: &str) -> Value {
    let mut answer = match serde_json::to_value(claims) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    answer.insert("active".to_owned(), json!(true));
    answer.insert("token_type".to_owned(), json!(token_type));
    Value::Object(answer)
}

fn access_type(claims: &Claims) -> &'static str {
    if claims.cnf.is_some_and(|cnf| cnf.jkt.is_some()) { "DPoP" } else { "Bearer" }
}

const SCOPE: &str = "introspect:tokens";
