//! Who saw whose data is on record before they see it.
#![cfg(test)]

mod support;

use portcullis_audit::AuditError;
use serde_json::{Value, json};
use support::{Bench, arrived, bench, message};

const READER: &str = "pii-reader";
const PHONE: &str = "5511987654321";

async fn stored(b: &Bench) {
    let body =
        message("c1", "wamid.HBgMNTUxMTk4NzY1NDMyMRUC", Some(PHONE), "meu cartão é 4111 1111 1111 1111");
    assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await.stored, 1);
}

fn last(b: &Bench) -> Value {
    b.audit.events().pop().unwrap()
}

#[tokio::test]
async fn what_is_shown_is_recorded_with_who_whose_and_how_much() {
    let b = bench();
    stored(&b).await;
    assert_eq!(b.audit.codes(), [""; 0], "what is sealed from the queue is not");

    b.json("auditor pii-reader", "GET", "/conversations/c1", "").await;
    let read = last(&b);
    for (pointer, expected) in [
        ("/metadata/event_code", json!("pii-read")),
        ("/metadata/correlation_uid", json!("r-1")),
        ("/actor/user/uid", json!("test")),
        ("/actor/user/groups", json!([{"name": "auditor"}, {"name": READER}])),
        ("/src_endpoint/ip", json!("192.0.2.9")),
        ("/api/operation", json!("GET /conversations/{id}")),
        ("/resources", json!([{"type": "conversation", "uid": "c1"}])),
        ("/unmapped/details", json!({"messages": "1", "access": "full"})),
        ("/status", json!("Success")),
    ] {
        assert_eq!(read.pointer(pointer), Some(&expected), "{pointer}: {read:#}");
    }

    b.json(READER, "POST", "/conversations/search", &json!({"subject": PHONE}).to_string()).await;
    let searched = last(&b);
    assert_eq!(searched["metadata"]["event_code"], "pii-searched");
    assert_eq!(searched["unmapped"]["details"]["found"], "1");

    let request =
        json!({"subject": PHONE, "record": "r1", "fields": {"name": "Ana Souza", "city": "Recife"}});
    let mut sealed = b.json(READER, "POST", "/pii/encrypt", &request.to_string()).await;
    let encrypted = last(&b);
    assert_eq!(encrypted["metadata"]["event_code"], "pii-encrypted");
    sealed["subject"] = PHONE.into();
    b.json(READER, "POST", "/pii/decrypt", &sealed.to_string()).await;
    let decrypted = last(&b);
    assert_eq!(decrypted["metadata"]["event_code"], "pii-decrypted");
    assert_eq!(decrypted["unmapped"]["details"], json!({"fields": "2", "access": "full"}));
    let subject = &searched["resources"][0];
    assert_eq!(subject["type"], "subject");
    for event in [&encrypted, &decrypted] {
        assert_eq!(&event["resources"][0], subject, "one person has one pseudonym");
    }
}

#[tokio::test]
async fn refusals_are_recorded_with_their_reason() {
    let b = bench();
    stored(&b).await;
    let request = json!({"subject": PHONE, "record": "r1", "fields": {"name": "Ana"}}).to_string();
    let mut moved = b.json(READER, "POST", "/pii/encrypt", &request).await;
    moved["subject"] = PHONE.into();
    moved["record"] = "r2".into();
    let moved = moved.to_string();
    let before = b.audit.codes().len();
    let cases = [
        (None, "GET", "/conversations/c1", "", 401, "unauthenticated", "GET /conversations/{id}"),
        (Some("nobody"), "GET", "/conversations/c1", "", 403, "forbidden", "GET /conversations/{id}"),
        (Some(""), "POST", "/pii/decrypt", &moved, 403, "forbidden", "POST /pii/decrypt"),
        (
            Some("nobody"),
            "POST",
            "/conversations/search",
            "{}",
            403,
            "forbidden",
            "POST /conversations/search",
        ),
        (Some(READER), "POST", "/pii/decrypt", &moved, 422, "cannot-decrypt", "POST /pii/decrypt"),
        (None, "GET", "/5511987654321", "", 401, "unauthenticated", "GET /{unknown}"),
    ];
    for (n, (roles, method, path, body, status, reason, operation)) in cases.into_iter().enumerate() {
        assert_eq!(b.request(roles, method, path, body).await.status, status, "{path}");
        assert_eq!(b.audit.codes().len(), before + n + 1, "{method} {path}");
        let event = last(&b);
        assert_eq!(event["metadata"]["event_code"], "pii-refused", "{path}");
        assert_eq!(
            (&event["status_detail"], &event["api"]["operation"]),
            (&json!(reason), &json!(operation))
        );
        let who = if roles.is_some() { "test" } else { "unknown" };
        assert_eq!(event["actor"]["user"]["uid"], who, "{path}");
    }
}

