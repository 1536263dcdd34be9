//! API keys: what a caller shows, what is stored of it, and where.

use std::fmt;
use std::future::Future;

use aws_lc_rs::rand;
use portcullis_base::{ExposeSecret, SecretString, Timestamp};
use portcullis_token::{Scope, SecretHash, SecretHasher, SecretMatch, StoreError, StoredSecrets};
use zeroize::Zeroizing;

/// An API key as a caller shows it: `pk.ID.SECRET`. The id finds the record; the secret is compared.
pub struct PresentedKey {
    id: String,
    secret: SecretString,
}

impl PresentedKey {
    /// Reads a header's value: an id of 8 to 64 letters and digits, a secret of 32 to 128 base64url characters.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('.')?;
        let sound = (8..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric())
            && (32..=128).contains(&secret.len())
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        sound.then(|| Self { id: id.to_owned(), secret: secret.to_owned().into() })
    }

    /// A new key: an id of 96 random bits, a secret of 256.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut id = [0; 12];
        rand::fill(&mut id).map_err(|_| NoRandomness)?;
        Self::random_of(&hex::encode(id))
    }

    /// A new secret of 256 random bits for the key of that id.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn random_of(id: &str) -> Result<Self, NoRandomness> {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(&mut *secret).map_err(|_| NoRandomness)?;
        Ok(Self { id: id.to_owned(), secret: hex::encode(secret).into() })
    }

    /// The key's id: public, fit for logs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key as it is handed to its owner, once.
    pub fn to_text(&self) -> SecretString {
        format!("{PREFIX}{}.{}", self.id, self.secret.expose_secret()).into()
    }

    /// What is stored of its secret. The name in it keeps a client's secret from passing for an API key's.
    pub fn hash(&self, hasher: &SecretHasher) -> SecretHash {
        hasher.hash(&hashed_for(&self.id), &self.secret)
    }
}

impl fmt::Debug for PresentedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An API key as a store holds it.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// The identity that it stands for: an `id` of identities.yml.
    pub owner: String,
    /// What it may be used for: narrows the owner's role, never widens it.
    pub scopes: Scope,
    /// The tier that its limit comes from.
    pub tier: String,
    /// Hashes of its secrets, two during a rotation.
    pub secrets: StoredSecrets,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// There is no randomness to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no randomness")]
pub struct NoRandomness;

/// Why an API key gets no other secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// It was revoked or has expired.
    #[error("api key has ended")]
    Ended,
    /// It has two secrets, both good.
    #[error("api key is being rotated")]
    UnderWay,
}

/// Why an API key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Not of the form of one.
    #[error("api key is malformed")]
    Malformed,
    /// There is no such key.
    #[error("api key is unknown")]
    Unknown,
    /// Its secret is wrong.
    #[error("api key secret is wrong")]
    Secret,
    /// It was revoked.
    #[error("api key is revoked")]
    Revoked,
    /// It has ended.
    #[error("api key has expired")]
    Expired,
}

impl ApiKeyError {
    /// A stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "api-key-malformed",
            Self::Unknown => "api-key-unknown",
            Self::Secret => "api-key-secret",
            Self::Revoked => "api-key-revoked",
            Self::Expired => "api-key-expired",
        }
    }
}

impl ApiKey {
    /// Whether what was shown is this key, and it is good now.
    ///
    /// # Errors
    /// See [`ApiKeyError`]. Only who knows the secret learns that a key is revoked or has expired.
    pub fn check(
        &self,
        shown: &PresentedKey,
        hasher: &SecretHasher,
        now: Timestamp,
    ) -> Result<SecretMatch, ApiKeyError> {
        let found = self.secrets.check(hasher, &hashed_for(&shown.id), &shown.secret, now);
        let found = found.filter(|_| self.id == shown.id).ok_or(ApiKeyError::Secret)?;
        if self.revoked_at.is_some_and(|at| at <= now) {
            return Err(ApiKeyError::Revoked);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(ApiKeyError::Expired);
        }
        Ok(found)
    }

