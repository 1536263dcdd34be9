//! What leases save, and what happens around them.
#![cfg(test)]

mod support;

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use portcullis_limit::{Basis, LimiterSettings, OnStoreFailure};
use support::{Container, Shared, key, quota, run};

#[test]
fn a_key_in_little_demand_leases_one_cell() {
    let (store, quota) = (Shared::default(), quota("2000/5m burst 100"));
    let (a, b) = (container(&store), container(&store));
    for _ in 0..20 {
        for container in [&a, &b] {
            container.clock.advance(5_000_000);
            assert_eq!(container.check(&quota, 1).basis, Basis::Store);
            assert_eq!(container.check(&quota, 0x7f).basis, Basis::OverBurst);
        }
    }
    assert_eq!(store.calls(), 40, "one call each, and none for what can never pass");
}

#[test]
fn a_busy_key_costs_a_fraction_of_a_call() {
    let (store, quota) = (Shared::default(), quota("60000/5m burst 2000"));
    let container = container(&store);
    let requests = 12_000;
    for _ in 0..requests {
        container.clock.advance(5_000);
        assert!(container.check(&quota, 1).allowed);
    }
    assert!(store.calls() <= requests / 32, "{} calls for {requests} requests at 200/s", store.calls());
}

#[test]
fn a_flood_of_refused_requests_calls_no_store() {
    let (store, quota) = (Shared::default(), quota("2000/5m burst 100"));
    let container = container(&store);
    let (mut passed, seconds) = (0, 300);
    for _ in 0..seconds * 1_000 {
        container.clock.advance(1_000);
        passed += u32::from(container.check(&quota, 1).allowed);
    }
    assert!(
        (1_990 + 100..=2_000 + 100).contains(&passed),
        "{passed} passed: the quota is used up, not exceeded"
    );
    assert!(store.calls() <= 2 * seconds, "{} calls for 300000 requests in {seconds} s", store.calls());
}

#[test]
fn many_containers_share_the_whole_quota_at_the_limit() {
    let (store, quota) = (Shared::default(), quota("2000/5m burst 100"));
    let containers: Vec<_> = (0..10).map(|_| container(&store)).collect();
    let mut passed = 0;
    for _ in 0..300 * 100 {
        for container in &containers {
            container.clock.advance(10_000);
            passed += u32::from(container.check(&quota, 1).allowed);
        }
    }
    assert!((1_900..=2_106).contains(&passed), "{passed}");
}

