//! What becomes of messages from the queues.
#![cfg(test)]

mod support;

use pii_function::Consumed;
use portcullis_pii::{KeyError, MAX_RECORD_BYTES, RecordError};
use portcullis_webhook::{ClaimCheck, ClaimCheckError, Lane};
use serde_json::json;
use support::{NOW, arrived, bench, message};

const PHONE: &str = "5511987654321";

/// So many stored, each of a person.
fn stored(n: usize) -> Consumed {
    Consumed { stored: n, classes: [0, 0, n, 0], ..Consumed::default() }
}

#[tokio::test]
async fn a_message_is_stored_sealed_with_the_retention_of_its_class() {
    for (label, text, class, days) in [
        // Whoever writes is named by every record.
        ("small talk", "oi, tudo bem?", "PII", 7),
        ("a card number", "my card is 4111 1111 1111 1111", "SENSITIVE", 7),
        ("an address", "write to ana@example.com", "PII", 7),
    ] {
        let b = bench();
        let body = message("c1", "wamid.1", Some(PHONE), text);
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await.stored, 1, "{label}");
        let record = b.records.all().remove(0);
        assert_eq!(record.class, class, "{label}");
        assert_eq!(record.expires_at, NOW / 1000 + days * 86_400, "{label}");
        let bytes = format!("{record:?}");
        for secret in [PHONE, text, "wamid.1", "Ana Souza"] {
            assert!(!bytes.contains(secret), "{label}: {secret} is in the stored record");
            assert!(
                record.fields.values().all(|f| !f.windows(secret.len()).any(|w| w == secret.as_bytes())),
                "{label}: {secret} is in a stored field"
            );
        }
    }
}

#[tokio::test]
async fn every_record_that_is_stored_is_counted_by_its_class_and_a_repeat_is_not() {
    let b = bench();
    let bodies = [
        message("c1", "account.1", None, "limit raised")
            .replace(r#""field":"messages""#, r#""field":"account_update""#),
        message("c1", "wamid.2", Some(PHONE), "oi, tudo bem?"),
        message("c1", "wamid.3", Some(PHONE), "my card is 4111 1111 1111 1111"),
    ];
    let items: Vec<_> = bodies.iter().zip(["1", "2", "3"]).map(|(body, n)| arrived("c1", n, body)).collect();
    assert_eq!(b.function.consume(&items).await.classes, [0, 1, 1, 1]);
    b.function.consume(&items).await;
    let expected = ["INTERNAL", "PII", "SENSITIVE"].map(|class| (class.to_owned(), 1.0));
    assert_eq!(b.metric("RecordsByClass", "Class"), expected);
}

/// Names of fields as Meta documents them, and elements of `history` and `state_sync` as the validator takes them apart.
#[tokio::test]
async fn what_has_no_subject_is_personal_unless_it_tells_of_the_account() {
    let chat = json!({"threads": [{"id": "16505551234", "messages": [{"from": "16505551234", "to": "15550783881",
        "id": "wamid.1", "timestamp": "1739230955", "type": "text", "text": {"body": "oi"}}]}]});
    let contact = json!({"type": "contact", "action": "add", "contact": {"full_name": "Pablo Morales",
        "first_name": "Pablo", "phone_number": "16505551234"}});
    let group = json!({"groups": [{"type": "group_participants_add", "group_id": "G1",
        "added_participants": [{"wa_id": "16505551234"}]}]});
    let security = json!({"event": "PIN_CHANGED", "display_phone_number": "15550783881", "requester": "1"});
    let template = json!({"event": "APPROVED", "message_template_name": "welcome"});
    for (field, item, class, days) in [
        (json!("history"), &chat, "PII", 7),
        (json!("smb_app_state_sync"), &contact, "PII", 7),
        (json!("group_participants_update"), &group, "PII", 7),
        (json!("security"), &security, "PII", 7),
        (json!("messages"), &json!("a text of no shape"), "PII", 7),
        (json!("field to come"), &json!({"a": 1}), "PII", 7),
        (json!(null), &json!({"entry": []}), "PII", 7),
        (json!("message_template_status_update"), &template, "INTERNAL", 30),
        (json!("account_update"), &json!({"event": "VERIFIED_ACCOUNT"}), "INTERNAL", 30),
        (json!("account_update"), &json!({"reason": "card 4111 1111 1111 1111"}), "SENSITIVE", 7),
    ] {
        let b = bench();
        let mut body: serde_json::Value = serde_json::from_str(&message("c1", "1", None, "")).unwrap();
        body["body"]["inline"]["field"] = field.clone();
        body["body"]["inline"]["item"] = item.clone();
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body.to_string())]).await.stored, 1, "{field}");
        let record = b.records.all().remove(0);
        assert_eq!((record.class.as_str(), record.subject), (class, None), "{field}: {item}");
        assert_eq!(record.expires_at, NOW / 1_000 + days * 86_400, "{field}: {item}");
    }
}

