//! `POST /sts/api-keys`: a new API key, shown this once. `GET /sts/api-keys`: all of them, without their secrets.
//! `POST /sts/api-keys/rotate`: a new secret for one, beside the old one for a while. `POST /sts/api-keys/revoke`: the end of
//! one. For security admins.
//!
//! Whoever makes keys can make one of any identity, and so reach what that identity reaches: as whoever registers client
//! secrets can. What holds it to account is the audit trail, which has every key with its maker before the key is shown.

use portcullis_access::{ApiKey, ApiKeyStore as _, KnownApiKey, MAX_KEYS, PresentedKey, RotateError};
use portcullis_audit::Kind;
use portcullis_base::{ExposeSecret, Timestamp};
use portcullis_lambda::ProxyResponse;
use portcullis_token::{Scope, StoredSecrets};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::issue::APPROVAL_ONLY;
use crate::refusal::Refusal;
use crate::{Ports, bearer, limits, request};

/// What a new key is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The identity that it stands for.
    owner: String,
    /// What it may be used for, with a space between: of the owner's scopes.
    scopes: String,
    /// Whose rate it has.
    #[serde(default = "standard")]
    tier: String,
    #[serde(default = "default_days")]
    expires_in_days: u16,
}

/// Makes a key.
pub(crate) async fn create<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    let caller = bearer::authorize(context, SCOPE).await?.sub;
    let malformed = Refusal::InvalidRequest("the body must be an object with owner and scopes");
    let order: Option<Order> = request::json(context.request, &context.request.body()?, malformed)?;
    let shown = PresentedKey::random().map_err(|_| Refusal::Internal)?;
    let key = new_key(context, order.ok_or(malformed)?, &shown)?;
    if context.parts.api_keys.list().await?.len() >= MAX_KEYS {
        return Err(Refusal::InvalidRequest(
            "there are as many keys as there may be: revoked ones go with their end",
        ));
    }
    if !context.parts.api_keys.replace(&key, 0).await? {
        return Err(Refusal::Internal);
    }
    let made = context.event(Kind::CredentialCreated, &caller).resource("api-key", &key.id);
    context.note(made.privileges(key.scopes.iter()).detail("owner", &key.owner).detail("tier", &key.tier));
    context.count("ApiKeysMade");
    Ok(with_secret(&key, &shown))
}

/// Lists the keys.
pub(crate) async fn list<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    bearer::authorize(context, SCOPE).await?;
    let keys = context.parts.api_keys.list().await?;
    let body = json!({"api_keys": keys.iter().map(|known| described(&known.key)).collect::<Vec<_>>()});
    Ok(ProxyResponse::json(200, body.to_string()))
}

/// Which key gets a new secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    id: String,
    #[serde(default = "default_days")]
    expires_in_days: u16,
    /// For how long the old secret stays good beside the new one.
    #[serde(default = "default_grace")]
    grace_hours: u16,
}

