//! GCRA and the leased limiter against a plain token count.
#![cfg(test)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_base::Timestamp;
use portcullis_limit::{Basis, Bucket, LimiterSettings, OnStoreFailure, Quota};
use proptest::prelude::*;

use support::{Container, Passed, Shared, Tokens, cells};

/// What happens to a few containers.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// So many requests at a container.
    Requests { container: usize, many: u32, cost: u32 },
    /// Time passes for all.
    Pass(i64),
    /// A container's clock is set forward or back.
    Jump { container: usize, by: i64 },
    /// The store goes down or comes back.
    Fails(bool),
    /// The store takes the cells, but its answers are lost.
    LosesAnswers(bool),
}

fn requests() -> impl Strategy<Value = Event> {
    (0..CONTAINERS, 1u32..40, prop_oneof![8 => Just(1u32), 1 => 2u32..6])
        .prop_map(|(container, many, cost)| Event::Requests { container, many, cost })
}

fn pass() -> impl Strategy<Value = Event> {
    prop_oneof![0i64..2_000, 0i64..200_000, 0i64..3_000_000].prop_map(Event::Pass)
}

fn steady() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(prop_oneof![requests(), pass()], 1..60)
}

fn troubled() -> impl Strategy<Value = Vec<Event>> {
    let jump =
        (0..CONTAINERS, -5_000_000i64..5_000_000).prop_map(|(container, by)| Event::Jump { container, by });
    let trouble =
        prop_oneof![any::<bool>().prop_map(Event::Fails), any::<bool>().prop_map(Event::LosesAnswers), jump];
    prop::collection::vec(prop_oneof![4 => requests(), 4 => pass(), 1 => trouble], 1..60)
}

prop_compose! {
    fn quotas()(count in 1u32..60, period in prop_oneof![Just(1_000_000i64), 1_000i64..10_000_000], burst in 1u32..60)
        -> (u32, i64, u32) { (count, period, burst) }
}

fn quota((count, period, burst): (u32, i64, u32)) -> Quota {
    Quota::per(count, Duration::from_micros(period.unsigned_abs())).unwrap().burst(burst).unwrap()
}

fn settings(on_store_failure: OnStoreFailure) -> LimiterSettings {
    LimiterSettings { on_store_failure, pause: Duration::from_millis(5), ..LimiterSettings::default() }
}

