//! The life of keys: whatever happens when, no token in circulation lacks its key.

use std::time::Duration;

use portcullis_base::Timestamp;
use portcullis_token::*;
use proptest::prelude::*;

use crate::support::*;

const POLICY: RingPolicy = RingPolicy {
    cache_lifetime: Duration::from_secs(300),
    ring_staleness: Duration::from_secs(30),
    max_token_lifetime: Duration::from_secs(900),
    leeway: Duration::from_secs(10),
    rotate_every: Duration::from_secs(3_600),
};
const LEAD: i64 = 330;
const TAIL: i64 = 940;

fn key(name: &str) -> Jwk {
    Jwk::new(name, Algorithm::Es256, signer(Algorithm::Es256).public().key().clone()).unwrap()
}

fn stages(ring: &KeyRing, at: Timestamp) -> Vec<(&str, Stage)> {
    ring.keys().iter().map(|k| (k.kid(), k.stage(&POLICY, at))).collect()
}

fn active(ring: &KeyRing, at: Timestamp) -> Option<&str> {
    ring.active(Algorithm::Es256, at).map(RingKey::kid)
}

fn listed(ring: &KeyRing, at: Timestamp) -> Vec<String> {
    ring.jwks(&POLICY, at).keys().iter().map(|k| k.kid().unwrap().to_owned()).collect()
}

#[test]
fn a_rotation_from_end_to_end() {
    use Stage::{Active, Published, Retired, Retiring};
    let mut ring = KeyRing::default();
    assert_eq!(ring.plan(&[Algorithm::Es256], &POLICY, at(0)), [RingAction::Publish(Algorithm::Es256)]);
    ring.publish(key("a"), &POLICY, at(0)).unwrap();
    assert_eq!(stages(&ring, at(0)), [("a", Active)], "the first key signs at once");
    assert!(ring.plan(&[Algorithm::Es256], &POLICY, at(3_269)).is_empty());
    assert_eq!(ring.plan(&[Algorithm::Es256], &POLICY, at(3_270)), [RingAction::Publish(Algorithm::Es256)]);
    ring.publish(key("b"), &POLICY, at(3_270)).unwrap();
    assert_eq!(ring.publish(key("c"), &POLICY, at(3_271)), Err(RingError::Waiting));
    assert!(ring.plan(&[Algorithm::Es256], &POLICY, at(3_300)).is_empty());
    for (time, expected) in [
        (3_270, [("a", Active), ("b", Published)]),
        (3_599, [("a", Active), ("b", Published)]),
        (3_600, [("a", Retiring), ("b", Active)]),
        (3_600 + TAIL - 1, [("a", Retiring), ("b", Active)]),
        (3_600 + TAIL, [("a", Retired), ("b", Active)]),
    ] {
        assert_eq!(stages(&ring, at(time)), expected, "at {time}");
    }
    assert_eq!(listed(&ring, at(3_300)), ["b", "a"]);
    assert_eq!(listed(&ring, at(3_600 + TAIL)), ["b"]);
    assert_eq!(ring.forget("a", &POLICY, at(3_600)), Err(RingError::InUse));
    assert_eq!(ring.plan(&[Algorithm::Es256], &POLICY, at(3_600 + TAIL)), [RingAction::Destroy("a".into())]);
    ring.forget("a", &POLICY, at(3_600 + TAIL)).unwrap();
    assert_eq!(ring.forget("a", &POLICY, at(3_600 + TAIL)), Err(RingError::Unknown));
}

#[test]
fn compromised_key_is_gone_at_once_and_its_successor_takes_over() {
    let mut ring = KeyRing::default();
    ring.publish(key("a"), &POLICY, at(0)).unwrap();
    ring.publish(key("b"), &POLICY, at(100)).unwrap();
    let mut alone = ring.clone();
    ring.compromise("a", at(110)).unwrap();
    assert_eq!((active(&ring, at(110)), listed(&ring, at(110))), (Some("b"), vec!["b".to_owned()]));
    alone.compromise("b", at(110)).unwrap();
    assert_eq!(active(&alone, at(110)), Some("a"));
    assert_eq!(active(&alone, at(100 + LEAD)), Some("a"), "the heir is gone: the active one signs on");
    alone.compromise("a", at(120)).unwrap();
    assert_eq!(active(&alone, at(120)), None);
    assert!(
        alone.plan(&[Algorithm::Es256], &POLICY, at(120)).contains(&RingAction::Publish(Algorithm::Es256))
    );
    alone.publish(key("c"), &POLICY, at(120)).unwrap();
    assert_eq!(active(&alone, at(120)), Some("c"));
    assert_eq!(alone.compromise("x", at(0)), Err(RingError::Unknown));
}

