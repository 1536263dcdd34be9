//! The four steps for a client secret.
//!
//! A secret is named `<prefix><client id>`; its value is `{"client_id": …, "client_secret": …}`. The name says whose it
//! is: who may write one client's secret gets no other client's identity by writing another id into it.
//!
//! | step | afterwards |
//! |---|---|
//! | `createSecret` | the pending version has a value: 256 random bits |
//! | `setSecret` | current and pending secret both authenticate |
//! | `testSecret` | the pending secret was seen to authenticate |
//! | `finishSecret` | the pending version is the current one, and the old secret good for [`grace`](crate::RotationSettings) |
//!
//! `finishSecret` moves the stage first and bounds the old secret after it: should the second fail for ever, both
//! secrets go on being good, and the next rotation begins with that state.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis_base::{Clock, ExposeSecret, SecretString, Timestamp};
use portcullis_secrets::{CURRENT, PENDING, SecretError, SecretStages, SecretState};
use portcullis_token::{ClientSecretStore, KnownSecrets, SecretMatch, StoreError, StoredSecrets};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::event::{Rotate, Step};
use crate::{Parts, Ports};

/// Why a step was not done. Secrets Manager tries the rotation again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// Secrets Manager failed.
    #[error("secrets manager: {0}")]
    Secret(#[from] SecretError),
    /// The table of hashes failed.
    #[error("client secrets: {0}")]
    Store(#[from] StoreError),
    /// The name is not that of a client's secret.
    #[error("the secret is no client's")]
    NotAClient,
    /// The secret is not rotated, or the version is not the pending one.
    #[error("the version is not pending")]
    NotPending,
    /// The value is not a client secret, or another client's.
    #[error("the value is no client secret")]
    Value,
    /// The pending secret does not authenticate: `setSecret` was not done, or undone.
    #[error("the pending secret does not authenticate")]
    Untested,
    /// Others kept changing the client's secrets.
    #[error("the client's secrets are being changed by others")]
    Busy,
    /// The system has no random numbers.
    #[error("no random numbers")]
    Random,
}

/// Does a step; the client's id.
pub(crate) async fn rotate<P: Ports>(parts: &Parts<P>, rotate: &Rotate) -> Result<String, RotationError> {
    let state = parts.stages.describe(&rotate.secret_id).await?;
    let client = client_of(&state, &parts.settings.prefix)?;
    let token = &rotate.client_request_token;
    let is_current = state.is_in(token, CURRENT);
    if !state.rotates || !(is_current || state.is_in(token, PENDING)) {
        return Err(RotationError::NotPending);
    }
    let rotation = Rotation { parts, secret: &rotate.secret_id, token, client, state: &state };
    match rotate.step {
        // An earlier attempt came as far as the move of the stage: only its end may be missing.
        Step::Create | Step::Set | Step::Test if is_current => {}
        Step::Create => rotation.create().await?,
        Step::Set => rotation.set().await?,
        Step::Test => rotation.test().await?,
        Step::Finish => rotation.finish().await?,
    }
    Ok(client.to_owned())
}

struct Rotation<'a, P: Ports> {
    parts: &'a Parts<P>,
    secret: &'a str,
    /// The version that is to be the current one.
    token: &'a str,
    client: &'a str,
    state: &'a SecretState,
}

