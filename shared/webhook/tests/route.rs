//! Routing: which items a body holds, where each goes, and that nothing signed is dropped.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers outside of test functions fail the test by panicking"
)]

use std::collections::HashSet;

use portcullis_base::Timestamp;
use portcullis_webhook::{
    AppSecrets, Body, ConversationKey, Lane, MAX_ITEMS, NotJson, QueueMessage, Routed, json, route, sign,
    verify, verify_decoded,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_701_841_400_000;

fn accepted() -> Timestamp {
    Timestamp::from_microsecond(NOW * 1000 + 7).unwrap()
}

fn key() -> ConversationKey {
    ConversationKey::new(&[7; 32]).unwrap()
}

fn with_items<T>(raw: &[u8], look: impl FnOnce(Result<Vec<Routed<'_>>, NotJson>) -> T) -> T {
    let secrets = AppSecrets::new(b"secret", None);
    let webhook = verify(raw, Some(&sign(raw, b"secret")), &secrets).unwrap();
    look(route(&webhook, &key(), accepted()))
}

/// One readable line an item: `lane kind id dedup_id subject field item`.
fn lines(body: &Value) -> Vec<String> {
    let raw = body.to_string();
    with_items(raw.as_bytes(), |items| {
        items
            .unwrap()
            .iter()
            .map(|i| {
                let short = |s: &str| if s.len() == 64 { "#".to_owned() } else { s.to_owned() };
                format!(
                    "{} {} {} {} {} {}",
                    i.lane().as_str(),
                    i.kind.name(),
                    short(&i.id),
                    short(&i.dedup_id),
                    i.subject.as_deref().unwrap_or("-"),
                    i.field.as_deref().unwrap_or("-"),
                )
            })
            .collect()
    })
}

fn value(members: &Value) -> Value {
    let mut value = json!({"messaging_product": "whatsapp", "metadata": {"display_phone_number": "15550001", "phone_number_id": "106"}});
    value.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    value
}

fn change(field: &str, members: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102", "changes": [{"field": field, "value": value(members)}]}]})
}

fn messages(members: &Value) -> Value {
    change("messages", members)
}

// Members stand in alphabetical order, since serde_json sorts them or not by a feature that any crate may switch on.
#[test]
fn items_by_shape() {
    let message =
        |kind: &str| json!({"from": "55", "id": "wamid.A", "timestamp": "1", "type": kind, kind: {}});
    for (label, body, expected) in [
        (
            "text",
            messages(&json!({"messages": [message("text")]})),
            vec!["text text wamid.A wamid.A 55 messages"],
        ),
        (
            "image",
            messages(&json!({"messages": [message("image")]})),
            vec!["media image wamid.A wamid.A 55 messages"],
        ),
        (
            "reaction",
            messages(
                &json!({"messages": [{"from": "55", "id": "wamid.R", "type": "reaction", "reaction": {"message_id": "wamid.A", "emoji": "x"}}]}),
            ),
            vec!["text reaction wamid.R wamid.R 55 messages"],
        ),
        (
            "status",
            messages(&json!({"statuses": [{"id": "wamid.A", "status": "read", "recipient_id": "55"}]})),
            vec!["text status wamid.A wamid.A:read 55 messages"],
        ),
        (
            "user id stands in for the sender",
            messages(&json!({"messages": [{"from_user_id": "BR.1", "id": "wamid.A", "type": "text"}]})),
            vec!["text text wamid.A wamid.A BR.1 messages"],
        ),
        (
            "user id stands in for the recipient",
            messages(
                &json!({"statuses": [{"id": "wamid.A", "status": "sent", "recipient_user_id": "BR.1"}]}),
            ),
            vec!["text status wamid.A wamid.A:sent BR.1 messages"],
        ),
        (
            "bare user id",
            messages(&json!({"messages": [{"user_id": "BR.1", "id": "wamid.A", "type": "text"}]})),
            vec!["text text wamid.A wamid.A BR.1 messages"],
        ),
        (
            "number before user id",
            messages(
                &json!({"messages": [{"from_user_id": "BR.1", "from": "55", "id": "wamid.A", "type": "text"}]}),
            ),
            vec!["text text wamid.A wamid.A 55 messages"],
        ),
        (
            "error of the account",
            messages(&json!({"errors": [{"code": 130_429}]})),
            vec!["text error # # - messages"],
        ),
        (
            "call",
            change(
                "calls",
                &json!({"calls": [{"id": "wacid.A", "event": "connect", "from": "55", "to": "15550001", "direction": "USER_INITIATED"}]}),
            ),
            vec!["text call wacid.A wacid.A:connect 55 calls"],
        ),
        (
            "call that the business placed",
            change(
                "calls",
                &json!({"calls": [{"id": "wacid.A", "event": "terminate", "from": "15550001", "to": "55", "direction": "BUSINESS_INITIATED"}]}),
            ),
            vec!["text call wacid.A wacid.A:terminate 55 calls"],
        ),
        (
            "echo",
            change(
                "smb_message_echoes",
                &json!({"message_echoes": [{"id": "wamid.A", "from": "15550001", "to": "55", "type": "image"}]}),
            ),
            vec!["media image wamid.A wamid.A 55 smb_message_echoes"],
        ),
        (
            "message from the business's own number",
            messages(
                &json!({"messages": [{"id": "wamid.A", "from": "15550001", "to": "55", "type": "text"}]}),
            ),
            vec!["text text wamid.A wamid.A 55 messages"],
        ),
        (
            "unknown kind without id",
            messages(&json!({"messages": [{"from": "55", "type": "hologram"}]})),
            vec!["text unknown # # 55 messages"],
        ),
        (
            "message that is no object",
            messages(&json!({"messages": ["hello"]})),
            vec!["text unknown # # - messages"],
        ),
        (
            "message without type",
            messages(&json!({"messages": [{"from": "55"}]})),
            vec!["text unknown # # 55 messages"],
        ),
        (
            "unknown array",
            messages(&json!({"messages": [message("text")], "rituals": [{"id": 1}]})),
            vec!["text text wamid.A wamid.A 55 messages", "text unknown # # - messages"],
        ),
        (
            "unknown member",
            messages(&json!({"messages": [message("text")], "zeal": {"x": 1}})),
            vec!["text text wamid.A wamid.A 55 messages", "text unknown # # - zeal"],
        ),
        (
            "contact of nobody",
            messages(&json!({"contacts": [{"wa_id": "66"}], "messages": [message("text")]})),
            vec!["text text wamid.A wamid.A 55 messages", "text unknown # # 66 contacts"],
        ),
        (
            "contacts alone",
            messages(&json!({"contacts": [{"wa_id": "66"}]})),
            vec!["text unknown # # - messages"],
        ),
        ("no elements", messages(&json!({"messages": []})), vec!["text unknown # # - messages"]),
        (
            "messages is no array",
            messages(&json!({"messages": {"id": 1}})),
            vec!["text unknown # # - messages"],
        ),
        (
            "odd metadata",
            json!({"entry": [{"changes": [{"field": "messages", "value": {"messages": [message("text")], "metadata": {"new": 1}}}]}]}),
            vec!["text text wamid.A wamid.A 55 messages", "text unknown # # - metadata"],
        ),
        (
            "template update",
            json!({"entry": [{"id": "102", "time": 1, "changes": [{"field": "message_template_status_update", "value": {"event": "APPROVED"}}]}]}),
            vec!["text message_template_status_update # # - message_template_status_update"],
        ),
        (
            "account update with an array in it",
            json!({"entry": [{"id": "102", "changes": [{"field": "account_update", "value": {"errors": [1], "ban": {}}}]}]}),
            vec!["text account_update # # - account_update"],
        ),
        (
            "unknown field",
            json!({"entry": [{"id": "102", "changes": [{"field": "brand_new", "value": {"x": 1}}]}]}),
            vec!["text unknown # # - brand_new"],
        ),
        (
            "value is a string",
            json!({"entry": [{"id": "102", "changes": [{"field": "messages", "value": "x"}]}]}),
            vec!["text unknown # # - messages"],
        ),
        (
            "value is null",
            json!({"entry": [{"id": "102", "changes": [{"field": "messages", "value": null}]}]}),
            vec!["text unknown # # - messages"],
        ),
        (
            "no field",
            json!({"entry": [{"id": "102", "changes": [{"value": {"x": 1}}]}]}),
            vec!["text unknown # # - -"],
        ),
        (
            "no value",
            json!({"entry": [{"id": "102", "changes": [{"field": "messages", "extra": 1}]}]}),
            vec!["text unknown # # - messages"],
        ),
        (
            "change is a number",
            json!({"entry": [{"id": "102", "changes": [7]}]}),
            vec!["text unknown # # - -"],
        ),
        ("no changes", json!({"entry": [{"id": "102", "time": 1}]}), vec!["text unknown # # - -"]),
        ("empty changes", json!({"entry": [{"id": "102", "changes": []}]}), vec!["text unknown # # - -"]),
        ("entry is a string", json!({"entry": ["x"]}), vec!["text unknown # # - -"]),
        ("entry is no array", json!({"entry": {"id": "102"}}), vec!["text unknown # # - -"]),
        ("no entries", json!({"object": "x", "entry": []}), vec!["text unknown # # - -"]),
        ("empty object", json!({}), vec!["text unknown # # - -"]),
        ("array", json!([1, 2]), vec!["text unknown # # - -"]),
        ("string", json!("x"), vec!["text unknown # # - -"]),
        ("null", json!(null), vec!["text unknown # # - -"]),
        (
            "strange member beside the entries",
            json!({"entry": [{"changes": [{"field": "account_update", "value": 1}]}], "sig": [1]}),
            vec!["text account_update # # - account_update", "text unknown # # - sig"],
        ),
        (
            "strange member of an entry",
            json!({"entry": [{"changes": [{"field": "account_update", "value": 1}], "who": 1}]}),
            vec!["text account_update # # - account_update", "text unknown # # - who"],
        ),
    ] {
        assert_eq!(lines(&body), expected, "{label}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for (label, raw) in [
        ("empty", &b""[..]),
        ("white space", b" \n"),
        ("cut off", br#"{"entry":[{"id":"1","changes":[{"#),
        ("two documents", b"{}{}"),
        ("trailing comma", br#"{"entry":[],}"#),
        ("single quotes", b"{'entry':[]}"),
        ("bad escape in a text", br#"{"entry":[{"changes":[{"value":{"messages":[{"text":"\x"}]}}]}]}"#),
        ("control character in a text", b"{\"entry\":\"a\x01\"}"),
        ("not UTF-8", b"{\"entry\":\"\xff\"}"),
        ("byte order mark", b"\xef\xbb\xbf{}"),
        ("form post", b"entry=1"),
        ("open brackets", &b"[".repeat(3 << 20)),
    ] {
        assert!(with_items(raw, |items| items.is_err()), "{label}");
    }
}

#[test]
fn field_after_value_and_id_after_changes_count() {
    let raw = br#"{"entry":[{"changes":[{"value":{"messages":[{"id":"m","type":"text","from":"5"}],"metadata":{"phone_number_id":"106"}},"field":"messages"}],"id":"102"}]}"#;
    with_items(raw, |items| {
        let items = items.unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            (items[0].account.as_deref(), items[0].phone_number_id.as_deref()),
            (Some("102"), Some("106"))
        );
        assert_eq!(items[0].field.as_deref(), Some("messages"));
    });
}

#[test]
fn duplicate_members_lose_nothing() {
    for (label, raw, count) in [
        (
            "messages twice",
            r#"{"entry":[{"changes":[{"field":"messages","value":{"messages":[1],"messages":[2]}}]}]}"#,
            2,
        ),
        (
            "changes twice",
            r#"{"entry":[{"changes":[{"field":"x","value":1}],"changes":[{"field":"x","value":2}]}]}"#,
            2,
        ),
        (
            "entry twice",
            r#"{"entry":[{"changes":[{"field":"x","value":1}]}],"entry":[{"changes":[{"field":"x","value":2}]}]}"#,
            2,
        ),
        (
            "value twice",
            r#"{"entry":[{"changes":[{"field":"messages","value":{"messages":[1]},"value":{"messages":[2]}}]}]}"#,
            1,
        ),
        (
            "field twice",
            r#"{"entry":[{"changes":[{"field":"messages","value":{"messages":[1]},"field":"calls"}]}]}"#,
            1,
        ),
        ("id twice", r#"{"entry":[{"id":"1","id":"2","changes":[{"field":"x","value":1}]}]}"#, 2),
        (
            "metadata twice",
            r#"{"entry":[{"changes":[{"field":"messages","value":{"metadata":{},"metadata":{"a":1},"messages":[1]}}]}]}"#,
            2,
        ),
    ] {
        with_items(raw.as_bytes(), |items| {
            let items = items.unwrap();
            assert_eq!(items.len(), count, "{label}");
            let all: String = items.iter().map(|i| i.item).collect();
            let last = raw.bytes().rev().find(u8::is_ascii_digit).unwrap();
            assert!(all.contains(char::from(last)), "{label}");
        });
    }
}

#[test]
fn items_that_share_an_id_have_keys_of_their_own() {
    let id = "wamid.A";
    let raw = messages(&json!({
        "messages": [
            {"id": id, "type": "text", "from": "55"},
            {"id": id, "type": "edit", "from": "55", "edit": {"text": "one"}},
            {"id": id, "type": "edit", "from": "55", "edit": {"text": "two"}},
            {"id": id, "type": "revoke", "from": "55"},
            {"id": id, "type": "unsupported", "from": "55", "errors": [{"code": 131_051}]},
            {"id": id, "type": "hologram", "from": "55"},
            {"id": "wamid.A:read", "type": "text", "from": "55"},
        ],
        "statuses": [
            {"id": id, "status": "sent", "recipient_id": "55"},
            {"id": id, "status": "delivered", "recipient_id": "55"},
            {"id": id, "status": "read", "recipient_id": "55"},
            {"id": id, "status": "failed", "recipient_id": "55"},
            {"id": id, "recipient_id": "55"},
        ],
        "calls": [{"id": id, "event": "connect", "from": "55"}, {"id": id, "event": "terminate", "from": "55"}],
    }))
    .to_string();
    with_items(raw.as_bytes(), |items| {
        let items = items.unwrap();
        let keys: HashSet<_> = items.iter().map(|i| i.dedup_id.clone()).collect();
        assert_eq!((items.len(), keys.len()), (14, 14), "{keys:?}");
    });
}

#[test]
fn each_participant_of_a_group_reports_for_itself_and_is_not_named() {
    let status = |who: &str| json!({"id": "wamid.A", "status": "read", "recipient_id": "group-1", "recipient_type": "group", "recipient_participant_id": who});
    let raw = messages(&json!({"messages": [{"id": "wamid.B", "group_id": "group-1", "from": "5511911111111", "type": "text"}], "statuses": [status("5511911111111"), status("5511922222222")]})).to_string();
    with_items(raw.as_bytes(), |items| {
        let items = items.unwrap();
        assert_ne!(items[1].dedup_id, items[2].dedup_id);
        assert!(
            items.iter().all(|i| i.conversation == items[0].conversation),
            "one conversation: the group's"
        );
        for item in &items {
            let sent = item.inline();
            assert!(!sent.dedup_id.contains("55119") && !sent.group.contains("55119"), "{}", sent.dedup_id);
        }
        assert_eq!(items[2].subject.as_deref(), Some("5511922222222"));
    });
}

#[test]
fn a_conversation_keeps_its_pseudonym_across_batches_and_kinds() {
    let of = |body: Value| {
        let raw = body.to_string();
        with_items(raw.as_bytes(), |items| items.unwrap()[0].conversation)
    };
    let text = of(messages(&json!({"messages": [{"id": "a", "from": "55", "type": "text"}]})));
    assert_eq!(text, of(messages(&json!({"messages": [{"id": "b", "from": "55", "type": "image"}]}))));
    assert_eq!(
        text,
        of(messages(&json!({"statuses": [{"id": "b", "status": "read", "recipient_id": "55"}]})))
    );
    assert_ne!(text, of(messages(&json!({"messages": [{"id": "a", "from": "56", "type": "text"}]}))));
    let account = of(messages(&json!({"errors": [1]})));
    assert_ne!(text, account);
    assert_eq!(
        account,
        of(json!({"entry": [{"id": "102", "changes": [{"field": "account_update", "value": 1}]}]}))
    );
}

#[test]
fn contacts_are_attached_by_number_or_user_id() {
    let contacts: Vec<_> = (0..30)
        .map(|n| json!({"wa_id": format!("55{n}"), "user_id": format!("BR.{n}"), "profile": {"name": n}}))
        .collect();
    for count in [3, 30] {
        let raw = messages(&json!({
            "contacts": contacts[..count],
            "messages": [{"id": "a", "from": "551", "type": "text"}, {"id": "b", "from_user_id": "BR.2", "type": "text"}, {"id": "c", "from": "551", "type": "text"}],
        }))
        .to_string();
        with_items(raw.as_bytes(), |items| {
            let items = items.unwrap();
            let names: Vec<_> = items[..3]
                .iter()
                .map(|i| {
                    serde_json::from_str::<Value>(i.contact.unwrap()).unwrap()["profile"]["name"].clone()
                })
                .collect();
            assert_eq!(names, [1, 2, 1]);
            assert_eq!(items.len(), 3 + count - 2, "the contacts of nobody travel too");
        });
    }
}

#[test]
fn queue_form_is_what_the_consumer_reads() {
    let raw = format!(
        r#"{{"entry":[{{"id":"1\/02","changes":[{{"field":"messages","value":{{"metadata":{{"phone_number_id":"106"}},"contacts":[ {{"wa_id":"55","profile":{{"name":"Jo\u00e3o"}}}} ],"messages":[ {} ]}}}}]}}]}}"#,
        r#"{"from":"55","id":"wamid.A\/B+=","timestamp":"1701841300","type":"text", "text":{"body":"caf\u00e9 \"x\" \ud83d"} }"#
    );
    with_items(raw.as_bytes(), |items| {
        let items = items.unwrap();
        let sent = items[0].inline();
        let message: QueueMessage<'_> = serde_json::from_str(&sent.body).unwrap();
        assert_eq!((message.v, &*message.kind, &*message.id), (1, "text", "wamid.A/B+="));
        assert_eq!(
            (&*message.dedup_id, &*message.conversation),
            (sent.dedup_id.as_str(), sent.group.as_str())
        );
        assert_eq!((message.lane, message.received_at), (Lane::Text, NOW));
        // Microsecond 7 of the millisecond, first item.
        assert_eq!(message.place, 700_000);
        let Body::Inline(context) = message.body else { panic!("inline") };
        assert_eq!(context.subject.as_deref(), Some("55"));
        assert_eq!(context.timestamp, Some(1_701_841_300));
        assert_eq!(
            (context.account.as_deref(), context.phone_number_id.as_deref()),
            (Some("1/02"), Some("106"))
        );
        assert_eq!(context.field.as_deref(), Some("messages"));
        assert_eq!(context.contact.unwrap().get(), r#"{"wa_id":"55","profile":{"name":"Jo\u00e3o"}}"#);
        assert_eq!(context.item.get(), items[0].item, "byte for byte");
        assert!(raw.contains(items[0].item));

        let claim = items[0].claim();
        let sent = items[0].claimed(&claim.ticket);
        let message: QueueMessage<'_> = serde_json::from_str(&sent.body).unwrap();
        let Body::Claim(ticket) = message.body else { panic!("claim") };
        assert_eq!((&ticket, ticket.bytes), (&claim.ticket, claim.object.len() as u64));
        let stored: portcullis_webhook::MessageContext<'_> = serde_json::from_str(&claim.object).unwrap();
        assert_eq!(stored.item.get(), items[0].item);
        assert!(ticket.key.ends_with(&ticket.sha256) && ticket.key.starts_with("text/"));
        assert!(!ticket.key.contains("wamid"), "object names are logged");
    });
}

#[test]
fn characters_that_the_queue_refuses_are_noticed() {
    for (text, forbidden) in
        [("plain", false), ("é😀\u{fffd}\u{ff0f}", false), ("\u{ffff}", true), ("a\u{fffe}b", true)]
    {
        let raw = messages(&json!({"messages": [{"id": "a", "from": "5", "type": "text", "text": text}]}))
            .to_string();
        with_items(raw.as_bytes(), |items| {
            assert_eq!(items.unwrap()[0].has_forbidden_character(), forbidden, "{text:?}");
        });
    }
}

#[test]
fn no_batch_of_meta_is_too_large_and_a_hostile_one_travels_as_one() {
    let updates = |n: usize| {
        let statuses: Vec<_> =
            (0..n).map(|i| format!(r#"{{"id":"wamid.{i}","status":"read","recipient_id":"{i}"}}"#)).collect();
        format!(
            r#"{{"entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","statuses":[{}]}}}}]}}]}}"#,
            statuses.join(",")
        )
    };
    for (n, expected) in [(1, 1), (1_000, 1_000), (MAX_ITEMS, MAX_ITEMS), (MAX_ITEMS + 1, 1)] {
        let raw = updates(n);
        with_items(raw.as_bytes(), |items| {
            let items = items.unwrap();
            assert_eq!(items.len(), expected, "{n}");
            if n > MAX_ITEMS {
                assert_eq!(items[0].item, raw, "whole");
            }
        });
    }
    let tiny = format!(r#"{{"entry":[{}1]}}"#, "1,".repeat(1_500_000));
    with_items(tiny.as_bytes(), |items| assert_eq!(items.unwrap().len(), 1));
    let broken = format!(r#"{{"entry":[{}"#, "1,".repeat(1_500_000));
    assert!(with_items(broken.as_bytes(), |items| items.is_err()), "checked to the end all the same");
}

/// JSON with the names that routing looks for, in places where they belong and where they do not.
fn bodies() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec![
            "entry", "changes", "value", "field", "messages", "statuses", "errors", "calls", "contacts", "metadata", "id", "type",
            "from", "wa_id", "user_id", "status", "event", "timestamp", "messaging_product", "object", "phone_number_id", "group_id",
            "recipient_type", "recipient_id", "time", "message_echoes",
        ]).prop_map(str::to_owned),
        1 => "[a-z]{1,3}",
    ];
    let leaf = prop_oneof![
        any::<u32>().prop_map(Value::from),
        proptest::sample::select(vec![
            "text",
            "image",
            "read",
            "messages",
            "account_update",
            "group",
            "whatsapp",
            ""
        ])
        .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ];
    let any_json = leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    });
    let items = proptest::collection::vec(any_json.clone(), 0..6);
    prop_oneof![
        any_json.clone(),
        (items.clone(), items.clone(), items.clone(), any_json.clone()).prop_map(|(m, s, c, x)| messages(&json!({"messages": m, "statuses": s, "contacts": c, "extra": x}))),
        (items, any_json, proptest::sample::select(vec!["messages", "calls", "account_update", "new"])).prop_map(|(m, x, field)| {
            json!({"object": "whatsapp_business_account", "entry": [{"id": "102", "changes": [{"field": field, "value": {"list": m, "x": x}}, x]}, x]})
        }),
    ]
}

/// Every text, number, boolean and null of a body, with framing that travels in the context left out.
fn leaves(value: &Value, path: &mut Vec<String>, into: &mut Vec<String>) {
    match value {
        Value::Array(elements) => {
            for element in elements {
                path.push("*".to_owned());
                leaves(element, path, into);
                path.pop();
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                path.push(name.clone());
                leaves(member, path, into);
                path.pop();
            }
        }
        leaf => {
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            let framing = matches!(
                path.as_slice(),
                ["object"]
                    | ["entry", "*", "id" | "time"]
                    | ["entry", "*", "changes", "*", "field"]
                    | ["entry", "*", "changes", "*", "value", "messaging_product"]
                    | [
                        "entry",
                        "*",
                        "changes",
                        "*",
                        "value",
                        "metadata",
                        "phone_number_id" | "display_phone_number"
                    ]
            );
            if !framing {
                into.push(leaf.to_string());
            }
        }
    }
}

fn count(all: &[String]) -> std::collections::HashMap<&str, usize> {
    let mut counts = std::collections::HashMap::new();
    for leaf in all {
        *counts.entry(leaf.as_str()).or_insert(0) += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn nothing_is_dropped(body in bodies()) {
        let raw = body.to_string();
        let mut expected = Vec::new();
        leaves(&body, &mut Vec::new(), &mut expected);
        with_items(raw.as_bytes(), |items| {
            let items = items.unwrap();
            prop_assert!(!items.is_empty());
            let mut found = Vec::new();
            for text in items.iter().flat_map(|i| [Some(i.item), i.contact]).flatten() {
                let value: Value = serde_json::from_str(text).unwrap();
                // Paths inside an item are no framing.
                leaves(&json!({ "item": value }), &mut Vec::new(), &mut found);
            }
            let found = count(&found);
            for (leaf, n) in count(&expected) {
                prop_assert!(found.get(leaf).copied().unwrap_or_default() >= n, "{leaf} of {raw}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn items_are_parts_of_the_body_in_order_and_apart(body in bodies()) {
        let raw = body.to_string();
        with_items(raw.as_bytes(), |items| {
            let items = items.unwrap();
            let start = |text: &str| text.as_ptr() as usize - raw.as_ptr() as usize;
            let contacts = |i: &&Routed<'_>| i.field.as_deref() == Some("contacts");
            let mut end = 0;
            for item in items.iter().filter(|i| !contacts(i)) {
                prop_assert!(start(item.item) >= end, "{raw}");
                end = start(item.item) + item.item.len();
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_the_queue_gets_is_valid_and_keys_are_apart(body in bodies()) {
        let raw = body.to_string();
        with_items(raw.as_bytes(), |items| {
            let items = items.unwrap();
            for item in &items {
                let sent = item.inline();
                for id in [&sent.group, &sent.dedup_id] {
                    prop_assert!((1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()), "{id}");
                }
                let message: QueueMessage<'_> = serde_json::from_str(&sent.body).unwrap();
                let Body::Inline(context) = message.body else { panic!("inline") };
                prop_assert_eq!(context.item.get(), item.item);
                prop_assert_eq!(context.subject.as_deref(), item.subject.as_deref());
            }
            // Items without an id of Meta's are never taken for one another.
            let anonymous: Vec<_> = items.iter().filter(|i| i.id == i.dedup_id && i.id.len() == 64).map(|i| &i.dedup_id).collect();
            prop_assert_eq!(anonymous.iter().collect::<HashSet<_>>().len(), anonymous.len());
            Ok(())
        })?;
    }

    #[test]
    fn a_body_out_of_an_event_routes_as_the_same_bytes(body in bodies()) {
        let raw = body.to_string();
        let event = serde_json::to_string(&raw).unwrap();
        let secrets = AppSecrets::new(b"secret", None);
        let header = sign(raw.as_bytes(), b"secret");
        if let Some(json::LongText::Decoded(decoded)) = json::Reader::new(&event).long_text().unwrap() {
            let webhook = verify_decoded(&decoded, Some(&header), &secrets).unwrap();
            let nested = route(&webhook, &key(), accepted()).unwrap();
            with_items(raw.as_bytes(), |items| { prop_assert_eq!(&items.unwrap(), &nested); Ok(()) })?;
        }
    }

    #[test]
    fn no_bytes_at_all_make_a_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let json = serde_json::from_slice::<serde::de::IgnoredAny>(&raw).is_ok();
        prop_assert_eq!(with_items(&raw, |items| items.is_ok()), json);
    }
}
