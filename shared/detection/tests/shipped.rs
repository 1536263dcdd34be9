//! The rules of `config/detections`: each fires on its own events, stays silent on its counter-examples, and says
//! everything that a user needs to know of it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use portcullis_detection::{Context, IncidentType, RuleInfo, Severity};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use support::{COMPANY, detector, files, play, root, shipped};

/// What a rule is tried on: sequences of records.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    context: Option<String>,
    hits: Vec<Box<RawValue>>,
    silent: Vec<Box<RawValue>>,
}

#[test]
fn every_rule_fires_on_its_events_and_not_on_its_counter_examples() {
    let company = detector(COMPANY);
    let events: BTreeMap<_, _> = files(&root().join("config/detections/tests"), "json").into_iter().collect();
    for rule in company.rules() {
        let file = format!("{}.json", rule.file.trim_end_matches(".yml"));
        let events: Events =
            serde_json::from_str(events.get(&file).unwrap_or_else(|| panic!("{file} is missing"))).unwrap();
        assert!(!events.hits.is_empty() && !events.silent.is_empty(), "{file}: both kinds are wanted");
        let own = events.context.as_deref().map(detector);
        let fires = |sequence: &RawValue| {
            let hits = play(own.as_ref().unwrap_or(&company), sequence.get());
            hits.into_iter().filter(|hit| hit.rule_id == rule.id).collect::<Vec<_>>()
        };
        for sequence in &events.hits {
            let hits = fires(sequence);
            assert_eq!(hits.len(), 1, "{}: on {sequence}", rule.name);
            assert!(
                !hits[0].containable || hits[0].error_code.is_none(),
                "{}: contains after a failure",
                rule.name
            );
        }
        for sequence in &events.silent {
            assert!(fires(sequence).is_empty(), "{}: fires on {sequence}", rule.name);
        }
    }
}

#[test]
fn what_is_compiled_in_is_what_is_in_the_folder() {
    let compiled: Vec<_> = portcullis_detection::SHIPPED.map(|(n, y)| (n.to_owned(), y.to_owned())).into();
    assert_eq!(compiled, shipped());
}

#[test]
fn no_test_events_are_left_behind() {
    let rules: BTreeSet<_> = shipped().into_iter().map(|(name, _)| name.replace(".yml", ".json")).collect();
    for (name, _) in files(&root().join("config/detections/tests"), "json") {
        assert!(rules.contains(&name), "{name} belongs to no rule");
    }
}

#[test]
fn every_rule_says_who_it_is_and_what_follows() {
    let detector = detector("");
    let mut titles = BTreeSet::new();
    for rule in detector.rules() {
        assert_eq!(rule.id.len(), 36, "{}: the id is a UUID", rule.name);
        assert_eq!(format!("{}.yml", rule.name), rule.file);
        assert!(!rule.techniques.is_empty(), "{}: no technique", rule.name);
        assert_ne!(rule.incident_type, IncidentType::Generic, "{}: no incident type", rule.name);
        assert!(titles.insert(rule.title.clone()), "{}: a title that another rule has", rule.name);
        assert!(!rule.contain || rule.severity >= Severity::Medium, "{}: contains for little", rule.name);
    }
}

/// The shipped context tells nothing, and what it shows in comments can be taken as it is.
#[test]
fn the_shipped_context_can_be_filled_in() {
    let yaml = fs::read_to_string(root().join("config/context.yml")).unwrap();
    Context::parse(&yaml).unwrap();
    let filled: Vec<&str> = yaml
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ') || l.starts_with("  ")))
        .collect();
    assert!(filled.len() > 10);
    Context::parse(&filled.join("\n")).unwrap();
}

/// A user agent is whatever the caller writes: a rule that trusts one is switched off by writing it.
#[test]
fn no_rule_trusts_a_user_agent() {
    for (name, yaml) in shipped() {
        assert!(!yaml.contains("userAgent"), "{name}");
    }
}

/// A failed call alerts only where the attempt itself matters.
#[test]
fn failed_calls_are_silent_but_for_the_rules_that_say_so() {
    let company = detector(COMPANY);
    let told: BTreeSet<String> =
        company.rules().filter(|rule| rule.attempts).map(|rule| rule.id.clone()).collect();
    let mut seen = BTreeSet::new();
    for (_, json) in files(&root().join("config/detections/tests"), "json") {
        let events: Events = serde_json::from_str(&json).unwrap();
        for sequence in &events.hits {
            let mut records: Vec<Value> = serde_json::from_str(sequence.get()).unwrap();
            for record in &mut records {
                record["errorCode"] = "AccessDenied".into();
            }
            for hit in play(&company, &serde_json::to_string(&records).unwrap()) {
                assert!(told.contains(&hit.rule_id), "{}: fires on a failed call", hit.rule);
                assert!(!hit.containable, "{}: contains after a failed call", hit.rule);
                seen.insert(hit.rule_id);
            }
        }
    }
    assert!(seen.len() > 10, "attempts against logging are seen");
}

/// `docs/DETECTIONS.md` is written by this test: `UPDATE_DOCS=1 cargo test -p portcullis-detection`.
#[test]
fn the_documentation_lists_every_rule() {
    let path = root().join("docs/DETECTIONS.md");
    let detector = detector("");
    let mut rules: Vec<&RuleInfo> = detector.rules().collect();
    rules.sort_by(|a, b| (b.severity, &a.name).cmp(&(a.severity, &b.name)));
    let mut table = String::from(
        "| rule | title | severity | ATT&CK | incident | containable | attempts |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for rule in rules {
        let yes = |is| if is { "yes" } else { "" };
        writeln!(
            table,
            "| [{}](../config/detections/{}) | {} | {} | {} | {} | {} | {} |",
            rule.name,
            rule.file,
            rule.title,
            rule.severity,
            rule.techniques.join(", "),
            rule.incident_type,
            yes(rule.contain),
            yes(rule.attempts)
        )
        .unwrap();
    }
    let old = fs::read_to_string(&path).unwrap();
    let (before, rest) = old.split_once("<!-- rules -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /rules -->").unwrap();
    let new = format!("{before}<!-- rules -->\n{table}<!-- /rules -->{after}");
    if update() {
        fs::write(&path, &new).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), new, "run with UPDATE_DOCS=1");
}

#[expect(clippy::disallowed_methods, reason = "how a developer asks for it")]
fn update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}
