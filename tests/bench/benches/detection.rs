//! `make bench`: records a second and core, through the whole shipped rule set, and what loading it costs at a start.
#![expect(clippy::expect_used, reason = "benchmarks stop at what they did not expect")]

use std::fs;
use std::path::Path;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use portcullis_detection::{Context, Detector, Record, RuleSet, SHIPPED};
use portcullis_response::{Finding, FindingTypes, PLAYBOOKS, Playbooks, TYPES};
use serde_json::Value;

fn main() {
    divan::main();
}

fn rules() -> RuleSet {
    RuleSet::load(SHIPPED).expect("the shipped rules")
}

fn folder(path: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let files = fs::read_dir(&path).expect("a folder").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

/// The records of recorded attacks: a hit on most calls.
fn attacks() -> Vec<Vec<u8>> {
    let files = folder("shared/detection/tests/attacks");
    let values = files.iter().map(|file| serde_json::from_slice::<Value>(file).expect("JSON"));
    values
        .flat_map(|file| file.as_array().cloned().expect("an array"))
        .map(|r| r.to_string().into_bytes())
        .collect()
}

/// What each rule must pass over in silence: records that look almost like an attack.
fn near_misses() -> Vec<Vec<u8>> {
    let files = folder("config/detections/tests");
    let cases = files.iter().map(|file| serde_json::from_slice::<Value>(file).expect("JSON"));
    let silent =
        cases.flat_map(|case| case.get("silent").and_then(Value::as_array).cloned().unwrap_or_default());
    let each = silent.flat_map(|events| events.as_array().cloned().unwrap_or_default());
    each.map(|event| event.to_string().into_bytes()).collect()
}

fn judge_all(bencher: Bencher<'_, '_>, events: &[Vec<u8>]) {
    let detector = Detector::new(rules(), Context::default());
    bencher.counter(ItemsCount::new(events.len())).bench_local(|| {
        let mut hits = 0;
        for event in events {
            let record = Record::parse(black_box(event)).expect("a record");
            hits += detector.judge(&record, record.time()).expect("a verdict").hits.len();
        }
        hits
    });
}

#[divan::bench]
fn judge_recorded_attacks(bencher: Bencher<'_, '_>) {
    judge_all(bencher, &attacks());
}

#[divan::bench]
fn judge_near_misses(bencher: Bencher<'_, '_>) {
    judge_all(bencher, &near_misses());
}

#[divan::bench]
fn load_the_shipped_rules(bencher: Bencher<'_, '_>) {
    bencher.bench_local(rules);
}

#[divan::bench]
fn load_the_shipped_playbooks_and_finding_types(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| (Playbooks::load(PLAYBOOKS).is_ok(), FindingTypes::parse(TYPES).is_ok()));
}

#[divan::bench]
fn read_a_finding(bencher: Bencher<'_, '_>) {
    let finding = br#"{"version":"0","source":"aws.guardduty","detail-type":"GuardDuty Finding","account":"111122223333","region":"us-east-1","detail":{"schemaVersion":"2.0","accountId":"111122223333","region":"us-east-1","id":"f1","type":"CryptoCurrency:EC2/BitcoinTool.B!DNS","severity":8,"title":"t","description":"d","createdAt":"2026-03-03T10:00:00Z","updatedAt":"2026-03-03T10:00:00Z","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0abc"}},"service":{"detectorId":"d1","count":1,"archived":false}}}"#;
    Finding::parse(finding).expect("a finding");
    bencher.bench_local(|| Finding::parse(black_box(finding)).map(|finding| finding.count));
}
