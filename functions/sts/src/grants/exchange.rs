//! Token exchange (RFC 8693): tokens of users in, internal tokens out; delegation with `act`; approvals.
//!
//! Whatever is wrong with a subject token, the error is `invalid_request` (section 2.2.2).

use std::time::Duration;

use portcullis_access::Identity;
use portcullis_audit::Kind;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{
    Actor, Claims, FollowError, NumericDate, Presentation, Scope, TokenError, UnverifiedToken,
};

use super::{approval, audience, refresh};
use crate::Ports;
use crate::binding::Binding;
use crate::client::Client;
use crate::context::Context;
use crate::form::Form;
use crate::issue::{Draft, TokenAnswer, narrow, sign};
use crate::issuer::SubjectType;
use crate::own_tokens::{NotTaken, OwnType};
use crate::refusal::Refusal;

/// Answers an exchange.
pub(super) async fn token<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
) -> Result<ProxyResponse, Refusal> {
    let required = |name, missing| form.value(name).ok_or(Refusal::InvalidRequest(missing));
    let subject_token = required("subject_token", "subject_token is missing")?;
    let subject_type = required("subject_token_type", "subject_token_type is missing")?;
    check_actor(context, form, client, binding).await?;
    let requested = form.value("requested_token_type");
    if requested == Some(APPROVAL) {
        return approval::give(context, form, client, binding, subject_token, subject_type).await;
    }
    let issued_type = match requested {
        None | Some(ACCESS_TOKEN) => ACCESS_TOKEN,
        Some(JWT) => JWT,
        Some(_) => return Err(Refusal::InvalidRequest("requested_token_type is not supported")),
    };
    match subject_type {
        APPROVAL => approval::execute(context, form, client, binding, subject_token, issued_type).await,
        said => {
            let said = match said {
                ACCESS_TOKEN => SubjectType::AccessToken,
                ID_TOKEN => SubjectType::IdToken,
                JWT => SubjectType::Jwt,
                _ => return Err(Refusal::InvalidRequest("subject_token_type is not supported")),
            };
            delegate(context, form, client, binding, (subject_token, said), issued_type).await
        }
    }
}

async fn delegate<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
    (subject_token, said): (&str, SubjectType),
    issued_type: &str,
) -> Result<ProxyResponse, Refusal> {
    let audience = audience(context, client.identity, form)?;
    let subject = subject(context, client, binding, subject_token, said).await?;
    let scope = narrow(&subject.scope, form.value("scope"))?;
    if scope.is_empty() {
        return Err(Refusal::InvalidScope);
    }
    let left = subject.ends.millis().saturating_sub(context.now.as_millisecond());
    let lifetime =
        Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(client.identity.token_lifetime);
    if lifetime < Duration::from_secs(1) {
        return Err(refused(context, "expired"));
    }
    let family = match subject.is_user_session {
        true => refresh::begin(context, client, &subject.name, &scope).await?,
        false => None,
    };
    let (sid, refresh_token) = family.unzip();
    let draft = Draft::of_client(client, binding, audience, scope.clone(), "token-exchange");
    let draft =
        Draft { subject: subject.name, act: subject.act, sid: sid.or(subject.sid), lifetime, ..draft };
    let issued = sign(context, Kind::TokenExchanged, draft).await?;
    TokenAnswer {
        access_token: issued.token,
        issued_token_type: Some(issued_type),
        token_type: binding.token_type(),
        expires_in: issued.expires_in,
        refresh_token,
        scope: Some(scope.to_string()),
    }
    .to_response()
}

/// Whom the new token is about, and how far it may reach.
struct Subject {
    name: String,
    scope: Scope,
    act: Option<Box<Actor>>,
    sid: Option<String>,
    /// When its token ends: what comes of it does not outlive it, or exchanging would do for refreshing.
    ends: NumericDate,
    /// A user just came in: the client may get refresh tokens for the session.
    is_user_session: bool,
}

/// Verifies the subject token, by who issued it and what it is said to be.
async fn subject<P: Ports>(
    context: &mut Context<'_, P>,
    client: &Client<'_>,
    binding: &Binding,
    text: &str,
    said: SubjectType,
) -> Result<Subject, Refusal> {
    let issuer =
        UnverifiedToken::parse(text).map_err(|_| NOT_TAKEN)?.dangerous_unverified_claims().iss.clone();
    if issuer == context.parts.settings.issuer.as_str() {
        if said == SubjectType::IdToken {
            return Err(refused(context, TokenError::TypeMismatch.as_str()));
        }
        let claims = own(context, OwnType::Access, binding, text).await?;
        return of_own(context, client.identity, claims);
    }
    let (name, claims) = of_user(context, binding, &issuer, text, said).await?;
    Ok(Subject {
        name,
        // Never more than the client could do for itself.
        scope: client.identity.scope(),
        act: Some(refresh::actor(client)),
        sid: None,
        ends: claims.exp,
        is_user_session: true,
    })
}

