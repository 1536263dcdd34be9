//! The shipped rules, and what tests do with them.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: what is not as expected fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::future::FutureExt;
use jiff::Timestamp;
use portcullis_detection::{Context, Detector, Hit, JudgeError, MemoryState, RuleSet, records};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of a folder with that ending, by name.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "nothing in {}", folder.display());
    found
}

pub(crate) fn shipped() -> Vec<(String, String)> {
    files(&root().join("config/detections"), "yml")
}

pub(crate) fn detector(context: &str) -> Detector {
    let rules = RuleSet::load(shipped()).unwrap_or_else(|e| panic!("{e}"));
    Detector::new(rules, Context::parse(context).unwrap())
}

/// Judges all records of an input, one after the other, with fresh correlation state.
pub(crate) fn play(detector: &Detector, input: &str) -> Vec<Hit> {
    play_with(detector, input, &MemoryState::default())
}

pub(crate) fn play_with(detector: &Detector, input: &str, state: &MemoryState) -> Vec<Hit> {
    let mut hits = Vec::new();
    for record in records(input.as_bytes()) {
        let record = record.unwrap();
        let found: Result<Vec<Hit>, JudgeError> =
            detector.examine(&record, state, now()).now_or_never().unwrap();
        hits.extend(found.unwrap());
    }
    hits
}

pub(crate) fn now() -> Timestamp {
    "2026-03-03T10:30:00Z".parse().unwrap()
}

/// A small company: an office network, deployments by roles named `ci-…`, work from eight to six.
pub(crate) const COMPANY: &str = "
hours: {time_zone: UTC, from: '08:00', to: '18:00', holidays: ['12-25']}
networks: [203.0.113.0/24]
automation: ['arn:aws:iam::*:role/ci-*']
accounts: ['111122223333']
";
