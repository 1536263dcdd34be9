//! Leaves a failing store alone, so that a flood of keys does not wait for it key by key.

use std::sync::atomic::{AtomicI64, Ordering};

/// Whether the store is asked. Instants are microseconds since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// Until when the store is left alone.
    closed_until: AtomicI64,
    pause: i64,
}

impl Breaker {
    pub(crate) fn new(pause: i64) -> Self {
        Self { closed_until: AtomicI64::new(ASK), pause }
    }

    /// Whether the caller may ask the store. After a pause one caller may, and the others only if that one succeeds.
    pub(crate) fn lets_through(&self, now: i64) -> bool {
        let until = self.closed_until.load(Ordering::Relaxed);
        if until == ASK {
            return true;
        }
        // A clock that went back must not make the pause longer.
        let waiting = now < until && until.saturating_sub(now) <= self.pause;
        !waiting && self.move_from(until, now)
    }

    /// The store answered.
    pub(crate) fn succeeded(&self) {
        if self.closed_until.load(Ordering::Relaxed) != ASK {
            self.closed_until.store(ASK, Ordering::Relaxed);
        }
    }

    /// The store failed.
    pub(crate) fn failed(&self, now: i64) {
        self.closed_until.store(now.saturating_add(self.pause), Ordering::Relaxed);
    }

    fn move_from(&self, until: i64, now: i64) -> bool {
        let next = now.saturating_add(self.pause);
        self.closed_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

const ASK: i64 = i64::MIN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tries_after_each_pause() {
        let breaker = Breaker::new(100);
        assert!(breaker.lets_through(0) && breaker.lets_through(0));
        breaker.failed(0);
        for (label, now, through) in [
            ("at once", 0, false),
            ("within the pause", 99, false),
            ("after it, one", 100, true),
            ("and no other", 100, false),
            ("until the next", 199, false),
            ("again one", 250, true),
            ("the clock went back: not locked out", -5_000, true),
            ("but one at a time", -5_000, false),
        ] {
            assert_eq!(breaker.lets_through(now), through, "{label}");
        }
        breaker.succeeded();
        assert!(breaker.lets_through(-5_000) && breaker.lets_through(-5_000));
    }
}