    /// The key with another secret and another end. The old secret stays good until `grace_ends`, for those that have not
    /// fetched the new one, and no longer than it would have been.
    ///
    /// # Errors
    /// [`RotateError`], when there is nothing to rotate.
    pub fn rotated(
        &self,
        current: SecretHash,
        expires_at: Timestamp,
        grace_ends: Timestamp,
        now: Timestamp,
    ) -> Result<Self, RotateError> {
        if self.revoked_at.is_some() || self.expires_at.is_some_and(|at| at <= now) {
            return Err(RotateError::Ended);
        }
        // Whether its holders use the one or the other nobody knows here: a third secret could end the one that they use.
        if self.secrets.other.as_ref().is_some_and(|(_, end)| now < *end) {
            return Err(RotateError::UnderWay);
        }
        let until = self.expires_at.map_or(grace_ends, |end| end.min(grace_ends));
        let secrets = StoredSecrets { current, other: Some((self.secrets.current.clone(), until)) };
        Ok(Self { secrets, expires_at: Some(expires_at), ..self.clone() })
    }

    /// When a store may forget the key: a month after its end, so that an operator who looks back still finds it. `None`:
    /// never, since it has no end.
    pub fn forgotten_at(&self) -> Option<Timestamp> {
        let end = self.expires_at?.as_second().saturating_add(KEPT_SECONDS);
        Some(Timestamp::from_second(end).unwrap_or(Timestamp::MAX))
    }

    /// Takes the time of [`ApiKey::check`] for a key that does not exist.
    pub fn check_nobody(shown: &PresentedKey, hasher: &SecretHasher) -> ApiKeyError {
        let _never = StoredSecrets::check_nobody(hasher, &hashed_for(&shown.id), &shown.secret);
        ApiKeyError::Unknown
    }
}

/// Where API keys are kept.
pub trait ApiKeyStore: Send + Sync {
    /// The key of that id.
    fn load(&self, id: &str) -> impl Future<Output = Result<Option<KnownApiKey>, StoreError>> + Send;

    /// Stores a key if its version is still `expected` (0: there is none yet); the version is then one more. `false`:
    /// another writer was first, and nothing changed.
    fn replace(&self, key: &ApiKey, expected: u64) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// All keys, by their ids; at most [`MAX_LISTED`].
    fn list(&self) -> impl Future<Output = Result<Vec<KnownApiKey>, StoreError>> + Send;
}

/// How many keys a list holds at most.
pub const MAX_LISTED: usize = 1_000;

/// How many there may be before no more are made. Below [`MAX_LISTED`] by more than can be made at once, so that no list
/// ever lacks one.
pub const MAX_KEYS: usize = 900;

/// An API key and its version.
#[derive(Debug, Clone)]
pub struct KnownApiKey {
    /// The key.
    pub key: ApiKey,
    /// Counts the writes, from 1.
    pub version: u64,
}

fn hashed_for(id: &str) -> String {
    format!("api-key/{id}")
}

