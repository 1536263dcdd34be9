//! The life of signing keys: published, active, retiring, retired.
//!
//! A key's stage is not stored but follows from its own stored dates, so no crash can leave it half-way, and all containers
//! agree on it. A key is in the key set before it signs for as long as any copy of the set without it may be in use, and
//! stays there after it signed for as long as any of its tokens may be shown.

mod change;
mod plan;
mod stored;

use std::future::Future;
use std::time::Duration;

use portcullis_base::Timestamp;

pub use change::RingChange;
pub use plan::RingAction;

use crate::time::after;
use crate::{Algorithm, Jwk, Jwks, StoreError};

/// The spans that the stages follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingPolicy {
    /// How long anybody may use a copy of the key set: `max-age` of its answer.
    pub cache_lifetime: Duration,
    /// How long a container of ours may go on with a copy of the ring, both for serving the set and for signing.
    pub ring_staleness: Duration,
    /// The longest life of a token.
    pub max_token_lifetime: Duration,
    /// The leeway of verifiers.
    pub leeway: Duration,
    /// How long a key signs before the next one does.
    pub rotate_every: Duration,
}

impl RingPolicy {
    /// From publishing to signing.
    pub fn lead(&self) -> Duration {
        self.cache_lifetime.saturating_add(self.ring_staleness)
    }

    /// From the end of signing to leaving the set.
    pub fn tail(&self) -> Duration {
        self.max_token_lifetime.saturating_add(self.leeway).saturating_add(self.ring_staleness)
    }
}

/// A signing key of the ring; the private half is with its [`crate::Signer`].
#[derive(Debug, Clone)]
pub struct RingKey {
    /// The public half, which names the key and its algorithm.
    pub public: Jwk,
    /// Since when it is in the key set.
    pub published_at: Timestamp,
    /// From when on it may sign.
    pub active_from: Timestamp,
    /// When its successor takes over, once that is published.
    pub signs_until: Option<Timestamp>,
    /// When it was found to be compromised: from then on it neither signs nor is in the key set.
    pub compromised_at: Option<Timestamp>,
}

impl RingKey {
    /// Its name.
    pub fn kid(&self) -> &str {
        self.public.kid().unwrap_or_default()
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.public.algorithm() == Some(algorithm)
    }

    fn is_sound(&self, now: Timestamp) -> bool {
        self.compromised_at.is_none_or(|at| now < at)
    }

    /// Where it is in its life.
    pub fn stage(&self, policy: &RingPolicy, now: Timestamp) -> Stage {
        match self.signs_until {
            _ if !self.is_sound(now) => Stage::Retired,
            _ if now < self.active_from => Stage::Published,
            None => Stage::Active,
            Some(end) if now < end => Stage::Active,
            Some(end) if now < after(end, policy.tail()) => Stage::Retiring,
            Some(_) => Stage::Retired,
        }
    }

    fn signs(&self, now: Timestamp) -> bool {
        self.is_sound(now) && self.active_from <= now && self.signs_until.is_none_or(|end| now < end)
    }
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// In the key set, not signing yet.
    Published,
    /// Signing.
    Active,
    /// In the key set until its last token has expired.
    Retiring,
    /// Out of the key set: it may be destroyed.
    Retired,
}

/// All signing keys of the token service.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    unrecorded: Vec<RingChange>,
}

impl KeyRing {
    /// A ring of stored keys.
    ///
    /// # Errors
    /// When a key has no name or no algorithm, signs before it is published, or two have one name.
    pub fn new(keys: Vec<RingKey>) -> Result<Self, RingError> {
        let mut ring = Self::default();
        for key in keys {
            ring.add(key)?;
        }
        Ok(ring)
    }

    fn add(&mut self, key: RingKey) -> Result<(), RingError> {
        if key.public.kid().is_none() || key.public.algorithm().is_none() {
            return Err(RingError::Unnamed);
        }
        if key.active_from < key.published_at || key.signs_until.is_some_and(|end| end < key.active_from) {
            return Err(RingError::Unordered);
        }
        if self.keys.iter().any(|k| k.kid() == key.kid()) {
            return Err(RingError::Duplicate);
        }
        self.keys.push(key);
        Ok(())
    }

