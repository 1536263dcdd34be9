//! The sample events of `events/sts`: what `sam local invoke` sends, and the answers beside them.

use std::path::Path;

use serde_json::Value;

use crate::support::sts;

/// An object `{"$any": true}` stands for anything, `{"$json": …}` for a string of JSON.
fn differs(at: &str, expected: &Value, found: &Value) -> Option<String> {
    if expected.get("$any").is_some() {
        return None;
    }
    if let Some(expected) = expected.get("$json") {
        let found = serde_json::from_str(found.as_str().unwrap_or_default()).unwrap_or(Value::Null);
        return differs(at, expected, &found);
    }
    match (expected, found) {
        (Value::Object(e), Value::Object(f)) => {
            let names = e.keys().chain(f.keys());
            names.into_iter().find_map(|name| match (e.get(name), f.get(name)) {
                (Some(e), Some(f)) => differs(&format!("{at}.{name}"), e, f),
                _ => Some(format!("{at}.{name} is in one of them alone")),
            })
        }
        _ => (expected != found).then(|| format!("{at}: {found}, expected {expected}")),
    }
}

#[tokio::test]
async fn every_event_is_answered_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/sts");
    let mut checked = 0;
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // Those of the development client need the stack that knows it: they run under the Runtime Interface Emulator.
        if name.ends_with(".expected.json") || name.starts_with("development-client-") {
            continue;
        }
        let expected = path.with_file_name(name.replace(".json", ".expected.json"));
        let expected: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
        let found = sts().await.send_raw(&std::fs::read(&path).unwrap()).await;
        assert_eq!(differs("$", &expected, &found), None, "{name}");
        checked += 1;
    }
    assert!(checked >= 19, "{checked}");
}

#[tokio::test]
async fn what_is_no_request_is_an_error_that_says_nothing() {
    let sts = sts().await;
    for event in [
        &b"{}"[..],
        b"[]",
        b"x",
        br#"{"Records":[]}"#,
        br#"{"httpMethod":"GET","path":"/","multiValueHeaders":7}"#,
    ] {
        let error = sts.fail(event).await;
        assert_eq!((error.kind, error.message), ("UnknownEvent", "the event is not an API request"));
    }
}