const PREFIX: &str = "pk.";
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTE";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn shown(id: &str, secret: &str) -> PresentedKey {
        PresentedKey::parse(&format!("pk.{id}.{secret}")).unwrap()
    }

    fn key(hasher: &SecretHasher) -> ApiKey {
        let other = shown("abcdefgh", &SECRET.replace('c', "x")).hash(hasher);
        ApiKey {
            id: "abcdefgh".to_owned(),
            owner: "svc.bff".to_owned(),
            scopes: Scope::default(),
            tier: "standard".to_owned(),
            secrets: StoredSecrets {
                current: shown("abcdefgh", SECRET).hash(hasher),
                other: Some((other, at(50))),
            },
            expires_at: Some(at(100)),
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_is_good_for_its_secrets_until_its_end() {
        let hasher = SecretHasher::new(&[7; 32]).unwrap();
        let good = key(&hasher);
        let revoked = ApiKey { revoked_at: Some(at(10)), ..good.clone() };
        let other = SECRET.replace('c', "x");
        for (label, key, id, secret, now, expected) in [
            ("current", &good, "abcdefgh", SECRET, 0, Ok(SecretMatch::Current)),
            ("other, during the rotation", &good, "abcdefgh", &*other, 49, Ok(SecretMatch::Other)),
            ("other, after it", &good, "abcdefgh", &*other, 50, Err(ApiKeyError::Secret)),
            ("wrong secret", &good, "abcdefgh", &*SECRET.replace('c', "y"), 0, Err(ApiKeyError::Secret)),
            ("another key's id", &good, "abcdefgi", SECRET, 0, Err(ApiKeyError::Secret)),
            ("at its end", &good, "abcdefgh", SECRET, 100, Err(ApiKeyError::Expired)),
            ("before its revocation", &revoked, "abcdefgh", SECRET, 9, Ok(SecretMatch::Current)),
            ("revoked", &revoked, "abcdefgh", SECRET, 10, Err(ApiKeyError::Revoked)),
            (
                "revoked, wrong secret",
                &revoked,
                "abcdefgh",
                &*SECRET.replace('c', "y"),
                10,
                Err(ApiKeyError::Secret),
            ),
        ] {
            assert_eq!(key.check(&shown(id, secret), &hasher, at(now)), expected, "{label}");
        }
        let another = SecretHasher::new(&[8; 32]).unwrap();
        assert_eq!(good.check(&shown("abcdefgh", SECRET), &another, at(0)), Err(ApiKeyError::Secret));
        assert_eq!(ApiKey::check_nobody(&shown("abcdefgh", SECRET), &hasher), ApiKeyError::Unknown);
    }

    #[test]
    fn a_rotation_keeps_the_old_secret_for_a_while_and_is_one_at_a_time() {
        let hasher = SecretHasher::new(&[7; 32]).unwrap();
        let (old, new) = (shown("abcdefgh", SECRET), PresentedKey::random_of("abcdefgh").unwrap());
        let before =
            ApiKey { secrets: StoredSecrets { current: old.hash(&hasher), other: None }, ..key(&hasher) };
        let rotate = |key: &ApiKey, grace, now| key.rotated(new.hash(&hasher), at(900), at(grace), at(now));
        let after = rotate(&before, 50, 10).unwrap();
        for (label, shown, now, expected) in [
            ("new", &new, 10, Ok(SecretMatch::Current)),
            ("old", &old, 49, Ok(SecretMatch::Other)),
            ("old, after the grace", &old, 50, Err(ApiKeyError::Secret)),
            ("new, until the new end", &new, 899, Ok(SecretMatch::Current)),
            ("new, at its end", &new, 900, Err(ApiKeyError::Expired)),
        ] {
            assert_eq!(after.check(shown, &hasher, at(now)), expected, "{label}");
        }
        let long = rotate(&before, 500, 10).unwrap();
        assert_eq!(
            long.check(&old, &hasher, at(100)),
            Err(ApiKeyError::Secret),
            "no longer than it was good for"
        );
        assert_eq!(rotate(&after, 90, 49).unwrap_err(), RotateError::UnderWay);
        assert!(rotate(&after, 90, 50).is_ok(), "the next one");
        let revoked = ApiKey { revoked_at: Some(at(5)), ..before.clone() };
        assert_eq!(rotate(&revoked, 50, 10).unwrap_err(), RotateError::Ended);
        assert_eq!(rotate(&before, 150, 100).unwrap_err(), RotateError::Ended, "expired");
    }

    #[test]
    fn a_client_s_secret_is_no_api_key() {
        let hasher = SecretHasher::new(&[7; 32]).unwrap();
        let as_client = hasher.hash("abcdefgh", &SECRET.to_owned().into()).to_hex();
        assert_ne!(as_client, shown("abcdefgh", SECRET).hash(&hasher).to_hex());
    }

    #[test]
    fn new_keys_are_of_that_form_and_never_the_same() {
        let keys = [PresentedKey::random().unwrap(), PresentedKey::random().unwrap()];
        let [one, two] = keys.each_ref().map(|key| key.to_text().expose_secret().to_owned());
        for (key, text) in keys.iter().zip([&one, &two]) {
            assert_eq!(PresentedKey::parse(text).unwrap().id(), key.id());
        }
        let secret = |text: &str| text.rsplit_once('.').unwrap().1.to_owned();
        assert_ne!(keys[0].id(), keys[1].id());
        assert_ne!(secret(&one), secret(&two));
    }

    #[test]
    fn keys_have_one_form_and_hide_their_secret() {
        let key = shown("abcdefgh", SECRET);
        assert_eq!(key.to_text().expose_secret(), format!("pk.abcdefgh.{SECRET}"));
        assert!(!format!("{key:?}").contains(SECRET));
        for text in [
            "",
            "pk.",
            "abcdefgh",
            &format!("abcdefgh.{SECRET}"),
            &format!("PK.abcdefgh.{SECRET}"),
            &format!("pk.abc.{SECRET}"),
            &format!("pk.abcdefg#.{SECRET}"),
            "pk.abcdefgh.short",
            &format!("pk.abcdefgh.{SECRET}.x"),
            &format!("pk.abcdefgh.{SECRET}="),
            &format!("pk.abcdefgh.{}", "a".repeat(129)),
            &format!(" pk.abcdefgh.{SECRET}"),
        ] {
            assert!(PresentedKey::parse(text).is_none(), "{text}");
        }
    }
}
