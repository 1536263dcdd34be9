//! Correlation: thresholds in a sliding window, whatever the order of delivery, once an event, once a burst.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what is not as expected fails the test")]

mod support;

use futures_util::future::FutureExt;
use portcullis_detection::{
    Context, CorrelationState, Detector, MemoryState, Observation, Record, RuleSet, Series, StateError,
};
use proptest::prelude::*;
use support::{now, play, play_with};

fn rules(correlation: &str) -> Detector {
    let base = |name: &str| {
        format!(
            "title: {name}\nid: {name}\nlogsource: {{product: aws, service: cloudtrail}}\ndetection: {{a: {{eventName: {name}}}, condition: a}}\n"
        )
    };
    let yaml = format!(
        "{}---\n{}---\ntitle: c\nid: c\nlevel: high\nportcullis: {{contain: true}}\ncorrelation:\n{correlation}",
        base("A"),
        base("B")
    );
    Detector::new(RuleSet::load([("c.yml", yaml)]).unwrap_or_else(|e| panic!("{e}")), Context::default())
}

/// Name of the call, seconds since a fixed hour, user.
fn event(id: usize, name: &str, second: i64, user: &str) -> String {
    let time = jiff::Timestamp::from_second(1_772_532_000 + second).unwrap();
    format!(
        r#"{{"eventID":"{id}","eventTime":"{time}","eventName":"{name}","userIdentity":{{"type":"IAMUser","arn":"{user}"}},"requestParameters":{{"v":["{}","{}"]}}}}"#,
        id % 4,
        id % 3
    )
}

fn script(events: &[(&str, i64, &str)]) -> String {
    events.iter().enumerate().map(|(i, (name, second, user))| event(i, name, *second, user) + "\n").collect()
}

const THREE_A_MINUTE: &str = "  type: event_count\n  rules: [A]\n  group-by: [portcullis.principal]\n  timespan: 1m\n  condition: {gte: 3}\n";

#[test]
fn a_threshold_is_reached_in_its_window_and_its_group() {
    let detector = rules(THREE_A_MINUTE);
    for (case, events, hits) in [
        ("three", [("A", 0, "u"), ("A", 30, "u"), ("A", 59, "u")], 1),
        ("too slow", [("A", 0, "u"), ("A", 30, "u"), ("A", 60, "u")], 0),
        ("two people", [("A", 0, "u"), ("A", 1, "v"), ("A", 2, "u")], 0),
        ("another call", [("A", 0, "u"), ("C", 1, "u"), ("A", 2, "u")], 0),
        ("late", [("A", 59, "u"), ("A", 0, "u"), ("A", 30, "u")], 1),
    ] {
        assert_eq!(play(&detector, &script(&events)).len(), hits, "{case}");
    }
}

#[test]
fn a_burst_alerts_once_and_the_next_burst_again() {
    let detector = rules(THREE_A_MINUTE);
    let burst: Vec<_> = (0..20).map(|s| ("A", s, "u")).collect();
    assert_eq!(play(&detector, &script(&burst)).len(), 1);
    let two: Vec<_> = (0..5).chain(500..505).map(|s| ("A", s, "u")).collect();
    assert_eq!(play(&detector, &script(&two)).len(), 2);
}

#[test]
fn what_is_delivered_again_counts_once_and_repeats_its_alert() {
    let detector = rules(THREE_A_MINUTE);
    let state = MemoryState::default();
    let two = script(&[("A", 0, "u"), ("A", 1, "u")]);
    for _ in 0..5 {
        assert!(play_with(&detector, &two, &state).is_empty());
    }
    let third = event(9, "A", 2, "u");
    let hit = &play_with(&detector, &third, &state)[0];
    assert_eq!((hit.id.as_str(), hit.count, hit.containable), ("c:9", Some(3), true));
    assert_eq!(
        play_with(&detector, &third, &state)[0].id,
        hit.id,
        "an alert that was lost comes again, as the same"
    );
    assert!(play_with(&detector, &two, &state).is_empty(), "and no other event takes it over");
}