/// Verifies a user's token of another issuer: what ours call the user, and what it says.
async fn of_user<P: Ports>(
    context: &mut Context<'_, P>,
    binding: &Binding,
    issuer: &str,
    text: &str,
    said: SubjectType,
) -> Result<(String, Claims), Refusal> {
    let parts = context.parts;
    let (name, claims) = match parts.user_issuers.verify(issuer, text, presentation(binding), said).await {
        Ok(verified) => verified,
        Err(error @ TokenError::KeysUnavailable) => {
            tracing::error!(%error, issuer, "a user's token cannot be judged");
            return Err(Refusal::Unavailable);
        }
        Err(error) => return Err(refused(context, error.as_str())),
    };
    // With the issuer's name before it, it would be longer than a subject may be.
    if claims.sub.len() > MAX_USER {
        return Err(refused(context, "subject-too-long"));
    }
    match parts.revocations.check(&claims).await {
        Ok(()) => Ok((name, claims)),
        Err(FollowError::Token(error)) => Err(refused(context, error.as_str())),
        Err(FollowError::Store(error)) => Err(error.into()),
    }
}

/// A token of ours: its own client may narrow it, and those that may act for that client may act for its subject.
fn of_own<P: Ports>(
    context: &mut Context<'_, P>,
    identity: &Identity,
    claims: Claims,
) -> Result<Subject, Refusal> {
    let scope = identity.scope().narrowed_to(&claims.scope);
    let holder = claims.client_id.as_deref().unwrap_or_default();
    if holder == identity.id {
        let (act, ends) = (claims.act, claims.exp);
        return Ok(Subject { name: claims.sub, scope, act, sid: claims.sid, ends, is_user_session: false });
    }
    let may_act = context.parts.identities.find(holder).is_some_and(|h| h.may_act.contains(&identity.id));
    // An approval is spent by the one whom it names: what came of it goes no further.
    if !may_act || claims.other.contains_key(approval::CLAIM) {
        return Err(refused(context, "may-not-act"));
    }
    if depth(claims.act.as_deref()) >= MAX_ACTORS {
        return Err(refused(context, "too-many-actors"));
    }
    // Where the subject acts for itself so far, it is the first of the chain and stands in `sub` already.
    let before = claims.act.or_else(|| {
        (claims.sub != holder).then(|| Box::new(Actor { sub: holder.to_owned(), iss: None, act: None }))
    });
    let act = Some(Box::new(Actor { sub: identity.id.clone(), iss: None, act: before }));
    let ends = claims.exp;
    Ok(Subject { name: claims.sub, scope, act, sid: claims.sid, ends, is_user_session: false })
}

/// The actor is the client. A token that says so is welcome; one of anybody else is not taken.
async fn check_actor<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
) -> Result<(), Refusal> {
    match (form.value("actor_token"), form.value("actor_token_type")) {
        (None, None) => Ok(()),
        (Some(text), Some(ACCESS_TOKEN | JWT)) => {
            let claims = own(context, OwnType::Access, binding, text).await?;
            if claims.sub == client.identity.id { Ok(()) } else { Err(refused(context, "actor")) }
        }
        (Some(_), Some(_)) => Err(Refusal::InvalidRequest("actor_token_type is not supported")),
        _ => Err(Refusal::InvalidRequest("actor_token and actor_token_type go together")),
    }
}

/// Verifies a token of ours that is exchanged.
pub(super) async fn own<P: Ports>(
    context: &mut Context<'_, P>,
    typ: OwnType,
    binding: &Binding,
    text: &str,
) -> Result<Claims, Refusal> {
    let presented = presentation(binding);
    match context.own.verify(context.parts, typ, text, presented, context.now).await {
        Ok(claims) => Ok(claims),
        Err(NotTaken::Ours(refusal)) => Err(refusal),
        Err(NotTaken::Token(error)) => Err(refused(context, error.as_str())),
    }
}

/// A bound token is exchanged by whoever can show what it is bound to. A proof that is for the new token alone says
/// nothing of an old one that is bound to no key.
fn presentation(binding: &Binding) -> Presentation<'_> {
    let dpop = binding.proof.as_ref().filter(|proof| proof.names_a_token());
    Presentation { dpop, certificate: binding.certificate }
}

/// Notes why a token was not taken; its bearer is not told.
pub(super) fn refused<P: Ports>(context: &mut Context<'_, P>, reason: &'static str) -> Refusal {
    context.note(context.event(Kind::TokenRefused, &context.caller).reason(reason));
    NOT_TAKEN
}

fn depth(actor: Option<&Actor>) -> usize {
    actor.map_or(0, |actor| 1 + depth(actor.act.as_deref()))
}

pub(super) const NOT_TAKEN: Refusal = Refusal::InvalidRequest("the subject token is not valid here");
/// RFC 8693 section 3.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// An approval: lets one actor execute one plan, once.
pub(super) const APPROVAL: &str = "urn:portcullis:params:oauth:token-type:approval";
const MAX_USER: usize = 256;
// Readers of tokens take four.
const MAX_ACTORS: usize = 4;
