//! The PII endpoints: what each caller gets for each request.
#![cfg(test)]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Bench, bench};

const READER: &str = "pii-reader";

async fn sealed(b: &Bench, subject: &str, record: &str, fields: Value) -> Value {
    let body = json!({"subject": subject, "record": record, "fields": fields}).to_string();
    b.json(READER, "POST", "/pii/encrypt", &body).await
}

fn opening(subject: &str, sealed: &Value) -> Value {
    let mut request = sealed.clone();
    request["subject"] = subject.into();
    request
}

#[tokio::test]
async fn what_was_encrypted_is_decrypted() {
    let b = bench();
    let fields = json!({"name": "Ana \"Aninha\" Souza", "note": "café\n\u{1F600}", "empty": ""});
    let answer = sealed(&b, "+55 11 98765-4321", "r1", fields.clone()).await;
    assert_eq!(answer["record"], "r1");
    assert!(!answer.to_string().contains("Ana"));
    let opened = b.json(READER, "POST", "/pii/decrypt", &opening("5511987654321", &answer).to_string()).await;
    assert_eq!(
        opened,
        json!({"record": "r1", "fields": fields}),
        "one number, however it is spelled, is one subject"
    );
}

#[tokio::test]
async fn a_ciphertext_opens_only_where_it_belongs() {
    let b = bench();
    let answer = sealed(&b, "s1", "r1", json!({"a": "one", "b": "two"})).await;
    let other = sealed(&b, "s1", "r2", json!({"a": "three"})).await;
    sealed(&b, "s2", "r1", json!({"a": "x"})).await;
    let good = opening("s1", &answer);
    type Mutation = fn(&mut Value, &Value);
    let mutations: [(&str, Mutation, u16); 8] = [
        ("unchanged", |_, _| {}, 200),
        ("another subject", |r, _| r["subject"] = "s2".into(), 422),
        ("a subject without a key", |r, _| r["subject"] = "s9".into(), 410),
        ("another record", |r, _| r["record"] = "r2".into(), 422),
        ("another purpose", |r, _| r["purpose"] = "media".into(), 410),
        ("fields exchanged", |r, _| r["fields"] = json!({"a": r["fields"]["b"], "b": r["fields"]["a"]}), 422),
        ("a field of another record", |r, o| r["fields"]["a"] = o["fields"]["a"].clone(), 422),
        ("the header of another record", |r, o| r["header"] = o["header"].clone(), 422),
    ];
    for (label, mutate, status) in mutations {
        let mut request = good.clone();
        mutate(&mut request, &other);
        let answer = b.request(Some(READER), "POST", "/pii/decrypt", &request.to_string()).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
    }
}

