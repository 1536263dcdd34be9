//! The cache in front of every backend.

mod slot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_base::Clock;

use self::slot::Slot;
use crate::{SecretError, SecretSource, SecretVersions};

/// How long what was read is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// A value younger than this is served without asking the backend.
    pub ttl: Duration,
    /// How much longer than `ttl` a value is served while the backend is unavailable.
    pub stale: Duration,
    /// After a failure the backend is not asked again for this long.
    pub failure: Duration,
    /// [`CachedSecrets::refresh`] reads the backend at most once in this time, for each name.
    pub refresh: Duration,
    /// At most this many names are kept.
    pub max_names: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            stale: Duration::from_secs(3_600),
            failure: Duration::from_secs(2),
            refresh: Duration::from_secs(10),
            max_names: 64,
        }
    }
}

/// Secrets of a [`SecretSource`], kept in memory for a while.
///
/// - However many ask at once, a name is read once (single flight).
/// - While the backend is unavailable the last value is served, for a bounded time. Never when the backend answers
///   that the secret is gone or that access is denied: that is how an operator withdraws it.
/// - Failures are remembered briefly, so that a flood of requests is not a flood on the backend.
/// - Values are wiped when the last holder drops them, and are in no `Debug` output.
pub struct CachedSecrets<S, C> {
    source: S,
    clock: C,
    settings: CacheSettings,
    slots: Mutex<HashMap<Box<str>, Arc<Slot>>>,
}

impl<S: SecretSource, C: Clock> CachedSecrets<S, C> {
    /// A cache that holds nothing yet.
    pub fn new(source: S, clock: C, settings: CacheSettings) -> Self {
        Self { source, clock, settings, slots: Mutex::default() }
    }

    /// The versions of a secret that are valid now.
    ///
    /// # Errors
    /// What the backend answered, or [`SecretError::Unavailable`] when more names are being read at once than the
    /// cache may hold.
    pub async fn get(&self, name: &str) -> Result<Arc<SecretVersions>, SecretError> {
        let slot = self.slot(name)?;
        let mut state = slot.state.lock().await;
        match state.lookup(self.now_ms(), &self.settings) {
            Some(known) => known,
            None => {
                let answer = self.source.fetch(name).await;
                state.store(answer, self.now_ms(), &self.settings)
            }
        }
    }

    /// Asks whether there are newer versions than `seen`: for when something does not fit the versions that
    /// [`CachedSecrets::get`] gave, which may mean that the secret was rotated just now.
    ///
    /// `Some` holds other values than `seen`: try once more with them. `None`: there are none, or the backend was
    /// asked less than [`CacheSettings::refresh`] ago, so that forged requests cannot drive it.
    ///
    /// # Errors
    /// What the backend answered. `seen` stays in use after [`SecretError::Unavailable`], but after no other.
    pub async fn refresh(
        &self,
        name: &str,
        seen: &Arc<SecretVersions>,
    ) -> Result<Option<Arc<SecretVersions>>, SecretError> {
        let slot = self.slot(name)?;
        let mut state = slot.state.lock().await;
        // Another caller may have fetched them while this one waited for its turn.
        if let Some(newer) = state.other_than(seen) {
            return Ok(Some(newer));
        }
        if !state.may_refresh(self.now_ms(), &self.settings) {
            return Ok(None);
        }
        let answer = self.source.fetch(name).await;
        state.store_refreshed(answer, self.now_ms(), &self.settings)?;
        Ok(state.other_than(seen))
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// The slot of a name, made if need be. The lock is held for the look-up only, never while reading.
    fn slot(&self, name: &str) -> Result<Arc<Slot>, SecretError> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(SecretError::NotFound);
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            slot.touch(self.now_ms());
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= self.settings.max_names && !evict(&mut slots) {
            return Err(SecretError::Unavailable);
        }
        let slot = Arc::new(Slot::touched(self.now_ms()));
        slots.insert(name.into(), Arc::clone(&slot));
        Ok(slot)
    }
}

/// Shows neither names nor values.
impl<S, C> fmt::Debug for CachedSecrets<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedSecrets").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Makes room: an unknown name first, then the one that was longest unused. One that is being read stays, or two
/// would read it at once.
fn evict(slots: &mut HashMap<Box<str>, Arc<Slot>>) -> bool {
    let idle = slots.iter().filter(|(_, slot)| Arc::strong_count(slot) == 1);
    let victim =
        idle.min_by_key(|(_, slot)| (slot.holds_value(), slot.last_used())).map(|(name, _)| name.clone());
    victim.is_some_and(|name| slots.remove(&name).is_some())
}

/// The longest name, in bytes: that of a Secrets Manager ARN.
const MAX_NAME: usize = 2048;
