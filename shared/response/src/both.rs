//! Telling two places, or none of an optional one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::notification::Message;
use crate::ports::{Notifier, PortResult};

/// Two notifiers as one: a message is taken when both took it. One that fails keeps no message from the other, and when
/// the message is sent again, it goes only where it was not taken.
#[derive(Debug)]
pub struct Both<A, B> {
    first: A,
    second: B,
    /// Messages that one of them took and the other did not, the latest last: id, and which took it.
    halves: Mutex<VecDeque<(String, Half)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

impl<A, B> Both<A, B> {
    /// Tells `first`, then `second`.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second, halves: Mutex::new(VecDeque::new()) }
    }

    fn halves(&self) -> MutexGuard<'_, VecDeque<(String, Half)>> {
        // Every change is one push or removal: a panic elsewhere leaves no half of one.
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self, id: &str, half: Half) -> bool {
        self.halves().iter().any(|(known, by)| known == id && *by == half)
    }

    fn remember(&self, id: &str, half: Half) {
        let mut halves = self.halves();
        halves.retain(|(known, _)| known != id);
        if halves.len() >= MAX_HALVES {
            halves.pop_front();
        }
        halves.push_back((id.to_owned(), half));
    }

    fn forget(&self, id: &str) {
        self.halves().retain(|(known, _)| known != id);
    }
}

impl<A: Notifier, B: Notifier> Notifier for Both<A, B> {
    async fn send(&self, message: &Message) -> PortResult<()> {
        let id = &message.id;
        let first = if self.taken(id, Half::First) { Ok(()) } else { self.first.send(message).await };
        let second = if self.taken(id, Half::Second) { Ok(()) } else { self.second.send(message).await };
        match (&first, &second) {
            (Ok(()), Ok(())) => self.forget(id),
            (Ok(()), Err(_)) => self.remember(id, Half::First),
            (Err(_), Ok(())) => self.remember(id, Half::Second),
            (Err(_), Err(_)) => {}
        }
        first.and(second)
    }
}

/// Nobody to tell is nobody who did not take a message. Whoever wires a responder sees to it that somebody is told.
impl<N: Notifier> Notifier for Option<N> {
    async fn send(&self, message: &Message) -> PortResult<()> {
        match self {
            Some(notifier) => notifier.send(message).await,
            None => Ok(()),
        }
    }
}

/// More than are under way in one process at a time.
const MAX_HALVES: usize = 256;

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;
    use crate::ports::PortError;

    /// Counts what it took; fails while told to.
    #[derive(Debug, Default)]
    struct Place(Mutex<(Option<PortError>, Vec<String>)>);

    impl Place {
        fn fail(&self, error: Option<PortError>) {
            self.0.lock().unwrap().0 = error;
        }

        fn took(&self) -> Vec<String> {
            self.0.lock().unwrap().1.clone()
        }
    }

    impl Notifier for Place {
        async fn send(&self, message: &Message) -> PortResult<()> {
            let mut place = self.0.lock().unwrap();
            if let Some(error) = place.0.clone() {
                return Err(error);
            }
            place.1.push(message.id.clone());
            Ok(())
        }
    }

    fn send(both: &impl Notifier, id: &str) -> PortResult<()> {
        let text = || String::new();
        let message = Message { id: id.to_owned(), subject: text(), body: text(), json: text() };
        both.send(&message).now_or_never().unwrap()
    }

    #[test]
    fn a_message_that_is_sent_again_goes_only_where_it_was_not_taken() {
        for failing_first in [true, false] {
            let both = Both::new(Place::default(), Place::default());
            let (failing, other) =
                if failing_first { (&both.first, &both.second) } else { (&both.second, &both.first) };
            failing.fail(Some(PortError::Throttled));
            assert_eq!(send(&both, "a"), Err(PortError::Throttled), "one did not take it");
            assert_eq!(send(&both, "a"), Err(PortError::Throttled));
            assert_eq!(other.took(), ["a"], "and the other has it once");
            failing.fail(None);
            assert_eq!(send(&both, "a"), Ok(()));
            assert_eq!((failing.took(), other.took()), (vec!["a".to_owned()], vec!["a".to_owned()]));
            assert_eq!(send(&both, "a"), Ok(()), "after a crash it may come again: then it goes to both");
            assert_eq!((failing.took().len(), other.took().len()), (2, 2));
        }
    }

    #[test]
    fn where_both_fail_both_are_told_again() {
        let both = Both::new(Place::default(), Place::default());
        both.first.fail(Some(PortError::Timeout));
        both.second.fail(Some(PortError::Throttled));
        assert_eq!(send(&both, "a"), Err(PortError::Timeout));
        both.first.fail(None);
        both.second.fail(None);
        assert_eq!(send(&both, "a"), Ok(()));
        assert_eq!((both.first.took().len(), both.second.took().len()), (1, 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let both = Both::new(Place::default(), Place::default());
        both.second.fail(Some(PortError::Throttled));
        for i in 0..2 * MAX_HALVES {
            assert!(send(&both, &i.to_string()).is_err());
        }
        assert_eq!(both.halves().len(), MAX_HALVES);
        both.second.fail(None);
        assert_eq!(send(&both, "511"), Ok(()));
        assert_eq!(both.first.took().iter().filter(|id| *id == "511").count(), 1);
    }

    #[test]
    fn one_that_is_not_there_takes_everything() {
        let both = Both::new(Some(Place::default()), None::<Place>);
        assert_eq!(send(&both, "a"), Ok(()));
        assert_eq!(both.first.as_ref().map(Place::took), Some(vec!["a".to_owned()]));
    }
}