#[tokio::test]
async fn the_same_message_in_another_batch_days_later_changes_nothing() {
    let b = bench();
    let body = message("c1", "wamid.1", Some(PHONE), "oi");
    assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await, stored(1));
    let before = b.records.all();
    b.clock.advance(3 * 86_400_000);
    let again = body.replace(&NOW.to_string(), &(NOW + 1).to_string());
    let done = b.function.consume(&[arrived("c1", "900", &again)]).await;
    assert_eq!(done, Consumed { repeated: 1, ..Consumed::default() });
    assert_eq!(b.records.all(), before);
}

#[tokio::test]
async fn poison_goes_to_the_dead_letters_with_its_reason_and_does_not_hold_up_its_group() {
    let good = message("c1", "wamid.1", Some(PHONE), "oi");
    let claim = |key: &str, sha: &str| {
        json!({"v": 1, "kind": "text", "id": "x", "dedup_id": "x", "conversation": "c1", "lane": "text",
               "received_at": NOW, "place": 0, "body": {"claim": {"key": key, "bytes": 2, "sha256": sha}}})
        .to_string()
    };
    let unclaimed = claim("claims/gone", "00");
    let altered = claim("claims/altered", &"0".repeat(64));
    for (label, body, reason) in [
        ("not json", "{", "malformed-message"),
        ("empty", "", "malformed-message"),
        ("an array", "[]", "malformed-message"),
        ("another shape", r#"{"v":1}"#, "malformed-message"),
        ("a version to come", &good.replace("\"v\":1", "\"v\":2"), "unknown-version"),
        ("a claim of nothing", &unclaimed, "claim-not-found"),
        ("an altered claim", &altered, "claim-altered"),
    ] {
        let b = bench();
        b.claims.put("claims/altered", b"{}").await.unwrap();
        let done = b.function.consume(&[arrived("c1", "1", body), arrived("c1", "2", &good)]).await;
        assert_eq!(done, Consumed { dead: 1, ..stored(1) }, "{label}");
        let letters = b.dead.items();
        assert_eq!(letters.len(), 1, "{label}");
        assert_eq!((letters[0].reason.as_str(), letters[0].body.as_str()), (reason, body), "{label}");
    }
}

#[tokio::test]
async fn a_failure_keeps_its_item_and_the_rest_of_its_group_in_the_queue_and_no_other_group() {
    let b = bench();
    // The keys of c1's subject cannot be had; c2's are at hand.
    let warm = message("c2", "wamid.0", Some("5511911112222"), "oi");
    b.function.consume(&[arrived("c2", "0", &warm)]).await;
    let bodies = [
        message("c1", "wamid.1", Some(PHONE), "um"),
        message("c2", "wamid.2", Some("5511911112222"), "dois"),
        message("c1", "wamid.3", Some(PHONE), "tres"),
    ];
    let items =
        [arrived("c1", "1", &bodies[0]), arrived("c2", "2", &bodies[1]), arrived("c1", "3", &bodies[2])];
    b.keys.fail_next(1, KeyError::Unavailable);
    let done = b.function.consume(&items).await;
    assert_eq!(done, Consumed { failed: vec![0, 2], ..stored(1) });
    assert_eq!(
        b.function.consume(&[items[0], items[2]]).await,
        stored(2),
        "and later it goes on where it stopped"
    );
    assert!(b.dead.items().is_empty());
}

#[tokio::test]
async fn nothing_is_lost_while_a_service_is_away() {
    type Break = fn(&support::Bench);
    let cases: [(&str, Break); 5] = [
        ("bucket unavailable", |b| b.claims.fail_next(1, ClaimCheckError::Unavailable)),
        ("table unavailable", |b| b.records.fail_next(1, RecordError::Unavailable)),
        ("table refuses", |b| b.records.fail_next(1, RecordError::Refused)),
        ("keys unavailable", |b| b.keys.fail_next(1, KeyError::Unavailable)),
        ("keys refuse", |b| b.keys.fail_next(1, KeyError::Refused)),
    ];
    for (label, break_it) in cases {
        let b = bench();
        let body = message("c1", "wamid.1", Some(PHONE), &"oi ".repeat(100_000));
        break_it(&b);
        let done = b.function.consume(&[arrived("c1", "1", &body)]).await;
        assert_eq!(done, Consumed { failed: vec![0], ..Consumed::default() }, "{label}");
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await, stored(1), "{label}");
        assert!(b.dead.items().is_empty(), "{label}: trouble that passes is no poison");
    }
}

