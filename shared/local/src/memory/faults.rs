use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The errors that the next calls answer with.
#[derive(Debug)]
pub(super) struct Faults<E>(Mutex<VecDeque<E>>);

impl<E> Default for Faults<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: Clone> Faults<E> {
    pub(super) fn add(&self, calls: usize, error: &E) {
        locked(&self.0).extend(std::iter::repeat_n(error.clone(), calls));
    }

    /// To be asked at the start of every call.
    pub(super) fn check(&self) -> Result<(), E> {
        locked(&self.0).pop_front().map_or(Ok(()), Err)
    }
}

/// A panic elsewhere in a test leaves the data as it was: the lock is still good.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
