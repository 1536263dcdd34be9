//! What EventBridge delivers: answered once, however often it comes and whatever breaks.

mod support;

use portcullis_audit::AuditError;
use portcullis_response::simulation::Fault;
use portcullis_response::{Incident, Status};
use serde_json::{Value, json};

use support::{bench, call, envelope, key_made, login_failed};

#[test]
fn both_kinds_of_event_are_judged_and_answered() {
    let bench = bench();
    let answer = bench.deliver(&key_made("e-1", 60)).unwrap();
    let incident = &bench.incidents()[0];
    assert_eq!(
        answer,
        json!({"judged": 1, "hits": 1, "unreadable": 0,
            "incidents": [{"id": incident.id, "status": "CONTAINED", "title": "Access key created for another user"}]})
    );
    assert!(bench.effects().iter().any(|effect| effect == "iam:UpdateAccessKey ana AKIA1 false"));
    let quiet = bench.deliver(&login_failed("l-1", 50)).unwrap();
    assert_eq!((&quiet["judged"], &quiet["hits"]), (&json!(1), &json!(0)));
    let harmless = bench.deliver(&call("e-2", 40, "ec2.amazonaws.com", "DescribeRegions")).unwrap();
    assert_eq!(harmless["incidents"], json!([]));
    assert_eq!(bench.audit.codes(), ["incident-opened", "incident-contained"]);
    for (metric, expected) in [
        ("EventsJudged", 3.0),
        ("DetectionHits", 1.0),
        ("UnreadableRecords", 0.0),
        ("IncidentsOpened", 1.0),
        ("IncidentsContained", 1.0),
        ("TimeToDetect", 60_000.0),
        ("ResponseFailures", 0.0),
    ] {
        assert!((bench.metric(metric) - expected).abs() < f64::EPSILON, "{metric}: {}", bench.metric(metric));
    }
}

#[test]
fn a_correlation_counts_over_invocations_and_alerts_once() {
    let bench = bench();
    for i in 0..8 {
        bench.deliver(&login_failed(&format!("l-{i}"), 300 - i * 10)).unwrap();
    }
    assert_eq!(bench.rules(), ["console-login-failures"]);
    assert_eq!(bench.incidents()[0].status, Status::Detected, "a failed call contains nothing");
    for i in 0..8 {
        bench.deliver(&login_failed(&format!("l-{i}"), 300 - i * 10)).unwrap();
    }
    assert_eq!(bench.messages().len(), 1, "{:?}", bench.messages());
}

#[test]
fn what_cannot_be_read_stops_no_other_record_and_is_not_lost() {
    let bench = bench();
    let secret = "correct horse battery staple";
    let lines = format!(
        "{}\n{{\"eventID\":7,\"password\":\"{secret}\"}}\nno JSON {secret}\n{}\n",
        key_made("e-1", 60),
        call("e-2", 50, "cloudtrail.amazonaws.com", "StopLogging"),
    );
    let answer = bench.invoke(lines.as_bytes()).unwrap();
    assert_eq!((&answer["judged"], &answer["unreadable"]), (&json!(2), &json!(2)));
    assert_eq!(bench.rules(), ["access-key-for-another", "trail-stopped"]);
    assert!((bench.metric("UnreadableRecords") - 2.0).abs() < f64::EPSILON);
    let mut broken = key_made("e-3", 40);
    broken["eventTime"] = json!("yesterday");
    let other =
        json!({"detail-type": "EC2 Spot Instance Interruption Warning", "detail": key_made("e-4", 30)});
    for (case, event) in [
        ("a record without a time", envelope(&broken)),
        ("another kind of event", other.to_string().into_bytes()),
        ("no JSON", b"{".to_vec()),
        ("not UTF-8", b"\xff".to_vec()),
        ("nothing", Vec::new()),
        ("an empty list", b"[]".to_vec()),
        ("too large", vec![b' '; 33 * 1024 * 1024]),
    ] {
        let failure = bench.invoke(&event).unwrap_err();
        assert_eq!(failure.kind, "UnreadableEvent", "{case}: it goes to the dead-letter queue");
    }
    assert_eq!(bench.incidents().len(), 2);
}

#[test]
fn what_fails_fails_the_invocation_and_is_made_good_by_the_next() {
    for (case, fault) in
        [("throttled", Fault::Throttled), ("denied", Fault::Denied), ("no answer", Fault::TimeoutBefore)]
    {
        let bench = bench();
        bench.faults.arm_from(0, fault);
        let failure = bench.deliver(&key_made("e-1", 60)).unwrap_err();
        assert_eq!(failure.kind, "ResponseIncomplete", "{case}");
        assert!(bench.effects().is_empty(), "{case}: without a record nothing is changed");
        bench.faults.disarm();
        bench.clock.advance(121_000);
        assert_eq!(bench.deliver(&key_made("e-1", 60)).unwrap()["hits"], 1, "{case}");
        assert_eq!(bench.incidents()[0].status, Status::Contained, "{case}");
        bench.assert_nothing_twice(case);
    }
}

