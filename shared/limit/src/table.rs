//! A map of bounded size that keeps what was used last.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations: what is used moves to the young one; when that is full, the old one is dropped and the young
/// one takes its place. Every operation takes constant time on average, which a scan for the least recently used
/// would not under a flood of new keys.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation: usize,
}

impl<K: Hash + Eq, V> Table<K, V> {
    /// Holds at most `max` entries (but at least two).
    pub(crate) fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: (max / 2).max(1) }
    }

    /// Uses the entry of a key, if there is one.
    pub(crate) fn with<T>(&mut self, key: K, used: impl FnOnce(&mut V) -> T) -> Option<T> {
        if let Some(entry) = self.young.get_mut(&key) {
            return Some(used(entry));
        }
        let entry = self.old.remove(&key)?;
        Some(used(self.insert(key, entry)))
    }

    /// Uses the entry of a key, made if need be.
    pub(crate) fn with_or_make<T>(
        &mut self,
        key: K,
        make: impl FnOnce() -> V,
        used: impl FnOnce(&mut V) -> T,
    ) -> T {
        if let Some(entry) = self.young.get_mut(&key) {
            return used(entry);
        }
        let entry = self.old.remove(&key).unwrap_or_else(make);
        used(self.insert(key, entry))
    }

    /// The number of entries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn insert(&mut self, key: K, value: V) -> &mut V {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).insert_entry(value).into_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_leaves() {
        let mut table = Table::new(10);
        table.with_or_make(0, || "kept", |_| ());
        for key in 1..1_000 {
            table.with_or_make(key, || "flood", |_| ());
            assert_eq!(table.with(0, |entry| *entry), Some("kept"), "after {key}");
        }
        assert_eq!(table.with(1, |entry| *entry), None);
    }

    proptest! {
        #[test]
        fn the_last_half_of_the_bound_is_kept(max in 2usize..40, keys in prop::collection::vec(0u8..60, 0..300)) {
            let mut table = Table::new(max);
            for (index, key) in keys.iter().enumerate() {
                table.with_or_make(*key, || 0, |entry| *entry = index);
                prop_assert!(table.len() <= max.max(2));
            }
            let mut recent: Vec<(usize, u8)> = Vec::new();
            for (index, key) in keys.iter().enumerate().rev() {
                if recent.len() < max / 2 && recent.iter().all(|(_, k)| k != key) {
                    recent.push((index, *key));
                }
            }
            for (index, key) in recent {
                let found = table.young.get(&key).or(table.old.get(&key));
                prop_assert_eq!(found, Some(&index));
            }
        }
    }
}
