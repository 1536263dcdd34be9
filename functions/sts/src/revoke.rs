//! `POST /sts/revoke` (RFC 7009).

use portcullis_audit::Kind;
use portcullis_base::Timestamp;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{Approvals as _, Claims, Revocation, RevocationStore as _, RevocationTarget};

use crate::asked::Asked;
use crate::context::Context;
use crate::grants::kill_family;
use crate::refusal::Refusal;
use crate::{Ports, bearer, limits, request};

/// Revokes a token of the client that asks; whoever has the scope `revoke:tokens` revokes any. A token that is none, or dead
/// already, is revoked as far as anybody can tell: 200 (section 2.2).
pub(crate) async fn revoke<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    context.request.refuse_query()?;
    let body = context.request.body()?;
    let form = request::form(context.request, &body)?;
    let (caller, may_all) = bearer::or_client(context, &form, SCOPE).await?;
    let check = |owner: &str| match may_all || owner == caller {
        true => Ok(()),
        false => Err(Refusal::UnauthorizedClient("the token was issued to another client")),
    };
    let event = context.event(Kind::TokenRevoked, &caller);
    match Asked::of(context, &form).await? {
        Asked::Nothing => {}
        Asked::Access(claims) => {
            let owner = claims.client_id.clone().unwrap_or_default();
            check(&owner)?;
            add(context, &claims).await?;
            context
                .note(event.token(claims.jti.as_deref().unwrap_or_default(), None).detail("client", &owner));
        }
        Asked::Refresh { id, family, .. } => {
            check(&family.client_id)?;
            kill_family(context.parts, context.now, id).await?;
            let event = event.resource("refresh-family", &id.to_string());
            context.note(event.detail("client", &family.client_id));
        }
        Asked::Approval(claims, approval) => {
            check(&approval.approver)?;
            context.parts.approvals.withdraw(&approval.id).await?;
            let event = event.token(claims.jti.as_deref().unwrap_or_default(), None);
            context.note(event.resource("plan", &approval.plan).detail("client", &approval.approver));
        }
    }
    Ok(ProxyResponse::json(200, "").with_header("Pragma", "no-cache"))
}

/// Kept until every verifier refuses the token for its age.
async fn add<P: Ports>(context: &Context<'_, P>, claims: &Claims) -> Result<(), Refusal> {
    let jti = claims.jti.clone().ok_or(Refusal::Internal)?;
    let until = claims.exp.millis().saturating_add(MAX_LEEWAY_MILLIS);
    let revocation = Revocation {
        target: RevocationTarget::Token { iss: claims.iss.clone(), jti },
        until: Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX),
    };
    Ok(context.parts.revocations.store().add(&revocation).await?)
}

const SCOPE: &str = "revoke:tokens";
const MAX_LEEWAY_MILLIS: i64 = 60_000;
