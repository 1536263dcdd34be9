//! The cached verifier: calls only when they are due, however tokens look.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use portcullis_base::ManualClock;
use portcullis_token::*;
use serde_json::json;

use crate::support::*;

#[derive(Default)]
struct Issuer {
    calls: AtomicUsize,
    answer: Mutex<Option<Jwks>>,
}

impl Issuer {
    fn publishes(&self, algorithms: &[Algorithm]) {
        let keys = algorithms.iter().map(|a| signer(*a).public().clone());
        *self.answer.lock().unwrap() = Some(Jwks::new(keys).unwrap());
    }

    fn fails(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl JwksSource for &Issuer {
    async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
        assert_eq!(issuer, ISSUER);
        self.calls.fetch_add(1, Ordering::SeqCst);
        // Others get their turn while the answer is under way.
        let mut once = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut once, true) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        self.answer.lock().unwrap().clone().ok_or(JwksSourceError::Unavailable)
    }
}

fn cached<'a>(issuer: &'a Issuer, clock: &'a ManualClock) -> CachedVerifier<&'a Issuer, &'a ManualClock> {
    let rules = policy(&Algorithm::ALL).with_max_lifetime(100_000);
    let verifier = Verifier::new(vec![rules], 10).unwrap();
    CachedVerifier::new(verifier, issuer, clock, CachePolicy::default())
}

fn token(algorithm: Algorithm) -> String {
    let long = with(claims(), "exp", json!(NOW + 90_000));
    signed(algorithm, &header(algorithm).to_string(), &long.to_string())
}

/// The verdict without ever having to wait.
fn at_once(cache: &CachedVerifier<&Issuer, &ManualClock>, text: &str) -> Option<Result<(), TokenError>> {
    let verdict = futures_util::future::FutureExt::now_or_never(cache.verify(text, Presentation::default()))?;
    Some(verdict.map(|_| ()))
}

fn block(cache: &CachedVerifier<&Issuer, &ManualClock>, text: &str) -> Result<(), TokenError> {
    pollster(cache.verify(text, Presentation::default())).map(|_| ())
}

/// Runs a future to its end on this thread.
fn pollster<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = futures_util::task::noop_waker();
    let mut cx = std::task::Context::from_waker(&waker);
    for _ in 0..10_000 {
        if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut cx) {
            return out;
        }
    }
    panic!("the future never ends")
}

#[test]
fn key_in_hand_needs_no_call() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    issuer.publishes(&[Algorithm::Es256]);
    let cache = cached(&issuer, &clock);
    for _ in 0..100 {
        assert_eq!(block(&cache, &token(Algorithm::Es256)), Ok(()));
    }
    assert_eq!(issuer.calls(), 1);
    assert_eq!(block(&cache, "garbage"), Err(TokenError::NotCompact));
    assert_eq!(issuer.calls(), 1, "what is no token makes no call");
}

#[test]
fn unknown_keys_make_at_most_one_call_in_ten_seconds() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    issuer.publishes(&[Algorithm::Es256]);
    let cache = cached(&issuer, &clock);
    for second in 0..100 {
        for i in 0..20 {
            let h = with(header(Algorithm::Es256), "kid", json!(format!("{second}-{i}")));
            assert_eq!(block(&cache, &es256(&h, &claims())), Err(TokenError::UnknownKey));
        }
        clock.advance(1_000);
    }
    assert_eq!(issuer.calls(), 10);
}

#[test]
fn new_key_is_found_as_soon_as_a_call_is_due() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    issuer.publishes(&[Algorithm::Es256]);
    let cache = cached(&issuer, &clock);
    assert_eq!(block(&cache, &token(Algorithm::Es256)), Ok(()));
    issuer.publishes(&[Algorithm::Es256, Algorithm::EdDsa]);
    assert_eq!(block(&cache, &token(Algorithm::EdDsa)), Err(TokenError::UnknownKey));
    clock.advance(10_000);
    assert_eq!(block(&cache, &token(Algorithm::EdDsa)), Ok(()));
    assert_eq!(issuer.calls(), 2);
}

