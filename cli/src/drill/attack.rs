//! An attack to play: its events, as of now and under new ids, and what is expected of the stack.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use jiff::SignedDuration;
use portcullis_base::Timestamp;
use portcullis_detection::records;
use portcullis_response::Finding;
use serde::Deserialize;
use serde_json::Value;

use super::shipped::SHIPPED;
use crate::detect;
use crate::failure::Failure;
use crate::input;

/// An attack that can be played.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attack {
    /// The recording's name.
    pub(super) name: String,
    /// For people.
    pub(super) title: String,
    /// ATT&CK, where the recording says so.
    pub(super) technique: Option<String>,
    /// What the stack is to make of it; of files of a user nothing is said.
    pub(super) expected: Option<Expected>,
    /// What is sent.
    pub(super) events: Events,
}

/// What a recording expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// Rules and types of findings, each of which opens an incident. None: nothing may.
    pub(super) seen_by: Vec<String>,
    /// Steps that are done, as `kind target`. None: nothing may be contained.
    pub(super) contained: Vec<String>,
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Events {
    /// CloudTrail records.
    Records(Vec<Value>),
    /// A finding of GuardDuty, in its envelope or alone.
    Finding(Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    title: String,
    technique: Option<String>,
    seen_by: Vec<String>,
    contained: Vec<String>,
    records: Option<Vec<Value>>,
    finding: Option<Value>,
}

/// The shipped attacks, on principals that no run before this one had.
pub(super) fn shipped() -> Result<Vec<Attack>, Failure> {
    let run = run_id()?;
    SHIPPED.iter().map(|(name, json)| recorded(name, &json.replace(RUN, &run))).collect()
}

/// The attacks in these files.
pub(super) fn of_files(files: &[PathBuf]) -> Result<Vec<Attack>, Failure> {
    files.iter().map(|file| of_file(file)).collect()
}

fn recorded(name: &str, json: &str) -> Result<Attack, Failure> {
    let wrong = |why: &str| Failure::usage(format!("{name}: {why}"));
    let recording: Recording = serde_json::from_str(json).map_err(|e| wrong(&e.to_string()))?;
    let events = match (recording.records, recording.finding) {
        (Some(records), None) => Events::Records(records),
        (None, Some(finding)) => Events::Finding(finding),
        _ => return Err(wrong("records or a finding, and not both")),
    };
    Ok(Attack {
        name: name.to_owned(),
        title: recording.title,
        technique: recording.technique,
        expected: Some(Expected { seen_by: recording.seen_by, contained: recording.contained }),
        events,
    })
}

fn of_file(file: &Path) -> Result<Attack, Failure> {
    let bytes = detect::read(file)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let value = |json: &[u8]| serde_json::from_slice(json).map_err(|e| input::wrong(file, &e));
    let events = if Finding::parse(&bytes).is_ok() {
        Events::Finding(value(&bytes)?)
    } else {
        let records: Vec<Value> = records(&bytes)
            .map(|record| value(record.map_err(|e| input::wrong(file, &e))?.json().as_bytes()))
            .collect::<Result<_, _>>()?;
        if records.is_empty() {
            return Err(input::wrong(file, &"no records"));
        }
        Events::Records(records)
    };
    Ok(Attack { title: name.clone(), name, technique: None, expected: None, events })
}

impl Attack {
    /// What is sent at `now`: the last event happens then, those before it as long before it as they were recorded, each
    /// under an id that it never had.
    pub(super) fn body(&self, now: Timestamp) -> Result<Vec<u8>, Failure> {
        let run = run_id()?;
        Ok(match &self.events {
            Events::Records(records) => {
                let lines: Vec<String> = restamped(records, &run, now).iter().map(Value::to_string).collect();
                lines.join("\n").into_bytes()
            }
            Events::Finding(event) => renewed(event, &run, now).to_string().into_bytes(),
        })
    }
}

fn restamped(records: &[Value], run: &str, now: Timestamp) -> Vec<Value> {
    let time = |record: &Value| record.get("eventTime")?.as_str()?.parse::<Timestamp>().ok();
    let last = records.iter().filter_map(time).max();
    let shift = last.map_or(SignedDuration::ZERO, |last| last.duration_until(now));
    let of = |record: &Value| {
        let mut record = record.clone();
        if let Some(at) = time(&record).and_then(|at| at.checked_add(shift).ok()) {
            set(&mut record, "eventTime", at.to_string());
        }
        let id = record.get("eventID").and_then(Value::as_str).unwrap_or_default().to_owned();
        set(&mut record, "eventID", format!("drill-{run}-{id}"));
        record
    };
    records.iter().map(of).collect()
}

fn renewed(event: &Value, run: &str, now: Timestamp) -> Value {
    let mut event = event.clone();
    let in_envelope = event.get("detail").is_some();
    if in_envelope {
        set(&mut event, "time", now.to_string());
    }
    let finding = if in_envelope { event.get_mut("detail") } else { Some(&mut event) };
    if let Some(finding) = finding {
        let id = finding.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        set(finding, "id", format!("drill-{run}-{id}"));
        for name in ["createdAt", "updatedAt"] {
            set(finding, name, now.to_string());
        }
        if let Some(service) = finding.get_mut("service") {
            for name in ["eventFirstSeen", "eventLastSeen"] {
                set(service, name, now.to_string());
            }
        }
    }
    event
}

fn set(object: &mut Value, name: &str, text: String) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), Value::String(text));
    }
}

