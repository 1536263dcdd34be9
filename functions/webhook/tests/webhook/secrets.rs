//! Rotation of the app secret, and a backend that is gone.

use std::sync::atomic::Ordering;

use portcullis_secrets::SecretError;
use portcullis_webhook::{Lane, sign};
use serde_json::json;

use crate::support::{APP_SECRET, PREVIOUS, TOKEN, bench, bench_of, get, one, post, post_with, secret_json};

#[tokio::test]
async fn a_secret_rotated_a_moment_ago_loses_no_message() {
    let bench = bench();
    let body = one("ola");
    assert_eq!(bench.status(&post(&body)).await, 200);
    *bench.secret.0.lock().unwrap() =
        Ok((secret_json("newest", "newest-token"), Some(secret_json(APP_SECRET, TOKEN))));
    bench.clock.advance(20_000);
    let newest = post_with(&body, &[("X-Hub-Signature-256", &sign(body.as_bytes(), b"newest"))]);
    assert_eq!(bench.status(&newest).await, 200, "read again at once");
    assert_eq!(bench.status(&post(&body)).await, 200, "the one before stays valid");
    let shake =
        get(&[("hub.mode", "subscribe"), ("hub.verify_token", "newest-token"), ("hub.challenge", "1")]);
    assert_eq!(bench.status(&shake).await, 200);
}

/// Backends keep the version before until the next rotation: whoever knows a leaked secret would sign as long.
#[tokio::test]
async fn what_was_signed_with_the_previous_secret_is_counted_and_taken_for_a_day() {
    const DAY: i64 = 86_400_000;
    let bench = bench();
    let body = one("ola");
    let signed = |secret: &str| {
        post_with(&body, &[("X-Hub-Signature-256", &sign(body.as_bytes(), secret.as_bytes()))])
    };
    let shake =
        |token| get(&[("hub.mode", "subscribe"), ("hub.verify_token", token), ("hub.challenge", "1")]);
    for (wait, taken) in [(0, true), (DAY - 1, true), (1_000, false), (30 * DAY, false)] {
        bench.clock.advance(wait);
        assert_eq!(bench.status(&signed(PREVIOUS)).await == 200, taken, "{wait}");
        assert_eq!(bench.status(&shake("previous-token")).await == 200, taken, "{wait}");
        assert_eq!(bench.status(&signed(APP_SECRET)).await, 200, "{wait}");
        assert_eq!(bench.status(&shake(TOKEN)).await, 200, "{wait}");
    }
    let counted = bench.metrics.lock().unwrap().iter().filter(|l| l.contains("SignedWithPrevious")).count();
    assert_eq!(counted, 2);
    *bench.secret.0.lock().unwrap() = Ok((secret_json(APP_SECRET, TOKEN), Some(secret_json("older", "t"))));
    bench.clock.advance(DAY);
    assert_eq!(bench.status(&signed("older")).await, 401, "a value that is read later has no day of its own");
}

#[tokio::test]
async fn a_handshake_with_a_token_rotated_a_moment_ago_succeeds() {
    let bench = bench();
    assert_eq!(bench.status(&post(&one("ola"))).await, 200);
    *bench.secret.0.lock().unwrap() = Ok((secret_json("newest", "newest-token"), None));
    bench.clock.advance(20_000);
    let shake =
        get(&[("hub.mode", "subscribe"), ("hub.verify_token", "newest-token"), ("hub.challenge", "1")]);
    assert_eq!(bench.status(&shake).await, 200);
}

#[tokio::test]
async fn forged_requests_do_not_drive_the_backend() {
    let bench = bench();
    let forged = post_with("{}", &[("X-Hub-Signature-256", &sign(b"{}", b"guess"))]);
    for _ in 0..500 {
        assert_eq!(bench.status(&forged).await, 401);
    }
    assert!(bench.secret.1.load(Ordering::SeqCst) <= 2, "one read, one refresh");
    bench.clock.advance(10_001);
    for _ in 0..500 {
        assert_eq!(bench.status(&forged).await, 401);
    }
    assert!(bench.secret.1.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn malformed_signatures_are_refused_without_asking_again() {
    let bench = bench();
    for _ in 0..3 {
        assert_eq!(bench.status(&post_with("{}", &[("X-Hub-Signature-256", "sha256=x")])).await, 401);
        assert_eq!(bench.status(&post_with("{}", &[])).await, 401);
        bench.clock.advance(11_000);
    }
    assert_eq!(bench.secret.1.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_a_secret_meta_is_asked_to_try_again() {
    let good = secret_json(APP_SECRET, TOKEN);
    for (label, secret) in [
        ("unavailable", Err(SecretError::Unavailable)),
        ("denied", Err(SecretError::Denied)),
        ("gone", Err(SecretError::NotFound)),
        ("not JSON", Ok(("hunter2".to_owned(), None))),
        (
            "short key",
            Ok((r#"{"app_secret":"a","verify_token":"t","conversation_key":"k"}"#.to_owned(), None)),
        ),
        ("empty app secret", Ok((secret_json("", TOKEN), None))),
    ] {
        let bench = bench_of(good.clone(), None, |_| {});
        *bench.secret.0.lock().unwrap() = secret;
        let answer = bench.invoke(&serde_json::to_vec(&post(&one("ola"))).unwrap()).await;
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["Retry-After"]),
            (&json!(503), &json!("5")),
            "{label}"
        );
        assert!(!answer.to_string().contains("hunter2"));
        assert!(bench.queue.sent(Lane::Text).is_empty());
    }
}

#[tokio::test]
async fn secrets_are_parsed_once_and_asked_for_once_a_second() {
    let bench = bench();
    for _ in 0..10 {
        assert_eq!(bench.status(&post(&one("ola"))).await, 200);
        bench.clock.advance(500);
    }
    assert_eq!(bench.secret.1.load(Ordering::SeqCst), 1, "the cache holds it for its time to live");
    bench.clock.advance(301_000);
    assert_eq!(bench.status(&post(&one("ola"))).await, 200);
    assert_eq!(bench.secret.1.load(Ordering::SeqCst), 2);
}
