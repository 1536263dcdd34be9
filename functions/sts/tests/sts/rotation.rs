//! Rotation of signing keys: on demand, on schedule, of a compromised key, and under load.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use portcullis_audit::{AuditError, AuditRecord};
use portcullis_token::{Jwks, UnverifiedToken};
use serde_json::{Value, json};

use crate::support::{Answer, Call, ISSUER, Options, Sts, sts, sts_with, verifier};

async fn rotate(sts: &Sts) -> Answer {
    let token = sts.token_of("ops.admin").await;
    sts.send(&Call::new("POST", "/sts/rotate-keys").bearer(&token)).await
}

fn kid(token: &str) -> String {
    UnverifiedToken::parse(token).unwrap().dangerous_unverified_kid().unwrap().to_owned()
}

fn kids(jwks: &Jwks) -> HashSet<String> {
    jwks.keys().iter().map(|key| key.kid().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_new_key_is_published_long_before_it_signs() {
    let sts = sts().await;
    let old = kid(&sts.token_of("svc.actuator").await);
    let answer = rotate(&sts).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let changes = answer.body["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "one for each algorithm");
    assert!(changes.iter().all(|c| c["change"] == "published"));
    let new: HashSet<_> = changes.iter().map(|c| c["kid"].as_str().unwrap().to_owned()).collect();
    assert!(kids(&sts.jwks().await).is_superset(&new), "published at once");
    // A cache lifetime (300 s) and what containers may lag behind (120 s).
    sts.clock.advance(419_000);
    assert_eq!(kid(&sts.token_of("svc.actuator").await), old);
    sts.clock.advance(1_000);
    assert!(new.contains(&kid(&sts.token_of("svc.actuator").await)));
    let codes = sts.codes();
    assert_eq!(codes.iter().filter(|c| *c == "keys-rotated").count(), 1);
    assert_eq!(
        codes.iter().filter(|c| *c == "key-published").count(),
        4,
        "and the first two, of nobody's order"
    );
    let by_order = |record: &&AuditRecord| {
        record.body().contains("key-published") && record.body().contains("ops.admin")
    };
    assert_eq!(sts.audit.records().iter().filter(by_order).count(), 2);
}

#[tokio::test]
async fn what_an_order_did_is_recorded_by_its_repetition_when_the_audit_was_down() {
    let sts = sts().await;
    let (token, admin) = (sts.token_of("svc.actuator").await, sts.token_of("ops.admin").await);
    let order = |admin: &str| {
        let body = json!({"compromised": kid(&token)}).to_string();
        let call = Call::new("POST", "/sts/rotate-keys").header("Content-Type", "application/json");
        call.bearer(admin).body(&body)
    };
    sts.audit.fail_with(Some(AuditError::Unavailable));
    assert_eq!(sts.send(&order(&admin)).await.status, 503);
    assert!(sts.verify(&token).await.is_err(), "it was done");
    sts.audit.fail_with(None);
    let admin = sts.token_of("ops.admin").await;
    let count = |code: &str| sts.codes().iter().filter(|c| *c == code).count();
    assert_eq!(count("key-retired"), 0);
    assert_eq!(sts.send(&order(&admin)).await.status, 200);
    assert_eq!(
        (count("key-retired"), count("key-published")),
        (2, 3),
        "out, destroyed; two first keys, and the next"
    );
    assert_eq!(sts.send(&order(&admin)).await.status, 400, "it is no more");
    assert_eq!((count("key-retired"), count("key-published")), (2, 3), "once");
}

#[tokio::test]
async fn rotating_twice_in_a_row_rotates_once() {
    let sts = sts().await;
    assert_eq!(rotate(&sts).await.body["changes"].as_array().unwrap().len(), 2);
    assert_eq!(rotate(&sts).await.body["changes"], json!([]));
    assert_eq!(sts.jwks().await.keys().len(), 4);
}

#[tokio::test]
async fn a_retired_key_leaves_the_set_after_its_last_token_and_is_destroyed() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    rotate(&sts).await;
    sts.clock.advance(420_000);
    assert!(kids(&sts.jwks().await).contains(&kid(&token)), "retiring");
    // 900 s for tokens, 60 for leeway, 120 for lag.
    sts.clock.advance(1_080_000);
    assert!(!kids(&sts.jwks().await).contains(&kid(&token)), "retired");
    assert_eq!(sts.tokens.sealed_key_count(), 4);
    sts.function.parts().keeper.advance().await.unwrap();
    assert_eq!(sts.tokens.sealed_key_count(), 2, "and its private half is gone");
}

#[tokio::test]
async fn a_compromised_key_is_out_at_once_and_another_signs() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    let admin = sts.token_of("ops.admin").await;
    let order = |body: &str| {
        Call::new("POST", "/sts/rotate-keys")
            .bearer(&admin)
            .header("Content-Type", "application/json")
            .body(body)
    };
    for (label, body) in [
        ("an unknown key", r#"{"compromised":"x"}"#),
        ("an unknown member", r#"{"compromise":"x"}"#),
        ("an array", r#"["x"]"#),
        ("not json", "x"),
    ] {
        assert_eq!(sts.send(&order(body)).await.error(), (400, "invalid_request"), "{label}");
    }
    let body = json!({"compromised": kid(&token)}).to_string();
    let answer = sts.send(&order(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(sts.verify(&token).await.is_err(), "its tokens are refused");
    let next = sts.token_of("svc.actuator").await;
    assert_ne!(kid(&next), kid(&token));
    assert!(sts.verify(&next).await.is_ok());
    assert_eq!(sts.codes().iter().filter(|c| *c == "key-retired").count(), 1);
    assert_eq!(
        sts.send(&order(&body)).await.error(),
        (401, "invalid_token"),
        "the admin's own token was of that key"
    );
}

#[tokio::test]
async fn only_a_security_admin_rotates() {
    let sts = sts().await;
    let call = || Call::new("POST", "/sts/rotate-keys");
    let challenge = |answer: &Answer| answer.header("WWW-Authenticate").unwrap_or_default().to_owned();
    let nobody = sts.send(&call()).await;
    assert_eq!(nobody.status, 401);
    assert!(
        challenge(&nobody).starts_with("Bearer realm=") && !challenge(&nobody).contains("error"),
        "section 3.1"
    );
    let other = sts.send(&call().bearer(&sts.token_of("svc.actuator").await)).await;
    assert_eq!(other.error(), (403, "insufficient_scope"));
    assert!(challenge(&other).contains(r#"scope="rotate:keys""#));
    let narrowed =
        Call::token(&[("grant_type", "client_credentials"), ("scope", "revoke:tokens")]).basic("ops.admin");
    let narrowed = sts.send(&narrowed).await.text("access_token");
    assert_eq!(sts.send(&call().bearer(&narrowed)).await.error(), (403, "insufficient_scope"));
    for (label, call) in [
        ("a bad token", call().bearer("abc")),
        ("a token with a changed end", call().bearer(&(sts.token_of("ops.admin").await + "A"))),
    ] {
        let answer = sts.send(&call).await;
        assert_eq!(answer.error(), (401, "invalid_token"), "{label}");
        assert!(challenge(&answer).contains(r#"error="invalid_token""#), "{label}");
    }
    let token = sts.token_of("ops.admin").await;
    assert_eq!(sts.send(&call().query("access_token", &token)).await.status, 400, "in the url");
    assert_eq!(sts.send(&call().bearer(&token).bearer("x")).await.status, 400, "twice");
    let basic = sts.send(&call().basic("ops.admin")).await;
    assert_eq!(basic.status, 401, "a secret is no token");
    assert_eq!(sts.jwks().await.keys().len(), 2, "nothing was rotated");
    assert!(sts.codes().contains(&"permission-denied".to_owned()));
    sts.clock.advance(310_000);
    assert_eq!(sts.send(&call().bearer(&token)).await.error(), (401, "invalid_token"), "expired");
}

#[tokio::test]
async fn many_containers_that_start_at_once_make_one_set_of_keys() {
    use portcullis_base::ManualClock;
    use portcullis_local::memory::Tokens;
    use portcullis_local::{LocalSealer, RootKey};
    use portcullis_token::{Algorithm, KeeperSettings, KeyKeeper, SealedKeys};
    let tokens = Tokens::default();
    let clock = Arc::new(ManualClock::at(portcullis_base::Timestamp::UNIX_EPOCH));
    let settings = KeeperSettings::new(
        vec![Algorithm::Es256, Algorithm::EdDsa],
        Duration::from_secs(300),
        Duration::from_secs(86_400),
    );
    let keepers: Vec<_> = (0..12)
        .map(|_| {
            let keys = SealedKeys::new(tokens.clone(), LocalSealer::new(&RootKey::from_bytes([3; 32])));
            KeyKeeper::new(tokens.clone(), keys, clock.clone(), settings.clone())
        })
        .collect();
    let sets = futures_util::future::join_all(keepers.iter().map(|keeper| keeper.jwks())).await;
    let first = sets[0].as_ref().unwrap().to_json();
    assert!(sets.iter().all(|set| set.as_ref().unwrap().to_json() == first));
    assert_eq!(tokens.sealed_key_count(), 2, "the losers of the race left nothing behind");
}

/// A resource that caches the key set for as long as it may, and asks for nothing else.
struct Resource {
    keys: HashMap<String, Arc<Jwks>>,
    fetched: i64,
}

impl Resource {
    async fn takes(&mut self, sts: &Sts, token: &str) -> bool {
        let now = sts.now();
        if self.keys.is_empty() || now.as_second() - self.fetched >= 300 {
            self.keys = HashMap::from([(ISSUER.to_owned(), Arc::new(sts.jwks().await))]);
            self.fetched = now.as_second();
        }
        verifier(crate::support::AUDIENCE).verify(token, &self.keys, Default::default(), now).is_ok()
    }
}

/// 10 000 requests, ten at a time on several threads, while the keys rotate three times. Each token verifies at resources that
/// fetched the key set at different times and use it for all of its cache lifetime; no token verifies once its key has retired.
#[test]
fn ten_thousand_requests_while_keys_rotate_three_times() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let sts = Arc::new(sts_with(Options::default()).await);
        let mut resources: Vec<Resource> =
            (0..5).map(|_| Resource { keys: HashMap::new(), fetched: 0 }).collect();
        let mut seen = HashSet::new();
        let mut samples: Vec<String> = Vec::new();
        // 20 s between tens: 5.5 hours, in which the ring is rotated at three moments.
        for ten in 0..1_000_usize {
            let requests: Vec<_> = (0..10)
                .map(|_| {
                    let sts = Arc::clone(&sts);
                    tokio::spawn(
                        async move { sts.send(&Call::client_credentials().basic("svc.actuator")).await },
                    )
                })
                .collect();
            if [200, 450, 700].contains(&ten) {
                assert_eq!(rotate(&sts).await.body["changes"].as_array().unwrap().len(), 2);
            } else if ten % 50 == 0 {
                // The rotation function's schedule.
                sts.function.parts().keeper.advance().await.unwrap();
            }
            for (i, request) in requests.into_iter().enumerate() {
                let answer = request.await.unwrap();
                assert_eq!(answer.status, 200, "{ten}: {answer:?}");
                let token = answer.text("access_token");
                seen.insert(kid(&token));
                // Which of them it is changes, so that each fetches at other times.
                let resource = &mut resources[(ten + i) % 5];
                assert!(i > 1 || resource.takes(&sts, &token).await, "{ten} at {}", sts.now());
                if i == 0 && ten % 10 == 0 {
                    samples.push(token);
                }
            }
            sts.clock.advance(20_000);
        }
        assert_eq!(seen.len(), 4, "the first key and three successors signed");
        let set = sts.jwks().await;
        assert_eq!(set.keys().len(), 2, "all others are retired: {}", set.to_json());
        let retired = samples.iter().filter(|token| set.by_kid(&kid(token)).is_none()).count();
        assert!(retired > 60, "{retired}");
        for token in &samples {
            let good = set.by_kid(&kid(token)).is_some() && is_young(&sts, token);
            assert_eq!(sts.verify(token).await.is_ok(), good);
        }
        sts.function.parts().keeper.advance().await.unwrap();
        assert_eq!(sts.tokens.sealed_key_count(), 2, "private halves of retired keys are destroyed");
    });
}

fn is_young(sts: &Sts, token: &str) -> bool {
    let parsed = UnverifiedToken::parse(token).unwrap();
    sts.now().as_millisecond() < parsed.dangerous_unverified_claims().exp.millis() + 5_000
}

#[tokio::test]
async fn the_ring_that_cannot_be_read_signs_for_two_minutes_and_no_longer() {
    let sts = sts().await;
    sts.token_of("svc.actuator").await;
    sts.tokens.fail_next(1_000_000, portcullis_token::StoreError::Unavailable);
    let call = Call::client_credentials().basic("svc.actuator");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        sts.clock.advance(29_000);
        statuses.push(sts.send(&call).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 503]);
    assert_eq!(
        sts.send(&Call::new("GET", "/sts/jwks")).await.body["error"],
        Value::from("temporarily_unavailable")
    );
}
