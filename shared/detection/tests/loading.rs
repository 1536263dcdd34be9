//! Rule files: what is taken as it is, and what is refused with its place.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "what is not as expected fails the test")]

mod support;

use portcullis_detection::{Context, Detector, RuleSet};
use support::play;

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(name, yaml)| ((*name).to_owned(), (*yaml).to_owned()));
    RuleSet::load(files).unwrap_err().0.iter().map(ToString::to_string).collect()
}

const HEAD: &str = "title: t\nid: i\nlogsource: {product: aws, service: cloudtrail}\n";

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    let rule = |rest: &str| format!("{HEAD}{rest}");
    for (case, yaml, place, why) in [
        ("no YAML", "title: [".to_owned(), "a.yml:", "YAML"),
        ("empty", String::new(), "a.yml:1:", "not a YAML mapping"),
        ("a list", "- a\n- b".to_owned(), "a.yml:1:", "not a YAML mapping"),
        ("no detection", "title: t\nlogsource: {product: aws}".to_owned(), "a.yml:1:", "detection"),
        (
            "another source",
            rule("detection: {a: {b: c}, condition: a}").replace("aws", "windows"),
            "a.yml:2:",
            "not a rule for CloudTrail",
        ),
        ("unknown modifier", rule("detection: {a: {b|sounds: c}, condition: a}"), "a.yml:1:", "sounds"),
        ("unknown detection", rule("detection: {a: {b: c}, condition: z}"), "a.yml:2:", "z"),
        ("broken condition", rule("detection: {a: {b: c}, condition: a and}"), "a.yml:", "ondition"),
        ("broken pattern", rule("detection: {a: {b|re: '('}, condition: a}"), "a.yml:2:", "regex"),
        (
            "unknown field of ours",
            rule("detection: {a: {portcullis.mood: bad}, condition: a}"),
            "a.yml:2:",
            "portcullis.mood",
        ),
        (
            "unknown attribute",
            rule("detection: {a: {b: c}, condition: a}\nportcullis: {incidents: BACKDOOR}"),
            "a.yml:2:",
            "incidents",
        ),
        (
            "unknown incident",
            rule("detection: {a: {b: c}, condition: a}\nportcullis: {incident: FIRE}"),
            "a.yml:2:",
            "FIRE",
        ),
        ("too large", "#".repeat(200 * 1024), "a.yml:1:", "larger"),
        (
            "the second document",
            format!("{}\n---\ntitle: u\nid: j\n", rule("detection: {a: {b: c}, condition: a}")),
            "a.yml:6:",
            "detection",
        ),
    ] {
        let found = problems(&[("a.yml", &yaml)]);
        assert!(found.iter().any(|p| p.starts_with(place) && p.contains(why)), "{case}: {found:?}");
    }
}

#[test]
fn all_problems_come_at_once_and_no_rule_is_taken() {
    let good = format!("{HEAD}detection: {{a: {{eventName: X}}, condition: a}}");
    let found = problems(&[("a.yml", "title: ["), ("b.yml", &good), ("c.yml", "x: y"), ("d.yml", &good)]);
    assert_eq!(found.iter().map(|p| &p[..5]).collect::<Vec<_>>(), ["a.yml", "c.yml", "d.yml"]);
    assert!(found[2].contains("another rule has the id"), "{found:?}");
}

#[test]
fn correlations_that_cannot_work_are_refused() {
    let base = format!("{HEAD}name: base\ndetection: {{a: {{eventName: X}}, condition: a}}\n---\n");
    let correlation = |body: &str| {
        format!("{base}title: c\nid: c\ncorrelation:\n  group-by: [portcullis.principal]\n{body}")
    };
    for (case, body, why) in [
        (
            "no such rule",
            "  type: event_count\n  rules: [nobody]\n  timespan: 1m\n  condition: {gte: 2}",
            "nobody",
        ),
        ("too long", "  type: event_count\n  rules: [base]\n  timespan: 8d\n  condition: {gte: 2}", "window"),
        (
            "too many",
            "  type: event_count\n  rules: [base]\n  timespan: 1m\n  condition: {gte: 5000}",
            "threshold",
        ),
        (
            "absence",
            "  type: event_count\n  rules: [base]\n  timespan: 1m\n  condition: {lt: 2}",
            "nothing happened",
        ),
        ("no field", "  type: value_count\n  rules: [base]\n  timespan: 1m\n  condition: {gte: 2}", "field"),
        (
            "unknown type",
            "  type: weather\n  rules: [base]\n  timespan: 1m\n  condition: {gte: 2}",
            "weather",
        ),
        (
            "another type",
            "  type: value_sum\n  rules: [base]\n  timespan: 1m\n  condition: {gte: 2, field: x}",
            "value_sum",
        ),
        (
            "another window",
            "  type: event_count\n  rules: [base]\n  timespan: 1m\n  window: tumbling\n  condition: {gte: 2}",
            "tumbling",
        ),
    ] {
        let found = problems(&[("a.yml", &correlation(body))]);
        assert!(found.iter().any(|p| p.contains(why)), "{case}: {found:?}");
    }
}

