//! Access tokens shown to this service's own endpoints (RFC 6750, RFC 9449 section 7).

use portcullis_audit::Kind;
use portcullis_token::{Claims, ClientCertificate, Presentation};

use crate::binding;
use crate::client::{Presented, authenticate};
use crate::context::Context;
use crate::form::Form;
use crate::own_tokens::{NotTaken, OwnType};
use crate::refusal::{BearerRefusal, Refusal};
use crate::{Ports, limits};

/// Whether the request shows an access token rather than a client's credential.
fn is_shown<P: Ports>(context: &Context<'_, P>) -> bool {
    matches!(context.request.header("Authorization"), Ok(Some(header)) if scheme_of(header).is_some())
}

/// Who asks about a token: the bearer of an access token that reaches as far as `scope`, or else a client that shows its
/// credential; and whether it may ask about any token.
pub(crate) async fn or_client<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    scope: &'static str,
) -> Result<(String, bool), Refusal> {
    if is_shown(context) {
        return Ok((authorize(context, scope).await?.sub, true));
    }
    let presented = Presented::of_form(context.request, form)?;
    let client = authenticate(context, presented).await?;
    Ok((client.identity.id.clone(), client.identity.scope().contains(scope)))
}

/// Verifies the access token of the request, which must be for this API and reach as far as `scope`.
pub(crate) async fn authorize<P: Ports>(
    context: &mut Context<'_, P>,
    scope: &'static str,
) -> Result<Claims, Refusal> {
    let malformed = Refusal::Bearer(BearerRefusal::Malformed);
    if context.request.refuse_query().is_err() {
        return Err(malformed);
    }
    let header = context.request.header("Authorization").map_err(|_| malformed)?;
    let header = header.ok_or(Refusal::Bearer(BearerRefusal::Missing))?;
    let (scheme, token) = scheme_of(header).ok_or(Refusal::Bearer(BearerRefusal::Missing))?;
    let proof = match binding::proof(context, Some(token)) {
        Err(Refusal::InvalidDpopProof) => return Err(invalid(context, "dpop-proof")),
        proof => proof?,
    };
    if (scheme == Scheme::Dpop) != proof.is_some() {
        return Err(invalid(context, "scheme"));
    }
    let certificate = context.request.certificate.as_ref().and_then(|c| c.as_ref().ok());
    let presented =
        Presentation { dpop: proof.as_ref(), certificate: certificate.map(ClientCertificate::thumbprint) };
    let verified = context.own.verify(context.parts, OwnType::Access, token, presented, context.now).await;
    let claims = match verified {
        Ok(claims) => claims,
        Err(NotTaken::Ours(refusal)) => return Err(refusal),
        Err(NotTaken::Token(error)) => return Err(invalid(context, error.as_str())),
    };
    claims.sub.clone_into(&mut context.caller);
    if let Some(proof) = &proof {
        match binding::use_up(context, proof).await {
            Err(Refusal::InvalidDpopProof) => return Err(invalid(context, "dpop-proof")),
            used => used?,
        }
    }
    limits::check_client(context, &claims.sub).await?;
    // Our verifier takes every audience that we issue tokens for.
    if !claims.aud.contains(&context.parts.settings.audience) {
        return Err(invalid(context, "audience"));
    }
    if !claims.scope.contains(scope) {
        let event = context.event(Kind::PermissionDenied, &claims.sub).roles(&claims.roles);
        context.note(event.privileges([scope]).reason("scope"));
        return Err(Refusal::Bearer(BearerRefusal::InsufficientScope(scope)));
    }
    let event = context.event(Kind::TokenValidated, &claims.sub).roles(&claims.roles);
    context.note(event.token(claims.jti.as_deref().unwrap_or_default(), None).privileges([scope]));
    Ok(claims)
}

fn invalid<P: Ports>(context: &mut Context<'_, P>, reason: &'static str) -> Refusal {
    context.note(context.event(Kind::TokenRefused, &context.caller).reason(reason));
    Refusal::Bearer(BearerRefusal::Invalid)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Dpop,
}

fn scheme_of(header: &str) -> Option<(Scheme, &str)> {
    let (scheme, token) = header.split_once(' ')?;
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Dpop
    } else {
        return None;
    };
    Some((scheme, token.trim()))
}
