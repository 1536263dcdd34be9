use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use portcullis_base::Clock;

use super::faults::{Faults, locked};

/// Named values, some of which expire, and the faults of the table that they are in.
pub(super) struct Shelves<T, E> {
    state: Mutex<T>,
    pub(super) faults: Faults<E>,
    clock: Option<Arc<dyn Clock>>,
}

impl<T: Default, E> Shelves<T, E> {
    pub(super) fn new(clock: Option<Arc<dyn Clock>>) -> Self {
        Self { state: Mutex::default(), faults: Faults::default(), clock }
    }
}

impl<T, E: Clone> Shelves<T, E> {
    /// What is there and the time, unless a fault is due. Without a clock it is always the beginning of time, so
    /// nothing ever expires.
    pub(super) fn ask(&self) -> Result<(MutexGuard<'_, T>, i64), E> {
        self.faults.check()?;
        Ok((locked(&self.state), self.clock.as_ref().map_or(i64::MIN, |clock| clock.now().as_millisecond())))
    }

    /// What is there, whatever the faults: for tests.
    pub(super) fn look(&self) -> MutexGuard<'_, T> {
        locked(&self.state)
    }
}

/// Values by name; each may have an end (milliseconds since the Unix epoch) from which on it counts as gone.
pub(super) struct Shelf<V>(HashMap<String, (i64, V)>);

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V> Shelf<V> {
    pub(super) fn get(&self, name: &str, now: i64) -> Option<&V> {
        self.0.get(name).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }

    /// All that have not ended, in no order.
    pub(super) fn all(&self, now: i64) -> impl Iterator<Item = &V> {
        self.0.values().filter(move |(until, _)| *until > now).map(|(_, value)| value)
    }

    pub(super) fn put(&mut self, name: &str, value: V, until: i64) {
        self.0.insert(name.to_owned(), (until, value));
    }

    /// Puts a value unless there is one. Whether it did.
    pub(super) fn add(&mut self, name: &str, value: V, until: i64, now: i64) -> bool {
        let vacant = self.get(name, now).is_none();
        if vacant {
            self.put(name, value, until);
        }
        vacant
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        self.0.remove(name).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// For what has no end.
pub(super) const FOR_EVER: i64 = i64::MAX;