#[tokio::test]
async fn poison_stays_in_its_queue_while_the_dead_letter_queue_is_away() {
    let b = bench();
    b.dead.fail_next(1);
    let done = b.function.consume(&[arrived("c1", "1", "{")]).await;
    assert_eq!(done, Consumed { failed: vec![0], ..Consumed::default() });
    assert_eq!(b.function.consume(&[arrived("c1", "1", "{")]).await.dead, 1);
}

#[tokio::test]
async fn a_large_item_is_fetched_from_the_claim_check() {
    let b = bench();
    let whole = serde_json::from_str::<serde_json::Value>(&message(
        "c1",
        "wamid.1",
        Some(PHONE),
        &"oi ".repeat(100_000),
    ))
    .unwrap();
    let object = whole["body"]["inline"].to_string();
    let sha256 = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, object.as_bytes()));
    b.claims.put("claims/1", object.as_bytes()).await.unwrap();
    let mut pointer = whole.clone();
    pointer["body"] = json!({"claim": {"key": "claims/1", "bytes": object.len(), "sha256": sha256}});
    let pointer = pointer.to_string();
    assert_eq!(b.function.consume(&[arrived("c1", "1", &pointer)]).await, stored(1));
    let read = b.json("pii-reader", "GET", "/conversations/c1", "").await;
    assert_eq!(read["messages"][0]["item"]["text"]["body"], "oi ".repeat(100_000));
}

#[tokio::test]
async fn a_message_of_any_length_that_the_webhook_takes_is_read_back() {
    const BODY: usize = 3 * 1024 * 1024;
    for length in [100_000, 198_000, 199_000, 200_000, 210_000, 250_000, 380_000, 1_000_000, BODY] {
        let b = bench();
        let text = "x".repeat(length);
        let body = message("c1", "wamid.1", Some(PHONE), &text);
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await.stored, 1);
        let record = b.records.all().remove(0);
        assert!(record.size() <= MAX_RECORD_BYTES, "{length}");
        assert_eq!((record.outside.len(), b.claims.len()), if length > 199_000 { (1, 1) } else { (0, 0) });
        for roles in ["pii-reader", "auditor"] {
            let read = b.json(roles, "GET", "/conversations/c1", "").await;
            assert_eq!(read["messages"][0]["item"]["text"]["body"], *text, "{length} for {roles}");
        }
    }
}

