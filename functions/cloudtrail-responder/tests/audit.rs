//! The scheduled audit: what EventBridge lost is found, and what it did not lose is not told again.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod support;

use std::time::Duration;

use jiff::SignedDuration;
use portcullis_base::{Clock, Timestamp};
use portcullis_detection::{AuditProgress, HistoryError, OpenWindow};
use serde_json::json;

use support::{Bench, SCHEDULE, bench, bench_in, call, key_made, login_failed, start};

const HOUR: i64 = 3600;
const REGION: &str = "eu-west-1";

fn before(seconds: i64) -> Timestamp {
    start().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}

fn done_to(bench: &Bench) -> Timestamp {
    bench.progress().of(REGION).unwrap().done_to
}

#[test]
fn what_eventbridge_lost_is_found() {
    let bench = bench();
    bench.history().add(&key_made("e-1", 30 * 60));
    for i in 0..5 {
        bench.history().add(&login_failed(&format!("l-{i}"), 40 * 60 - i * 10));
    }
    let answer = bench.audit().unwrap();
    assert_eq!((&answer["judged"], &answer["hits"]), (&json!(6), &json!(2)));
    assert_eq!(answer["regions"], json!([{"region": REGION, "pages": 1, "behind_seconds": 900}]));
    assert_eq!(bench.rules(), ["access-key-for-another", "console-login-failures"]);
    assert!((bench.metric("AuditEventsRead") - 6.0).abs() < f64::EPSILON);
    assert!((bench.metric("AuditLag") - 900.0).abs() < f64::EPSILON);
}

/// The same events by EventBridge and by the audit, in either order: each alerts once.
#[test]
fn an_event_that_both_see_alerts_once() {
    for audit_first in [false, true] {
        for page in [1, 3, 50] {
            let bench = bench();
            bench.history().page_of(page);
            let mut events = vec![key_made("e-1", 30 * 60)];
            events.extend((0..9).map(|i| login_failed(&format!("l-{i}"), 50 * 60 - i * 10)));
            events.push(call("e-2", 20 * 60, "cloudtrail.amazonaws.com", "StopLogging"));
            events.iter().for_each(|event| bench.history().add(event));
            let deliver = || events.iter().for_each(|event| drop(bench.deliver(event).unwrap()));
            let audit = || drop(bench.audit().unwrap());
            if audit_first {
                audit();
            } else {
                deliver();
            }
            let (incidents, messages, effects) = (bench.incidents(), bench.messages(), bench.effects());
            assert_eq!(bench.rules(), ["access-key-for-another", "console-login-failures", "trail-stopped"]);
            if audit_first {
                deliver();
            } else {
                audit();
            }
            let case = format!("audit first: {audit_first}, {page} a page");
            assert_eq!(bench.incidents(), incidents, "{case}");
            assert_eq!((bench.messages(), bench.effects()), (messages, effects), "{case}");
            // And once more: what is read twice counts once.
            bench.progress().put(REGION, AuditProgress { done_to: before(HOUR), open: None, revision: 7 });
            audit();
            assert_eq!(bench.incidents(), incidents, "{case}");
        }
    }
}

/// EventBridge lost some: those that it delivered and those that it lost make the burst together.
#[test]
fn a_burst_of_which_eventbridge_lost_a_part_is_seen_by_both_together() {
    let bench = bench();
    let events: Vec<_> = (0..5).map(|i| login_failed(&format!("l-{i}"), 40 * 60 - i * 10)).collect();
    events.iter().for_each(|event| bench.history().add(event));
    bench.deliver(&events[0]).unwrap();
    bench.deliver(&events[3]).unwrap();
    assert!(bench.incidents().is_empty());
    bench.audit().unwrap();
    assert_eq!(bench.rules(), ["console-login-failures"]);
}

