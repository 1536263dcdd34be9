//! The decision, as a table.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use std::collections::BTreeMap;

use portcullis_detection::IncidentType;
use portcullis_response::{
    Approval, Band, Disposition, Facts, Incident, Mode, Playbook, PlaybookStep, Safety, Signal, Slot,
    StepKind, StepStatus, Tags, Target, approve, decide,
};
use proptest::prelude::*;

use support::{signal, start};

fn book(step: StepKind, mode: Mode) -> Playbook {
    Playbook {
        incident: IncidentType::Backdoor,
        title: "t".into(),
        dry_run: false,
        automatic_from: Band::High,
        block_for_hours: 1,
        steps: vec![PlaybookStep { step, mode }],
        next_steps: vec![],
    }
}

fn about(target: Target) -> Signal {
    let mut signal = signal("f", &book(StepKind::DenyUser, Mode::Automatic));
    signal.targets = vec![target];
    signal
}

fn user() -> Target {
    Target::User { name: "ana".into() }
}

fn tagged(value: &str) -> Facts {
    let tags = BTreeMap::from([("k".to_owned(), value.to_owned())]);
    Facts::of([(user(), Tags::Known(tags))])
}

/// Somebody's word for every step on every target.
fn word_for_all(incident: &Incident) -> Approval {
    let targets = &incident.signal.targets;
    let steps = StepKind::ALL.iter().flat_map(|kind| targets.iter().map(|target| (*kind, target.clone())));
    Approval { steps: steps.collect(), untold: vec![], seen: None, by: "lead".into(), at: start() }
}

fn safety(yaml: &str) -> Safety {
    Safety::parse(yaml).unwrap().with_own_role("responder").at_home("111122223333", "eu-west-1")
}

#[test]
fn what_runs_what_asks_and_what_never_happens() {
    use Disposition::{Ask, DryRun, Refuse, Run};
    let deny = || book(StepKind::DenyUser, Mode::Automatic);
    let address = |ip: &str| Target::Address { ip: ip.parse().unwrap() };
    let plain = "{}";
    let cases: Vec<(&str, Signal, Playbook, &str, Facts, Disposition)> = vec![
        ("automatic", about(user()), deny(), plain, Facts::default(), Run),
        ("approval", about(user()), book(StepKind::DenyUser, Mode::Approval), plain, Facts::default(), Ask),
        (
            "low severity",
            Signal { severity: Band::Medium, ..about(user()) },
            deny(),
            plain,
            Facts::default(),
            Ask,
        ),
        (
            "critical",
            Signal { severity: Band::Critical, ..about(user()) },
            deny(),
            plain,
            Facts::default(),
            Run,
        ),
        ("dry run", about(user()), Playbook { dry_run: true, ..deny() }, plain, Facts::default(), DryRun),
        ("dry run everywhere", about(user()), deny(), "dry_run: true", Facts::default(), DryRun),
        ("sample", Signal { sample: true, ..about(user()) }, deny(), plain, Facts::default(), Refuse),
        (
            "failed call",
            Signal { containable: false, ..about(user()) },
            deny(),
            plain,
            Facts::default(),
            Refuse,
        ),
        (
            "sample before dry run",
            Signal { sample: true, ..about(user()) },
            Playbook { dry_run: true, ..deny() },
            plain,
            Facts::default(),
            Refuse,
        ),
        ("protected by name", about(user()), deny(), "protected: [user/a*]", Facts::default(), Refuse),
        ("protected by tag", about(user()), deny(), "protected_tag: {key: k, value: v}", tagged("v"), Refuse),
        ("another tag", about(user()), deny(), "protected_tag: {key: k, value: v}", tagged("w"), Run),
        ("tags unknown", about(user()), deny(), "protected_tag: {key: k, value: v}", Facts::default(), Ask),
        (
            "another account",
            Signal { account: "999988887777".into(), ..about(user()) },
            deny(),
            plain,
            Facts::default(),
            Refuse,
        ),
        (
            "own role",
            about(Target::role("responder")),
            book(StepKind::RevokeRoleSessions, Mode::Automatic),
            plain,
            Facts::default(),
            Refuse,
        ),
        (
            "service-linked",
            about(Target::role("AWSServiceRoleForX")),
            book(StepKind::RevokeRoleSessions, Mode::Automatic),
            plain,
            Facts::default(),
            Refuse,
        ),
        (
            "role",
            about(Target::role("app")),
            book(StepKind::RevokeRoleSessions, Mode::Automatic),
            plain,
            Facts::default(),
            Run,
        ),
        (
            "private address",
            about(address("10.0.0.1")),
            book(StepKind::BlockAddress, Mode::Automatic),
            plain,
            Facts::default(),
            Refuse,
        ),
        (
            "own address",
            about(address("203.0.113.1")),
            book(StepKind::BlockAddress, Mode::Automatic),
            "never_block: [203.0.113.0/24]",
            Facts::default(),
            Refuse,
        ),
        (
            "address",
            about(address("203.0.113.1")),
            book(StepKind::BlockAddress, Mode::Automatic),
            plain,
            Facts::default(),
            Run,
        ),
        (
            "notification of a sample",
            Signal { sample: true, ..about(user()) },
            book(StepKind::Notify, Mode::Automatic),
            plain,
            Facts::default(),
            Run,
        ),
        (
            "notification in a dry run",
            about(user()),
            Playbook { dry_run: true, ..book(StepKind::Notify, Mode::Automatic) },
            plain,
            Facts::default(),
            Run,
        ),
    ];
    for (case, signal, book, rules, facts, expected) in cases {
        let incident = Incident::open(signal, start());
        let plan = decide(&incident, &book, &safety(rules), &facts, start());
        assert_eq!(plan.steps.len(), 1, "{case}");
        assert_eq!(plan.steps[0].disposition, expected, "{case}: {}", plan.steps[0].why);
        assert!(!plan.steps[0].why.is_empty(), "{case}");
    }
}