#[test]
fn values_are_counted_once_each_and_lists_by_their_items() {
    let body = |gte| {
        format!(
            "  type: value_count\n  rules: [A]\n  group-by: [portcullis.principal]\n  timespan: 1m\n  condition: {{gte: {gte}, field: requestParameters.v}}\n"
        )
    };
    // The events' lists are [i % 4, i % 3]: four different values in all.
    let events: Vec<_> = (0..40).map(|s| ("A", s, "u")).collect();
    assert_eq!(play(&rules(&body(4)), &script(&events))[0].count, Some(4));
    assert!(play(&rules(&body(5)), &script(&events)).is_empty());
}

#[test]
fn rules_can_be_wanted_together_in_order_or_by_expression() {
    let body = |kind: &str, condition: &str| {
        format!(
            "  type: {kind}\n  rules: [A, B]\n  group-by: [portcullis.principal]\n  timespan: 1m\n{condition}"
        )
    };
    let (ab, ba, aa) =
        ([("A", 0, "u"), ("B", 5, "u")], [("B", 0, "u"), ("A", 5, "u")], [("A", 0, "u"), ("A", 5, "u")]);
    let together = rules(&body("temporal", "  condition: {gte: 2}\n"));
    let ordered = rules(&body("temporal_ordered", "  condition: {gte: 2}\n"));
    let either = rules(&body("temporal", "  condition: A and not B\n"));
    for (case, events, expected) in
        [("A, B", ab, [1, 1, 1]), ("B, A", ba, [1, 0, 0]), ("A, A", aa, [0, 0, 1])]
    {
        let input = script(&events);
        let found = [&together, &ordered, &either].map(|detector| play(detector, &input).len());
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn a_correlation_completed_by_a_failed_call_contains_nothing() {
    let yaml = "title: A\nid: A\nlogsource: {product: aws}\ndetection: {a: {eventName: A}, condition: a}\nportcullis: {attempts: true}\n---\n\
        title: c\nid: c\nportcullis: {contain: true}\ncorrelation: {type: event_count, rules: [A], timespan: 1m, condition: {gte: 1}}\n";
    let detector = Detector::new(RuleSet::load([("c.yml", yaml)]).unwrap(), Context::default());
    let good = event(1, "A", 0, "u");
    assert!(play(&detector, &good)[0].containable);
    assert!(!play(&detector, &good.replacen('{', r#"{"errorCode":"AccessDenied","#, 1))[0].containable);
}

/// State that is out of reach.
struct Broken;

impl CorrelationState for Broken {
    async fn observe(
        &self,
        _: &Series,
        _: &[Observation],
        _: i64,
        _: i64,
    ) -> Result<Vec<Observation>, StateError> {
        Err(StateError("throttled".into()))
    }
    async fn claim(&self, _: &Series, _: &str, _: i64, _: i64, _: i64) -> Result<bool, StateError> {
        Err(StateError("throttled".into()))
    }
}

#[test]
fn state_that_is_out_of_reach_is_an_error_not_a_silence() {
    let detector = rules(THREE_A_MINUTE);
    let json = event(0, "A", 0, "u");
    let record = Record::parse(json.as_bytes()).unwrap();
    assert!(detector.examine(&record, &Broken, now()).now_or_never().unwrap().is_err());
    let verdict = detector.judge(&record, now()).unwrap();
    assert_eq!((verdict.hits.len(), verdict.pending.len()), (0, 1));
}

proptest! {
    /// Whatever comes, in whatever order and however often: an alert if and only if some window holds enough events.
    #[test]
    fn an_alert_comes_exactly_when_a_window_is_full(
        seconds in proptest::collection::vec(0..400i64, 1..14),
        again in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let detector = rules(THREE_A_MINUTE);
        let mut lines: Vec<String> = seconds.iter().enumerate().map(|(i, s)| event(i, "A", *s, "u")).collect();
        for index in again {
            lines.push(lines[index.index(lines.len())].clone());
        }
        let full = seconds.iter().any(|end| seconds.iter().filter(|s| **s <= *end && **s > *end - 60).count() >= 3);
        let hits = play(&detector, &lines.join("\n"));
        prop_assert_eq!(!hits.is_empty(), full);
        // Alerts of different events are a window apart.
        let mut times: Vec<_> = hits.iter().map(|hit| (hit.time.as_second(), hit.event_id.clone())).collect();
        times.sort();
        times.dedup();
        prop_assert!(times.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 60));
    }
}
