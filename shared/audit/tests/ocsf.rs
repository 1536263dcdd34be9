//! Every event against `ocsf-1.5.0.json`: the attributes, required attributes, constraints and captions of the OCSF
//! classes and objects in use.
#![cfg(test)]

use std::collections::BTreeMap;

use futures_util::FutureExt;
use portcullis_audit::{
    AuditRecord, Auditor, AuditorSettings, CertificateRef, Kind, MemoryAudit, OCSF_VERSION, SecurityEvent,
    Status,
};
use portcullis_base::{ManualClock, Timestamp};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Schema {
    version: String,
    classes: BTreeMap<String, Shape>,
    objects: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    name: String,
    #[serde(default)]
    category_uid: u64,
    required: Vec<String>,
    #[serde(default)]
    at_least_one: Vec<String>,
    #[serde(default)]
    just_one: Vec<String>,
    #[serde(default)]
    enums: BTreeMap<String, BTreeMap<String, String>>,
    attributes: BTreeMap<String, String>,
}

impl Schema {
    fn read() -> Self {
        serde_json::from_str(include_str!("ocsf-1.5.0.json")).unwrap()
    }

    /// What is wrong with an event.
    fn faults(&self, event: &Value) -> Vec<String> {
        let uid = event["class_uid"].to_string();
        let Some(class) = self.classes.get(&uid) else { return vec![format!("no class {uid}")] };
        let mut faults = Vec::new();
        self.check("event", class, event, &mut faults);
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(what.to_owned());
            }
        };
        let number = |name: &str| event[name].as_u64().unwrap_or(u64::MAX);
        must(event["class_name"] == class.name, "class_name");
        must(number("category_uid") == class.category_uid, "category_uid");
        must(number("type_uid") == number("class_uid") * 100 + number("activity_id"), "type_uid");
        let type_name = format!("{}: {}", class.name, event["activity_name"].as_str().unwrap_or_default());
        must(event["type_name"] == type_name, "type_name");
        must(event["metadata"]["version"] == self.version, "metadata.version");
        for (id, caption) in [
            ("activity_id", "activity_name"),
            ("category_uid", "category_name"),
            ("severity_id", "severity"),
            ("status_id", "status"),
            ("auth_protocol_id", "auth_protocol"),
        ] {
            let Some(known) = class.enums.get(id).filter(|_| !event[id].is_null()) else { continue };
            let expected = known.get(&event[id].to_string());
            // 99 is "Other": its caption names what it is.
            let fits = |expected: &String| event[id] == 99 || event[caption] == *expected;
            must(expected.is_some_and(fits), caption);
            must(event[id] != 99 || event[caption].as_str().is_some_and(|c| c != "Other"), caption);
        }
        faults
    }

    fn check(&self, path: &str, shape: &Shape, value: &Value, faults: &mut Vec<String>) {
        let Some(members) = value.as_object() else { return faults.push(format!("{path}: no object")) };
        let missing = shape.required.iter().filter(|name| !members.contains_key(*name));
        faults.extend(missing.map(|name| format!("{path}.{name}: missing")));
        let count = |names: &[String]| names.iter().filter(|name| members.contains_key(*name)).count();
        if !shape.at_least_one.is_empty() && count(&shape.at_least_one) == 0 {
            faults.push(format!("{path}: none of {:?}", shape.at_least_one));
        }
        if !shape.just_one.is_empty() && count(&shape.just_one) != 1 {
            faults.push(format!("{path}: not exactly one of {:?}", shape.just_one));
        }
        for (name, value) in members {
            let path = format!("{path}.{name}");
            match shape.attributes.get(name).map(String::as_str) {
                None => faults.push(format!("{path}: no such attribute")),
                Some(kind) => match kind.strip_suffix("[]") {
                    None => self.check_value(&path, kind, value, faults),
                    Some(kind) => match value.as_array().filter(|values| !values.is_empty()) {
                        Some(values) => values.iter().for_each(|v| self.check_value(&path, kind, v, faults)),
                        None => faults.push(format!("{path}: no array")),
                    },
                },
            }
        }
    }

    fn check_value(&self, path: &str, kind: &str, value: &Value, faults: &mut Vec<String>) {
        let fits = match kind {
            "object" => value.as_object().is_some_and(|members| !members.is_empty()),
            "integer_t" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "long_t" | "timestamp_t" => value.is_i64(),
            "boolean_t" => value.is_boolean(),
            "ip_t" => value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok()),
            "json_t" => true,
            kind => match self.objects.get(kind) {
                Some(shape) => return self.check(path, shape, value, faults),
                None => kind.ends_with("_t") && value.as_str().is_some_and(|text| !text.is_empty()),
            },
        };
        if !fits {
            faults.push(format!("{path}: not a {kind}: {value}"));
        }
    }
}

