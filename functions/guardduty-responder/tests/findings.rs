//! Findings through the handler: each an incident, however often it comes and whatever breaks.
#![expect(clippy::panic, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use portcullis_audit::AuditError;
use portcullis_response::simulation::{Fault, World};
use portcullis_response::{Band, Incident, Status};
use serde_json::{Value, json};

use support::{Bench, asking, bench, finding, known_finding};

#[test]
fn a_finding_is_contained_told_and_on_record() {
    let bench = bench();
    let answer = bench.deliver(&known_finding()).unwrap();
    let incident = bench.incident();
    assert_eq!(answer, json!({"incident": incident.id, "status": "CONTAINED"}));
    let world = bench.account().world();
    assert!(world.users["ana"].keys.values().all(|active| !active), "every key");
    assert_eq!(world.users["ana"].login, None);
    assert_eq!(bench.audit.codes(), ["incident-opened", "incident-contained"]);
    assert_eq!(bench.messages().len(), 2, "opened, and the outcome");
    bench.assert_metrics(&[
        ("FindingsReceived", 1.0),
        ("SampleFindings", 0.0),
        ("IncidentsOpened", 1.0),
        ("IncidentsContained", 1.0),
        ("TimeToDetect", 120_000.0),
    ]);
    let lines = bench.metrics.lock().unwrap();
    let counted: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["FindingsBySeverity"].is_number())
        .collect();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0]["Severity"], incident.signal.severity.name());
}

#[test]
fn a_sample_is_told_and_never_contained() {
    for (case, change) in [
        ("title", json!({"title": "[SAMPLE] Credentials were used from a Tor exit node"})),
        ("flag", json!({"service": {"detectorId": "d-1", "count": 1, "additionalInfo": {"sample": true}}})),
    ] {
        let bench = bench();
        let mut event = known_finding();
        for (name, value) in change.as_object().unwrap() {
            event["detail"][name] = value.clone();
        }
        assert_eq!(bench.deliver(&event).unwrap()["status"], "DETECTED", "{case}");
        assert_eq!(bench.account().effects(), Vec::<String>::new(), "{case}");
        assert_eq!(bench.account().world(), World::example(), "{case}");
        assert!(bench.incident().signal.sample);
        bench.assert_metrics(&[
            ("SampleFindings", 1.0),
            ("FindingsBySeverity", 0.0),
            ("IncidentsContained", 0.0),
        ]);
    }
}

#[test]
fn repeats_are_one_incident_and_a_rise_in_severity_is_decided_about_anew() {
    let bench = asking();
    let mut event = known_finding();
    event["detail"]["severity"] = json!(3.9);
    bench.deliver(&event).unwrap();
    let first = bench.incident();
    assert_eq!((first.signal.severity, first.round), (Band::Low, 0));
    event["detail"]["service"]["count"] = json!(41);
    bench.deliver(&event).unwrap();
    let repeated = bench.incident();
    assert_eq!((repeated.signal.count, repeated.round), (41, 0));
    assert_eq!(bench.messages().len(), 1, "a repeat is no news for people");
    event["detail"]["severity"] = json!(9.0);
    bench.deliver(&event).unwrap();
    let risen = bench.incident();
    assert_eq!((risen.signal.severity, risen.round), (Band::Critical, 1));
    assert_eq!(bench.messages().len(), 2);
    bench.assert_metrics(&[("IncidentsOpened", 1.0), ("ApprovalsAwaited", 1.0), ("FindingsReceived", 3.0)]);
}

#[test]
fn what_is_no_finding_fails_without_a_word_of_it() {
    let bench = bench();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = known_finding();
        change(&mut event);
        event.to_string()
    };
    for (case, event, kind) in [
        (
            "no severity",
            with(&|e| drop(e["detail"].as_object_mut().unwrap().remove("severity"))),
            "UnreadableFinding",
        ),
        ("no detail", with(&|e| drop(e.as_object_mut().unwrap().remove("detail"))), "UnreadableFinding"),
        ("another source", with(&|e| e["source"] = json!("aws.ec2")), "UnknownEvent"),
        (
            "another type",
            with(&|e| e["detail-type"] = json!("EC2 Instance State-change Notification")),
            "UnknownEvent",
        ),
        ("no JSON", "{".to_owned(), "UnknownEvent"),
        ("nothing", String::new(), "UnknownEvent"),
    ] {
        assert_eq!(bench.invoke(event.as_bytes()).unwrap_err().kind, kind, "{case}");
    }
    assert!(bench.incidents().is_empty());
}

#[test]
fn a_finding_that_cannot_be_put_on_record_is_not_acted_on() {
    let bench = bench();
    bench.audit.fail_with(Some(AuditError::Unavailable));
    assert_eq!(bench.deliver(&known_finding()).unwrap_err().kind, "ResponseIncomplete");
    assert!(bench.incidents().is_empty() && bench.account().effects().is_empty());
}