#[test]
fn steps_without_a_target_and_steps_that_are_off_are_not_planned() {
    let incident = Incident::open(about(user()), start());
    for book in [book(StepKind::IsolateInstance, Mode::Automatic), book(StepKind::DenyUser, Mode::Off)] {
        let plan = decide(&incident, &book, &safety("{}"), &Facts::default(), start());
        assert_eq!(plan.steps, []);
    }
}

#[test]
fn without_a_slot_nothing_begins_to_change() {
    let incident = Incident::open(about(user()), start());
    for (slot, approved, expected) in [
        (Slot::Granted, false, StepStatus::Planned),
        (Slot::Full, false, StepStatus::AwaitingApproval),
        (Slot::NotNeeded, false, StepStatus::AwaitingApproval),
        (Slot::NotNeeded, true, StepStatus::Planned),
    ] {
        let mut incident = incident.clone();
        incident.approval = approved.then(|| word_for_all(&incident));
        let plan = decide(
            &incident,
            &book(StepKind::DenyUser, Mode::Automatic),
            &safety("{}"),
            &Facts::default(),
            start(),
        );
        assert_eq!(plan.needs_slot(), !approved);
        let text = format!("{:?}", approve(plan, &incident, slot).unwrap());
        assert!(text.contains(&format!("status: {expected:?}")), "{slot:?} {approved}: {text}");
    }
}

#[test]
fn a_plan_is_approved_for_its_own_incident_only_and_not_after_release() {
    let incident = Incident::open(about(user()), start());
    let plan = || {
        decide(
            &incident,
            &book(StepKind::DenyUser, Mode::Automatic),
            &safety("{}"),
            &Facts::default(),
            start(),
        )
    };
    assert!(approve(plan(), &incident, Slot::Granted).is_some());
    let mut released = incident.clone();
    released.times.released = Some(start());
    assert!(approve(plan(), &released, Slot::Granted).is_none());
    let mut signal = about(user());
    signal.region = "us-east-1".into();
    assert!(approve(plan(), &Incident::open(signal, start()), Slot::Granted).is_none());
}

proptest! {
    /// Whatever a playbook and its approval say: a sample, a failed call and the protected change nothing.
    #[test]
    fn nothing_overrules_the_safety_rules(
        kind in proptest::sample::select(StepKind::ALL.to_vec()),
        mode in proptest::sample::select(vec![Mode::Automatic, Mode::Approval]),
        which in 0_u8..3,
        approved in any::<bool>(),
        severity in proptest::sample::select(vec![Band::Low, Band::Medium, Band::High, Band::Critical]),
    ) {
        let mut signal = portcullis_response::simulation::example_signal("f");
        signal.severity = severity;
        (signal.sample, signal.containable) = (which == 0, which != 1);
        let rules = if which == 2 { "protected: ['*/*']\nnever_block: [0.0.0.0/0]" } else { "{}" };
        let mut incident = Incident::open(signal, start());
        incident.approval = approved.then(|| word_for_all(&incident));
        let plan = decide(&incident, &book(kind, mode), &safety(rules), &Facts::default(), start());
        for step in plan.steps.iter().filter(|step| step.kind.contains()) {
            prop_assert_eq!(step.disposition, Disposition::Refuse);
        }
    }
}
