//! The contract of [`LimitStore`], for every store.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "test support: a panic is a failed test")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use portcullis_base::{ManualClock, Timestamp};
use portcullis_limit::{Ask, LeasedLimiter, LimitKey, LimitStore, LimiterSettings, Quota, Taken};

use super::fresh;

/// Runs the whole contract over adapters that lead to one store, as those of several containers do. `now` must be the
/// true time: stores forget buckets by their own clocks.
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn suite<S: LimitStore>(stores: &[S], now: Timestamp) {
    answers_are_those_of_the_ask(stores, now).await;
    keys_are_apart(stores, now).await;
    what_is_over_the_burst_is_never_granted(stores, now).await;
    a_wrong_hint_changes_no_answer(stores, now).await;
    concurrent_asks_take_the_burst_and_not_a_cell_more(stores, now).await;
    concurrent_asks_over_time_keep_to_the_quota(stores, now).await;
    containers_with_leases_share_one_limit(stores, now).await;
}

/// Random asks by turns of all adapters, the clock going forward and back, against the pure rule.
async fn answers_are_those_of_the_ask<S: LimitStore>(stores: &[S], start: Timestamp) {
    let (key, quota) = (fresh("model"), quota("700/10s burst 40"));
    let (mut known, mut now, mut random) = (None, start.as_microsecond(), Random(7));
    for (turn, store) in stores.iter().cycle().take(150).enumerate() {
        now += i64::from(random.below(120_000)) - 40_000;
        let least = 1 + random.below(3);
        let ask = Ask::new(&quota, cells(least), least + random.below(30), instant(now)).with_seen(known);
        let expected = ask.answer(known);
        assert_eq!(take(store, &key, &ask).await, expected, "turn {turn}");
        if expected.granted > 0 {
            known = Some(expected.tat);
        }
    }
}

async fn keys_are_apart<S: LimitStore>(stores: &[S], now: Timestamp) {
    let quota = quota("1/h");
    let base = fresh("apart");
    let names = [
        base.clone(),
        format!("{base}#"),
        format!("{base}#1/h burst 2"),
        format!("{base} é"),
        base.to_uppercase(),
    ];
    for name in &names {
        let ask = Ask::new(&quota, cells(1), 1, now);
        let granted: Vec<u32> = [take(&stores[0], name, &ask).await, take(last(stores), name, &ask).await]
            .map(|taken| taken.granted)
            .into();
        assert_eq!(granted, [1, 0], "{name}");
    }
}

async fn what_is_over_the_burst_is_never_granted<S: LimitStore>(stores: &[S], now: Timestamp) {
    let (key, quota) = (fresh("over"), quota("10/h burst 3"));
    let over = Ask::new(&quota, cells(4), 4, now);
    assert_eq!(take(&stores[0], &key, &over).await, over.answer(None), "of an unknown bucket");
    assert_eq!(
        take(&stores[0], &key, &Ask::new(&quota, cells(3), 9, now)).await.granted,
        3,
        "nothing was taken"
    );
    assert_eq!(take(&stores[0], &key, &over).await.granted, 0, "of an empty one");
}

async fn a_wrong_hint_changes_no_answer<S: LimitStore>(stores: &[S], now: Timestamp) {
    let quota = quota("10/h burst 3");
    for (label, seen) in [("none", None), ("full", Some(0)), ("not full", Some(i64::MAX))] {
        let key = fresh("hint");
        for expected in [2, 1, 0] {
            let least = cells(2_u32.min(expected.max(1)));
            let ask = Ask::new(&quota, least, 2, now).with_seen(seen);
            assert_eq!(take(&stores[0], &key, &ask).await.granted, expected, "hint: {label}");
        }
        let later = instant(now.as_microsecond() + 3 * 3_600_000_000);
        let ask = Ask::new(&quota, cells(1), 3, later).with_seen(seen);
        assert_eq!(take(&stores[0], &key, &ask).await.granted, 3, "hint: {label}, full again");
    }
}

async fn concurrent_asks_take_the_burst_and_not_a_cell_more<S: LimitStore>(stores: &[S], now: Timestamp) {
    let quota = quota("100/h burst 100");
    for most in [1, 8] {
        let key = fresh("burst");
        let ask = Ask::new(&quota, cells(1), most, now);
        let rounds = join_all((0..WORKERS).map(|worker| {
            let (store, key, ask) = (&stores[worker % stores.len()], &key, &ask);
            async move {
                let mut granted = 0;
                loop {
                    match take(store, key, ask).await.granted {
                        0 => return granted,
                        more => granted += more,
                    }
                }
            }
        }));
        assert_eq!(rounds.await.iter().sum::<u32>(), 100, "up to {most} at a time");
    }
}

/// All workers' clocks go on at their own pace: what is granted in the window of all of them is the quota's.
async fn concurrent_asks_over_time_keep_to_the_quota<S: LimitStore>(stores: &[S], start: Timestamp) {
    let (key, quota, steps, step) = (fresh("over time"), quota("100/s burst 5"), 25_u32, 10_000_i64);
    let granted = join_all((0..WORKERS).map(|worker| {
        let (store, key, quota) = (&stores[worker % stores.len()], &key, &quota);
        async move {
            let mut granted = 0;
            for turn in 0..steps {
                let now = instant(start.as_microsecond() + i64::from(turn) * step);
                granted += take(store, key, &Ask::new(quota, cells(1), 4, now)).await.granted;
            }
            granted
        }
    }));
    let granted: u32 = granted.await.iter().sum();
    let bound = 5 + (steps - 1);
    assert!(granted <= bound, "{granted} granted, at most {bound}");
    assert!(granted >= bound / 2, "{granted} granted of {bound}: nobody is starved");
}

async fn containers_with_leases_share_one_limit<S: LimitStore>(stores: &[S], now: Timestamp) {
    let (quota, key) = (quota("400/h burst 400"), LimitKey::principal("contract", &fresh("p")));
    let clock = Arc::new(ManualClock::at(now));
    let calls = Arc::new(AtomicU32::new(0));
    let containers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let store = Counted { store: &stores[worker % stores.len()], calls: Arc::clone(&calls) };
            LeasedLimiter::new(store, Arc::clone(&clock), LimiterSettings::default())
        })
        .collect();
    let passed = join_all(containers.iter().map(|container| async {
        let mut passed = 0;
        while container.check(&key, &quota, cells(1)).await.allowed {
            passed += 1;
        }
        passed
    }));
    assert_eq!(passed.await.iter().sum::<u32>(), 400, "leases and all");
    let calls = calls.load(Ordering::SeqCst);
    assert!(calls < 400 / 2, "{calls} calls for 400 passes and {WORKERS} refusals");
}

struct Counted<'a, S> {
    store: &'a S,
    calls: Arc<AtomicU32>,
}

impl<S: LimitStore> LimitStore for Counted<'_, S> {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, portcullis_limit::StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.store.take(key, ask).await
    }
}

async fn take<S: LimitStore>(store: &S, key: &str, ask: &Ask) -> Taken {
    store.take(key, ask).await.expect("an answer of the store")
}

fn last<S>(stores: &[S]) -> &S {
    stores.last().expect("a store")
}

fn quota(text: &str) -> Quota {
    text.parse().expect("a quota")
}

fn cells(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("some cells")
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).expect("an instant")
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound)).expect("below a u32")
    }
}

const WORKERS: usize = 8;
