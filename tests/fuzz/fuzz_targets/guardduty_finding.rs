//! Any bytes are a finding or are refused; a finding gives a signal whose plan never contains a sample, and never more than
//! the playbook says.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_base::Timestamp;
use portcullis_response::{
    Disposition, Facts, Finding, FindingTypes, Incident, PLAYBOOKS, Playbooks, SAFETY, Safety, Signal, TYPES,
    decide,
};

static TYPES_FILE: LazyLock<FindingTypes> = LazyLock::new(|| FindingTypes::parse(TYPES).unwrap());
static SAFETY_FILE: LazyLock<Safety> = LazyLock::new(|| Safety::parse(SAFETY).unwrap());
static BOOKS: LazyLock<Playbooks> = LazyLock::new(|| {
    let on = PLAYBOOKS.map(|(name, yaml)| (name, yaml.replace("dry_run: true", "dry_run: false")));
    Playbooks::load(on).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(finding) = Finding::parse(bytes) else { return };
    let now = Timestamp::UNIX_EPOCH;
    let signal = Signal::of_finding(&finding, &TYPES_FILE, now);
    assert_eq!(signal.incident_id(), Signal::of_finding(&finding, &TYPES_FILE, now).incident_id());
    let book = BOOKS.of(signal.incident_type);
    let incident = Incident::open(signal, now);
    let plan = decide(&incident, book, &SAFETY_FILE, &Facts::default(), now);
    for step in &plan.steps {
        assert!(book.steps.iter().any(|s| s.step == step.kind), "a step that no playbook names");
        assert!(!step.why.is_empty());
        // Tags were not read: what they could forbid is asked first.
        let acts = step.kind.contains() && step.disposition == Disposition::Run;
        assert!(!(acts && finding.sample), "a sample is contained");
    }
});
