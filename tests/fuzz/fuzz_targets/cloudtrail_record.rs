//! Any bytes are a record or say why not; every record gets a verdict, the same each time, and none contains after a
//! failure.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_detection::{Context, Detector, Record, RuleSet, SHIPPED};
use serde_json::Value;

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
    let context =
        "networks: [203.0.113.0/24]\nhours: {time_zone: America/Sao_Paulo, from: '08:00', to: '18:00'}";
    Detector::new(RuleSet::load(SHIPPED).unwrap(), Context::parse(context).unwrap())
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::parse(bytes) else { return };
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        // What a full parser refuses may be judged or refused, as long as nothing breaks.
        Err(_) => return drop(DETECTOR.judge(&record, record.time())),
    };
    assert_eq!(value["eventID"].as_str(), Some(record.id()));
    assert_eq!(value["errorCode"].as_str(), record.error_code());
    let verdict = DETECTOR.judge(&record, record.time()).expect("JSON is readable");
    for hit in &verdict.hits {
        assert_eq!(hit.event_id, record.id());
        assert!(!hit.containable || !record.failed());
    }
    let again = Record::parse(bytes).unwrap();
    assert_eq!(DETECTOR.judge(&again, record.time()).unwrap(), verdict);
});
