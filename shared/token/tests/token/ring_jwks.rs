//! The stack's own ring as a source of keys: a compromised key is refused in seconds, and nobody else's is had there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use portcullis_base::ManualClock;
use portcullis_token::*;
use serde_json::json;

use crate::support::*;

/// What a read brings, and how often it was read.
struct Table(Mutex<Result<KeyRing, StoreError>>, AtomicUsize);

impl KeyRingStore for &Table {
    async fn load(&self) -> Result<(KeyRing, u64), StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.lock().unwrap().clone().map(|ring| (ring, 1))
    }

    async fn save(&self, _: &KeyRing, _: u64) -> Result<bool, StoreError> {
        panic!("a verifier writes no ring")
    }
}

fn ring_policy() -> RingPolicy {
    KeeperSettings::new(Vec::new(), Duration::from_secs(300), Duration::from_secs(86_400)).policy
}

fn table() -> Table {
    let mut ring = KeyRing::default();
    ring.publish(signer(Algorithm::Es256).public().clone(), &ring_policy(), at(NOW - 1)).unwrap();
    Table(Mutex::new(Ok(ring)), AtomicUsize::new(0))
}

fn cached<'a>(
    table: &'a Table,
    clock: &'a ManualClock,
) -> CachedVerifier<RingJwks<&'a Table, &'a ManualClock>, &'a ManualClock> {
    let verifier = Verifier::new(vec![policy(&Algorithm::ALL).with_max_lifetime(100_000)], 10).unwrap();
    let source = RingJwks::new(ISSUER, table, ring_policy(), clock);
    CachedVerifier::new(verifier, source, clock, CachePolicy::default())
        .with_policy_for(ISSUER, CachePolicy::RING)
        .with_policy_for("https://nobody.example", CachePolicy::default())
}

fn verdict(cache: &CachedVerifier<RingJwks<&Table, &ManualClock>, &ManualClock>) -> Result<(), TokenError> {
    let long = with(claims(), "exp", json!(NOW + 90_000));
    let token = signed(Algorithm::Es256, &header(Algorithm::Es256).to_string(), &long.to_string());
    cache.verify(&token, Presentation::default()).now_or_never().unwrap().map(|_| ())
}

#[test]
fn a_compromised_key_is_refused_within_thirty_seconds() {
    let (table, clock) = (table(), ManualClock::at(at(NOW)));
    let cache = cached(&table, &clock);
    assert_eq!(verdict(&cache), Ok(()));
    let kid = signer(Algorithm::Es256).kid().to_owned();
    table.0.lock().unwrap().as_mut().unwrap().compromise(&kid, at(NOW)).unwrap();
    clock.advance(29_000);
    assert_eq!(verdict(&cache), Ok(()), "the copy is fresh");
    clock.advance(1_000);
    assert_eq!(verdict(&cache), Err(TokenError::UnknownKey));
}

#[test]
fn forged_key_names_read_the_ring_at_most_once_in_ten_seconds() {
    let (table, clock) = (table(), ManualClock::at(at(NOW)));
    let cache = cached(&table, &clock);
    assert_eq!(verdict(&cache), Ok(()));
    for (label, millis, reads) in [("at once", 0, 1), ("9.999 s later", 9_999, 1), ("10 s later", 1, 2)] {
        clock.advance(millis);
        for i in 0..20 {
            let head = with(header(Algorithm::Es256), "kid", json!(format!("forged-{i}")));
            let token = signed(Algorithm::Es256, &head.to_string(), &claims().to_string());
            let refused = cache.verify(&token, Presentation::default()).now_or_never().unwrap();
            assert_eq!(refused.map(|_| ()), Err(TokenError::UnknownKey), "{label}");
        }
        assert_eq!(table.1.load(Ordering::SeqCst), reads, "{label}");
    }
}

#[test]
fn a_ring_that_cannot_be_read_does_for_two_minutes() {
    let (table, clock) = (table(), ManualClock::at(at(NOW)));
    let cache = cached(&table, &clock);
    assert_eq!(verdict(&cache), Ok(()));
    *table.0.lock().unwrap() = Err(StoreError::Unavailable);
    clock.advance(119_000);
    assert_eq!(verdict(&cache), Ok(()));
    clock.advance(1_000);
    assert_eq!(verdict(&cache), Err(TokenError::KeysUnavailable));
}

#[test]
fn a_ring_speaks_for_its_own_issuer_only_and_says_why_it_cannot() {
    let (table, clock) = (table(), ManualClock::at(at(NOW)));
    let source = RingJwks::new(ISSUER, &table, ring_policy(), &clock);
    let fetch = |issuer| source.fetch(issuer).now_or_never().unwrap().map(|set| set.keys().len());
    assert_eq!(fetch(ISSUER), Ok(1));
    assert_eq!(fetch("https://other.example"), Err(JwksSourceError::Unavailable));
    *table.0.lock().unwrap() = Err(StoreError::Malformed);
    assert_eq!(fetch(ISSUER), Err(JwksSourceError::Malformed));
    *table.0.lock().unwrap() = Err(StoreError::Unavailable);
    assert_eq!(fetch(ISSUER), Err(JwksSourceError::Unavailable));
}
