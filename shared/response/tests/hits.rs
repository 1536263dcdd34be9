//! From recorded attacks to plans: what each would lead to, and that the same calls, had they failed, lead to nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use std::fs;
use std::path::Path;

use futures_util::future::FutureExt;
use portcullis_detection::{Context, Detector, Hit, MemoryState, RuleSet, SHIPPED, records};
use portcullis_response::{Disposition, Signal, Status};
use serde_json::Value;

use support::{all_on, bench};

fn detector() -> Detector {
    Detector::new(RuleSet::load(SHIPPED).unwrap(), Context::default())
}

fn hits(detector: &Detector, input: &str) -> Vec<Hit> {
    let state = MemoryState::default();
    let mut found = Vec::new();
    for record in records(input.as_bytes()) {
        let record = record.unwrap();
        found.extend(detector.examine(&record, &state, record.time()).now_or_never().unwrap().unwrap());
    }
    found
}

fn attacks() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../detection/tests/attacks");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut attacks: Vec<(String, String)> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    attacks.sort();
    assert!(attacks.len() >= 20);
    attacks
}

#[test]
fn every_recorded_attack_opens_an_incident_with_a_plan() {
    let (detector, mut planned) = (detector(), 0);
    for (name, input) in attacks() {
        let found = hits(&detector, &input);
        assert!(!found.is_empty(), "{name}");
        for hit in &found {
            let bench = bench(all_on());
            let signal = Signal::of_hit(hit);
            assert_eq!(signal.incident_type, hit.incident_type, "{name}");
            let plan = bench.rig.plan(&signal).now_or_never().unwrap();
            let runs = plan.steps.iter().any(|s| s.kind.contains() && s.disposition == Disposition::Run);
            assert!(!runs || hit.containable, "{name}: {}", hit.rule);
            planned += usize::from(runs);
            let incident = bench.respond(&signal).unwrap();
            assert!(!bench.rig.notifier.inner().messages().is_empty(), "{name}");
            assert!(hit.containable || incident.status == Status::Detected, "{name}: {}", incident.status);
        }
    }
    assert!(planned >= 10, "{planned}");
}

#[test]
fn the_same_calls_had_they_failed_lead_to_no_containment() {
    let (detector, mut judged) = (detector(), 0);
    for (name, input) in attacks() {
        for hit in hits(&detector, &failed(&input)) {
            judged += 1;
            let bench = bench(all_on());
            let incident = bench.respond(&Signal::of_hit(&hit)).unwrap();
            assert_eq!(incident.status, Status::Detected, "{name}: {}", hit.rule);
            assert_eq!(bench.rig.account.effects(), Vec::<String>::new(), "{name}: {}", hit.rule);
        }
    }
    assert!(judged > 0, "attempts against logging are seen");
}

/// The records of a file, each refused.
fn failed(input: &str) -> String {
    let mut lines = Vec::new();
    for value in serde_json::Deserializer::from_str(input).into_iter::<Value>() {
        let value = value.unwrap();
        let all = match value {
            Value::Array(items) => items,
            Value::Object(mut object) => match object.remove("Records") {
                Some(Value::Array(items)) => items,
                _ => vec![Value::Object(object)],
            },
            other => vec![other],
        };
        lines.extend(all.into_iter().map(|mut record| {
            record.as_object_mut().unwrap().insert("errorCode".into(), "AccessDenied".into());
            record.to_string()
        }));
    }
    lines.join("\n")
}
