//! Client secrets and API keys at rest: keyed hashes, compared in constant time, two valid at once.
//!
//! These secrets are random and long, so a slow hash would cost every request and protect nothing; the key (a pepper
//! outside the table) makes a stolen table useless.

use std::fmt;
use std::future::Future;

use aws_lc_rs::{constant_time, hmac};
use portcullis_base::{ExposeSecret, SecretString, Timestamp};

use crate::StoreError;

/// Hashes secrets under a key that is kept apart from the hashes.
pub struct SecretHasher(hmac::Key);

impl SecretHasher {
    /// # Errors
    /// When the key is shorter than 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, HasherKeyError> {
        if key.len() < MIN_KEY {
            Err(HasherKeyError)
        } else {
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
        }
    }

    /// The hash of the secret of `owner` (a client id, an API key id): a hash moved to another owner matches nothing.
    pub fn hash(&self, owner: &str, secret: &SecretString) -> SecretHash {
        let mut context = hmac::Context::with_key(&self.0);
        // Lengths first, so that no two pairs hash the same bytes.
        context.update(DOMAIN);
        context.update(&(owner.len() as u64).to_be_bytes());
        context.update(owner.as_bytes());
        context.update(secret.expose_secret().as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        SecretHash(out)
    }
}

impl fmt::Debug for SecretHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHasher")
    }
}

/// The key of a [`SecretHasher`] is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hashing key is shorter than 32 bytes")]
pub struct HasherKeyError;

/// A hashed secret. There is no `==`: comparing takes the same time wherever two differ.
#[derive(Clone)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// A stored hash, in hex.
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).ok()?;
        Some(Self(out))
    }

    /// The form to store: hex.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// The secrets of one client: the current one, and during a rotation the one before or after it.
#[derive(Debug, Clone)]
pub struct StoredSecrets {
    /// The current secret.
    pub current: SecretHash,
    /// The other one, and until when it is good.
    pub other: Option<(SecretHash, Timestamp)>,
}

/// Which secret was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretMatch {
    /// The current one.
    Current,
    /// The other one: the client has not finished its rotation.
    Other,
}

impl StoredSecrets {
    /// Whether `secret` is one of the client's. Both are always compared, so that time does not tell how many there are.
    pub fn check(
        &self,
        hasher: &SecretHasher,
        owner: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Option<SecretMatch> {
        let shown = hasher.hash(owner, secret);
        let current = self.current.matches(&shown);
        let (other, until) =
            self.other.as_ref().map_or((&self.current, None), |(h, until)| (h, Some(*until)));
        let other = other.matches(&shown) & until.is_some_and(|until| now < until);
        match (current, other) {
            (true, _) => Some(SecretMatch::Current),
            (false, true) => Some(SecretMatch::Other),
            (false, false) => None,
        }
    }

    /// Compares as [`StoredSecrets::check`] does and always fails: for a client that does not exist, so that time does
    /// not tell which do.
    pub fn check_nobody(hasher: &SecretHasher, owner: &str, secret: &SecretString) -> Option<SecretMatch> {
        let nobody =
            Self { current: SecretHash([0; 32]), other: Some((SecretHash([0; 32]), Timestamp::MIN)) };
        nobody.check(hasher, owner, secret, Timestamp::MAX).and(None)
    }
}

/// The secrets of a client as a store holds them.
#[derive(Debug, Clone)]
pub struct KnownSecrets {
    /// The secrets.
    pub secrets: StoredSecrets,
    /// Counts the writes, from 1.
    pub version: u64,
}

/// Where the hashes of client secrets are kept, by client id.
pub trait ClientSecretStore: Send + Sync {
    /// The secrets of a client.
    fn load(&self, client: &str) -> impl Future<Output = Result<Option<KnownSecrets>, StoreError>> + Send;

    /// Stores the secrets of a client if their version is still `expected` (0: there are none yet); the version is then
    /// one more. `false`: another writer was first, and nothing changed.
    fn replace(
        &self,
        client: &str,
        secrets: &StoredSecrets,
        expected: u64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

const DOMAIN: &[u8] = b"portcullis:client-secret:v1\0";
const MIN_KEY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> SecretHasher {
        SecretHasher::new(&[7; 32]).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn two_secrets_during_a_rotation_and_one_after_it() {
        let hash = |s: &str| hasher().hash("svc.bff", &s.to_owned().into());
        let stored = StoredSecrets { current: hash("new"), other: Some((hash("old"), at(100))) };
        for (label, owner, secret, now, expected) in [
            ("current", "svc.bff", "new", 0, Some(SecretMatch::Current)),
            ("other", "svc.bff", "old", 99, Some(SecretMatch::Other)),
            ("other, too late", "svc.bff", "old", 100, None),
            ("wrong", "svc.bff", "older", 0, None),
            ("empty", "svc.bff", "", 0, None),
            ("another client's", "svc.memory", "new", 0, None),
        ] {
            let got = stored.check(&hasher(), owner, &secret.to_owned().into(), at(now));
            assert_eq!(got, expected, "{label}");
        }
        assert_eq!(StoredSecrets::check_nobody(&hasher(), "x", &"new".to_owned().into()), None);
        let alone = StoredSecrets { current: hash("new"), other: None };
        assert_eq!(alone.check(&hasher(), "svc.bff", &"old".to_owned().into(), at(0)), None);
    }

    #[test]
    fn hash_depends_on_key_owner_and_secret() {
        let a = hasher().hash("ab", &"c".to_owned().into()).to_hex();
        assert_ne!(a, hasher().hash("a", &"bc".to_owned().into()).to_hex());
        assert_ne!(a, SecretHasher::new(&[8; 32]).unwrap().hash("ab", &"c".to_owned().into()).to_hex());
        assert_eq!(SecretHash::parse(&a).unwrap().to_hex(), a);
        assert!(SecretHash::parse("zz").is_none() && SecretHasher::new(&[7; 31]).is_err());
        assert_eq!(format!("{:?}", hasher().hash("a", &"b".to_owned().into())), "SecretHash");
    }
}