#[tokio::test]
async fn what_the_table_has_no_room_for_rests_sealed_under_its_digest_as_long_as_its_record() {
    let b = bench();
    let body = message("c1", "wamid.1", Some(PHONE), &"segredo ".repeat(50_000));
    b.function.consume(&[arrived("c1", "1", &body)]).await;
    let record = b.records.all().remove(0);
    let outside = &record.outside["item"];
    assert!(!record.fields.contains_key("item"));
    assert_eq!(outside.object, format!("records/7/{}", outside.sha256));
    let object = b.claims.get(&outside.object, 1 << 20).await.unwrap();
    assert_eq!(u64::try_from(object.len()), Ok(outside.bytes));
    for secret in ["segredo", PHONE, "wamid"] {
        assert!(!object.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test]
async fn an_object_that_is_not_what_was_sealed_is_not_shown() {
    let b = bench();
    let body = message("c1", "wamid.1", Some(PHONE), &"segredo ".repeat(50_000));
    b.function.consume(&[arrived("c1", "1", &body)]).await;
    let other = message("c1", "wamid.2", Some(PHONE), &"segundo ".repeat(50_000));
    b.function.consume(&[arrived("c1", "2", &other)]).await;
    let name = |n: usize| b.records.all()[n].outside["item"].object.clone();
    let foreign = b.claims.get(&name(1), 1 << 20).await.unwrap();
    for bytes in [&foreign[..], &foreign[..9], b""] {
        b.claims.put(&name(0), bytes).await.unwrap();
        let answer = b.request(Some("pii-reader"), "GET", "/conversations/c1?limit=1", "").await;
        assert!(!answer.body.contains("segredo") && !answer.body.contains("segundo"), "{}", bytes.len());
    }
}

/// A bucket policy, a role or a disabled key is not somebody who changes messages.
#[tokio::test]
async fn trouble_of_the_bucket_is_told_as_trouble_and_not_as_tampering() {
    let b = bench();
    let body = message("c1", "wamid.1", Some(PHONE), &"segredo ".repeat(50_000));
    b.function.consume(&[arrived("c1", "1", &body)]).await;
    for (error, status) in [(ClaimCheckError::Unavailable, 503), (ClaimCheckError::Refused, 500)] {
        b.claims.fail_next(1, error);
        assert_eq!(b.request(Some("pii-reader"), "GET", "/conversations/c1", "").await.status, status);
        assert_eq!(b.audit.codes(), [""; 0], "{error:?}");
    }
    assert_eq!(b.json("pii-reader", "GET", "/conversations/c1", "").await["messages"][0]["access"], "full");
    b.claims.fail_next(1, ClaimCheckError::NotFound);
    let page = b.json("pii-reader", "GET", "/conversations/c1", "").await;
    assert_eq!(page["messages"][0]["access"], "unreadable");
    assert_eq!(b.audit.codes(), ["pii-read", "pii-read", "pii-refused"]);
}

#[tokio::test]
async fn a_record_that_the_table_takes_at_no_time_is_put_aside_and_holds_nobody_up() {
    let b = bench();
    let bodies = ["1", "2"].map(|id| message("c1", id, Some(PHONE), "oi"));
    b.records.fail_next(1, RecordError::NotTaken);
    let done = b.function.consume(&[arrived("c1", "1", &bodies[0]), arrived("c1", "2", &bodies[1])]).await;
    assert_eq!((done.dead, done.stored), (1, 1));
    assert_eq!(b.dead.items()[0].reason, "record-refused");
}

#[tokio::test]
async fn retention_counts_from_the_messages_own_time_and_what_is_late_is_kept_for_a_day() {
    const DAY: i64 = 86_400;
    for (label, own, waited, kept, late) in [
        ("just now", Some(0), 0, 7, 0),
        ("without a time of its own", None, 0, 7, 0),
        ("from a clock that is ahead", Some(5), 0, 7, 0),
        ("Meta's third day of trying", Some(-3), 0, 4, 0),
        ("Meta's last try", Some(-7), 0, 1, 0),
        ("sent again after its record is gone", Some(-9), 0, 1, 1),
        ("Meta's sample, of 2017", Some(-3_000), 0, 1, 1),
        ("waited in the dead letters", Some(0), 20, 1, 0),
    ] {
        let b = bench();
        let own = own.map_or(json!(null), |days: i64| json!(NOW / 1_000 + days * DAY));
        let body = message("c1", "wamid.1", Some(PHONE), "oi");
        let body = body.replace(&format!(r#""timestamp":{}"#, NOW / 1_000), &format!(r#""timestamp":{own}"#));
        b.clock.advance(waited * DAY * 1_000);
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await.stored, 1, "{label}");
        assert_eq!(b.records.all()[0].expires_at, NOW / 1_000 + (waited + kept) * DAY, "{label}");
        assert_eq!(b.metric("LateItems", "").len(), late, "{label}");
        assert_eq!(
            b.json("pii-reader", "GET", "/conversations/c1", "").await["messages"][0]["id"],
            "wamid.1"
        );
    }
}

#[tokio::test]
async fn what_concerns_no_person_is_stored_and_found_under_no_subject() {
    let b = bench();
    let body = message("c9", "account.1", None, "limit raised");
    assert_eq!(b.function.consume(&[arrived("c9", "1", &body)]).await.stored, 1);
    assert_eq!(b.records.all()[0].subject, None);
    let read = b.json("pii-reader", "GET", "/conversations/c9", "").await;
    assert_eq!(read["messages"][0]["item"]["text"]["body"], "limit raised");
}

#[tokio::test]
async fn items_of_one_body_keep_its_order_whichever_queue_was_faster() {
    let b = bench();
    let of = |id: &str, place: u64| {
        message("c1", id, Some(PHONE), id).replace(r#""place":0"#, &format!(r#""place":{place}"#))
    };
    // The picture is the body's first item, and its queue hands it out last.
    let (second, first) = (of("wamid.text", 10), of("wamid.picture", 9));
    let mut picture = arrived("c1", "900", &first);
    picture.lane = Lane::Media;
    assert_eq!(b.function.consume(&[arrived("c1", "1", &second)]).await, stored(1));
    assert_eq!(b.function.consume(&[picture]).await, stored(1));
    let mut records = b.records.all();
    records.sort_by(|a, b| a.position.cmp(&b.position));
    let places: Vec<_> = records.iter().map(|r| r.position.split('#').nth(1).unwrap()).collect();
    assert_eq!(places, ["00000009", "00000010"]);
}

#[tokio::test]
async fn media_and_conversations_are_sealed_under_keys_of_their_own() {
    let b = bench();
    let body = message("c1", "wamid.1", Some(PHONE), "oi");
    let media =
        message("c1", "wamid.2", Some(PHONE), "foto").replace(r#""lane":"text""#, r#""lane":"media""#);
    b.function.consume(&[arrived("c1", "1", &body)]).await;
    let one = b.wrapper.calls();
    let mut item = arrived("c1", "1", &media);
    item.lane = Lane::Media;
    b.function.consume(&[item]).await;
    assert!(b.wrapper.calls() > one, "a media branch key was made");
    assert_eq!(
        b.json("pii-reader", "GET", "/conversations/c1", "").await["messages"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn calls_of_the_key_service_do_not_grow_with_messages_or_subjects() {
    let b = bench();
    for n in 0..500 {
        let phone = format!("55119{n:08}");
        let body = message("c1", &format!("wamid.{n}"), Some(&phone), "oi");
        assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await, stored(1));
    }
    assert!(b.wrapper.calls() <= 3, "{} calls", b.wrapper.calls());
}

#[tokio::test]
async fn nesting_of_any_depth_is_stored() {
    let b = bench();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = message("c1", "wamid.1", Some(PHONE), "@@").replace("\"@@\"", &deep);
    assert_eq!(b.function.consume(&[arrived("c1", "1", &body)]).await, stored(1));
}
