//! Refusals are on record before they are told; accepted batches leave no record.

use portcullis_audit::AuditError;
use serde_json::{Value, json};

use crate::support::{TOKEN, bench, bench_with, get, one, post, post_with};

fn wrong() -> Value {
    let digits = "0".repeat(64);
    let mut event = post_with(&one("ola"), &[("X-Hub-Signature-256", &format!("sha256={digits}"))]);
    event["requestContext"]["requestId"] = "r-1".into();
    event
}

#[tokio::test]
async fn refusals_are_recorded_and_what_is_accepted_is_not() {
    let b = bench();
    assert_eq!(b.status(&post(&one("ola"))).await, 200);
    let accepted = get(&[("hub.mode", "subscribe"), ("hub.verify_token", TOKEN), ("hub.challenge", "7")]);
    assert_eq!(b.status(&accepted).await, 200);
    assert_eq!(b.audit.codes(), [""; 0]);

    assert_eq!(b.status(&wrong()).await, 401);
    assert_eq!(b.status(&post_with(&one("ola"), &[])).await, 401);
    let refused = get(&[("hub.mode", "subscribe"), ("hub.verify_token", "guess"), ("hub.challenge", "7")]);
    assert_eq!(b.status(&refused).await, 403);
    assert_eq!(b.audit.codes(), ["webhook-refused", "webhook-refused", "handshake-refused"]);
    let event = b.audit.events().remove(0);
    for (pointer, expected) in [
        ("/class_uid", json!(3002)),
        ("/status", json!("Failure")),
        ("/user/uid", json!("meta")),
        ("/src_endpoint/ip", json!("192.0.2.1")),
        ("/metadata/correlation_uid", json!("r-1")),
        ("/http_request/url/path", json!("/webhook")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&expected), "{pointer}: {event:#}");
    }
    let reasons: Vec<_> = b.audit.events().iter().map(|e| e["status_detail"].clone()).collect();
    assert_eq!(reasons.len(), 3);
    assert_ne!(reasons[0], reasons[1], "missing is not wrong");
    let records: String = b.audit.records().iter().map(|record| record.body().to_owned()).collect();
    for secret in ["guess", TOKEN, "ola", "00000000000000"] {
        assert!(!records.contains(secret), "{secret}: {records}");
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_recorded() {
    let b = bench_with(|settings| settings.client_cn = Some("client.webhooks.fbclientcerts.com".to_owned()));
    assert_eq!(b.status(&post(&one("ola"))).await, 403);
    assert_eq!(b.audit.codes(), ["certificate-refused"]);
}

#[tokio::test]
async fn a_flood_is_recorded_once_a_minute_and_counted() {
    let b = bench();
    for _ in 0..100 {
        assert_eq!(b.status(&wrong()).await, 401);
    }
    assert_eq!(b.audit.codes(), ["webhook-refused"]);
    b.clock.advance(60_000);
    assert_eq!(b.status(&wrong()).await, 401);
    assert_eq!(b.audit.events()[1]["unmapped"]["details"]["unrecorded"], "99");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_told_and_what_is_accepted_goes_on() {
    let b = bench();
    b.audit.fail_with(Some(AuditError::Unavailable));
    for _ in 0..2 {
        assert_eq!(b.status(&wrong()).await, 503, "each is tried again");
    }
    assert_eq!(b.status(&post(&one("ola"))).await, 200);
    b.audit.fail_with(None);
    assert_eq!(b.status(&wrong()).await, 401);
    assert_eq!(b.audit.codes(), ["webhook-refused"]);
}
