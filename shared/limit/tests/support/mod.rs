//! Containers with clocks of their own on one store that can fail, and the plain reference that they are held to.
#![allow(dead_code, reason = "each test uses a part")]

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use portcullis_base::{Clock, Timestamp};
use portcullis_limit::{
    Ask, Basis, Decision, LeasedLimiter, LimitKey, LimitStore, LimiterSettings, MemoryLimits, Quota,
    StoreError, Taken,
};

/// A clock in microseconds.
#[derive(Clone, Default)]
pub(crate) struct MicroClock(Arc<AtomicI64>);

impl MicroClock {
    pub(crate) fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for MicroClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.micros()).unwrap()
    }
}

/// A store in memory that counts its calls, can fail (before or after it took the cells), and can hang.
#[derive(Default)]
pub(crate) struct Shared {
    inner: MemoryLimits,
    pub(crate) calls: AtomicUsize,
    pub(crate) fails: AtomicBool,
    pub(crate) loses_answers: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) keys: std::sync::Mutex<Vec<String>>,
}

impl LimitStore for Shared {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.keys.lock().unwrap().push(key.to_owned());
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if self.hangs.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable);
        }
        let taken = self.inner.take(key, ask).await;
        if self.loses_answers.load(Ordering::SeqCst) { Err(StoreError::Unavailable) } else { taken }
    }
}

impl Shared {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A limiter and its clock.
pub(crate) struct Container<'a> {
    pub(crate) clock: MicroClock,
    pub(crate) limiter: LeasedLimiter<&'a Shared, MicroClock>,
}

impl<'a> Container<'a> {
    pub(crate) fn new(store: &'a Shared, settings: LimiterSettings) -> Self {
        let clock = MicroClock::default();
        Self { limiter: LeasedLimiter::new(store, clock.clone(), settings), clock }
    }

    pub(crate) fn check(&self, quota: &Quota, cost: u32) -> Decision {
        run(self.limiter.check(&key(1), quota, cells(cost)))
    }
}

/// What passed: when, by the container's clock, and how many cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    pub(crate) at: i64,
    pub(crate) cells: u32,
    pub(crate) basis: Basis,
}

/// The reference: counts tokens. A bucket holds at most so many; so many come back in a period; what is taken must be
/// there. In units of a token times a period, so that there is nothing to round.
pub(crate) struct Tokens {
    level: i128,
    capacity: i128,
    count: i128,
    period: i128,
    at: Option<i64>,
}

impl Tokens {
    /// `extra` tokens, in parts of a period's worth (numerator in microseconds), beyond the burst.
    pub(crate) fn new(count: u32, period: i64, burst: u32, extra: i64) -> Self {
        let (count, period) = (i128::from(count), i128::from(period));
        let capacity = i128::from(burst) * period + i128::from(extra) * count;
        Self { level: capacity, capacity, count, period, at: None }
    }

    pub(crate) fn take(&mut self, cells: u32, now: i64) -> bool {
        let elapsed = self.at.map_or(0, |at| now - at);
        assert!(elapsed >= 0, "the reference counts forwards");
        self.at = Some(now);
        self.level = self.capacity.min(self.level + i128::from(elapsed) * self.count);
        let cost = i128::from(cells) * self.period;
        let there = cost <= self.level;
        if there {
            self.level -= cost;
        }
        there
    }
}

pub(crate) fn key(n: u32) -> LimitKey {
    LimitKey::principal("tests", &n.to_string())
}

pub(crate) fn cells(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

pub(crate) fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

/// Polls until the future is done. Nothing here needs a wake-up: whatever it waits for happened before.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("still pending");
}