    /// Publishes a key. Where no other signs (the first of its algorithm, or all others compromised) it signs at once:
    /// there is no copy of the set that anybody could still do with. Any other waits for [`RingPolicy::lead`].
    ///
    /// # Errors
    /// When another key of the algorithm waits for its turn, or as [`KeyRing::new`].
    pub fn publish(&mut self, public: Jwk, policy: &RingPolicy, now: Timestamp) -> Result<(), RingError> {
        let algorithm = public.algorithm().ok_or(RingError::Unnamed)?;
        if self.waiting(algorithm, now).is_some() {
            return Err(RingError::Waiting);
        }
        let active_from = match self.active(algorithm, now) {
            None => now,
            Some(_) => after(now, policy.lead()),
        };
        self.add(RingKey {
            public,
            published_at: now,
            active_from,
            signs_until: None,
            compromised_at: None,
        })?;
        let signing = |k: &&mut RingKey| k.is_for(algorithm) && k.signs(now) && k.active_from < active_from;
        if let Some(active) = self.keys.iter_mut().find(signing) {
            active.signs_until = Some(active_from);
        }
        Ok(())
    }

    /// Takes a compromised key out, from `now` on, whatever tokens of it are about. If it was the active one, a key that
    /// waits takes its place at once; if it was one that waits, the active one signs on.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn compromise(&mut self, kid: &str, now: Timestamp) -> Result<(), RingError> {
        let key = self.keys.iter_mut().find(|k| k.kid() == kid).ok_or(RingError::Unknown)?;
        let algorithm = key.public.algorithm().ok_or(RingError::Unnamed)?;
        let (signed, waited, turn) = (key.signs(now), now < key.active_from, key.active_from);
        key.compromised_at = Some(key.compromised_at.map_or(now, |at| at.min(now)));
        let sound = |k: &&mut RingKey| k.is_for(algorithm) && k.is_sound(now);
        if waited {
            let before = self.keys.iter_mut().filter(sound).find(|k| k.signs_until == Some(turn));
            if let Some(active) = before {
                active.signs_until = None;
            }
        } else if signed && let Some(heir) = self.keys.iter_mut().filter(sound).find(|k| now < k.active_from)
        {
            heir.active_from = now;
        }
        Ok(())
    }

    /// The one key that signs tokens of the algorithm now.
    pub fn active(&self, algorithm: Algorithm, now: Timestamp) -> Option<&RingKey> {
        self.keys.iter().find(|k| k.is_for(algorithm) && k.signs(now))
    }

    /// The key that is published and has not signed yet.
    pub(crate) fn waiting(&self, algorithm: Algorithm, now: Timestamp) -> Option<&RingKey> {
        self.keys.iter().find(|k| k.is_for(algorithm) && k.is_sound(now) && now < k.active_from)
    }

    /// The key set to publish now: all keys but the retired, the newest first.
    pub fn jwks(&self, policy: &RingPolicy, now: Timestamp) -> Jwks {
        let mut listed: Vec<&RingKey> =
            self.keys.iter().filter(|k| k.stage(policy, now) != Stage::Retired).collect();
        // A set that overflows (32 keys) loses its oldest, not the one that signs.
        listed.sort_by_key(|k| std::cmp::Reverse(k.active_from));
        Jwks::new(listed.into_iter().take(Jwks::MAX_KEYS).map(|k| k.public.clone())).unwrap_or_default()
    }

    /// All keys.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// Forgets a retired key, once its private half is destroyed.
    ///
    /// # Errors
    /// When there is no such key, or it is not retired.
    pub fn forget(&mut self, kid: &str, policy: &RingPolicy, now: Timestamp) -> Result<(), RingError> {
        let key = self.keys.iter().find(|k| k.kid() == kid).ok_or(RingError::Unknown)?;
        if key.stage(policy, now) != Stage::Retired {
            return Err(RingError::InUse);
        }
        self.keys.retain(|k| k.kid() != kid);
        Ok(())
    }
}

/// Where the ring is kept: small, read often, changed rarely and by one writer at a time.
pub trait KeyRingStore: Send + Sync {
    /// The ring and its version.
    fn load(&self) -> impl Future<Output = Result<(KeyRing, u64), StoreError>> + Send;

    /// Stores the ring if its version is still `expected`. `false`: another writer was first, and nothing changed.
    fn save(&self, ring: &KeyRing, expected: u64) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Why the ring is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// A key without a name or an algorithm.
    #[error("signing key has no name or algorithm")]
    Unnamed,
    /// A key that signs before it is published.
    #[error("signing key signs before it is published")]
    Unordered,
    /// Two keys of one name.
    #[error("signing key exists")]
    Duplicate,
    /// Another key of the algorithm is published and has not signed yet.
    #[error("another signing key is waiting")]
    Waiting,
    /// No such key.
    #[error("signing key is unknown")]
    Unknown,
    /// It signs, will sign, or tokens of it are about.
    #[error("signing key is in use")]
    InUse,
}