/// Gives a key a new secret, shown this once, and a new end. The old secret stays good for a while: its holders change over
/// without a call that fails.
pub(crate) async fn rotate<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    let caller = bearer::authorize(context, SCOPE).await?.sub;
    let malformed = Refusal::InvalidRequest("the body must be an object with id");
    let order: Option<Rotation> = request::json(context.request, &context.request.body()?, malformed)?;
    let order = order.ok_or(malformed)?;
    let known = load(context, &order.id).await?;
    let shown = PresentedKey::random_of(&known.key.id).map_err(|_| Refusal::Internal)?;
    let key = rotated(context, &known.key, &order, &shown)?;
    let event = context.event(Kind::CredentialRotated, &caller).resource("api-key", &key.id);
    context.note(event.detail("owner", &key.owner));
    // Before it is done: a rotation of which nobody learns leaves its holders a secret that ends, and allows no other.
    context.record().await?;
    if !context.parts.api_keys.replace(&key, known.version).await? {
        return Err(Refusal::Unavailable);
    }
    Ok(with_secret(&key, &shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    id: String,
}

/// Ends a key. One that was ended before stays as it was.
pub(crate) async fn revoke<P: Ports>(context: &mut Context<'_, P>) -> Result<ProxyResponse, Refusal> {
    limits::check_address(context).await?;
    let caller = bearer::authorize(context, SCOPE).await?.sub;
    let malformed = Refusal::InvalidRequest("the body must be an object with id");
    let which: Option<Which> = request::json(context.request, &context.request.body()?, malformed)?;
    let key = end(context, &which.ok_or(malformed)?.id).await?;
    let ended = context.event(Kind::CredentialRevoked, &caller).resource("api-key", &key.id);
    context.note(ended.detail("owner", &key.owner));
    Ok(ProxyResponse::json(200, described(&key).to_string()))
}

/// Ends every key of an owner. How many it ended.
pub(crate) async fn end_all<P: Ports>(context: &Context<'_, P>, owner: &str) -> Result<usize, Refusal> {
    let listed = context.parts.api_keys.list().await?;
    let good = |key: &ApiKey| key.owner == owner && key.revoked_at.is_none();
    let ids: Vec<String> = listed.into_iter().map(|known| known.key).filter(good).map(|key| key.id).collect();
    for id in &ids {
        end(context, id).await?;
    }
    Ok(ids.len())
}

/// Whoever loses the race for the record looks at it anew.
async fn end<P: Ports>(context: &Context<'_, P>, id: &str) -> Result<ApiKey, Refusal> {
    for _ in 0..ATTEMPTS {
        let known = load(context, id).await?;
        if known.key.revoked_at.is_some() {
            return Ok(known.key);
        }
        let ended = ApiKey { revoked_at: Some(context.now), ..known.key };
        if context.parts.api_keys.replace(&ended, known.version).await? {
            return Ok(ended);
        }
    }
    Err(Refusal::Unavailable)
}

async fn load<P: Ports>(context: &Context<'_, P>, id: &str) -> Result<KnownApiKey, Refusal> {
    let known = context.parts.api_keys.load(id).await?;
    known.ok_or(Refusal::InvalidRequest("there is no such key"))
}

fn rotated<P: Ports>(
    context: &Context<'_, P>,
    key: &ApiKey,
    order: &Rotation,
    shown: &PresentedKey,
) -> Result<ApiKey, Refusal> {
    check_days(order.expires_in_days)?;
    if !GRACE_HOURS.contains(&order.grace_hours) {
        return Err(Refusal::InvalidRequest("grace_hours must be 1 to 168"));
    }
    if context.parts.identities.find(&key.owner).is_none() {
        return Err(Refusal::InvalidRequest("owner is not an identity"));
    }
    let (end, grace) =
        (in_days(context.now, order.expires_in_days), in_hours(context.now, order.grace_hours));
    let current = shown.hash(&context.parts.hasher);
    key.rotated(current, end, grace, context.now).map_err(|error| {
        Refusal::InvalidRequest(match error {
            RotateError::Ended => "the key has ended: make another",
            RotateError::UnderWay => "the key is being rotated: until its old secret ends it gets no third",
        })
    })
}

fn check_days(days: u16) -> Result<(), Refusal> {
    if DAYS.contains(&days) {
        Ok(())
    } else {
        Err(Refusal::InvalidRequest("expires_in_days must be 1 to 365"))
    }
}

fn new_key<P: Ports>(
    context: &Context<'_, P>,
    order: Order,
    shown: &PresentedKey,
) -> Result<ApiKey, Refusal> {
    let owner = context.parts.identities.find(&order.owner);
    let owner = owner.ok_or(Refusal::InvalidRequest("owner is not an identity"))?;
    let scopes = Scope::parse(&order.scopes).map_err(|_| Refusal::InvalidScope)?;
    let role = owner.scope();
    // Whoever may execute what was approved has an approval's token for it, and no other credential does it.
    if scopes.is_empty() || !scopes.iter().all(|scope| role.contains(scope) && scope != APPROVAL_ONLY) {
        return Err(Refusal::InvalidScope);
    }
    let is_tier = (1..=MAX_TIER).contains(&order.tier.len())
        && order.tier.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_tier {
        return Err(Refusal::InvalidRequest("tier is not a name"));
    }
    check_days(order.expires_in_days)?;
    let secrets = StoredSecrets { current: shown.hash(&context.parts.hasher), other: None };
    Ok(ApiKey {
        id: shown.id().to_owned(),
        owner: owner.id.clone(),
        scopes,
        tier: order.tier,
        secrets,
        expires_at: Some(in_days(context.now, order.expires_in_days)),
        revoked_at: None,
    })
}

/// All of a key but what could stand for it.
fn described(key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "owner": key.owner,
        "scopes": key.scopes.to_string(),
        "tier": key.tier,
        "expires_at": key.expires_at.map(Timestamp::as_second),
        "revoked_at": key.revoked_at.map(Timestamp::as_second),
    })
}

/// The answer that shows a key.
fn with_secret(key: &ApiKey, shown: &PresentedKey) -> ProxyResponse {
    let mut body = described(key);
    if let Value::Object(members) = &mut body {
        members.insert("api_key".to_owned(), shown.to_text().expose_secret().into());
    }
    ProxyResponse::json(200, body.to_string())
}

fn in_days(now: Timestamp, days: u16) -> Timestamp {
    after(now, i64::from(days) * 24 * 3600)
}

fn in_hours(now: Timestamp, hours: u16) -> Timestamp {
    after(now, i64::from(hours) * 3600)
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

fn standard() -> String {
    "standard".to_owned()
}

const fn default_days() -> u16 {
    90
}

const fn default_grace() -> u16 {
    24
}

const SCOPE: &str = "manage:api-keys";
/// A key that nobody renews ends: a year is the longest that it goes unseen.
const DAYS: std::ops::RangeInclusive<u16> = 1..=365;
/// Holders have a week to change over, and an hour at least.
const GRACE_HOURS: std::ops::RangeInclusive<u16> = 1..=168;
const MAX_TIER: usize = 32;
const ATTEMPTS: usize = 8;
