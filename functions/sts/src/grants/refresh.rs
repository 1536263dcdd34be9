//! `grant_type=refresh_token`: rotation, reuse detection, a grace window (RFC 6749 section 6, RFC 9700 section 4.14.2).

use portcullis_audit::Kind;
use portcullis_base::Timestamp;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{
    Actor, Family, FamilyError, FamilyId, FollowError, Presented, RefreshFamilies as _, RefreshToken,
    Revocation, RevocationStore as _, RevocationTarget, Scope,
};

use super::audience;
use crate::binding::Binding;
use crate::client::Client;
use crate::context::Context;
use crate::form::Form;
use crate::issue::{Draft, TokenAnswer, narrow, sign};
use crate::parts::MAX_TOKEN_LIFETIME;
use crate::refusal::Refusal;
use crate::{Parts, Ports};

/// Answers a refresh.
pub(super) async fn token<P: Ports>(
    context: &mut Context<'_, P>,
    form: &Form<'_>,
    client: &Client<'_>,
    binding: &Binding,
) -> Result<ProxyResponse, Refusal> {
    let text = form.value("refresh_token").ok_or(Refusal::InvalidRequest("refresh_token is missing"))?;
    let shown = context.parts.refresh_tokens.read(text)?;
    let audience = audience(context, client.identity, form)?;
    // Before the token is used up: a request that cannot succeed costs its sender nothing.
    let family = load(context, &shown).await?;
    let granted = Scope::parse(&family.scope).map_err(|_| Refusal::Internal)?;
    // The role may have become narrower since.
    let granted = client.identity.scope().narrowed_to(&granted);
    let scope = narrow(&granted, form.value("scope"))?;
    judge(context, &family, &shown, client).await?;
    goes_on(context, &family, &shown).await?;

    let subject = family.subject;
    let act = (subject != client.identity.id).then(|| actor(client));
    let draft = Draft::of_client(client, binding, audience, scope.clone(), "refresh_token");
    let draft = Draft { subject, act, sid: Some(shown.family().to_string()), ..draft };
    // Signed and recorded before the old token is used up: while keys or the audit trail are out of reach, nobody loses a
    // session. Whoever then loses a race leaves the record of a token that nobody ever saw.
    let issued = sign(context, Kind::TokenRefreshed, draft).await?;
    context.record().await?;
    let refresh_token = rotate(context, &shown, client).await?;
    TokenAnswer {
        access_token: issued.token,
        issued_token_type: None,
        token_type: binding.token_type(),
        expires_in: issued.expires_in,
        refresh_token: Some(refresh_token),
        scope: Some(scope.to_string()),
    }
    .to_response()
}

/// Begins a family, if the identity is given refresh tokens: its id and its first token.
pub(super) async fn begin<P: Ports>(
    context: &Context<'_, P>,
    client: &Client<'_>,
    subject: &str,
    scope: &Scope,
) -> Result<Option<(String, String)>, Refusal> {
    if !client.identity.refresh {
        return Ok(None);
    }
    let (parts, now) = (context.parts, context.now);
    let id = FamilyId::random()?;
    let (first, text) = parts.refresh_tokens.make(id, 0)?;
    let family = Family::new(subject, &client.identity.id, &scope.to_string(), &first, now);
    parts.families.create(id, &family, family.ends(&parts.settings.family)).await?;
    Ok(Some((id.to_string(), text)))
}

/// Who acts where the subject is a user.
pub(super) fn actor(client: &Client<'_>) -> Box<Actor> {
    Box::new(Actor { sub: client.identity.id.clone(), iss: None, act: None })
}

async fn load<P: Ports>(context: &Context<'_, P>, shown: &RefreshToken) -> Result<Family, Refusal> {
    context.parts.families.load(shown.family()).await?.ok_or(Refusal::InvalidGrant)
}

/// Decides about the token, and does what is to be done about one that is refused.
async fn judge<P: Ports>(
    context: &mut Context<'_, P>,
    seen: &Family,
    shown: &RefreshToken,
    client: &Client<'_>,
) -> Result<Presented, Refusal> {
    match seen.present(shown, &client.identity.id, &context.parts.settings.family, context.now) {
        Ok(step) => Ok(step),
        Err(error) => Err(refuse(context, shown, error).await),
    }
}