/// Plays events; gives back what passed at each container.
fn play(events: &[Event], quota: &Quota, containers: &[Container<'_>], store: &Shared) -> Vec<Vec<Passed>> {
    let mut passed = vec![Vec::new(); containers.len()];
    for event in events {
        match *event {
            Event::Requests { container, many, cost } => {
                for _ in 0..many {
                    let at = containers[container].clock.micros();
                    let decision = containers[container].check(quota, cost);
                    assert_eq!(decision.allowed, decision.retry_after.is_zero());
                    if decision.allowed {
                        passed[container].push(Passed { at, cells: cost, basis: decision.basis });
                    }
                }
            }
            Event::Pass(micros) => containers.iter().for_each(|c| c.clock.advance(micros)),
            Event::Jump { container, by } => containers[container].clock.advance(by),
            Event::Fails(fails) => store.fails.store(fails, Ordering::SeqCst),
            Event::LosesAnswers(loses) => store.loses_answers.store(loses, Ordering::SeqCst),
        }
    }
    passed
}

/// Every window between two passes admits no more than stated.
fn within_bound(mut passed: Vec<Passed>, quota: &Quota, lease: Duration) -> Result<(), TestCaseError> {
    passed.sort_by_key(|p| p.at);
    for (first, from) in passed.iter().enumerate() {
        let mut sum = 0u64;
        for (index, to) in passed.iter().enumerate().skip(first) {
            sum += u64::from(to.cells);
            if passed.get(index + 1).is_some_and(|next| next.at == to.at) {
                continue;
            }
            let window = Duration::from_micros((to.at - from.at).unsigned_abs());
            let bound = quota.admits_within(window + lease);
            prop_assert!(sum <= bound, "{sum} cells in {window:?}, at most {bound}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Where a cell's cost is a whole number of microseconds, GCRA and token counting are the same.
    #[test]
    fn a_bucket_is_a_token_count(
        count in 1u32..50, interval in 20i64..100_000, burst in 1u32..50,
        steps in prop::collection::vec((0i64..200_000, 1u32..5), 1..200),
    ) {
        let period = (i64::from(count) * interval).max(1_000);
        prop_assume!(period % i64::from(count) == 0);
        let (quota, mut bucket) = (quota((count, period, burst)), Bucket::default());
        let mut tokens = Tokens::new(count, period, burst, 0);
        let mut now = 0;
        for (passes, cost) in steps {
            now += passes;
            let at = Timestamp::from_microsecond(now).unwrap();
            prop_assert_eq!(bucket.check(&quota, cells(cost), at).allowed, tokens.take(cost, now));
        }
    }

    /// Where it is not, GCRA is rounded down: what passes would pass the count (with its burst's fraction), and over
    /// time no more than a microsecond a request is lost.
    #[test]
    fn a_bucket_admits_no_more_than_a_token_count(
        parts in quotas(), steps in prop::collection::vec((0i64..200_000, 1u32..5), 1..200),
    ) {
        let (quota, mut bucket) = (quota(parts), Bucket::default());
        let mut tokens = Tokens::new(parts.0, parts.1, parts.2, 1);
        let mut now = 0;
        for (passes, cost) in steps {
            now += passes;
            let at = Timestamp::from_microsecond(now).unwrap();
            if bucket.check(&quota, cells(cost), at).allowed {
                prop_assert!(tokens.take(cost, now));
            }
        }
    }

    /// Refused until exactly `retry_after`, allowed from then on.
    #[test]
    fn retry_after_is_exact(parts in quotas(), taken in 0u32..60, cost in 1u32..60) {
        prop_assume!(cost <= parts.2);
        let (quota, mut bucket) = (quota(parts), Bucket::default());
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..taken {
            let _ = bucket.check(&quota, cells(1), start);
        }
        let first = bucket;
        let decision = bucket.check(&quota, cells(cost), start);
        if !decision.allowed {
            let after = i64::try_from(decision.retry_after.as_micros()).unwrap();
            let at = |micros| Timestamp::from_microsecond(micros).unwrap();
            prop_assert!(!first.clone().check(&quota, cells(cost), at(after - 1)).allowed);
            prop_assert!(first.clone().check(&quota, cells(cost), at(after)).allowed);
        }
    }

    /// Several containers on one store pass no more than one token count with the slack of a lease; with true clocks.
    #[test]
    fn containers_together_are_one_token_count(parts in quotas(), events in steady()) {
        let (quota, store) = (quota(parts), Shared::default());
        let settings = settings(OnStoreFailure::Refuse);
        let containers: Vec<_> = (0..CONTAINERS).map(|_| Container::new(&store, settings)).collect();
        let mut passed = play(&events, &quota, &containers, &store).concat();
        passed.sort_by_key(|p| p.at);
        let slack = i64::try_from(settings.lease_of(&quota).as_micros()).unwrap() + 1;
        let mut tokens = Tokens::new(parts.0, parts.1, parts.2, slack);
        for p in &passed {
            prop_assert!(tokens.take(p.cells, p.at), "{p:?} of {passed:?}");
        }
        // The store keeps its promise to who waits: when all is refilled, a request passes.
        let wait = i64::try_from(quota_time(&quota)).unwrap();
        containers.iter().for_each(|c| c.clock.advance(wait));
        prop_assert!(containers[0].check(&quota, 1).allowed);
    }

    /// The stated bound holds while clocks jump, the store fails and answers are lost.
    #[test]
    fn the_bound_holds_in_trouble(parts in quotas(), events in troubled()) {
        let (quota, store) = (quota(parts), Shared::default());
        let settings = settings(OnStoreFailure::Refuse);
        let containers: Vec<_> = (0..CONTAINERS).map(|_| Container::new(&store, settings)).collect();
        let passed = play(&events, &quota, &containers, &store).concat();
        within_bound(passed, &quota, settings.lease_of(&quota))?;
    }

    /// Failing open, what passes without the store is each container's share, and the rest keeps to the bound.
    #[test]
    fn failing_open_is_bounded_too(parts in quotas(), events in troubled()) {
        let (quota, store) = (quota(parts), Shared::default());
        let settings = settings(OnStoreFailure::Allow { containers: 4 });
        let containers: Vec<_> = (0..CONTAINERS).map(|_| Container::new(&store, settings)).collect();
        let passed = play(&events, &quota, &containers, &store);
        for one in &passed {
            let own = one.iter().copied().filter(|p| p.basis == Basis::FailedOpen).collect();
            within_bound(own, &quota.share(4), Duration::ZERO)?;
        }
        let shared = passed.concat().into_iter().filter(|p| p.basis != Basis::FailedOpen).collect();
        within_bound(shared, &quota, settings.lease_of(&quota))?;
    }

    /// Nobody is refused for longer than the store's answer justifies: after `retry_after` at the only container,
    /// the request passes.
    #[test]
    fn who_waits_as_told_passes(parts in quotas(), events in steady()) {
        let (quota, store) = (quota(parts), Shared::default());
        let one = [Container::new(&store, settings(OnStoreFailure::Refuse))];
        let events: Vec<_> = events
            .iter()
            .map(|event| match *event {
                Event::Requests { many, cost, .. } => Event::Requests { container: 0, many, cost },
                other => other,
            })
            .collect();
        play(&events, &quota, &one, &store);
        for _ in 0..200 {
            let decision = one[0].check(&quota, 1);
            if !decision.allowed {
                one[0].clock.advance(i64::try_from(decision.retry_after.as_micros()).unwrap());
                prop_assert!(one[0].check(&quota, 1).allowed, "{decision:?}");
            }
        }
    }
}

/// Time in which everything is refilled.
fn quota_time(quota: &Quota) -> u128 {
    let mut bucket = Bucket::default();
    let burst = cells(quota.burst_size());
    bucket.check(quota, burst, Timestamp::UNIX_EPOCH).reset.as_micros()
}

const CONTAINERS: usize = 3;
