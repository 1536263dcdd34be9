//! A CloudTrail record's bytes in, the names of the rules that match out: the whole shipped rule set, with the runner's
//! rules dropped in beside it as a file. The runner checks the hits of its own rules; ours are found and left out of it.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_detection::{Context, Detector, Record, RuleSet, SHIPPED};
use serde_json::json;

use crate::measure::Job;

pub(crate) fn run(job: &Job) {
    let path = std::env::var("BENCH_RULES").expect("BENCH_RULES names the rule file");
    let dropped_in = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let files = SHIPPED.into_iter().chain([("runner.yml", dropped_in.as_str())]);
    let rules = RuleSet::load(files).unwrap_or_else(|e| panic!("{e}"));
    let theirs: BTreeSet<String> =
        rules.infos().filter(|rule| rule.file == "runner.yml").map(|rule| rule.id.clone()).collect();
    let detector = Detector::new(rules, Context::default());
    let records = job.lines("cloudtrail.jsonl");
    job.run(
        &records,
        Vec::len,
        |bytes| {
            let record = Record::parse(bytes).expect("a record");
            let verdict = detector.judge(&record, record.time()).expect("a verdict");
            verdict.hits.into_iter().map(|hit| (hit.rule_id, hit.title)).collect::<Vec<_>>()
        },
        |answers| {
            let mut counts = BTreeMap::<String, u64>::new();
            for (_, title) in answers.flatten().filter(|(id, _)| theirs.contains(id)) {
                *counts.entry(title).or_default() += 1;
            }
            json!(counts)
        },
    );
}
