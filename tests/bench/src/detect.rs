//! A CloudTrail record's bytes in, the names of the rules that match out: the runner's rules as a file dropped in.

use std::collections::BTreeMap;

use portcullis_detection::{Context, Detector, Record, RuleSet};
use serde_json::json;

use crate::measure::Job;

pub(crate) fn run(job: &Job) {
    let path = std::env::var("BENCH_RULES").expect("BENCH_RULES names the rule file");
    let yaml = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let rules = RuleSet::load([("cloudtrail.yml", yaml)]).unwrap_or_else(|e| panic!("{e}"));
    let detector = Detector::new(rules, Context::default());
    let records = job.lines("cloudtrail.jsonl");
    job.run(
        &records,
        Vec::len,
        |bytes| {
            let record = Record::parse(bytes).expect("a record");
            let verdict = detector.judge(&record, record.time()).expect("a verdict");
            verdict.hits.into_iter().map(|hit| hit.title).collect::<Vec<_>>()
        },
        |answers| {
            let mut counts = BTreeMap::<String, u64>::new();
            answers.flatten().for_each(|title| *counts.entry(title).or_default() += 1);
            json!(counts)
        },
    );
}
