//! Reading conversations back: who sees what.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::{Bench, arrived, bench, message};

const PHONE: &str = "5511987654321";

async fn store(b: &Bench, conversation: &str, n: usize, text: &str) {
    let body = message(conversation, &format!("wamid.{n}"), Some(PHONE), text);
    let sequence = n.to_string();
    assert_eq!(b.function.consume(&[arrived(conversation, &sequence, &body)]).await.stored, 1);
}

fn texts(page: &Value) -> Vec<String> {
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|m| m["item"]["text"]["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_conversation_comes_back_in_the_order_of_its_queue() {
    let b = bench();
    for n in [1, 2, 9, 10, 11, 100] {
        store(&b, "c1", n, &format!("m{n}")).await;
    }
    store(&b, "c2", 5, "elsewhere").await;
    let page = b.json("pii-reader", "GET", "/conversations/c1", "").await;
    assert_eq!(texts(&page), ["m1", "m2", "m9", "m10", "m11", "m100"]);
    assert_eq!(page["next"], Value::Null);
    let first = &page["messages"][0];
    assert_eq!(first["access"], "full");
    assert_eq!((&first["id"], &first["subject"]), (&json!("wamid.1"), &json!(PHONE)));
    assert_eq!(first["contact"]["profile"]["name"], "Ana Souza");
    assert_eq!(first["origin"]["phone_number_id"], "2");
    assert_eq!(first["received_at"], "2025-06-15T15:06:40Z");
}

#[tokio::test]
async fn pages_hold_every_message_once() {
    let b = bench();
    for n in 0..25 {
        store(&b, "c1", n, &format!("m{n}")).await;
    }
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let target = format!("/conversations/c1?limit=10{after}");
        let page = b.json("pii-reader", "GET", &target, "").await;
        all.extend(texts(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(all, (0..25).map(|n| format!("m{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_role_reads_whole_masked_or_not_at_all() {
    let b = bench();
    store(&b, "c1", 1, "my card is 4111 1111 1111 1111").await;
    let full = b.json("pii-reader", "GET", "/conversations/c1", "").await;
    assert_eq!(full["messages"][0]["access"], "full");
    let masked = b.json("auditor", "GET", "/conversations/c1", "").await;
    assert_eq!(masked["messages"][0]["access"], "masked");
    let text = masked.to_string();
    for secret in [PHONE, "4111 1111", "Ana Souza", "wamid.1"] {
        assert!(!text.contains(secret), "{secret} is shown to a masked role: {text}");
    }
    assert!(text.contains("1111"), "the last four digits are shown: {text}");
    for roles in ["", "svc.analyst", "svc.actuator", "no-such-role"] {
        for (method, target, body) in [
            ("GET", "/conversations/c1", ""),
            ("GET", "/conversations/c404", ""),
            ("POST", "/conversations/search", "{}"),
        ] {
            assert_eq!(b.request(Some(roles), method, target, body).await.status, 403, "{roles:?} {target}");
        }
    }
}

#[tokio::test]
async fn a_masked_role_sees_no_place_no_name_and_no_number_that_only_its_member_says_is_personal() {
    let b = bench();
    let item = json!({"id": "wamid.9", "from": PHONE, "type": "contacts", "contacts": [{
        "name": {"formatted_name": "Bruno Lima"}, "phones": [{"phone": "98765 4321"}], "type": "Rua Augusta 100"}],
        "location": {"latitude": -23.5614, "longitude": -46.6559, "address": "Avenida Paulista 1578"}});
    let body = message("c1", "wamid.9", Some(PHONE), "@").replace(
        &json!({"id": "wamid.9", "from": PHONE, "type": "text", "text": {"body": "@"}}).to_string(),
        &item.to_string(),
    );
    assert!(body.contains("Paulista"), "the item was put in");
    assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await.stored, 1);
    assert_eq!(b.records.all()[0].class, "PII", "members named for personal data make the record personal");
    let masked = b.json("auditor", "GET", "/conversations/c1", "").await.to_string();
    for secret in ["Bruno", "Augusta", "Paulista", "23.56", "46.65", "98765", PHONE] {
        assert!(!masked.contains(secret), "{secret} is shown to a masked role: {masked}");
    }
}

#[tokio::test]
async fn a_class_changed_in_the_table_opens_nothing() {
    use portcullis_pii::Records;

    let b = bench();
    store(&b, "c1", 1, "oi").await;
    let mut changed = b.records.all().remove(0);
    changed.class = "PUBLIC".to_owned();
    changed.item = "another".to_owned();
    b.records.put_if_absent(&changed).await.unwrap();
    for roles in ["svc.analyst", "security-admin"] {
        assert_eq!(b.request(Some(roles), "GET", "/conversations/c1", "").await.status, 403, "{roles}");
    }
}

#[tokio::test]
async fn a_number_is_found_however_it_is_spelled() {
    let b = bench();
    store(&b, "c1", 1, "oi").await;
    store(&b, "c2", 2, "oi").await;
    for spelled in ["+55 11 98765-4321", "5511987654321", "+55 (11) 98765-4321"] {
        let found = b
            .json("pii-reader", "POST", "/conversations/search", &json!({"subject": spelled}).to_string())
            .await;
        assert_eq!(found, json!({"conversations": ["c1", "c2"]}), "{spelled}");
    }
    let none = b.json("pii-reader", "POST", "/conversations/search", r#"{"subject":"+5511900000000"}"#).await;
    assert_eq!(none, json!({"conversations": []}));
}

#[tokio::test]
async fn a_record_moved_to_another_conversation_does_not_open() {
    use portcullis_pii::Records;

    let b = bench();
    store(&b, "c1", 1, "oi").await;
    let mut moved = b.records.all().remove(0);
    moved.conversation = "c2".to_owned();
    b.records.put_if_absent(&moved).await.unwrap();
    let answer = b.request(Some("pii-reader"), "GET", "/conversations/c2", "").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("oi"));
}