#[test]
fn issuer_that_is_down_hurts_late_and_one_that_took_a_key_back_is_heeded() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    issuer.publishes(&[Algorithm::Es256]);
    let cache = cached(&issuer, &clock);
    let text = token(Algorithm::Es256);
    assert_eq!(block(&cache, &text), Ok(()));
    issuer.fails();
    clock.advance(3_599_000);
    assert_eq!(block(&cache, &text), Ok(()), "stale, within bounds");
    clock.advance(1_000);
    assert_eq!(block(&cache, &text), Err(TokenError::KeysUnavailable), "too stale");
    assert_eq!(block(&cache, &text), Err(TokenError::KeysUnavailable), "and too early to ask again");
    issuer.publishes(&[Algorithm::EdDsa]);
    clock.advance(10_000);
    assert_eq!(block(&cache, &text), Err(TokenError::UnknownKey), "taken back");
}

#[test]
fn keys_that_cannot_be_had_say_nothing_of_a_token_that_may_be_good() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    let cache = cached(&issuer, &clock);
    let (h, good) = (header(Algorithm::Es256), token(Algorithm::Es256));
    for (label, text, expected) in [
        ("a good token", good.clone(), TokenError::KeysUnavailable),
        (
            "of a key that nobody has",
            es256(&with(h.clone(), "kid", json!("x")), &claims()),
            TokenError::KeysUnavailable,
        ),
        ("expired", es256(&h, &with(claims(), "exp", json!(NOW - 600))), TokenError::Expired),
        ("for another", es256(&h, &with(claims(), "aud", json!("x"))), TokenError::Audience),
        (
            "of another type",
            es256(&with(h.clone(), "typ", json!("jwt")), &claims()),
            TokenError::TypeMismatch,
        ),
        ("no token", "garbage".to_owned(), TokenError::NotCompact),
    ] {
        assert_eq!(block(&cache, &text), Err(expected), "{label}");
    }
    assert_eq!(issuer.calls(), 1, "asked once");
    issuer.publishes(&[Algorithm::Es256]);
    clock.advance(10_000);
    assert_eq!(block(&cache, &good), Ok(()));
}

#[test]
fn a_key_that_is_not_in_an_old_set_may_be_new_while_its_issuer_is_down() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    issuer.publishes(&[Algorithm::Es256]);
    let cache = cached(&issuer, &clock);
    assert_eq!(block(&cache, &token(Algorithm::Es256)), Ok(()));
    issuer.fails();
    clock.advance(10_000);
    let new = token(Algorithm::EdDsa);
    assert_eq!(block(&cache, &new), Err(TokenError::KeysUnavailable));
    assert_eq!(block(&cache, &new), Err(TokenError::KeysUnavailable), "still: the last try failed");
    assert_eq!(block(&cache, &token(Algorithm::Es256)), Ok(()), "the old set does for its keys");
    assert_eq!(issuer.calls(), 2);
    issuer.publishes(&[Algorithm::Es256]);
    clock.advance(10_000);
    assert_eq!(block(&cache, &new), Err(TokenError::UnknownKey), "now it is known to be none");
}

#[test]
fn many_at_once_make_one_call() {
    let (issuer, clock) = (Issuer::default(), ManualClock::at(now()));
    issuer.publishes(&[Algorithm::Es256]);
    let cache = cached(&issuer, &clock);
    let text = token(Algorithm::Es256);
    let all = pollster(join_all((0..50).map(|_| cache.verify(&text, Presentation::default()))));
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(issuer.calls(), 1);
    assert_eq!(at_once(&cache, &text), Some(Ok(())), "and needs no waiting afterwards");
}

#[test]
fn policy_is_a_setting() {
    let policy = CachePolicy { fresh: Duration::ZERO, ..CachePolicy::default() };
    let age = SetAge { fetched_at: Some(at(0)), attempted_at: Some(at(0)) };
    assert_eq!(policy.decide(&age, false, at(10)), Decision::FetchOrUse);
}