#[tokio::test]
async fn bad_requests_are_answered_with_problem_details_that_repeat_nothing() {
    let b = bench();
    let long = "x".repeat(1024 * 1024);
    let encrypt = |body: &str| ("POST", "/pii/encrypt", body.to_owned());
    let decrypt = |body: &str| ("POST", "/pii/decrypt", body.to_owned());
    let cases = [
        ("empty body", encrypt(""), 400),
        ("not json", encrypt("{"), 400),
        ("an array", encrypt("[]"), 400),
        ("no subject", encrypt(r#"{"record":"r","fields":{}}"#), 400),
        ("no record", encrypt(r#"{"subject":"s","fields":{}}"#), 400),
        ("no fields", encrypt(r#"{"subject":"s","record":"r"}"#), 400),
        ("an unknown member", encrypt(r#"{"subject":"s","record":"r","fields":{},"key":"x"}"#), 400),
        ("a number for a field", encrypt(r#"{"subject":"s","record":"r","fields":{"a":1}}"#), 400),
        ("a repeated field", encrypt(r#"{"subject":"s","record":"r","fields":{"a":"1","a":"2"}}"#), 400),
        ("a repeated subject", encrypt(r#"{"subject":"s","subject":"t","record":"r","fields":{}}"#), 400),
        ("an empty record name", encrypt(r#"{"subject":"s","record":"","fields":{"a":"1"}}"#), 400),
        ("an empty field name", encrypt(r#"{"subject":"s","record":"r","fields":{"":"1"}}"#), 400),
        ("an unknown purpose", encrypt(r#"{"subject":"s","record":"r","purpose":"x","fields":{}}"#), 400),
        ("trailing text", encrypt(r#"{"subject":"s","record":"r","fields":{}} x"#), 400),
        (
            "a body over 1 MiB",
            encrypt(&format!(r#"{{"subject":"s","record":"r","fields":{{"a":"{long}"}}}}"#)),
            413,
        ),
        (
            "a record name of 2000 bytes",
            encrypt(&json!({"subject":"s","record":"r".repeat(2000),"fields":{"a":"1"}}).to_string()),
            400,
        ),
        ("decrypt: no header", decrypt(r#"{"subject":"s","record":"r","fields":{}}"#), 400),
        (
            "decrypt: header no base64",
            decrypt(r#"{"subject":"s","record":"r","header":"***","fields":{}}"#),
            400,
        ),
        (
            "decrypt: a subject without a key",
            decrypt(r#"{"subject":"s9","record":"r","header":"AAAA","fields":{}}"#),
            410,
        ),
        ("classify: no fields", ("POST", "/pii/classify", "{}".to_owned()), 400),
        ("search: no subject", ("POST", "/conversations/search", "{}".to_owned()), 400),
        ("wrong method", ("GET", "/pii/encrypt", String::new()), 405),
        ("wrong method on a conversation", ("POST", "/conversations/c1", String::new()), 405),
        ("unknown path", ("POST", "/pii/unknown", String::new()), 404),
        ("root", ("GET", "/", String::new()), 404),
        ("unknown conversation", ("GET", "/conversations/c404", String::new()), 404),
        ("empty conversation id", ("GET", "/conversations/", String::new()), 404),
        ("conversation id with a slash", ("GET", "/conversations/a/b", String::new()), 404),
        ("conversation id of 129 characters", ("GET", "/conversations/", "c".repeat(129)), 404),
        ("a limit of 0", ("GET", "/conversations/c1?limit=0", String::new()), 400),
        ("a limit over 200", ("GET", "/conversations/c1?limit=201", String::new()), 400),
        ("a limit that is no number", ("GET", "/conversations/c1?limit=x", String::new()), 400),
        ("a position that is none", ("GET", "/conversations/c1?after=abc", String::new()), 400),
    ];
    for (label, (method, target, body), status) in cases {
        let target = if label.contains("129") { format!("{target}{body}") } else { target.to_owned() };
        let answer = b.request(Some(READER), method, &target, &body).await;
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["status"], status, "{label}");
        assert!(problem["type"].as_str().unwrap().starts_with("urn:portcullis:problem:"), "{label}");
        assert!(answer.body.len() < 256, "{label}: the answer repeats the request");
        assert!(answer.headers.contains(&("Content-Type", "application/problem+json".into())), "{label}");
    }
    assert!(b.records.all().is_empty());
}

#[tokio::test]
async fn nobody_known_is_answered_with_401_everywhere() {
    let b = bench();
    for (method, path) in [
        ("POST", "/pii/encrypt"),
        ("POST", "/pii/decrypt"),
        ("POST", "/pii/classify"),
        ("POST", "/conversations/search"),
        ("GET", "/conversations/c1"),
        ("GET", "/nowhere"),
    ] {
        assert_eq!(b.request(None, method, path, "{}").await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_role_sees_of_a_field_what_its_class_allows() {
    let b = bench();
    let fields = json!({"user_phone": "+5511987654321", "product_info": "blue shirt"});
    let answer = sealed(&b, "s1", "r1", fields).await;
    let request = opening("s1", &answer).to_string();
    let full = b.json(READER, "POST", "/pii/decrypt", &request).await;
    assert_eq!(full["fields"]["user_phone"], "+5511987654321");
    let masked = b.json("auditor", "POST", "/pii/decrypt", &request).await;
    let phone = masked["fields"]["user_phone"].as_str().unwrap();
    assert!(phone.ends_with("4321") && !phone.contains("98765"), "{phone}");
    for roles in ["", "svc.analyst", "no-such-role"] {
        assert_eq!(b.request(Some(roles), "POST", "/pii/decrypt", &request).await.status, 403, "{roles:?}");
    }
}

#[tokio::test]
async fn who_may_read_nothing_does_not_learn_whose_key_exists() {
    let b = bench();
    let answer = sealed(&b, "s1", "r1", json!({"a": "one"})).await;
    for subject in ["s1", "s-unknown"] {
        let request = opening(subject, &answer).to_string();
        assert_eq!(
            b.request(Some("svc.analyst"), "POST", "/pii/decrypt", &request).await.status,
            403,
            "{subject}"
        );
    }
}

#[tokio::test]
async fn classification_says_what_was_found_and_what_follows() {
    let b = bench();
    let body =
        json!({"fields": {"note": "my card is 4111 1111 1111 1111", "product_info": "blue"}}).to_string();
    let answer = b.json(READER, "POST", "/pii/classify", &body).await;
    assert_eq!(answer["class"], "SENSITIVE");
    assert_eq!((&answer["pii_detected"], &answer["retention_days"]), (&json!(true), &json!(7)));
    let hit = &answer["hits"]["note"][0];
    assert_eq!((&hit["kind"], &hit["start"], &hit["end"]), (&json!("card"), &json!(11), &json!(30)));
    assert_eq!(answer["hits"]["product_info"], json!([]));
    assert!(answer["readers"].as_array().unwrap().contains(&json!("pii-reader")));
    assert!(!answer.to_string().contains("4111"), "the text is not repeated");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_comes_back_as_it_was(
        subject in "\\PC{1,40}",
        record in "\\PC{1,40}",
        fields in proptest::collection::btree_map("\\PC{1,20}", ".{0,200}", 0..8),
    ) {
        let back = runtime().block_on(async {
            let b = bench();
            let answer = sealed(&b, &subject, &record, json!(fields)).await;
            b.json(READER, "POST", "/pii/decrypt", &opening(&subject, &answer).to_string()).await
        });
        prop_assert_eq!(back["fields"].clone(), json!(fields));
    }

    #[test]
    fn no_body_makes_an_endpoint_fail_other_than_in_words(body in ".{0,300}") {
        runtime().block_on(async {
            let b = bench();
            for path in ["/pii/encrypt", "/pii/decrypt", "/pii/classify", "/conversations/search"] {
                let status = b.request(Some(READER), "POST", path, &body).await.status;
                assert!((200..500).contains(&status), "{path}: {status}");
            }
        });
    }
}
