//! Single flight: of many callers that miss the cache at once, one loads and the others take what it found.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::Mutex;

use crate::KeyError;

/// Turns at loading, in `N` slots that keys are spread over: bounded, however many keys there are. Two keys in one slot
/// wait for each other and stay correct.
pub(super) struct Flights<const N: usize> {
    slots: [Slot; N],
    /// What an impossible slot number falls back to.
    spare: Slot,
    hasher: RandomState,
}

#[derive(Default)]
struct Slot {
    turn: Mutex<Landing>,
    landed: AtomicU64,
}

/// How the last flight of a slot ended.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Landing {
    #[default]
    Safe,
    Unavailable,
}

impl<const N: usize> Default for Flights<N> {
    fn default() -> Self {
        Self {
            slots: std::array::from_fn(|_| Slot::default()),
            spare: Slot::default(),
            hasher: RandomState::new(),
        }
    }
}

impl<const N: usize> Flights<N> {
    /// What `cached` has, or else what `load` finds; `load` must put it into the cache itself.
    ///
    /// A flight that ends in [`KeyError::Unavailable`] is not repeated by those who waited for it: when a key service is
    /// down, its time-outs must not add up.
    pub(super) async fn run<K, T>(
        &self,
        key: &K,
        cached: impl Fn() -> Option<T>,
        load: impl Future<Output = Result<T, KeyError>>,
    ) -> Result<T, KeyError>
    where
        K: Hash + ?Sized,
    {
        if let Some(hit) = cached() {
            return Ok(hit);
        }
        let slot = self.slot(key);
        let landed_before = slot.landed.load(Ordering::Acquire);
        let mut last = slot.turn.lock().await;
        if let Some(hit) = cached() {
            return Ok(hit);
        }
        if *last == Landing::Unavailable && slot.landed.load(Ordering::Acquire) != landed_before {
            return Err(KeyError::Unavailable);
        }
        let outcome = load.await;
        *last = match outcome {
            Err(KeyError::Unavailable) => Landing::Unavailable,
            _ => Landing::Safe,
        };
        slot.landed.fetch_add(1, Ordering::Release);
        outcome
    }

    fn slot<K: Hash + ?Sized>(&self, key: &K) -> &Slot {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 33).unwrap_or_default();
        hash.checked_rem(N).and_then(|number| self.slots.get(number)).unwrap_or(&self.spare)
    }
}