impl<P: Ports> Rotation<'_, P> {
    /// Whoever comes second finds a value: a repetition makes no other secret.
    async fn create(&self) -> Result<(), RotationError> {
        if self.parts.stages.value(self.secret, self.token).await?.is_some() {
            return Ok(());
        }
        let value = fresh_value(self.client)?;
        self.parts.stages.put_pending(self.secret, self.token, &value).await?;
        Ok(())
    }

    async fn set(&self) -> Result<(), RotationError> {
        let current = self.state.version_in(CURRENT).ok_or(RotationError::NotPending)?;
        let (current, pending) = (self.secret_of(current).await?, self.secret_of(self.token).await?);
        self.replace(|known, now| self.with_pending(known, &current, &pending, now)).await
    }

    async fn test(&self) -> Result<(), RotationError> {
        let pending = self.secret_of(self.token).await?;
        let known = self.parts.secrets.load(self.client).await?;
        // What the token service does with a secret that it is shown.
        let known = known.and_then(|known| self.check(&known.secrets, &pending, self.parts.clock.now()));
        known.map(drop).ok_or(RotationError::Untested)
    }

    async fn finish(&self) -> Result<(), RotationError> {
        let pending = self.secret_of(self.token).await?;
        let known = self.parts.secrets.load(self.client).await?.ok_or(RotationError::Untested)?;
        self.check(&known.secrets, &pending, self.parts.clock.now()).ok_or(RotationError::Untested)?;
        let current = self.state.version_in(CURRENT).ok_or(RotationError::NotPending)?;
        self.parts.stages.promote(self.secret, current, self.token).await?;
        self.replace(|known, now| self.with_old_bounded(known, &pending, now)).await
    }

    /// Both secrets valid; `None` where they are.
    fn with_pending(
        &self,
        known: Option<&StoredSecrets>,
        current: &SecretString,
        pending: &SecretString,
        now: Timestamp,
    ) -> Result<Option<StoredSecrets>, RotationError> {
        let hash = |secret| self.parts.hasher.hash(self.client, secret);
        let kept = match known {
            Some(known) if self.check(known, pending, now).is_some() => return Ok(None),
            // The end of an earlier rotation was lost: what it made current is still the other one here.
            Some(known) if self.check(known, current, now) == Some(SecretMatch::Other) => hash(current),
            // One that was revoked here is not brought back: the current one of this store stays.
            Some(known) => known.current.clone(),
            None => hash(current),
        };
        Ok(Some(StoredSecrets { current: kept, other: Some((hash(pending), later(now, PENDING_VALIDITY))) }))
    }

    /// The pending secret current, the old one bounded; `None` where it is so.
    fn with_old_bounded(
        &self,
        known: Option<&StoredSecrets>,
        pending: &SecretString,
        now: Timestamp,
    ) -> Result<Option<StoredSecrets>, RotationError> {
        let known = known.ok_or(RotationError::Untested)?;
        match self.check(known, pending, now) {
            Some(SecretMatch::Current) => Ok(None),
            Some(SecretMatch::Other) => Ok(Some(StoredSecrets {
                current: self.parts.hasher.hash(self.client, pending),
                other: Some((known.current.clone(), later(now, self.parts.settings.grace))),
            })),
            None => Err(RotationError::Untested),
        }
    }

    /// Changes the client's hashes, whoever else changes them at the same time.
    async fn replace(
        &self,
        change: impl Fn(Option<&StoredSecrets>, Timestamp) -> Result<Option<StoredSecrets>, RotationError>
        + Send
        + Sync,
    ) -> Result<(), RotationError> {
        for _ in 0..ATTEMPTS {
            let known = self.parts.secrets.load(self.client).await?;
            let (secrets, version) = match &known {
                Some(KnownSecrets { secrets, version }) => (Some(secrets), *version),
                None => (None, 0),
            };
            let Some(changed) = change(secrets, self.parts.clock.now())? else { return Ok(()) };
            if self.parts.secrets.replace(self.client, &changed, version).await? {
                return Ok(());
            }
        }
        Err(RotationError::Busy)
    }

    fn check(&self, known: &StoredSecrets, secret: &SecretString, now: Timestamp) -> Option<SecretMatch> {
        known.check(&self.parts.hasher, self.client, secret, now)
    }

    /// The client secret that a version holds.
    async fn secret_of(&self, version: &str) -> Result<SecretString, RotationError> {
        let value = self.parts.stages.value(self.secret, version).await?.ok_or(RotationError::Value)?;
        parse_value(self.client, &value)
    }
}

/// The client whose secret it is, by its name.
fn client_of<'s>(state: &'s SecretState, prefix: &str) -> Result<&'s str, RotationError> {
    let is_id =
        |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    state.name.strip_prefix(prefix).filter(is_id).ok_or(RotationError::NotAClient)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    client_id: String,
    client_secret: String,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.client_secret.zeroize();
    }
}

