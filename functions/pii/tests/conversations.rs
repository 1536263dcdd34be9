//! Reading conversations back: who sees what.
#![cfg(test)]

mod support;

use portcullis_base::Clock;
use serde_json::{Value, json};
use support::{Bench, NOW, arrived, bench, message};

const PHONE: &str = "5511987654321";

/// Received when it is consumed.
async fn store(b: &Bench, conversation: &str, n: usize, text: &str) {
    let now = b.clock.now().as_millisecond();
    let body = message(conversation, &format!("wamid.{n}"), Some(PHONE), text);
    let body = body.replace(&NOW.to_string(), &now.to_string());
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
async fn what_is_still_there_a_week_after_its_retention_is_counted() {
    const DAY: i64 = 86_400_000;
    let b = bench();
    store(&b, "c1", 1, "oi").await;
    // Seven days, and seven within which the table deletes.
    for (days, expected) in [(0, 0), (14, 0), (1, 1)] {
        b.clock.advance(days * DAY);
        b.request(Some("pii-reader"), "GET", "/conversations/c1", "").await;
        assert_eq!(b.metric("RetentionViolations", "").len(), expected, "{days} days later");
    }
}

/// The table in memory deletes nothing, as DynamoDB does for days.
#[tokio::test]
async fn what_is_past_its_retention_is_not_shown_though_it_is_still_there() {
    const DAY: i64 = 86_400_000;
    let b = bench();
    store(&b, "c1", 1, "oi").await;
    b.clock.advance(7 * DAY - 1_000);
    assert_eq!(texts(&b.json("pii-reader", "GET", "/conversations/c1", "").await), ["oi"]);
    b.clock.advance(1_000);
    assert_eq!(b.request(Some("pii-reader"), "GET", "/conversations/c1", "").await.status, 404);
    assert_eq!(b.records.all().len(), 1);
}

#[tokio::test]
async fn a_page_is_never_longer_than_lambda_answers() {
    let b = bench();
    // Each takes twice its length in Lambda's answer: a quote is `\\\"` there.
    for (n, length) in [(1, 10), (2, 1_100_000), (3, 1_100_000), (4, 1_100_000), (5, 1_500_000), (6, 10)] {
        store(&b, "c1", n, &"\"".repeat(length / 2)).await;
    }
    let (mut lengths, mut after) = (Vec::new(), String::new());
    loop {
        let answer = b.request(Some("pii-reader"), "GET", &format!("/conversations/c1{after}"), "").await;
        assert_eq!(answer.status, 200);
        let page: Value = serde_json::from_str(&answer.body).unwrap();
        lengths.push(texts(&page).iter().map(String::len).collect::<Vec<_>>());
        assert!(answer.to_json().len() <= 6 * 1024 * 1024);
        let Some(next) = page["next"].as_str() else { break };
        after = format!("?after={next}");
    }
    assert_eq!(lengths, [[5, 550_000, 550_000], [550_000, 750_000, 5]]);
}

/// A part of a history of 3 MB is `****` for a masked role: that it takes no room in the answer must not make a page of
/// hundreds of them.
#[tokio::test]
async fn a_page_opens_a_bounded_number_of_bytes_however_little_it_shows() {
    let b = bench();
    let usual = json!({"id": "wamid.9", "from": PHONE, "type": "text", "text": {"body": "@"}}).to_string();
    // `sha256` is no text that a detector reads.
    let item = json!({"sha256": "x".repeat(3_000_000)}).to_string();
    for n in 1..=12 {
        let body = message("c1", "wamid.9", Some(PHONE), "@").replace(&usual, &item);
        let body = body.replace(r#""dedup_id":"wamid.9""#, &format!(r#""dedup_id":"{n}""#));
        assert_eq!(b.function.consume(&[arrived("c1", &n.to_string(), &body)]).await.stored, 1);
    }
    let (mut lengths, mut after) = (Vec::new(), String::new());
    loop {
        let page = b.json("auditor", "GET", &format!("/conversations/c1?limit=200{after}"), "").await;
        assert!(accesses(&page).iter().all(|access| *access == "masked"));
        lengths.push(accesses(&page).len());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(lengths, [5, 5, 2], "16 MiB a page");
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

/// Of a person's first records nobody can say whether an older key sealed them; they are on record all the same.
#[tokio::test]
async fn a_record_moved_to_another_conversation_does_not_open_and_is_on_record() {
    use portcullis_pii::Records;

    for (case, key_made_ms, waited_ms, word, reason) in [
        ("the first of the person, after its queue", 0, 700, "erased", "key-replaced"),
        ("within a minute of the key", -59_999, 0, "erased", "key-replaced"),
        ("a minute after the key", -60_000, 0, "unreadable", "cannot-decrypt"),
        ("after its queue, days after the key", -86_400_000, 700, "unreadable", "cannot-decrypt"),
    ] {
        let b = bench();
        if key_made_ms < 0 {
            store(&b, "c0", 0, "antes").await;
            b.clock.advance(-key_made_ms);
        }
        let received = NOW - key_made_ms;
        let body = message("c1", "wamid.1", Some(PHONE), "secreto");
        let body = body.replace(&NOW.to_string(), &received.to_string());
        b.clock.advance(waited_ms);
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await.stored, 1);
        b.clock.advance(1);
        store(&b, "c2", 2, "inteiro").await;
        let mut moved = b.records.all().into_iter().find(|record| record.conversation == "c1").unwrap();
        moved.conversation = "c2".to_owned();
        b.records.put_if_absent(&moved).await.unwrap();
        for (roles, whole) in [("pii-reader", "full"), ("auditor", "masked")] {
            let page = b.json(roles, "GET", "/conversations/c2", "").await;
            assert_eq!(accesses(&page), [word, whole], "{case}: the other message of the page is shown");
            assert!(page["messages"][0].get("item").is_none() && !page.to_string().contains("secreto"));
            let events = b.audit.events();
            let [.., read, refused] = &*events else { panic!("two events") };
            assert_eq!(read["metadata"]["event_code"], "pii-read");
            assert_eq!(refused["metadata"]["event_code"], "pii-refused", "{case}");
            assert_eq!(refused["status_detail"], reason, "{case}");
            assert_eq!(refused["resources"], json!([{"type": "conversation", "uid": "c2"}]));
            assert_eq!(refused["unmapped"]["details"], json!({"messages": "1", "items": moved.item}));
        }
    }
}

/// A container that had the key cached sealed after the erasure, and another one had made the fresh key before.
#[tokio::test]
async fn what_an_erasure_leaves_in_its_first_minute_is_no_tampering() {
    let b = bench();
    store(&b, "c1", 1, "antes").await;
    b.clock.advance(61_000);
    b.keys.destroy_subjects();
    store(&b, "c2", 2, "fresh key").await;
    b.clock.advance(59_999);
    let mut late = b.records.all().into_iter().find(|record| record.conversation == "c1").unwrap();
    late.received_at = b.clock.now().as_millisecond();
    late.conversation = "c3".to_owned();
    portcullis_pii::Records::put_if_absent(&b.records, &late).await.unwrap();
    let page = b.json("pii-reader", "GET", "/conversations/c3", "").await;
    assert_eq!(accesses(&page), ["erased"]);
    assert_eq!(b.audit.events().pop().unwrap()["status_detail"], "key-replaced");
}

/// The keys of a subject are destroyed; what the same person writes later is under a fresh key, and is read.
#[tokio::test]
async fn who_writes_again_after_an_erasure_is_read_and_what_was_erased_is_not() {
    let b = bench();
    store(&b, "c1", 1, "antes").await;
    b.keys.destroy_subjects();
    b.clock.advance(61_000);
    let page = b.json("pii-reader", "GET", "/conversations/c1", "").await;
    assert_eq!(accesses(&page), ["erased"]);
    assert_eq!(b.audit.codes(), ["pii-read"], "nobody tampered");
    let later = message("c1", "wamid.2", Some(PHONE), "depois")
        .replace(&NOW.to_string(), &(NOW + 61_000).to_string());
    assert_eq!(b.function.consume(&[arrived("c1", "2", &later)]).await.stored, 1);
    for (roles, whole) in [("pii-reader", "full"), ("auditor", "masked")] {
        let page = b.json(roles, "GET", "/conversations/c1", "").await;
        assert_eq!(accesses(&page), ["erased", whole]);
        assert_eq!(page["messages"][1]["item"]["text"]["body"], "depois");
    }
    let events = b.audit.events();
    let [.., read, refused] = &*events else { panic!("two events") };
    assert_eq!(read["unmapped"]["details"], json!({"messages": "2", "access": "masked", "erased": "1"}));
    assert_eq!(refused["status_detail"], "key-replaced", "which of the two it is, nobody can say");
}

/// Half of a surrogate pair, nesting without end, a number over every type: valid JSON, validly signed.
#[tokio::test]
async fn what_no_parser_takes_apart_is_given_back_all_the_same() {
    let deep = format!("{}\"fundo 4111 1111 1111 1111\"{}", "[".repeat(200), "]".repeat(200));
    let cut = json!({"type": "text", "text": {"body": "\u{fffd} hello 4111 1111 1111 1111"}});
    for (case, item, full, masked) in [
        (
            "half a pair",
            r#"{"type":"text","text":{"body":"\ud83d hello 4111 1111 1111 1111"}}"#,
            cut,
            json!({"type": "****", "text": {"body": "\u{fffd} hello ****1111"}}),
        ),
        ("deep", &deep, json!(deep), json!("****")),
        ("a large number", r#"{"n":1e999}"#, json!(r#"{"n":1e999}"#), json!("****")),
    ] {
        let b = bench();
        store_item(&b, item).await;
        assert_eq!(b.dead.items().len(), 0, "{case}");
        let page = b.json("pii-reader", "GET", "/conversations/c1", "").await;
        assert_eq!(page["messages"][0]["item"], full, "{case}");
        let page = b.json("auditor", "GET", "/conversations/c1", "").await;
        assert_eq!((accesses(&page), &page["messages"][0]["item"]), (vec!["masked"], &masked), "{case}");
    }
}

/// Meta's documented examples, each with what is personal in it and what a masked role does see.
#[tokio::test]
async fn of_every_kind_of_item_a_masked_role_sees_only_what_the_list_names() {
    let answers = json!({"flow_token": "t-1", "first_name": "Barbara", "street": "Main Street 1", "pregnant": true,
        "cpf": "529.982.247-25", "11987654321": "x"});
    let cases = [
        (
            "contacts",
            json!({"from": PHONE, "type": "contacts", "contacts": [{
                "addresses": [{"city": "Menlo Park", "country": "United States", "country_code": "us", "state": "CA",
                    "street": "1 Hacker Way", "type": "HOME", "zip": "94025"}],
                "birthday": "1985-08-18",
                "emails": [{"email": "barbara@example.com", "type": "WORK"}],
                "name": {"formatted_name": "Barbara J. Johnson", "first_name": "Barbara", "last_name": "Johnson"},
                "org": {"company": "Social Tsunami", "department": "Engineering", "title": "Lead Engineer"},
                "phones": [{"phone": "+1 (650) 555-9999", "wa_id": "16505559999", "type": "HOME"}],
                "urls": [{"url": "https://www.example.com/barbara", "type": "HOME"}],
                "vcard": "BEGIN:VCARD FN:Barbara"}]}),
            vec![
                "1985", "08-18", "8-18", "Hacker", "Menlo", "94025", "Barbara", "Johnson", "barbara",
                "Tsunami", "Lead", "650555", "555-9999", "example",
            ],
            vec!["****9999"],
        ),
        (
            "a changed number",
            json!({"from": PHONE, "type": "system", "system": {
                "body": "User Ana changed from 16505551234 to 16505557777", "new_wa_id": "16505557777",
                "wa_id": "16505551234", "type": "user_changed_number"}}),
            vec!["Ana", "1650555", "16505551234", "16505557777"],
            vec!["****7777", "****1234"],
        ),
        (
            "a form's answers",
            json!({"from": PHONE, "type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {
                "name": "flow", "body": "Sent", "response_json": answers.to_string()}}}),
            vec!["Barbara", "Main", "true", "529", "11987654321", "t-1"],
            vec!["first_name", "hidden-"],
        ),
        (
            "a group",
            json!({"group": {"participants": [{"wa_id": "34612345678"}]}, "recipient_participant_id": "525512345678"}),
            vec!["34612345678", "525512345678"],
            vec!["****5678"],
        ),
        (
            "a place",
            json!({"location": {"latitude": 37.48, "longitude": -122.14, "name": "Meta HQ", "address": "1 Hacker Way"}}),
            vec!["37.4", "122.1", "Meta HQ", "Hacker"],
            vec!["latitude"],
        ),
        (
            "text",
            json!({"text": {"body": "oi, ligue 551181234567 ou 34612345678, 3 caixas às 10:30"}}),
            vec!["551181234567", "34612345678"],
            vec!["oi, ligue ****4567 ou ****5678, 3 caixas às 10:30"],
        ),
        (
            "what is pressed, captions, reactions",
            json!({"button": {"text": "Sim", "payload": "id-9"}, "image": {"caption": "a nota", "sha256": "abc"},
                "interactive": {"button_reply": {"id": "b-7", "title": "Quero"}, "list_reply": {"title": "Azul",
                "description": "cor azul"}}, "reaction": {"emoji": "😀", "message_id": "wamid.X"}}),
            vec!["id-9", "b-7", "abc", "wamid"],
            vec!["Sim", "a nota", "Quero", "Azul", "cor azul", "😀"],
        ),
    ];
    for (case, item, hidden, shown) in cases {
        for roles in ["auditor", "svc.bff"] {
            let b = bench();
            store_item(&b, &item.to_string()).await;
            let page = b.json(roles, "GET", "/conversations/c1", "").await;
            let text = page["messages"][0]["item"].to_string();
            for secret in &hidden {
                assert!(!text.contains(secret), "{case}: {secret} is shown: {text}");
            }
            for word in &shown {
                assert!(text.contains(word), "{case}: {word} is not shown: {text}");
            }
            assert_eq!(
                page["messages"][0]["contact"],
                json!({"profile": {"name": "****"}, "wa_id": "****4321"})
            );
        }
    }
}

/// Stores an item as it stands, in `c1`.
async fn store_item(b: &Bench, item: &str) {
    let usual = json!({"id": "wamid.9", "from": PHONE, "type": "text", "text": {"body": "@"}}).to_string();
    let body = message("c1", "wamid.9", Some(PHONE), "@");
    assert!(body.contains(&usual));
    assert_eq!(b.function.consume(&[arrived("c1", "1", &body.replace(&usual, item))]).await.stored, 1);
}

fn accesses(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|message| message["access"].as_str().unwrap()).collect()
}
