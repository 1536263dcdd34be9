//! What the schedule does: blocks end, and what a crash left is carried on.

mod support;

use portcullis_response::Family;
use portcullis_response::Status;
use portcullis_response::simulation::Fault;
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