#[test]
fn retired_key_never_signs_again() {
    let mut ring = KeyRing::default();
    ring.publish(key("a"), &POLICY, at(0)).unwrap();
    ring.publish(key("b"), &POLICY, at(10)).unwrap();
    ring.compromise("b", at(5_000)).unwrap();
    assert_eq!(active(&ring, at(5_000)), None, "the old key's private half may be destroyed");
    ring.forget("b", &POLICY, at(5_000)).unwrap();
    assert_eq!(active(&ring, at(5_001)), None);
}

#[test]
fn algorithms_rotate_by_themselves() {
    let mut ring = KeyRing::default();
    ring.publish(key("a"), &POLICY, at(0)).unwrap();
    let all = [Algorithm::Es256, Algorithm::EdDsa];
    assert_eq!(ring.plan(&all, &POLICY, at(1)), [RingAction::Publish(Algorithm::EdDsa)]);
    ring.publish(signer(Algorithm::EdDsa).public().clone(), &POLICY, at(1)).unwrap();
    assert!(ring.plan(&all, &POLICY, at(1)).is_empty());
    assert_eq!(active(&ring, at(1)), Some("a"));
}

#[test]
fn unsound_stored_keys_are_refused() {
    let stored = |name: &str, published: i64, active: i64| RingKey {
        public: key(name),
        published_at: at(published),
        active_from: at(active),
        signs_until: None,
        compromised_at: None,
    };
    assert_eq!(KeyRing::new(vec![stored("a", 10, 9)]).unwrap_err(), RingError::Unordered);
    let ends = RingKey { signs_until: Some(at(9)), ..stored("a", 1, 10) };
    assert_eq!(KeyRing::new(vec![ends]).unwrap_err(), RingError::Unordered);
    assert_eq!(KeyRing::new(vec![stored("a", 1, 1), stored("a", 2, 2)]).unwrap_err(), RingError::Duplicate);
}

/// A token that was issued: by which key, when, and until when anybody may take it.
struct Issued {
    kid: String,
    until: i64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A verifier uses a copy of the key set that is up to `cache_lifetime` old, served by a container whose ring is up
    /// to `ring_staleness` old; a signer's ring is up to `ring_staleness` old as well. Rotations come by plan and at will.
    #[test]
    fn no_token_in_circulation_ever_lacks_its_key(
        steps in proptest::collection::vec((1..200_i64, any::<bool>(), 0..=30_i64, 0..=330_i64), 20..120),
    ) {
        let mut ring = KeyRing::default();
        ring.publish(key("k0"), &POLICY, at(0)).unwrap();
        // What the ring was at each time it changed.
        let mut history = vec![(0, ring.clone())];
        let as_of = |history: &[(i64, KeyRing)], t: i64| {
            history.iter().rev().find(|(since, _)| *since <= t).map(|(_, r)| r.clone())
        };
        let (mut time, mut named, mut tokens) = (0, 0, Vec::<Issued>::new());
        for (pause, at_will, signer_lag, verifier_lag) in steps {
            time += pause;
            let due = ring.plan(&[Algorithm::Es256], &POLICY, at(time));
            for action in &due {
                if let RingAction::Destroy(kid) = action {
                    ring.forget(kid, &POLICY, at(time)).unwrap();
                }
            }
            if at_will || due.contains(&RingAction::Publish(Algorithm::Es256)) {
                named += 1;
                // Refused while another one waits: that is the rule that is tested.
                let _ = ring.publish(key(&format!("k{named}")), &POLICY, at(time));
            }
            history.push((time, ring.clone()));

            let signing = ring.keys().iter().filter(|k| k.stage(&POLICY, at(time)) == Stage::Active).count();
            prop_assert_eq!(signing, 1, "exactly one signs");

            if let Some(stale) = as_of(&history, time - signer_lag) {
                let kid = stale.active(Algorithm::Es256, at(time)).unwrap().kid().to_owned();
                tokens.push(Issued { kid, until: time + 900 + 10 });
            }
            tokens.retain(|t| time < t.until);
            let fetched = time - verifier_lag.min(300);
            let served = as_of(&history, fetched - (verifier_lag - verifier_lag.min(300)));
            if let Some(served) = served {
                let set = served.jwks(&POLICY, at(fetched));
                for token in &tokens {
                    prop_assert!(set.by_kid(&token.kid).is_some(), "{} lacks its key at {}", token.kid, time);
                }
            }
        }
    }
}