#[test]
fn an_incident_that_somebody_works_on_fails_the_invocation_and_is_carried_on_later() {
    let bench = bench();
    // The process ends while the first message is sent: the incident stays leased.
    bench.faults.arm(5, Fault::CrashBefore);
    assert_eq!(bench.try_invoke(&envelope(&key_made("e-1", 60))), None);
    bench.faults.disarm();
    let failure = bench.deliver(&key_made("e-1", 60)).unwrap_err();
    assert_eq!(failure.kind, "ResponseIncomplete", "somebody else may be at it");
    bench.clock.advance(121_000);
    bench.deliver(&key_made("e-1", 60)).unwrap();
    assert_eq!(bench.incidents()[0].status, Status::Contained);
    bench.assert_nothing_twice("busy");
}

#[test]
fn one_hit_that_fails_keeps_no_other_from_being_answered() {
    let bench = bench();
    // The first calls are those for the first record: its incident cannot be read.
    bench.faults.arm(0, Fault::Denied);
    let lines =
        format!("{}\n{}", key_made("e-1", 60), call("e-2", 50, "cloudtrail.amazonaws.com", "StopLogging"));
    assert_eq!(bench.invoke(lines.as_bytes()).unwrap_err().kind, "ResponseIncomplete");
    assert_eq!(bench.rules(), ["trail-stopped"]);
    bench.invoke(lines.as_bytes()).unwrap();
    assert_eq!(bench.rules(), ["access-key-for-another", "trail-stopped"]);
}

#[test]
fn correlation_that_cannot_remember_fails_the_invocation_and_counts_nothing_twice() {
    let bench = bench();
    for i in 0..4 {
        bench.deliver(&login_failed(&format!("l-{i}"), 300 - i * 10)).unwrap();
    }
    bench.correlation().fail(true);
    for _ in 0..3 {
        assert_eq!(bench.deliver(&login_failed("l-0", 300)).unwrap_err().kind, "ResponseIncomplete");
    }
    bench.correlation().fail(false);
    bench.deliver(&login_failed("l-0", 300)).unwrap();
    assert!(bench.incidents().is_empty(), "four, however often they come");
    bench.deliver(&login_failed("l-5", 200)).unwrap();
    assert_eq!(bench.rules(), ["console-login-failures"]);
}

#[test]
fn an_incident_that_cannot_be_put_on_record_is_not_acted_on() {
    let bench = bench();
    bench.audit.fail_with(Some(AuditError::Unavailable));
    assert_eq!(bench.deliver(&key_made("e-1", 60)).unwrap_err().kind, "ResponseIncomplete");
    assert!(bench.incidents().is_empty() && bench.effects().is_empty());
    bench.audit.fail_with(None);
    bench.deliver(&key_made("e-1", 60)).unwrap();
    assert_eq!(bench.audit.codes(), ["incident-opened", "incident-contained"]);
}

/// Every call of an invocation, broken in every way: the event comes again, and all is as if nothing had happened.
#[test]
fn whatever_breaks_the_incident_ends_as_if_nothing_had() {
    let event = envelope(&key_made("e-1", 60));
    let calm = bench();
    calm.invoke(&event).unwrap();
    let expected = calm.incidents().remove(0);
    let mut broken = 0;
    for fault in Fault::ALL {
        for at in 0.. {
            let bench = bench();
            let Some(hit) = bench.broken_at(at, fault, &event) else { break };
            broken += 1;
            let case = format!("{fault:?} of call {at}, {hit}");
            let incidents = bench.incidents();
            assert_eq!(incidents.len(), 1, "{case}");
            bench.assert_nothing_twice(&case);
            // No permission is no reason to try again: the incident says what could not be done.
            if fault == Fault::Denied && incidents[0].status != expected.status {
                assert!(tells_what_failed(&incidents[0]), "{case}: {}", incidents[0].status);
                continue;
            }
            assert_eq!(incidents[0].status, expected.status, "{case}");
            assert_eq!(steps(&incidents[0]), steps(&expected), "{case}");
            assert_eq!(world(&bench), world(&calm), "{case}");
            if fault == Fault::Denied && hit == "notifier:send" {
                assert!(
                    incidents[0].timeline.iter().any(|e| e.what.contains("not notified: access denied")),
                    "{case}"
                );
            } else {
                assert_eq!(bench.messages(), calm.messages(), "{case}");
            }
            assert!(incidents[0].lease.is_none(), "{case}");
        }
    }
    assert!(broken > 100, "{broken}");
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

fn world(bench: &support::Bench) -> portcullis_response::simulation::World {
    bench.function.parts().desk.responder.account.world().without_traces()
}
