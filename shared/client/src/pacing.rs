//! Time and chance of the client: both are inputs.

use std::future::Future;
use std::time::Duration;

use portcullis_base::{Clock, Timestamp};

/// Chance and waiting.
pub trait Pacing: Send + Sync {
    /// A span between zero and `max`, evenly distributed.
    fn jitter(&self, max: Duration) -> Duration;

    /// Waits.
    fn pause(&self, span: Duration) -> impl Future<Output = ()> + Send;
}

impl<P: Pacing + ?Sized> Pacing for std::sync::Arc<P> {
    fn jitter(&self, max: Duration) -> Duration {
        (**self).jitter(max)
    }

    fn pause(&self, span: Duration) -> impl Future<Output = ()> + Send {
        (**self).pause(span)
    }
}

/// The operating system's random numbers, and the runtime's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemPacing;

impl Pacing for SystemPacing {
    fn jitter(&self, max: Duration) -> Duration {
        let mut random = [0; 8];
        // Without random numbers the longest span is the kindest to the server.
        if aws_lc_rs::rand::fill(&mut random).is_err() {
            return max;
        }
        share(max, u64::from_ne_bytes(random))
    }

    async fn pause(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// `max` times `random` / 2^64.
fn share(max: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the ambient clock becomes a `Clock`")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// So much later, at most the end of time.
pub(crate) fn after(at: Timestamp, span: Duration) -> Timestamp {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_covers_its_span_and_no_more() {
        let max = Duration::from_secs(8);
        for (random, expected) in [(0, 0), (1 << 61, 1), (1 << 63, 4), (u64::MAX, 7)] {
            assert_eq!(share(max, random).as_secs(), expected, "{random}");
        }
        assert!(share(Duration::MAX, u64::MAX) < Duration::MAX);
        let drawn: Vec<_> = (0..64).map(|_| SystemPacing.jitter(max)).collect();
        assert!(drawn.iter().all(|d| *d <= max) && drawn.iter().any(|d| *d != drawn[0]));
    }
}
