//! A copy of the revocations: how fresh, how stale, and how many calls it takes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use portcullis_base::{ManualClock, Timestamp};
use portcullis_token::{
    Claims, FollowError, FollowPolicy, NumericDate, Revocation, RevocationFollower, RevocationPage,
    RevocationStore, RevocationTarget, StoreError, TokenError,
};

#[derive(Clone, Default)]
struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    items: Mutex<Vec<Revocation>>,
    calls: AtomicUsize,
    down: AtomicBool,
}

impl RevocationStore for Log {
    async fn add(&self, revocation: &Revocation) -> Result<(), StoreError> {
        self.0.items.lock().unwrap().push(revocation.clone());
        Ok(())
    }

    /// Two a page, so that there are several.
    async fn since(&self, cursor: Option<&str>) -> Result<RevocationPage, StoreError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if self.0.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable);
        }
        let start: usize = cursor.map_or(0, |c| c.parse().unwrap());
        let items = self.0.items.lock().unwrap();
        let page: Vec<_> = items.iter().skip(start).take(2).cloned().collect();
        let end = start + page.len();
        Ok(RevocationPage { items: page, cursor: Some(end.to_string()), more: end < items.len() })
    }
}

fn claims(jti: usize) -> Claims {
    let exp = NumericDate::from_seconds(9_000).unwrap();
    Claims { jti: Some(jti.to_string()), ..Claims::new("https://a", "svc.bff", "api", exp) }
}

fn revoke(log: &Log, jti: usize) {
    let target = RevocationTarget::Token { iss: "https://a".into(), jti: jti.to_string() };
    let until = Timestamp::from_second(9_000).unwrap();
    log.add(&Revocation { target, until }).now_or_never().unwrap().unwrap();
}

fn follower(log: &Log) -> (RevocationFollower<Log, Arc<ManualClock>>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_000).unwrap()));
    let policy = FollowPolicy { fresh: Duration::from_secs(2), stale: Duration::from_secs(30) };
    (RevocationFollower::new(log.clone(), clock.clone(), policy), clock)
}

#[test]
fn what_was_revoked_is_refused_within_the_fresh_span_page_by_page() {
    let log = Log::default();
    let (follower, clock) = follower(&log);
    let check = |jti| follower.check(&claims(jti)).now_or_never().unwrap();
    (0..5).for_each(|jti| revoke(&log, jti));
    for jti in 0..5 {
        assert_eq!(check(jti), Err(FollowError::Token(TokenError::Revoked)), "{jti}");
    }
    assert_eq!(check(5), Ok(()));
    assert_eq!(log.0.calls.load(Ordering::SeqCst), 3, "three pages, and nothing more while fresh");
    revoke(&log, 5);
    clock.advance(2_000);
    assert_eq!(check(5), Err(FollowError::Token(TokenError::Revoked)));
    assert_eq!(log.0.calls.load(Ordering::SeqCst), 4, "only what is new");
}

#[test]
fn a_store_that_is_down_hurts_late_and_then_nothing_is_taken() {
    let log = Log::default();
    let (follower, clock) = follower(&log);
    let check = || follower.check(&claims(1)).now_or_never().unwrap();
    assert_eq!(check(), Ok(()));
    log.0.down.store(true, Ordering::SeqCst);
    clock.advance(29_000);
    for _ in 0..100 {
        assert_eq!(check(), Ok(()));
    }
    assert_eq!(log.0.calls.load(Ordering::SeqCst), 2, "a failing store is left alone for a moment");
    clock.advance(1_000);
    assert_eq!(check(), Err(FollowError::Store(StoreError::Unavailable)));
    log.0.down.store(false, Ordering::SeqCst);
    assert_eq!(check(), Ok(()), "back at once");
    clock.advance(-60_000);
    log.0.down.store(true, Ordering::SeqCst);
    assert!(check().is_err(), "a clock that went back makes the age unknown");
}

#[test]
fn many_at_once_make_one_call() {
    let log = Log::default();
    let (follower, _) = follower(&log);
    let claims = claims(1);
    let checks = join_all((0..50).map(|_| follower.check(&claims))).now_or_never().unwrap();
    assert!(checks.iter().all(Result::is_ok));
    assert_eq!(log.0.calls.load(Ordering::SeqCst), 1);
}