/// Whether all that began with the family was not ended since, in its subject's name or its client's.
async fn goes_on<P: Ports>(
    context: &mut Context<'_, P>,
    family: &Family,
    shown: &RefreshToken,
) -> Result<(), Refusal> {
    let issuer = context.parts.settings.issuer.as_str();
    match context.parts.revocations.check_session(issuer, family).await {
        Ok(()) => Ok(()),
        Err(FollowError::Store(error)) => Err(error.into()),
        Err(FollowError::Token(_)) => {
            let event = context.event(Kind::TokenRequestRefused, &context.caller).reason("subject-revoked");
            context.note(event.resource("refresh-family", &shown.family().to_string()));
            Err(Refusal::InvalidGrant)
        }
    }
}

/// Uses the token up and makes the next one. Whoever loses the race for the record looks at it anew.
async fn rotate<P: Ports>(
    context: &mut Context<'_, P>,
    shown: &RefreshToken,
    client: &Client<'_>,
) -> Result<String, Refusal> {
    let (parts, now, id) = (context.parts, context.now, shown.family());
    let policy = &parts.settings.family;
    for _ in 0..ATTEMPTS {
        let seen = load(context, shown).await?;
        let step = judge(context, &seen, shown, client).await?;
        let generation = match step {
            Presented::Rotate => seen.next_generation().ok_or(Refusal::InvalidGrant)?,
            Presented::Again => seen.generation,
        };
        let (token, text) = parts.refresh_tokens.make(id, generation)?;
        let next = match step {
            Presented::Rotate => seen.rotated(&token, now),
            Presented::Again => seen.with_sibling(&token),
        };
        if parts.families.replace(id, &seen, &next, next.ends(policy)).await? {
            return Ok(text);
        }
    }
    Err(Refusal::Unavailable)
}

async fn refuse<P: Ports>(context: &mut Context<'_, P>, shown: &RefreshToken, error: FamilyError) -> Refusal {
    let (kind, reason) = match error {
        FamilyError::Reused => (Kind::RefreshReused, "refresh-reused"),
        FamilyError::Exhausted => (Kind::TokenRequestRefused, "refresh-retried-too-often"),
        FamilyError::Revoked => (Kind::TokenRequestRefused, "refresh-revoked"),
        FamilyError::Expired => (Kind::TokenRequestRefused, "refresh-expired"),
        FamilyError::Client => (Kind::TokenRequestRefused, "refresh-of-another-client"),
        FamilyError::Unknown => (Kind::TokenRequestRefused, "refresh-unknown"),
    };
    let event = context.event(kind, &context.caller).reason(reason);
    context.note(event.resource("refresh-family", &shown.family().to_string()));
    if error != FamilyError::Reused {
        return Refusal::InvalidGrant;
    }
    context.count("RefreshReuse");
    match kill_family(context.parts, context.now, shown.family()).await {
        Ok(()) => Refusal::InvalidGrant,
        Err(refusal) => refusal,
    }
}

/// Ends a family: its refresh tokens and the access tokens that stem from it.
pub(crate) async fn kill_family<P: Ports>(
    parts: &Parts<P>,
    now: Timestamp,
    id: FamilyId,
) -> Result<(), Refusal> {
    let target = RevocationTarget::Family { sid: id.to_string() };
    let until = last_expiry(parts, now);
    parts.revocations.store().add(&Revocation { target, until }).await?;
    for _ in 0..ATTEMPTS {
        let Some(seen) = parts.families.load(id).await? else { return Ok(()) };
        let until = seen.ends(&parts.settings.family);
        if seen.revoked || parts.families.replace(id, &seen, &seen.killed(), until).await? {
            return Ok(());
        }
    }
    Err(Refusal::Unavailable)
}

/// When a token that is issued now is refused everywhere for its age.
fn last_expiry<P: Ports>(parts: &Parts<P>, now: Timestamp) -> Timestamp {
    let leeway = i64::from(MAX_LEEWAY_SECONDS) + i64::from(parts.settings.leeway_seconds);
    let millis = i64::try_from(MAX_TOKEN_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let at = now.as_millisecond().saturating_add(millis).saturating_add(leeway * 1000);
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
}

const ATTEMPTS: usize = 8;
/// The most leeway that any verifier of ours is given.
const MAX_LEEWAY_SECONDS: u8 = 60;