fn recorded(events: &[SecurityEvent]) -> Vec<AuditRecord> {
    let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap());
    let auditor = Auditor::new(MemoryAudit::default(), clock, AuditorSettings::new("sts"));
    auditor.record_all(events).now_or_never().unwrap().unwrap();
    auditor.sink().records()
}

fn body(event: SecurityEvent) -> Value {
    serde_json::from_str(recorded(&[event])[0].body()).unwrap()
}

/// An event that says all that it can.
fn full(kind: Kind, text: &str) -> SecurityEvent {
    let expires = Timestamp::from_second(1_800_000_900).unwrap();
    let certificate = CertificateRef::new(text, text).subject(text).sha256(text).expires_at(expires);
    SecurityEvent::new(kind, text)
        .actor(text)
        .roles([text, "analyst"])
        .source("2001:db8::7")
        .token(text, Some(expires))
        .audience(text)
        .operation(&format!("POST /{text}"))
        .resource("plan", text)
        .resource("key", text)
        .privileges([text])
        .policies([text])
        .certificate(certificate)
        .reason("expired")
        .request_id(text)
        .detail("grant", text)
}

#[test]
fn every_event_is_valid_whether_it_says_all_or_nothing() {
    let schema = Schema::read();
    assert_eq!(schema.version, OCSF_VERSION);
    for kind in Kind::ALL {
        for event in [SecurityEvent::new(kind, ""), SecurityEvent::new(kind, "svc.analyst"), full(kind, "x")]
        {
            let body = body(event);
            assert_eq!(schema.faults(&body), [""; 0], "{kind:?}: {body:#}");
            assert_eq!(body["metadata"]["event_code"], kind.as_str());
        }
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let schema = Schema::read();
    type Change = (&'static str, fn(&mut Value));
    let changes: [Change; 12] = [
        ("event.user: missing", |e| drop(e.as_object_mut().unwrap().remove("user"))),
        ("event.time: not a timestamp_t", |e| e["time"] = json!("now")),
        ("type_uid", |e| e["type_uid"] = json!(300_201)),
        ("event.token: no such attribute", |e| e["token"] = json!("x")),
        ("event.privileges: no array", |e| e["privileges"] = json!([])),
        ("event: not exactly one of", |e| e["group"] = json!({ "name": "x" })),
        ("event.user: none of", |e| e["user"] = json!({ "groups": [{ "name": "x" }] })),
        ("event.metadata.product: missing", |e| {
            drop(e["metadata"].as_object_mut().unwrap().remove("product"));
        }),
        ("severity", |e| e["severity"] = json!("Fine")),
        ("event.src_endpoint.ip: not a ip_t", |e| e["src_endpoint"]["ip"] = json!("localhost")),
        ("metadata.version", |e| e["metadata"]["version"] = json!("1.0.0")),
        ("no class", |e| e["class_uid"] = json!(9)),
    ];
    for (expected, change) in changes {
        let mut event = body(full(Kind::PermissionGranted, "x"));
        change(&mut event);
        let faults = schema.faults(&event);
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}: {faults:?}");
    }
}

#[test]
fn what_an_event_says_is_where_readers_look_for_it() {
    for (kind, expected) in [
        (
            Kind::TokenIssued,
            json!([
                ["/type_uid", 300_201],
                ["/user/uid", "x"],
                ["/user/groups/1/name", "analyst"],
                ["/session/uid", "x"],
                ["/session/expiration_time", 1_800_000_900_000_i64],
                ["/service/name", "x"],
                ["/src_endpoint/ip", "2001:db8::7"],
                ["/status", "Success"],
                ["/status_detail", "expired"],
                ["/metadata/correlation_uid", "x"],
                ["/unmapped/details/grant", "x"],
                ["/http_request/http_method", "POST"],
                ["/http_request/url/path", "/x"],
            ]),
        ),
        (
            Kind::PermissionDenied,
            json!([
                ["/class_uid", 3003],
                ["/privileges/0", "x"],
                ["/status", "Failure"],
                ["/actor/authorizations/0/decision", "Denied"],
                ["/actor/authorizations/0/policy/uid", "x"],
            ]),
        ),
        (
            Kind::PiiRead,
            json!([
                ["/class_uid", 6003],
                ["/activity_id", 2],
                ["/actor/user/uid", "x"],
                ["/api/operation", "POST /x"],
                ["/resources/1/type", "key"],
            ]),
        ),
        (Kind::ClientLockedOut, json!([["/type_uid", 300_109], ["/user/uid", "x"], ["/severity_id", 4]])),
        (Kind::KeysRotated, json!([["/class_uid", 3004], ["/entity/type", "plan"], ["/entity/uid", "x"]])),
        (
            Kind::RefreshReused,
            json!([
                ["/class_uid", 2004],
                ["/is_alert", true],
                ["/evidences/0/actor/user/uid", "x"],
                ["/evidences/0/src_endpoint/ip", "2001:db8::7"],
                ["/finding_info/types/0", "refresh-reused"],
            ]),
        ),
        (
            Kind::CertificateRefused,
            json!([
                ["/certificate/fingerprints/0/algorithm_id", 3],
                ["/certificate/serial_number", "x"],
                ["/auth_protocol", "mTLS"],
            ]),
        ),
    ] {
        let body = body(full(kind, "x"));
        for pair in expected.as_array().unwrap() {
            assert_eq!(body.pointer(pair[0].as_str().unwrap()), Some(&pair[1]), "{kind:?} {pair}: {body:#}");
        }
    }
}

#[test]
fn kinds_have_words_of_their_own_and_cover_the_source_document() {
    let words: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), Kind::ALL.len());
    for word in [
        "token-issued",
        "token-validated",
        "token-refused",
        "permission-granted",
        "permission-denied",
        "action-executed",
        "action-rejected",
        "certificate-validated",
        "keys-rotated",
    ] {
        assert!(words.contains(word), "{word}");
    }
    for kind in Kind::ALL {
        let refused = kind.as_str().ends_with("refused") || kind.as_str().ends_with("denied");
        let failed = kind.status() == Status::Failure;
        assert!(!refused || failed, "{kind:?}");
    }
}

