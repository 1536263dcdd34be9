//! What a request counts for in the metrics.

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_base::Timestamp;
use portcullis_lambda::{Metrics, Reading};
use portcullis_webhook::{Kind, Routed};

/// Counters of one request. Shared by the senders that work for it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: Vec<(Kind, u32)>,
    claims: AtomicU32,
    retries: AtomicU32,
}

impl Tally {
    pub(crate) fn of(items: &[Routed<'_>]) -> Self {
        let mut tally = Self::default();
        for item in items {
            // A few kinds at most: a search costs less than a map.
            match tally.kinds.iter_mut().find(|(kind, _)| *kind == item.kind) {
                Some((_, n)) => *n += 1,
                None => tally.kinds.push((item.kind, 1)),
            }
        }
        tally
    }

    pub(crate) fn claimed(&self) {
        self.claims.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Counts a request that was answered with 200.
    pub(crate) fn accepted(&self, metrics: &Metrics, started: Timestamp, now: Timestamp) {
        let items = self.kinds.iter().map(|(_, n)| f64::from(*n)).sum();
        metrics.emit(
            now,
            &[],
            &[
                Reading::count("Accepted", 1.0),
                Reading::count("Items", items),
                Reading::count("ClaimChecks", f64::from(self.claims.load(Ordering::Relaxed))),
                Reading::count("QueueRetries", f64::from(self.retries())),
                latency(started, now),
            ],
        );
        for (kind, n) in &self.kinds {
            let dimensions = [("Lane", kind.lane().as_str()), ("Kind", kind.name())];
            metrics.emit(now, &dimensions, &[Reading::count("ItemsByKind", f64::from(*n))]);
        }
    }
}

/// Counts a request that was signed with the previous app secret: none is, once Meta has the new one.
pub(crate) fn signed_with_previous(metrics: &Metrics, now: Timestamp) {
    metrics.emit(now, &[], &[Reading::count("SignedWithPrevious", 1.0)]);
}

/// Counts a request that was refused.
pub(crate) fn refused(metrics: &Metrics, reason: &'static str, started: Timestamp, now: Timestamp) {
    metrics.emit(now, &[("Reason", reason)], &[Reading::count("Rejected", 1.0), latency(started, now)]);
}

fn latency(started: Timestamp, now: Timestamp) -> Reading {
    Reading::millis("Latency", now.duration_since(started).as_secs_f64() * 1_000.0)
}
