//! Waiting within an invocation: longer each time, never past its end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portcullis_base::{Clock, Timestamp};
use portcullis_response::Wait;

/// When the invocation under way is stopped. A handler sets it, and what waits in the handler reads it: a container serves
/// one invocation at a time. Where none was set, nothing ends.
#[derive(Debug, Clone)]
pub struct Deadline(Arc<AtomicI64>);

/// Waits with the runtime's timer: exponentially longer for each try, with jitter, and never into the last second of an
/// invocation, in which what was done is still to be kept.
#[derive(Debug, Clone)]
pub struct Backoff<C> {
    clock: C,
    deadline: Deadline,
}

/// A pause of a given length: to keep to a service's rate.
pub trait Rest: Send + Sync {
    /// Waits so long, or until the invocation ends.
    fn rest(&self, span: Duration) -> impl Future<Output = ()> + Send;
}

impl Default for Deadline {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl Deadline {
    /// Begins an invocation that is stopped at `at`.
    pub fn set(&self, at: Timestamp) {
        let never = at == Timestamp::MAX;
        self.0.store(if never { i64::MAX } else { at.as_millisecond() }, Ordering::SeqCst);
    }

    /// What is left of the invocation; nothing once it is over.
    pub fn left(&self, now: Timestamp) -> Duration {
        let millis = self.0.load(Ordering::SeqCst).saturating_sub(now.as_millisecond());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl<C: Clock> Backoff<C> {
    /// Waits by this clock within this deadline.
    pub const fn new(clock: C, deadline: Deadline) -> Self {
        Self { clock, deadline }
    }

    fn bounded(&self, span: Duration) -> Duration {
        span.min(self.deadline.left(self.clock.now()).saturating_sub(RESERVE))
    }
}

impl<C: Clock> Wait for Backoff<C> {
    async fn pause(&self, attempt: u32) {
        // Containers that were throttled together do not come back together: their clocks differ in the last digits.
        let spread = self.clock.now().subsec_nanosecond().unsigned_abs() % 1024;
        tokio::time::sleep(self.bounded(delay(attempt, spread))).await;
    }
}

impl<C: Clock> Rest for Backoff<C> {
    async fn rest(&self, span: Duration) {
        tokio::time::sleep(self.bounded(span)).await;
    }
}

/// From half of the full wait to all of it, by `spread` of 1024.
fn delay(attempt: u32, spread: u32) -> Duration {
    let full = FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST);
    full / 2 + full / 2 * spread / 1024
}

const FIRST: Duration = Duration::from_millis(200);
/// Changes to IAM are usually seen everywhere within seconds.
const LONGEST: Duration = Duration::from_secs(3);
const RESERVE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use portcullis_base::ManualClock;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_wait_is_longer_up_to_the_longest() {
        let full: Vec<u128> = (1..=7).map(|attempt| delay(attempt, 1024).as_millis()).collect();
        assert_eq!(full, [200, 400, 800, 1600, 3000, 3000, 3000]);
        for attempt in [0, 1, 5, u32::MAX] {
            for spread in [0, 1, 512, 1023] {
                let (half, found) = (delay(attempt, 0), delay(attempt, spread));
                assert!(half <= found && found < half * 2, "{attempt} {spread}");
            }
        }
    }

    #[test]
    fn nothing_waits_past_the_end_of_the_invocation() {
        let deadline = Deadline::default();
        let wait = Backoff::new(ManualClock::at(at(100)), deadline.clone());
        let hour = Duration::from_secs(3600);
        assert_eq!(wait.bounded(hour), hour, "no end is known");
        for (end, left, waits) in [(110, 10, 9), (101, 1, 0), (100, 0, 0), (50, 0, 0)] {
            deadline.set(at(end));
            assert_eq!(deadline.left(at(100)), Duration::from_secs(left), "{end}");
            assert_eq!(wait.bounded(hour), Duration::from_secs(waits), "{end}");
        }
        deadline.set(Timestamp::MAX);
        assert_eq!(wait.bounded(hour), hour, "the runtime knows of none");
    }
}
