//! Whatever the input, reading it ends, every item is a record or a complaint, and what is in an envelope is what the
//! envelope holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_detection::{DETAIL_TYPES, records};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let mut items = 0;
    for item in records(bytes) {
        items += 1;
        match item {
            Ok(record) => assert!(!record.id().is_empty()),
            Err(unreadable) => assert!(unreadable.at <= bytes.len()),
        }
        assert!(items <= bytes.len(), "more items than bytes");
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    // An array or a log file gives an item for each of its own; nothing is dropped silently.
    match &value {
        Value::Array(list) => assert_eq!(items, list.len()),
        _ => assert!(items >= 1 || value["Records"].as_array().is_some_and(Vec::is_empty)),
    }
    let Some(kind) = value["detail-type"].as_str().filter(|_| value.get("Records").is_none()) else { return };
    if let Some(Ok(record)) = records(bytes).next() {
        assert!(DETAIL_TYPES.contains(&kind));
        assert_eq!(value["detail"]["eventID"].as_str(), Some(record.id()));
    }
});