/// Pages come newest first: the incident of a burst within a page is named after the event that completed it, as it is
/// where EventBridge delivers in order.
#[test]
fn a_page_is_judged_in_the_order_of_time() {
    let (delivered, audited) = (bench(), bench());
    for i in 0..7 {
        let event = login_failed(&format!("l-{i}"), 40 * 60 - i * 10);
        delivered.deliver(&event).unwrap();
        audited.history().add(&event);
    }
    audited.audit().unwrap();
    assert_eq!(audited.incidents()[0].id, delivered.incidents()[0].id);
    assert_eq!(audited.incidents()[0].signal.count, 5);
}

#[test]
fn windows_follow_one_another_with_an_overlap_and_end_where_cloudtrail_may_still_be_late() {
    let bench = bench();
    bench.audit().unwrap();
    bench.clock.advance(10 * 60 * 1000);
    bench.audit().unwrap();
    let windows: Vec<_> = bench.history().requests().iter().map(|r| (r.from, r.to)).collect();
    assert_eq!(
        windows,
        [(before(70 * 60), before(15 * 60)), (before(25 * 60), before(5 * 60))],
        "the first looks an hour back"
    );
    bench.audit().unwrap();
    assert_eq!(bench.history().requests().len(), 2, "there is nothing new to read");
}

#[test]
fn an_event_that_cloudtrail_shows_late_is_found_by_the_next_audit() {
    let bench = bench();
    bench.history().add_late(&key_made("late", 16 * 60), 20 * 60);
    bench.audit().unwrap();
    assert!(bench.incidents().is_empty(), "it is not shown yet");
    bench.clock.advance(10 * 60 * 1000);
    bench.audit().unwrap();
    assert_eq!(bench.rules(), ["access-key-for-another"]);
}

#[test]
fn a_long_time_is_read_hour_by_hour_oldest_first() {
    let bench = bench();
    let progress = AuditProgress { done_to: before(5 * HOUR), open: None, revision: 3 };
    bench.progress().put(REGION, progress);
    bench.audit().unwrap();
    let ends: Vec<_> = bench.history().requests().iter().map(|r| r.to).collect();
    assert_eq!(ends, [4 * HOUR, 3 * HOUR, 2 * HOUR, HOUR, 15 * 60].map(before));
    let kept = bench.progress().of(REGION).unwrap();
    assert_eq!((kept.done_to, kept.revision), (before(15 * 60), 8));
}

#[test]
fn two_requests_a_second_are_not_exceeded_in_any_region() {
    for takes in [0, 120, 800] {
        let bench = bench_in(&["eu-west-1", "us-east-1"]);
        bench.history().page_of(2);
        bench.history().takes(takes);
        for i in 0..30 {
            let mut event = call(&format!("e-{i}"), 40 * 60 - i, "s3.amazonaws.com", "ListBuckets");
            bench.history().add(&event);
            event["awsRegion"] = json!("us-east-1");
            bench.history().add(&event);
        }
        bench.audit().unwrap();
        for region in ["eu-west-1", "us-east-1"] {
            let requests = bench.history().requests();
            let times: Vec<_> = requests.iter().filter(|r| r.region == region).map(|r| r.at).collect();
            assert_eq!(times.len(), 15, "{region}");
            for pair in times.windows(2) {
                assert!(
                    pair[0].duration_until(pair[1]) >= SignedDuration::from_millis(500),
                    "{region}: {pair:?}"
                );
            }
        }
    }
}

#[test]
fn time_that_runs_out_is_no_failure_and_the_next_audit_goes_on() {
    let bench = bench();
    bench.history().page_of(1);
    bench.history().takes(3_000);
    for i in 0..12 {
        bench.history().add(&key_made(&format!("e-{i}"), 40 * 60 - i));
    }
    let mut rounds = 0;
    loop {
        rounds += 1;
        let ends = bench.clock.now().checked_add(Duration::from_secs(20)).unwrap();
        bench.invoke_for(SCHEDULE.as_bytes(), 20).unwrap().unwrap();
        assert!(bench.clock.now() < ends, "it stopped in time");
        let progress = bench.progress().of(REGION).unwrap();
        if progress.open.is_none() {
            break;
        }
        assert_eq!(progress.done_to, before(HOUR), "nothing counts as done before the window is");
    }
    assert_eq!(rounds, 3, "four pages each time");
    assert_eq!(bench.incidents().len(), 12);
    let pages: Vec<_> = bench.history().requests().into_iter().map(|r| r.page).collect();
    assert_eq!(pages.len(), 12, "no page was read twice: {pages:?}");
}