#[test]
fn a_filter_is_refused_rather_than_ignored() {
    let filter = "title: f\nfilter: {rules: [i], a: {b: c}, condition: not a}\nlogsource: {product: aws, service: cloudtrail}";
    assert!(problems(&[("f.yml", filter)])[0].contains("filter"));
}

/// A rule in the form of public repositories: no attribute of ours, a UUID, lists, wildcards, modifiers.
#[test]
fn a_rule_from_elsewhere_works_as_it_is() {
    let yaml = r"
title: Somebody Else's Rule
id: 5f7d2c3e-8c0b-4c9e-9f0e-0d6f4c7a1b2d
status: test
description: Tries what rules from elsewhere use.
references:
    - https://example.com/
author: Somebody
date: 2024-01-02
modified: 2024-02-03
tags:
    - attack.persistence
    - attack.t1098.003
logsource:
    product: aws
    service: cloudtrail
detection:
    selection_source:
        eventSource: iam.amazonaws.com
        eventName|startswith:
            - Put
            - Attach
    selection_status:
        - requestParameters.policyArn|contains: 'Administrator'
        - requestParameters.policyName: 'adm?n*'
    filter_main_denied:
        errorCode|exists: true
    condition: all of selection_* and not 1 of filter_main_*
falsepositives:
    - Unknown
level: high
";
    let rules = RuleSet::load([("elsewhere.yml", yaml)]).unwrap();
    let detector = Detector::new(rules, Context::default());
    let record = |name: &str, more: &str| {
        format!(
            r#"{{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventSource":"IAM.amazonaws.com","eventName":"{name}","userIdentity":{{"type":"IAMUser"}}{more}}}"#
        )
    };
    for (case, name, more, fires) in [
        (
            "contains",
            "AttachUserPolicy",
            r#","requestParameters":{"policyArn":"arn:aws:iam::aws:policy/administratoraccess"}"#,
            true,
        ),
        ("wildcards", "PutUserPolicy", r#","requestParameters":{"policyName":"Admin-x"}"#, true),
        ("neither", "PutUserPolicy", r#","requestParameters":{"policyName":"reader"}"#, false),
        ("another call", "GetPolicy", r#","requestParameters":{"policyName":"admin"}"#, false),
        (
            "denied",
            "PutUserPolicy",
            r#","errorCode":"AccessDenied","requestParameters":{"policyName":"admin"}"#,
            false,
        ),
    ] {
        let hits = play(&detector, &record(name, more));
        assert_eq!(hits.len(), usize::from(fires), "{case}");
        if let [hit] = hits.as_slice() {
            assert_eq!(
                (hit.techniques.as_slice(), hit.containable),
                (["T1098.003".to_owned()].as_slice(), false)
            );
        }
    }
}

/// A rule that asks about failures sees them, without an attribute.
#[test]
fn a_rule_from_elsewhere_that_asks_for_errors_gets_them() {
    let yaml = format!("{HEAD}detection: {{a: {{errorCode: AccessDenied}}, condition: a}}");
    let detector = Detector::new(RuleSet::load([("e.yml", yaml)]).unwrap(), Context::default());
    let json =
        r#"{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventName":"X","errorCode":"AccessDenied"}"#;
    let hits = play(&detector, json);
    assert_eq!(hits.len(), 1);
    assert!(!hits[0].containable);
}

#[test]
fn keywords_search_the_whole_record() {
    let yaml = format!("{HEAD}detection: {{a: [evil.example], condition: a}}");
    let detector = Detector::new(RuleSet::load([("k.yml", yaml)]).unwrap(), Context::default());
    let json = |text: &str| {
        format!(
            r#"{{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventName":"X","requestParameters":{{"a":[{{"b":"{text}"}}]}}}}"#
        )
    };
    assert_eq!(play(&detector, &json("evil.example")).len(), 1);
    assert_eq!(play(&detector, &json("good.example")).len(), 0);
}