#[test]
fn one_asks_while_the_others_wait() {
    let (store, quota) = (Shared::default(), quota("1000/s burst 1000"));
    let container = container(&store);
    store.hangs.store(true, Ordering::SeqCst);
    let id = key(1);
    let mut all = pin!(join_all((0..100).map(|_| container.limiter.check(&id, &quota, NonZeroU32::MIN))));
    for _ in 0..3 {
        assert!(all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(store.calls(), 1);
    }
    store.hangs.store(false, Ordering::SeqCst);
    assert!(run(all).iter().all(|decision| decision.allowed));
    assert!(store.calls() <= 8, "leases of 1, 2, 4 …: {} calls", store.calls());
}

#[test]
fn who_gives_up_does_not_block_the_next() {
    let (store, quota) = (Shared::default(), quota("10/s"));
    let container = container(&store);
    store.hangs.store(true, Ordering::SeqCst);
    {
        let id = key(1);
        let mut given_up = pin!(container.limiter.check(&id, &quota, NonZeroU32::MIN));
        assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    store.hangs.store(false, Ordering::SeqCst);
    assert!(container.check(&quota, 1).allowed);
}

#[test]
fn an_unused_lease_expires() {
    let (store, quota) = (Shared::default(), quota("100/s burst 100"));
    let container = container(&store);
    for _ in 0..10 {
        assert!(container.check(&quota, 1).allowed);
    }
    let calls = store.calls();
    assert_eq!(container.check(&quota, 1).basis, Basis::Lease, "there is a lease");
    container.clock.advance(50_000);
    assert_eq!(
        container.check(&quota, 1).basis,
        Basis::Store,
        "a twentieth of the period later there is none"
    );
    assert_eq!(store.calls(), calls + 1);
}

#[test]
fn a_lease_does_not_outlive_a_clock_that_goes_back() {
    let (store, quota) = (Shared::default(), quota("100/s burst 100"));
    let container = container(&store);
    for _ in 0..10 {
        assert!(container.check(&quota, 1).allowed);
    }
    container.clock.advance(-1);
    assert_eq!(container.check(&quota, 1).basis, Basis::Store);
}

#[test]
fn refusals_hold_for_their_cost_and_above() {
    let (store, quota) = (Shared::default(), quota("10/s burst 3"));
    let container = container(&store);
    assert!(container.check(&quota, 1).allowed);
    let refused = container.check(&quota, 3);
    assert_eq!((refused.allowed, refused.basis, refused.remaining), (false, Basis::Store, 2));
    assert_eq!(refused.retry_after, Duration::from_millis(100));
    assert_eq!(container.check(&quota, 3).basis, Basis::Remembered);
    let smaller = container.check(&quota, 2);
    assert_eq!((smaller.allowed, smaller.basis), (true, Basis::Store), "a smaller one may still pass");
}

#[test]
fn while_the_store_fails_the_setting_decides() {
    let quota = quota("100/s burst 40");
    for (label, on_store_failure, passes, basis) in [
        ("closed", OnStoreFailure::Refuse, 0, Basis::FailedClosed),
        ("open, alone", OnStoreFailure::Allow { containers: 1 }, 40, Basis::FailedOpen),
        ("open, one of four", OnStoreFailure::Allow { containers: 4 }, 10, Basis::FailedOpen),
        ("open, one of very many", OnStoreFailure::Allow { containers: 1_000 }, 1, Basis::FailedOpen),
        ("zero is one", OnStoreFailure::Allow { containers: 0 }, 40, Basis::FailedOpen),
    ] {
        let store = Shared::default();
        store.fails.store(true, Ordering::SeqCst);
        let container = Container::new(&store, LimiterSettings { on_store_failure, ..settings() });
        let decisions: Vec<_> = (0..100).map(|_| container.check(&quota, 1)).collect();
        assert_eq!(decisions.iter().filter(|d| d.allowed).count(), passes, "{label}");
        assert!(decisions.iter().all(|d| d.basis == basis), "{label}");
        assert!(decisions.iter().all(|d| d.allowed || d.retry_after > Duration::ZERO), "{label}");
        assert_eq!(store.calls(), 1, "{label}: the store is left alone");
    }
}

#[test]
fn leases_in_hand_are_spent_while_the_store_fails() {
    let (store, quota) = (Shared::default(), quota("1000/m burst 100"));
    let container = container(&store);
    for _ in 0..7 {
        assert!(container.check(&quota, 1).allowed);
    }
    store.fails.store(true, Ordering::SeqCst);
    let passed = (0..100).filter(|_| container.check(&quota, 1).allowed).count();
    assert!(passed <= 8, "what was leased: {passed}");
}

#[test]
fn the_store_is_tried_again_after_a_pause_by_one() {
    let (store, quota) = (Shared::default(), quota("100/s"));
    let container = container(&store);
    store.fails.store(true, Ordering::SeqCst);
    for n in 0..1_000 {
        container.clock.advance(1_000);
        let id = key(n);
        assert!(!run(container.limiter.check(&id, &quota, NonZeroU32::MIN)).allowed);
    }
    assert_eq!(store.calls(), 4, "once in 250 ms, however many keys");
    store.fails.store(false, Ordering::SeqCst);
    container.clock.advance(250_000);
    assert!(container.check(&quota, 1).allowed);
    assert!(
        run(container.limiter.check(&key(5_000), &quota, NonZeroU32::MIN)).allowed,
        "at once for the others"
    );
}

#[test]
fn a_flood_of_keys_evicts_no_busy_one() {
    let (store, quota) = (Shared::default(), quota("600000/m burst 10000"));
    let container = Container::new(&store, LimiterSettings { max_keys: 100, ..settings() });
    for _ in 0..200 {
        assert!(container.check(&quota, 1).allowed);
    }
    let busy = |container: &Container<'_>| container.check(&quota, 1).basis == Basis::Lease;
    let mut leased = 0;
    for n in 10..1_000 {
        assert!(run(container.limiter.check(&key(n), &quota, NonZeroU32::MIN)).allowed);
        leased += u32::from(busy(&container));
    }
    assert!(leased >= 960, "{leased} of 990 from the lease");
}

#[test]
fn keys_in_the_store_hold_namespace_key_and_quota() {
    let store = Shared::default();
    let container = Container::new(&store, LimiterSettings { namespace: "api", ..settings() });
    for (address, text) in [("203.0.113.7", "2000/5m burst 100"), ("2001:db8::7", "10/s")] {
        let id = portcullis_limit::LimitKey::address(address.parse().unwrap());
        assert!(run(container.limiter.check(&id, &quota(text), NonZeroU32::MIN)).allowed);
    }
    let keys = store.keys.lock().unwrap().clone();
    assert_eq!(keys, ["api#ip4#203.0.113.7#2000/5m burst 100", "api#ip6#20010db800000000#10/s"]);
}

#[test]
fn limiters_of_other_names_and_quotas_share_nothing() {
    let store = Shared::default();
    let one = container(&store);
    let other = Container::new(&store, LimiterSettings { namespace: "other", ..settings() });
    let tight = quota("1/m");
    assert!(one.check(&tight, 1).allowed);
    assert!(!one.check(&tight, 1).allowed);
    assert!(other.check(&tight, 1).allowed);
    assert!(one.check(&quota("2/m burst 1"), 1).allowed, "a changed quota takes effect at once");
}

#[test]
fn debug_output_shows_no_key() {
    let store = Shared::default();
    let container = container(&store);
    let id = portcullis_limit::LimitKey::address("203.0.113.7".parse().unwrap());
    assert!(run(container.limiter.check(&id, &quota("10/s"), NonZeroU32::MIN)).allowed);
    assert!(!format!("{:?}", container.limiter).contains("203"));
}

fn settings() -> LimiterSettings {
    LimiterSettings::default()
}

fn container(store: &Shared) -> Container<'_> {
    Container::new(store, settings())
}