fn fresh_value(client: &str) -> Result<SecretString, RotationError> {
    let mut random = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(random.as_mut_slice()).map_err(|_| RotationError::Random)?;
    let client_secret = BASE64_URL_SAFE_NO_PAD.encode(random.as_slice());
    let value = Value { client_id: client.to_owned(), client_secret };
    serde_json::to_string(&value).map(SecretString::from).map_err(|_| RotationError::Value)
}

fn parse_value(client: &str, value: &SecretString) -> Result<SecretString, RotationError> {
    let text = value.expose_secret();
    // serde would also take an array of the members in order.
    if text.len() > MAX_VALUE || !text.trim_start().starts_with('{') {
        return Err(RotationError::Value);
    }
    let mut value: Value = serde_json::from_str(text).map_err(|_| RotationError::Value)?;
    if value.client_id != client || value.client_secret.len() < MIN_SECRET {
        return Err(RotationError::Value);
    }
    Ok(SecretString::from(std::mem::take(&mut value.client_secret)))
}

fn later(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}

const ATTEMPTS: usize = 5;
/// The longest interval between rotations that Secrets Manager knows: a rotation that is never finished leaves both
/// secrets good until the next one.
const PENDING_VALIDITY: Duration = Duration::from_secs(1_000 * 24 * 60 * 60);
const MAX_VALUE: usize = 4_096;
/// Of a secret that was made by hand: too short for one that can be guessed.
const MIN_SECRET: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_whose_secret_it_is() {
        for (name, expected) in [
            ("portcullis/clients/svc.actuator", Ok("svc.actuator")),
            ("portcullis/clients/", Err(RotationError::NotAClient)),
            ("portcullis/clients/a/b", Err(RotationError::NotAClient)),
            ("portcullis/clients/a b", Err(RotationError::NotAClient)),
            ("portcullis/webhook", Err(RotationError::NotAClient)),
            ("other/portcullis/clients/svc.actuator", Err(RotationError::NotAClient)),
        ] {
            let state = SecretState { name: name.to_owned(), rotates: true, versions: Vec::new() };
            assert_eq!(client_of(&state, "portcullis/clients/"), expected, "{name}");
        }
    }

    #[test]
    fn a_value_is_read_for_its_client_alone() {
        let long = format!(r#"{{"client_id":"a","client_secret":"{}"}}"#, "s".repeat(5_000));
        for (label, value, good) in [
            ("as made", r#"{"client_id":"a","client_secret":"0123456789abcdef"}"#, true),
            ("another client's", r#"{"client_id":"b","client_secret":"0123456789abcdef"}"#, false),
            ("no client", r#"{"client_secret":"0123456789abcdef"}"#, false),
            ("short", r#"{"client_id":"a","client_secret":"0123456789abcde"}"#, false),
            ("empty", r#"{"client_id":"a","client_secret":""}"#, false),
            ("plain", "0123456789abcdef", false),
            ("an array", r#"["a","0123456789abcdef"]"#, false),
            (
                "twice",
                r#"{"client_id":"a","client_secret":"0123456789abcdef","client_secret":"0123456789abcdef"}"#,
                false,
            ),
            ("more", r#"{"client_id":"a","client_secret":"0123456789abcdef","x":1}"#, false),
            ("long", &long, false),
        ] {
            let parsed = parse_value("a", &SecretString::from(value));
            assert_eq!(parsed.is_ok(), good, "{label}");
        }
    }

    #[test]
    fn new_values_have_256_random_bits() {
        let values: Vec<_> = (0..2).map(|_| fresh_value("a").unwrap()).collect();
        let secrets: Vec<_> = values.iter().map(|v| parse_value("a", v).unwrap()).collect();
        for secret in &secrets {
            assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(secret.expose_secret()).unwrap().len(), 32);
        }
        assert_ne!(secrets[0].expose_secret(), secrets[1].expose_secret());
    }
}
