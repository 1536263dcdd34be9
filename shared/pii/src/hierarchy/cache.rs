//! A bounded cache whose entries expire.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps the entries used last, in two generations: what is used moves to the young one, and when that is full, it
/// becomes the old one and the former old one is dropped. Bounded like an exact LRU list, without its links.
pub(super) struct TtlCache<K, V> {
    generations: Mutex<Generations<K, V>>,
    generation_len: usize,
    ttl_ms: i64,
}

struct Generations<K, V> {
    young: HashMap<K, Entry<V>>,
    old: HashMap<K, Entry<V>>,
}

struct Entry<V> {
    value: V,
    since: i64,
}

impl<K: Hash + Eq, V: Clone> TtlCache<K, V> {
    /// Holds at most `capacity` entries (but at least two).
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        Self {
            generations: Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }),
            generation_len: (capacity / 2).max(1),
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// The value of a key, unless it expired. An expired entry is dropped.
    pub(super) fn find<Q>(&self, key: &Q, now: i64) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.lock();
        if let Some(entry) = generations.young.get(key) {
            if self.is_fresh(entry, now) {
                return Some(entry.value.clone());
            }
            generations.young.remove(key);
        }
        let (key, entry) = generations.old.remove_entry(key)?;
        let value = self.is_fresh(&entry, now).then(|| entry.value.clone())?;
        self.add(&mut generations, key, entry);
        Some(value)
    }

    /// Keeps a value from `now` on.
    pub(super) fn insert(&self, key: K, value: V, now: i64) {
        let mut generations = self.lock();
        generations.old.remove(&key);
        self.add(&mut generations, key, Entry { value, since: now });
    }

    /// Drops an entry.
    pub(super) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.lock();
        generations.young.remove(key);
        generations.old.remove(key);
    }

    fn add(&self, generations: &mut Generations<K, V>, key: K, entry: Entry<V>) {
        if generations.young.len() >= self.generation_len && !generations.young.contains_key(&key) {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, entry);
    }

    /// A clock that was set back makes an entry stale, not immortal.
    fn is_fresh(&self, entry: &Entry<V>, now: i64) -> bool {
        (0..self.ttl_ms).contains(&now.saturating_sub(entry.since))
    }

    /// No code that can panic runs under the lock, so a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_millis(100);

    #[test]
    fn an_entry_lives_for_its_ttl_from_insertion_and_no_longer() {
        let cache = TtlCache::new(10, TTL);
        cache.insert("a", 1, 1_000);
        assert_eq!(cache.find("a", 1_000), Some(1));
        assert_eq!(cache.find("a", 1_099), Some(1), "reading does not prolong");
        assert_eq!(cache.find("a", 1_100), None);
        assert_eq!(cache.find("a", 1_050), None, "an expired entry is gone for good");
    }

    #[test]
    fn a_clock_set_back_expires_entries() {
        let cache = TtlCache::new(10, TTL);
        cache.insert("a", 1, 1_000);
        assert_eq!(cache.find("a", 999), None);
    }

    #[test]
    fn it_never_holds_more_than_its_capacity_and_keeps_what_is_used() {
        let cache = TtlCache::new(10, TTL);
        cache.insert(0, 0, 0);
        for key in 1..1_000 {
            cache.insert(key, key, 0);
            assert_eq!(cache.find(&0, 0), Some(0), "used after every insertion");
            let held = cache.lock();
            assert!(held.young.len() + held.old.len() <= 10);
        }
        assert_eq!(cache.find(&1, 0), None);
        assert_eq!(cache.find(&999, 0), Some(999));
    }

    #[test]
    fn promotion_to_the_young_generation_does_not_prolong() {
        let cache = TtlCache::new(2, TTL);
        cache.insert(1, 1, 0);
        cache.insert(2, 2, 50);
        assert_eq!(cache.find(&1, 99), Some(1));
        assert_eq!(cache.find(&1, 100), None);
    }

    #[test]
    fn a_removed_entry_is_gone_from_both_generations() {
        let cache = TtlCache::new(2, TTL);
        cache.insert(1, 1, 0);
        cache.insert(2, 2, 0);
        for key in [1, 2] {
            cache.remove(&key);
            assert_eq!(cache.find(&key, 0), None);
        }
    }
}