#[test]
fn no_time_at_all_reads_nothing_and_is_no_failure() {
    let bench = bench();
    let answer = bench.invoke_for(SCHEDULE.as_bytes(), 5).unwrap().unwrap();
    assert_eq!(answer["regions"][0]["pages"], 0);
    assert!(bench.history().requests().is_empty());
}

#[test]
fn a_page_that_is_no_longer_known_begins_the_window_again_once() {
    let bench = bench();
    bench.history().page_of(1);
    let window = OpenWindow { to: before(15 * 60), page: Some("lost@".to_owned()) };
    let progress = AuditProgress { done_to: before(HOUR), open: Some(window), revision: 4 };
    bench.progress().put(REGION, progress.clone());
    bench.history().add(&key_made("e-1", 30 * 60));
    bench.history().add(&key_made("e-2", 31 * 60));
    bench.history().next_fails([HistoryError::PageExpired]);
    bench.audit().unwrap();
    assert_eq!(bench.incidents().len(), 2);
    assert_eq!(done_to(&bench), before(15 * 60));

    bench.progress().put(REGION, progress);
    bench.history().next_fails([HistoryError::PageExpired, HistoryError::PageExpired]);
    assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete", "not for ever");
}

#[test]
fn what_may_pass_is_asked_again_and_what_will_not_fails_only_its_region() {
    let bench = bench_in(&["eu-west-1", "us-east-1"]);
    bench.history().add(&key_made("e-1", 30 * 60));
    bench.history().next_fails([HistoryError::Throttled, HistoryError::Timeout, HistoryError::Throttled]);
    bench.audit().unwrap();
    assert_eq!(bench.incidents().len(), 1);

    for error in [HistoryError::Denied("cloudtrail:LookupEvents".into()), HistoryError::Refused("x".into())] {
        let bench = bench_in(&["us-east-1", "eu-west-1"]);
        bench.history().add(&key_made("e-1", 30 * 60));
        bench.history().next_fails([error]);
        assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete");
        assert_eq!(bench.incidents().len(), 1, "the other region");
        assert_eq!(bench.progress().of("us-east-1").unwrap().done_to, before(HOUR), "where it began");
    }

    let bench = support::bench();
    bench.history().next_fails(vec![HistoryError::Throttled; 6]);
    assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete", "not for ever");
}

#[test]
fn a_page_whose_hit_is_not_answered_is_read_again() {
    let bench = bench();
    bench.history().add(&key_made("e-1", 30 * 60));
    bench.faults.arm_from(0, portcullis_response::simulation::Fault::Denied);
    assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete");
    assert_eq!(done_to(&bench), before(HOUR));
    bench.faults.disarm();
    bench.audit().unwrap();
    assert_eq!(bench.rules(), ["access-key-for-another"]);
}

/// It would hold up what comes after it for ever: so it is told of, and the audit goes on.
#[test]
fn a_hit_whose_incident_cannot_be_read_any_more_holds_up_no_page() {
    let bench = bench();
    bench.history().add(&key_made("e-1", 30 * 60));
    bench.audit().unwrap();
    let damaged = bench.incidents()[0].id.clone();
    bench.function.parts().desk.responder.store.inner().damage(&damaged);
    bench.progress().put(REGION, AuditProgress { done_to: before(HOUR), open: None, revision: 9 });
    bench.history().add(&key_made("e-2", 20 * 60));
    bench.clock.advance(600_000);
    assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete", "the operator hears of it");
    assert!(done_to(&bench) > before(HOUR), "and it is not read for ever");
    assert!((bench.metric("ResponseFailures") - 1.0).abs() < f64::EPSILON);
    let delivered = bench.deliver(&key_made("e-1", 30 * 60));
    assert_eq!(
        delivered.unwrap_err().kind,
        "ResponseIncomplete",
        "what EventBridge brings ends in the queue"
    );
}