fn run_id() -> Result<String, Failure> {
    let mut random = [0; 4];
    rand::fill(&mut random).map_err(|_| Failure::usage("no random numbers are to be had"))?;
    Ok(hex::encode(random))
}

/// Stands for the run in a shipped recording.
const RUN: &str = "{run}";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use portcullis_base::Clock;
    use portcullis_detection::{Context, Detector, MemoryState, RuleSet, SHIPPED as RULES};
    use portcullis_lambda::SystemClock;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_shipped_recording_is_in_its_folder_and_the_other_way_round() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/drill");
        let there: BTreeSet<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let compiled: BTreeSet<_> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, compiled);
        assert!(shipped().unwrap().iter().any(|attack| attack.expected.as_ref().unwrap().seen_by.is_empty()));
    }

    /// The rules alone, without a stack: what a recording says of itself holds.
    #[tokio::test]
    async fn every_shipped_recording_of_cloudtrail_is_seen_as_it_says() {
        let detector = Detector::new(RuleSet::load(RULES).unwrap(), Context::default());
        for attack in shipped().unwrap() {
            let Events::Records(_) = &attack.events else { continue };
            let (state, body, mut seen) =
                (MemoryState::default(), attack.body(SystemClock.now()).unwrap(), BTreeSet::new());
            for record in records(&body) {
                let hits = detector.examine(&record.unwrap(), &state, SystemClock.now()).await.unwrap();
                for hit in hits {
                    let technique = attack.technique.clone().unwrap();
                    seen.insert(hit.rule.clone());
                    if attack.expected.as_ref().unwrap().seen_by.contains(&hit.rule) {
                        assert!(hit.techniques.contains(&technique), "{}: {:?}", attack.name, hit.techniques);
                    }
                }
            }
            let expected: BTreeSet<_> = attack.expected.unwrap().seen_by.into_iter().collect();
            assert_eq!(seen, expected, "{}", attack.name);
        }
    }

    #[test]
    fn events_happen_now_in_their_order_under_new_ids() {
        let now: Timestamp = "2026-11-22T10:00:00.5Z".parse().unwrap();
        let records = [
            json!({"eventTime": "2026-03-03T10:00:00Z", "eventID": "a"}),
            json!({"eventTime": "2026-03-03T10:00:07Z", "eventID": "b"}),
        ];
        let played = restamped(&records, "run", now);
        let of = |name: &str| played.iter().map(|r| r[name].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(of("eventTime"), ["2026-11-22T09:59:53.5Z", "2026-11-22T10:00:00.5Z"]);
        assert_eq!(of("eventID"), ["drill-run-a", "drill-run-b"]);
    }

    #[test]
    fn a_finding_is_new_and_seen_now_in_an_envelope_or_alone() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let finding = json!({"id": "f", "updatedAt": "old", "service": {"eventLastSeen": "old", "count": 1}});
        let alone = renewed(&finding, "run", now);
        let inside = renewed(&json!({"detail-type": "GuardDuty Finding", "detail": finding}), "run", now);
        assert_eq!(alone, inside["detail"]);
        assert_eq!((&alone["id"], &alone["service"]["count"]), (&json!("drill-run-f"), &json!(1)));
        assert_eq!(alone["service"]["eventLastSeen"], "2026-11-22T10:00:00Z");
    }

    #[test]
    fn a_file_is_a_finding_or_records_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let record =
            r#"{"eventID":"e","eventTime":"2026-03-03T10:00:00Z","eventName":"X","eventSource":"s"}"#;
        let attack = of_file(&write("mine.json", &format!("[{record}]"))).unwrap();
        assert_eq!((attack.name.as_str(), attack.expected), ("mine", None));
        for (label, text) in [("empty", ""), ("no records", "[]"), ("broken", "{")] {
            assert!(of_file(&write("x.json", text)).is_err(), "{label}");
        }
    }
}
