//! Every file of `events/webhook`, answered as the file beside it says.

use std::path::{Path, PathBuf};

use portcullis_base::Timestamp;
use portcullis_lambda::{ProxyEvent, ProxyResponse};
use serde_json::Value;

use crate::support::{Bench, NOW, bench_of};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn development() -> Bench {
    let secret = |name: &str| std::fs::read_to_string(root().join("config/dev").join(name)).unwrap();
    bench_of(secret("webhook-secret.json"), Some(secret("webhook-secret.previous.json")), |_| {})
}

fn cases() -> Vec<(String, Vec<u8>, Value)> {
    let folder = root().join("events/webhook");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|f| {
            f.unwrap().file_name().into_string().unwrap().strip_suffix(".expected.json").map(str::to_owned)
        })
        .map(|name| {
            let event = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
            let expected = std::fs::read(folder.join(format!("{name}.expected.json"))).unwrap();
            (name, event, serde_json::from_slice(&expected).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

#[tokio::test]
async fn sample_events_are_answered_as_expected() {
    let cases = cases();
    assert!(cases.len() >= 14, "{}", cases.len());
    for (name, event, expected) in cases {
        assert_eq!(development().invoke(&event).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_parsed_event_gets_the_same_answer() {
    let deadline = Timestamp::from_millisecond(NOW + 10_000).unwrap();
    for (name, event, expected) in cases() {
        let parsed = ProxyEvent::parse(&event).unwrap();
        let answer: ProxyResponse = development().function.handle_request(&parsed, deadline).await;
        assert_eq!(serde_json::from_slice::<Value>(&answer.to_json()).unwrap(), expected, "{name}");
    }
}
