//! TATs in memory: one process, for the local stack and for tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::{Ask, LimitStore, StoreError, Taken};

/// [`LimitStore`] over a map: exact for all who share it, gone with the process.
///
/// Full buckets are forgotten. Those that are not stay, so that a flood of keys cannot refill a bucket: when there are
/// too many, new keys are refused with [`StoreError::Full`].
pub struct MemoryLimits {
    max_keys: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tats: HashMap<Box<str>, i64>,
    /// The number of keys at which full buckets are looked for: twice what was left the last time, so that looking
    /// costs each insertion a constant.
    sweep_at: usize,
}

impl MemoryLimits {
    /// A store of at most so many buckets that are not full.
    pub fn new(max_keys: usize) -> Self {
        Self { max_keys, inner: Mutex::default() }
    }

    /// The number of buckets held.
    pub fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tats.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl LimitStore for MemoryLimits {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, StoreError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.take(key, ask, self.max_keys)
    }
}

impl Inner {
    fn take(&mut self, key: &str, ask: &Ask, max_keys: usize) -> Result<Taken, StoreError> {
        if let Some(tat) = self.tats.get_mut(key) {
            let taken = ask.answer(Some(*tat));
            if taken.granted > 0 {
                *tat = taken.tat;
            }
            return Ok(taken);
        }
        self.make_room(ask.now(), max_keys)?;
        let taken = ask.answer(None);
        if taken.granted > 0 {
            self.tats.insert(key.into(), taken.tat);
        }
        Ok(taken)
    }

    fn make_room(&mut self, now: i64, max_keys: usize) -> Result<(), StoreError> {
        if self.tats.len() >= self.sweep_at.max(MIN_SWEEP).min(max_keys) {
            self.tats.retain(|_, tat| *tat > now);
            self.sweep_at = self.tats.len().saturating_mul(2);
        }
        if self.tats.len() < max_keys { Ok(()) } else { Err(StoreError::Full) }
    }
}

/// Shows no keys.
impl fmt::Debug for MemoryLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimits").field("len", &self.len()).finish_non_exhaustive()
    }
}

const MIN_SWEEP: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use portcullis_base::Timestamp;

    use super::*;

    fn take(store: &MemoryLimits, key: &str, millis: i64) -> Result<u32, StoreError> {
        let now = Timestamp::from_millisecond(millis).unwrap();
        let ask = Ask::new(&"1/s".parse().unwrap(), NonZeroU32::MIN, 1, now);
        store.inner.lock().unwrap().take(key, &ask, store.max_keys).map(|taken| taken.granted)
    }

    #[test]
    fn full_buckets_are_forgotten_and_others_are_not() {
        let store = MemoryLimits::new(2);
        assert_eq!(take(&store, "a", 0), Ok(1));
        assert_eq!(take(&store, "b", 500), Ok(1));
        assert_eq!(take(&store, "c", 999), Err(StoreError::Full));
        assert_eq!(take(&store, "a", 999), Ok(0), "known keys are served");
        assert_eq!(take(&store, "c", 1_000), Ok(1), "a is full again");
        assert_eq!((store.len(), take(&store, "b", 1_000)), (2, Ok(0)));
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_memory() {
        let store = MemoryLimits::new(100_000);
        for i in 0..50_000 {
            assert_eq!(take(&store, &format!("key {i}"), i), Ok(1));
        }
        assert!(store.len() <= 2_048 + 1_000, "{}", store.len());
    }
}
