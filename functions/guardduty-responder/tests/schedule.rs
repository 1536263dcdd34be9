//! What the schedule does: blocks end, and what a crash left is carried on.

mod support;

use futures_util::future::FutureExt;
use portcullis_base::Clock;
use portcullis_response::simulation::{Fault, example_signal};
use portcullis_response::{Family, Incident, IncidentStore, Status};
use serde_json::json;

use support::{SCHEDULE, asking, bench, finding, known_finding};

#[test]
fn nothing_is_done_where_nothing_is_due() {
    let bench = bench();
    assert_eq!(bench.schedule().unwrap(), json!({"expired": 0, "resumed": 0, "failed": 0}));
    bench.deliver(&known_finding()).unwrap();
    let (effects, incident) = (bench.account().effects(), bench.incident());
    assert_eq!(bench.schedule().unwrap(), json!({"expired": 0, "resumed": 0, "failed": 0}));
    assert_eq!((bench.account().effects(), bench.incident()), (effects, incident));
}

#[test]
fn a_block_ends_when_its_time_is_over_and_the_rest_stays_contained() {
    let bench = bench();
    bench.deliver(&known_finding()).unwrap();
    let blocked = |bench: &support::Bench| {
        bench.account().world().sets[&Family::V4].addresses.contains("198.51.100.7/32")
    };
    assert!(blocked(&bench));
    bench.clock.advance(24 * 3_600_000 - 1_000);
    assert_eq!(bench.schedule().unwrap()["expired"], 0);
    assert!(blocked(&bench));
    bench.clock.advance(2_000);
    assert_eq!(bench.schedule().unwrap()["expired"], 1);
    assert!(!blocked(&bench));
    assert_eq!(bench.incident().status, Status::Contained, "the keys stay off");
    assert!(bench.account().world().users["ana"].keys.values().all(|active| !active));
    assert_eq!(bench.audit.codes().last().unwrap(), "incident-expired");
    assert_eq!(bench.schedule().unwrap()["expired"], 0, "once");
}

#[test]
fn what_a_crash_left_is_carried_on_when_its_lease_is_over() {
    let event = known_finding().to_string().into_bytes();
    for at in [3, 8, 15, 25] {
        let bench = bench();
        bench.broken_at(at, Fault::CrashAfter, &event).unwrap();
        assert!(bench.incident().lease.is_some());
        assert_eq!(bench.schedule().unwrap()["resumed"], 0, "somebody may still be at it");
        bench.later();
        assert_eq!(bench.schedule().unwrap()["resumed"], 1, "{at}");
        assert_eq!(bench.incident().status, Status::Contained, "{at}");
        bench.assert_nothing_twice("schedule");
        assert_eq!(bench.schedule().unwrap()["resumed"], 0);
    }
}

#[test]
fn one_that_fails_keeps_no_other_from_being_carried_on() {
    let bench = bench();
    for id in ["f-1", "f-2", "f-3"] {
        bench.broken_at(8, Fault::CrashBefore, finding(id).to_string().as_bytes()).unwrap();
    }
    bench.later();
    // Calls of the schedule: one asks what is due, one lists, the third begins with the first incident.
    bench.faults.arm(2, Fault::Denied);
    assert_eq!(bench.schedule().unwrap_err().kind, "UpkeepIncomplete");
    bench.faults.disarm();
    let contained = |bench: &support::Bench| {
        bench.incidents().iter().filter(|incident| incident.status == Status::Contained).count()
    };
    assert_eq!(contained(&bench), 2);
    bench.later();
    bench.schedule().unwrap();
    assert_eq!(contained(&bench), 3);
}

#[test]
fn a_store_that_is_down_fails_the_invocation() {
    let bench = asking();
    bench.deliver(&known_finding()).unwrap();
    bench.faults.arm_from(0, Fault::Throttled);
    assert_eq!(bench.schedule().unwrap_err().kind, "UpkeepIncomplete");
    bench.faults.disarm();
    assert!(bench.invoke(SCHEDULE.as_bytes()).is_ok());
}

/// A finding, the end of its block, and its release, each asked again as its caller does while it fails; everything on
/// record.
fn story(fails_after: Option<usize>) -> (Vec<String>, bool) {
    let bench = bench();
    if let Some(calls) = fails_after {
        bench.audit.fails_after(calls);
    }
    while bench.deliver(&known_finding()).is_err() {}
    bench.clock.advance(25 * 3_600_000);
    while bench.schedule().is_err() {}
    let id = bench.incident().id;
    while bench.request(Some("security-admin"), "POST", &format!("/incidents/{id}/release")).status != 200 {}
    (bench.audit.codes(), bench.audit.still_fails())
}

#[test]
fn a_record_that_fails_is_made_when_the_signal_or_the_request_comes_again() {
    let (whole, _) = story(None);
    let expected = [
        "incident-opened",
        "incident-contained",
        "incident-expired",
        "incident-release-asked",
        "incident-released",
    ];
    assert_eq!(whole, expected);
    let mut calls = 0;
    loop {
        let (mut codes, unused) = story(Some(calls));
        if unused {
            break;
        }
        // What is asked is on record each time that it is asked.
        codes.dedup();
        assert_eq!(codes, whole, "call {calls} failed");
        calls += 1;
    }
    assert_eq!(calls, expected.len());
}

#[test]
fn a_record_that_fails_is_made_on_schedule_where_nothing_comes_again() {
    let bench = bench();
    bench.audit.fails_after(1);
    bench.deliver(&known_finding()).unwrap_err();
    assert_eq!((bench.incident().status, bench.audit.codes().len()), (Status::Contained, 1));
    bench.schedule().unwrap();
    assert_eq!(bench.audit.codes(), ["incident-opened", "incident-contained"]);
    let incident = bench.incident();
    bench.schedule().unwrap();
    assert_eq!((bench.incident(), bench.audit.codes().len()), (incident, 2), "once");
    bench.audit.fails_after(1);
    let release = format!("/incidents/{}/release", bench.incident().id);
    assert_ne!(bench.request(Some("security-admin"), "POST", &release).status, 200);
    assert_eq!(bench.incident().status, Status::Released);
    bench.schedule().unwrap();
    assert_eq!(bench.audit.codes()[2..], ["incident-release-asked", "incident-released"]);
}

#[test]
fn what_is_left_is_found_however_many_came_after_it() {
    let bench = bench();
    bench.broken_at(3, Fault::CrashAfter, &known_finding().to_string().into_bytes()).unwrap();
    let left = bench.incident().id;
    let store = bench.function.parts().desk.responder.store.inner();
    bench.later();
    for n in 0..600 {
        let newer = Incident::open(example_signal(&format!("newer-{n}")), bench.clock.now());
        store.create(&newer).now_or_never().unwrap().unwrap();
    }
    assert_eq!(bench.schedule().unwrap()["resumed"], 1);
    let status =
        |bench: &support::Bench| bench.incidents().into_iter().find(|i| i.id == left).unwrap().status;
    assert_eq!(status(&bench), Status::Contained);
}