#[test]
fn the_documentation_lists_every_event_as_it_is() {
    let page = include_str!("../../../docs/AUDIT.md");
    for kind in Kind::ALL {
        let body = body(SecurityEvent::new(kind, "x"));
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let row = format!(
            "| `{}` | {} ({}) | {} ({}) | {} | {} |",
            kind.as_str(),
            text("class_name"),
            body["class_uid"],
            text("activity_name"),
            body["activity_id"],
            text("severity"),
            text("status")
        );
        assert!(page.lines().any(|line| line == row), "missing: {row}");
    }
}

#[test]
fn what_is_no_address_is_left_out() {
    for text in ["", "localhost", "198.51.100.7, 10.0.0.1", "198.51.100.7:80"] {
        let event = SecurityEvent::new(Kind::TokenIssued, "c").source(text);
        assert_eq!(body(event).get("src_endpoint"), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_keeps_an_event_valid_bounded_and_on_one_line(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        text in ".{0,400}|[\\x00-\\x1f\"\\\\]{0,400}",
        lists in 0_usize..50,
    ) {
        let many: Vec<_> = (0..lists).map(|n| format!("{n}{text}")).collect();
        let mut event = full(kind, &text).roles(&many).privileges(&many).policies(&many);
        for value in &many {
            event = event.resource("thing", value).detail("last", value);
        }
        let record = recorded(&[event]).remove(0);
        prop_assert!(record.body().len() <= AuditRecord::MAX_BODY, "{}", record.body().len());
        prop_assert!(!record.body().chars().any(|c| c < ' '));
        let body: Value = serde_json::from_str(record.body()).unwrap();
        prop_assert_eq!(Schema::read().faults(&body), [""; 0], "{:?}", kind);
    }
}
