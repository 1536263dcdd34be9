//! Lockout after failed authentications: exponential backoff, counted for a client *and* the address that it came from.
//!
//! Whoever guesses at a client locks out that client at his own address and nowhere else. What is refused because of a
//! lock is not checked and not counted, so that knocking does not prolong it, and no lock is longer than
//! [`LockoutPolicy::longest`]. Still, whoever shares an address with a client (one NAT gateway) can keep its secret locked
//! there: one wrong guess after each lock begins the next. It is for guessable credentials alone: a client that
//! authenticates by assertion or certificate is never locked out.

use std::future::Future;
use std::time::Duration;

use portcullis_base::Timestamp;

use crate::StoreError;
use crate::time::after;

/// When failures lock, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// So many failures lock nothing: people mistype, deployments lag behind a rotation.
    pub free: u32,
    /// The lock of the first failure after these. Each further one doubles it.
    pub first: Duration,
    /// The longest lock.
    pub longest: Duration,
    /// After so long without a failure the count starts anew. Longer than `longest`, or a lock would end a count.
    pub forget_after: Duration,
}

impl Default for LockoutPolicy {
    fn default() -> Self {
        Self {
            free: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(60 * 60),
        }
    }
}

/// The failures that a store holds for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many, without a gap of [`LockoutPolicy::forget_after`] between two.
    pub count: u32,
    /// The last of them.
    pub last: Timestamp,
}

impl LockoutPolicy {
    /// Until when the key is locked, if it is.
    pub fn locked_until(&self, failures: &Failures, now: Timestamp) -> Option<Timestamp> {
        let over = failures.count.checked_sub(self.free)?.checked_sub(1)?;
        let factor = 1_u32.checked_shl(over).unwrap_or(u32::MAX);
        let until = after(failures.last, self.first.saturating_mul(factor).min(self.longest));
        (now < until).then_some(until)
    }

    /// When a record may be forgotten: [`Lockouts::add`] takes it as the time to live.
    pub fn forget_at(&self, last: Timestamp) -> Timestamp {
        after(last, self.forget_after)
    }
}

/// Where failures are counted. The key is bounded text without personal data (at most 200 bytes, ASCII).
pub trait Lockouts: Send + Sync {
    /// The failures of a key, if any are remembered. Strongly consistent where that is to be had.
    fn load(&self, key: &str) -> impl Future<Output = Result<Option<Failures>, StoreError>> + Send;

    /// Counts one failure more at `now`, in one atomic step, and gives the record as it is then. A record whose
    /// `forget_at` has passed counts as none, whether or not the store removed it yet; the new one is kept until
    /// `forget_at`.
    fn add(
        &self,
        key: &str,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> impl Future<Output = Result<Failures, StoreError>> + Send;

    /// Forgets the failures of a key: it authenticated. Forgetting twice does no harm.
    fn clear(&self, key: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn locks_double_up_to_the_longest() {
        let policy = LockoutPolicy::default();
        for (count, seconds) in
            [(0, 0), (1, 0), (5, 0), (6, 1), (7, 2), (8, 4), (15, 512), (16, 900), (40, 900), (u32::MAX, 900)]
        {
            let failures = Failures { count, last: at(1_000) };
            let until = policy.locked_until(&failures, at(1_000)).map_or(0, |at| at.as_second() - 1_000);
            assert_eq!(until, seconds, "{count} failures");
        }
    }

    #[test]
    fn a_lock_ends_at_its_very_instant() {
        let failures = Failures { count: 6, last: at(1_000) };
        let policy = LockoutPolicy::default();
        assert!(policy.locked_until(&failures, Timestamp::from_millisecond(1_000_999).unwrap()).is_some());
        assert!(policy.locked_until(&failures, at(1_001)).is_none());
    }

    proptest! {
        #[test]
        fn no_lock_outlives_the_longest(count in any::<u32>(), last in 0_i64..4_000_000_000, later in 900_i64..10_000) {
            let failures = Failures { count, last: at(last) };
            prop_assert_eq!(LockoutPolicy::default().locked_until(&failures, at(last + later)), None);
        }

        #[test]
        fn more_failures_never_mean_a_shorter_lock(count in 0_u32..1_000_000) {
            let policy = LockoutPolicy::default();
            let until = |count| policy.locked_until(&Failures { count, last: at(1_000) }, at(1_000));
            prop_assert!(until(count) <= until(count + 1));
        }
    }
}
