//! Any bytes are a proxy event or are not; those that are say the same as a full JSON parser does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_lambda::ProxyEvent;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = ProxyEvent::parse(bytes) else { return };
    // A member that is there twice has no one meaning: which one wins is checked by nobody downstream.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_eq!(value["httpMethod"].as_str(), Some(&*event.method));
    assert_eq!(value["path"].as_str(), Some(&*event.path));
    if let Some(body) = value["body"].as_str() {
        assert_eq!(event.body.as_deref(), Some(body));
    }
    for (name, text) in &event.headers.0 {
        assert!(event.headers.header(&name.to_ascii_uppercase()).is_some());
        assert!(value["headers"].get(&**name).is_some(), "{name}: {text}");
    }
});
