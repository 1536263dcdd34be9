//! Any text is a rule file, or is refused with a reason and a place; a rule that is taken can judge.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_detection::{Context, Detector, Record, RuleSet};

const RECORD: &[u8] = br#"{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventSource":"iam.amazonaws.com",
    "eventName":"CreateUser","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a","userName":"a"},
    "sourceIPAddress":"198.51.100.1","requestParameters":{"userName":"b","tags":[{"key":"k"}],"n":1}}"#;

fuzz_target!(|yaml: &str| {
    match RuleSet::load([("fuzz.yml", yaml)]) {
        Ok(rules) => {
            let detector = Detector::new(rules, Context::default());
            let record = Record::parse(RECORD).unwrap();
            let _verdict = detector.judge(&record, record.time()).unwrap();
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            for problem in errors.0 {
                assert!(problem.file == "fuzz.yml" && problem.line >= 1 && !problem.message.is_empty());
            }
        }
    }
});
