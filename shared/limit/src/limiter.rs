//! The limiter in front of a store.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::Mutex as Turn;
use portcullis_base::{Clock, Timestamp};

use crate::breaker::Breaker;
use crate::lease::{Hand, Terms};
use crate::table::Table;
use crate::{Bucket, Decision, LimitKey, LimitStore, LimiterSettings, Quota};

/// Limits that all containers share, at a fraction of a store call a request.
///
/// - Never admits more than the quota and the slack stated at [`crate`].
/// - However many wait for one key, the store is asked by one of them at a time.
/// - A refusal is remembered for as long as it is sure to hold: a flood of refused requests calls no store.
/// - Leases that are not spent expire: cells are never handed back, because what was not spent may have been granted
///   again since.
/// - Memory is bounded. An entry that is dropped loses its lease and its share of an outage, nothing else.
pub struct LeasedLimiter<S, C> {
    store: S,
    clock: C,
    settings: LimiterSettings,
    breaker: Breaker,
    entries: Mutex<Table<(LimitKey, Quota), Entry>>,
}

struct Entry {
    terms: Terms,
    hand: Hand,
    /// Whose turn it is to ask the store.
    turn: Arc<Turn<()>>,
}

impl<S: LimitStore, C: Clock> LeasedLimiter<S, C> {
    /// A limiter that knows nothing yet.
    pub fn new(store: S, clock: C, settings: LimiterSettings) -> Self {
        let pause = i64::try_from(settings.pause.as_micros()).unwrap_or(i64::MAX);
        let entries = Mutex::new(Table::new(settings.max_keys));
        Self { store, clock, settings, breaker: Breaker::new(pause), entries }
    }

    /// Decides about a request of `cost` cells, now.
    pub async fn check(&self, key: &LimitKey, quota: &Quota, cost: NonZeroU32) -> Decision {
        if cost.get() > quota.burst_size() {
            return Bucket::default().check(quota, cost, self.clock.now());
        }
        let id = (*key, *quota);
        if let Some(decision) = self.decide_in_hand(&id, cost) {
            return decision;
        }
        let turn = self.with(&id, |entry| Arc::clone(&entry.turn));
        let _asking = turn.lock().await;
        // Whoever had the turn before may have brought a lease or a refusal.
        match self.decide_in_hand(&id, cost) {
            Some(decision) => decision,
            None => self.ask(&id, cost).await,
        }
    }

    /// The decision, if no store is needed for it.
    fn decide_in_hand(&self, id: &(LimitKey, Quota), cost: NonZeroU32) -> Option<Decision> {
        let now = self.clock.now().as_microsecond();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.with(*id, |entry| entry.hand.decide(&entry.terms, cost, now))?
    }

    async fn ask(&self, id: &(LimitKey, Quota), cost: NonZeroU32) -> Decision {
        let now = self.clock.now();
        if !self.breaker.lets_through(now.as_microsecond()) {
            return self.without_store(id, cost, now);
        }
        let ask = self.with(id, |entry| entry.hand.ask(&entry.terms, cost, now));
        match self.store.take(&self.store_key(id), &ask).await {
            Ok(taken) => {
                self.breaker.succeeded();
                self.with(id, |entry| entry.hand.take_in(&entry.terms, cost, &ask, taken))
            }
            Err(_) => {
                let now = self.clock.now();
                self.breaker.failed(now.as_microsecond());
                self.without_store(id, cost, now)
            }
        }
    }

    fn without_store(&self, id: &(LimitKey, Quota), cost: NonZeroU32, now: Timestamp) -> Decision {
        self.with(id, |entry| entry.hand.without_store(&entry.terms, cost, now, &self.settings))
    }

    /// The lock is held for memory only, never across a call.
    fn with<T>(&self, id: &(LimitKey, Quota), use_entry: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let make =
            || Entry { terms: Terms::new(id.1, &self.settings), hand: Hand::default(), turn: Arc::default() };
        entries.with_or_make(*id, make, use_entry)
    }

    /// The quota is part of it: a bucket under another quota is another bucket, so that a changed quota takes effect
    /// at once and is never judged by a TAT of the old one.
    fn store_key(&self, (key, quota): &(LimitKey, Quota)) -> String {
        format!("{}#{key}#{quota}", self.settings.namespace)
    }
}

/// Shows no keys.
impl<S, C> fmt::Debug for LeasedLimiter<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedLimiter").field("settings", &self.settings).finish_non_exhaustive()
    }
}