#[tokio::test]
async fn what_shows_nothing_is_not_recorded() {
    let b = bench();
    for (method, path, body, status) in [
        ("GET", "/conversations/none", "", 404),
        ("POST", "/pii/classify", r#"{"fields":{"a":"x"}}"#, 200),
        ("POST", "/pii/decrypt", "{", 400),
        ("DELETE", "/pii/encrypt", "", 405),
        ("GET", "/elsewhere", "", 404),
    ] {
        assert_eq!(b.request(Some(READER), method, path, body).await.status, status, "{path}");
    }
    assert_eq!(b.audit.codes(), [""; 0]);
}

#[tokio::test]
async fn without_a_record_nothing_is_shown() {
    let b = bench();
    stored(&b).await;
    let search = json!({"subject": PHONE}).to_string();
    let seal = json!({"subject": PHONE, "record": "r1", "fields": {"name": "Ana"}}).to_string();
    let mut sealed = b.json(READER, "POST", "/pii/encrypt", &seal).await;
    sealed["subject"] = PHONE.into();
    let sealed = sealed.to_string();
    for failure in [AuditError::Unavailable, AuditError::Refused] {
        b.audit.fail_with(Some(failure));
        for (roles, method, path, body) in [
            (READER, "GET", "/conversations/c1", ""),
            (READER, "POST", "/conversations/search", &search),
            (READER, "POST", "/pii/encrypt", &seal),
            (READER, "POST", "/pii/decrypt", &sealed),
            ("nobody", "POST", "/pii/decrypt", &sealed),
        ] {
            let answer = b.request(Some(roles), method, path, body).await;
            assert_eq!(answer.status, 503, "{method} {path} {failure:?}");
            assert!(answer.body.contains("urn:portcullis:problem:unavailable"), "{}", answer.body);
        }
        assert_eq!(b.request(Some(READER), "POST", "/pii/classify", r#"{"fields":{}}"#).await.status, 200);
    }
    b.audit.fail_with(None);
    b.json(READER, "GET", "/conversations/c1", "").await;
    let caller = support::caller(READER);
    assert_eq!(b.function.decrypt(&caller, sealed.as_bytes()).await.status, 200);
    b.audit.fail_with(Some(AuditError::Unavailable));
    assert_eq!(b.function.decrypt(&caller, sealed.as_bytes()).await.status, 503, "nor past HTTP");
}

#[tokio::test]
async fn records_hold_no_personal_data() {
    let b = bench();
    stored(&b).await;
    let seal = json!({"subject": PHONE, "record": format!("r-{PHONE}"), "fields": {"name": "Ana Souza", "tel-11987654321": "x"}});
    let mut sealed = b.json(READER, "POST", "/pii/encrypt", &seal.to_string()).await;
    sealed["subject"] = PHONE.into();
    b.json(READER, "POST", "/pii/decrypt", &sealed.to_string()).await;
    b.json(READER, "GET", "/conversations/c1", "").await;
    b.json(READER, "POST", "/conversations/search", &json!({"subject": PHONE}).to_string()).await;
    b.request(Some("nobody"), "GET", &format!("/conversations/{PHONE}"), "").await;
    let records: String = b.audit.records().iter().map(|record| record.body().to_owned()).collect();
    assert_eq!(b.audit.codes().len(), 5);
    for personal in ["98765", "4111", "Ana", "Souza", "wamid", "cart"] {
        assert!(!records.contains(personal), "{personal}: {records}");
    }
}