#[test]
fn of_two_audits_at_once_one_stands_back() {
    let bench = bench();
    bench.history().page_of(1);
    (0..4).for_each(|i| bench.history().add(&key_made(&format!("e-{i}"), 30 * 60 + i)));
    bench.progress().put(REGION, AuditProgress { done_to: before(HOUR), open: None, revision: 3 });
    bench.progress().next_fails([HistoryError::Conflict]);
    let answer = bench.audit().unwrap();
    assert_eq!(answer["regions"][0]["pages"], 1, "it leaves the rest to the other");
    bench.progress().next_fails([HistoryError::Throttled, HistoryError::Timeout]);
    bench.audit().unwrap();
    assert_eq!(bench.incidents().len(), 4);
    bench.clock.advance(600_000);
    bench.progress().next_fails([HistoryError::Refused("x".into())]);
    assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete");
}

/// With the shortest lookback that is allowed, and a history that fails at first: what happened since the first audit began
/// is read, however late that is.
#[test]
fn the_begin_of_the_first_audit_does_not_slide_with_the_clock() {
    let bench = bench();
    bench.history().add(&key_made("e-1", 55 * 60));
    bench.history().next_fails([HistoryError::Denied("cloudtrail:LookupEvents".into())]);
    bench.audit().unwrap_err();
    let began = bench.progress().of(REGION).unwrap();
    assert_eq!((began.done_to, began.open, began.revision), (before(HOUR), None, 1));
    bench.clock.advance(3 * 3_600_000);
    bench.audit().unwrap();
    assert_eq!(bench.rules(), ["access-key-for-another"]);

    let bench = support::bench();
    bench.progress().next_fails([HistoryError::Denied("dynamodb:PutItem".into())]);
    assert_eq!(bench.audit().unwrap_err().kind, "AuditIncomplete");
    assert!(bench.history().requests().is_empty(), "nothing is read that could not be kept");
    let bench = support::bench();
    bench.progress().next_fails([HistoryError::Conflict]);
    bench.audit().unwrap();
    assert!(bench.history().requests().is_empty(), "another container began it");
}

/// The schedule comes every five minutes, for audits that are behind.
#[test]
fn an_audit_that_keeps_up_reads_each_other_time_and_one_that_is_behind_every_time() {
    let bench = bench();
    bench.audit().unwrap();
    let mut read = vec![];
    for _ in 0..6 {
        bench.clock.advance(5 * 60 * 1000);
        let before = bench.history().requests().len();
        bench.audit().unwrap();
        read.push(bench.history().requests().len() - before);
    }
    assert_eq!(read, [0, 1, 0, 1, 0, 1]);

    let bench = support::bench();
    bench.history().page_of(1);
    bench.history().takes(3_000);
    (0..12).for_each(|i| bench.history().add(&key_made(&format!("e-{i}"), 40 * 60 - i)));
    for _ in 0..3 {
        let before = bench.history().requests().len();
        bench.invoke_for(SCHEDULE.as_bytes(), 20).unwrap().unwrap();
        assert_eq!(bench.history().requests().len() - before, 4);
    }
}

#[test]
fn what_cannot_be_read_in_the_history_is_counted_and_stops_nothing() {
    let bench = bench();
    bench.history().add_text(before(30 * 60), "{\"eventName\":");
    bench.history().add(&key_made("e-1", 31 * 60));
    let answer = bench.audit().unwrap();
    assert_eq!((&answer["judged"], &answer["unreadable"]), (&json!(1), &json!(1)));
    assert_eq!(done_to(&bench), before(15 * 60));
}
