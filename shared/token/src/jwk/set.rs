//! Key sets (RFC 7517 section 5): read strictly, written plainly.

use serde::Serialize;

use super::{Jwk, JwkError};
use crate::strict_json::{self, JsonFault, Value};

/// A set of public keys with different names.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
    #[serde(skip)]
    skipped: Vec<JwkError>,
}

impl Jwks {
    /// The longest set that is read, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The most keys that are read.
    pub const MAX_KEYS: usize = 32;

    /// Makes a set.
    ///
    /// # Errors
    /// Over [`Jwks::MAX_KEYS`], or two of one name.
    pub fn new(keys: impl IntoIterator<Item = Jwk>) -> Result<Self, JwksError> {
        let mut set = Self::default();
        for key in keys {
            set.add(key)?;
        }
        Ok(set)
    }

    /// Reads a set. Keys of an unknown type, use or algorithm and weak ones are skipped, as section 5 advises: the
    /// others stay usable. See [`Jwks::skipped`].
    ///
    /// # Errors
    /// When it is no set, over a bound, gives two keys one name (which of them would be meant?), or publishes private
    /// or secret members (its owner's keys are then lost, all of them as far as anyone can tell).
    pub fn parse(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > Self::MAX_BYTES {
            return Err(JwksError::TooLarge);
        }
        let object = strict_json::parse(json).map_err(|fault| match fault {
            JsonFault::Malformed => JwksError::Malformed,
            JsonFault::Duplicate => JwksError::DuplicateMember,
        })?;
        let Some(Value::List(items)) = object.get("keys") else { return Err(JwksError::Malformed) };
        if items.len() > Self::MAX_KEYS {
            return Err(JwksError::TooLarge);
        }
        let mut set = Self::default();
        for item in items {
            let Value::Object(item) = item else { return Err(JwksError::Malformed) };
            match Jwk::from_object(item) {
                Ok(key) => set.add(key)?,
                Err(JwkError::Private) => return Err(JwksError::Private),
                Err(why) => set.skipped.push(why),
            }
        }
        Ok(set)
    }

    fn add(&mut self, key: Jwk) -> Result<(), JwksError> {
        if self.keys.len() >= Self::MAX_KEYS {
            return Err(JwksError::TooLarge);
        }
        if key.kid().is_some_and(|kid| self.by_kid(kid).is_some()) {
            return Err(JwksError::DuplicateKid);
        }
        self.keys.push(key);
        Ok(())
    }

    /// The keys.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The key of that name.
    pub fn by_kid(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid() == Some(kid))
    }

    /// Why keys of the text are not in the set, in its order.
    pub fn skipped(&self) -> &[JwkError] {
        &self.skipped
    }

    /// The JSON document.
    pub fn to_json(&self) -> String {
        // Maps of text alone: serialisation cannot fail, and an empty set is the safe answer if it did.
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"keys":[]}"#.to_owned())
    }
}

/// Why a key set is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Over 64 KiB or over 32 keys.
    #[error("key set is too large")]
    TooLarge,
    /// Not an object with a list of objects in `keys`.
    #[error("key set is malformed")]
    Malformed,
    /// A JSON member stands twice.
    #[error("key set has a duplicate member")]
    DuplicateMember,
    /// Two keys have one name.
    #[error("key set has two keys of one name")]
    DuplicateKid,
    /// A key has private or secret members.
    #[error("key set publishes private members")]
    Private,
    /// Symmetric and asymmetric keys stand in one set.
    #[error("key set mixes secret and public keys")]
    Mixed,
}