#[test]
fn a_store_that_is_down_fails_the_invocation_and_the_finding_comes_again() {
    let bench = bench();
    bench.faults.arm_from(0, Fault::TimeoutBefore);
    assert_eq!(bench.deliver(&known_finding()).unwrap_err().kind, "ResponseIncomplete");
    bench.faults.disarm();
    bench.deliver(&known_finding()).unwrap();
    assert_eq!(bench.incident().status, Status::Contained);
}

/// An account that answers nothing but refusals: the incident says so, and nothing waits for what cannot be.
#[test]
fn an_account_that_refuses_everything_is_reported_honestly() {
    let bench = bench();
    for action in ["iam:UpdateAccessKey", "iam:PutUserPolicy", "iam:DeleteLoginProfile", "wafv2:UpdateIPSet"]
    {
        bench.account().deny(action);
    }
    assert_eq!(bench.deliver(&known_finding()).unwrap()["status"], "PARTIAL");
    let failures: Vec<String> = bench.incident().steps.into_iter().flat_map(|step| step.failures).collect();
    assert!(failures.iter().any(|f| f.contains("access denied: iam:UpdateAccessKey")), "{failures:?}");
    assert_eq!(bench.audit.codes(), ["incident-opened", "incident-partial"]);
    bench.assert_metrics(&[("IncidentsPartial", 1.0), ("IncidentsContained", 0.0)]);
}

/// Every call of an invocation, broken in every way. The finding comes again, or never again and the schedule carries on
/// what is left: all is as if nothing had happened.
#[test]
fn whatever_breaks_the_incident_ends_as_if_nothing_had() {
    let event = known_finding().to_string().into_bytes();
    let calm = bench();
    calm.invoke(&event).unwrap();
    let expected = calm.incident();
    let mut broken = 0;
    for fault in Fault::ALL {
        for by_schedule in [false, true] {
            for at in 0.. {
                let bench = bench();
                let Some((hit, answered)) = bench.broken_at(at, fault, &event) else { break };
                broken += 1;
                let case = format!("{fault:?} of call {at}, {hit}, by schedule: {by_schedule}");
                if !answered {
                    bench.later();
                    carry_on(&bench, by_schedule, &event, &case);
                }
                bench.assert_nothing_twice(&case);
                let found = bench.incident();
                if fault == Fault::Denied && found.status != expected.status {
                    assert!(tells_what_failed(&found), "{case}: {}", found.status);
                    continue;
                }
                assert_eq!(found.status, expected.status, "{case}");
                assert_eq!(steps(&found), steps(&expected), "{case}");
                assert_eq!(
                    bench.account().world().without_traces(),
                    calm.account().world().without_traces(),
                    "{case}"
                );
                if fault == Fault::Denied && hit == "notifier:send" {
                    assert!(
                        found.timeline.iter().any(|e| e.what.contains("not notified: access denied")),
                        "{case}"
                    );
                } else {
                    assert_eq!(bench.messages(), calm.messages(), "{case}");
                }
                assert!(found.lease.is_none(), "{case}");
                let codes = bench.audit.codes();
                assert!(codes.contains(&"incident-contained".to_owned()), "{case}: {codes:?}");
            }
        }
    }
    assert!(broken > 200, "{broken}");
}

fn carry_on(bench: &Bench, by_schedule: bool, event: &[u8], case: &str) {
    // Of what was never kept, the schedule knows nothing: EventBridge delivers it again.
    if by_schedule && !bench.incidents().is_empty() {
        bench.schedule().unwrap_or_else(|failure| panic!("{case}: {failure}"));
    } else {
        bench.invoke(event).unwrap_or_else(|failure| panic!("{case}: {failure}"));
    }
}

fn tells_what_failed(incident: &Incident) -> bool {
    let failed = incident.steps.iter().any(|step| !step.failures.is_empty());
    // Without an answer of the cap or of the tags, it asks.
    (incident.status == Status::Partial && failed) || incident.status == Status::AwaitingApproval
}

fn steps(incident: &Incident) -> Vec<Value> {
    let step = |step: &portcullis_response::Step| json!({"kind": step.kind, "target": step.target, "status": step.status, "recorded": step.before.is_some()});
    incident.steps.iter().map(step).collect()
}

#[test]
fn two_findings_about_one_user_are_two_incidents_and_change_nothing_twice() {
    let bench = bench();
    bench.deliver(&finding("f-1")).unwrap();
    bench.deliver(&finding("f-2")).unwrap();
    assert_eq!(bench.incidents().len(), 2);
    assert!(bench.account().world().users["ana"].keys.values().all(|active| !active));
}
