//! Sending under failures: nothing lost, nothing out of order, 200 only when everything is queued.

use std::collections::HashMap;

use portcullis_local::memory::Queue;
use portcullis_webhook::{
    Body, ClaimCheck, ClaimCheckError, Lane, MessageContext, QueueError, QueueMessage, SendFailure,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Bench, QUICK, batch, bench, bench_with, one, post};

fn messages(conversations: usize, each: usize) -> Vec<(String, String, String)> {
    (0..each)
        .flat_map(|n| {
            (0..conversations).map(move |c| (format!("55{c}"), format!("wamid.{c}.{n}"), "ola".to_owned()))
        })
        .collect()
}

/// Ids as queued, by conversation.
fn by_group(queue: &Queue) -> HashMap<String, Vec<String>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for sent in queue.sent(Lane::Text) {
        groups.entry(sent.group).or_default().push(sent.dedup_id);
    }
    groups
}

fn assert_all_in_order(queue: &Queue, conversations: usize, each: usize, label: &str) {
    let groups = by_group(queue);
    assert_eq!(groups.len(), conversations, "{label}");
    for ids in groups.values() {
        let conversation = ids[0].split('.').nth(1).unwrap();
        let expected: Vec<_> = (0..each).map(|n| format!("wamid.{conversation}.{n}")).collect();
        assert_eq!(ids, &expected, "{label}");
    }
}

fn metric(bench: &Bench, name: &str) -> f64 {
    let lines = bench.metrics.lock().unwrap();
    lines.iter().filter_map(|l| serde_json::from_str::<Value>(l).unwrap()[name].as_f64()).sum()
}

#[tokio::test(start_paused = true)]
async fn batches_of_any_shape_arrive_whole_and_in_order() {
    for (conversations, each) in [
        (1, 1),
        (1, 2),
        (1, 10),
        (1, 99),
        (2, 5),
        (10, 1),
        (11, 1),
        (25, 4),
        (1_000, 1),
        (60, 17),
        (1, 1_000),
    ] {
        let bench = bench();
        assert_eq!(bench.status(&post(&batch(&messages(conversations, each)))).await, 200);
        assert_all_in_order(&bench.queue, conversations, each, &format!("{conversations} by {each}"));
    }
}

#[tokio::test(start_paused = true)]
async fn conversations_share_calls_and_long_ones_do_not_take_forever() {
    for (conversations, each, most) in
        [(10, 1, 1), (100, 1, 10), (1_000, 1, 110), (1, 10, 10), (1, 1_000, 100), (10, 10, 10)]
    {
        let bench = bench();
        assert_eq!(bench.status(&post(&batch(&messages(conversations, each)))).await, 200);
        assert!(bench.queue.calls() <= most, "{conversations} by {each}: {} calls", bench.queue.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_retried_in_order() {
    let refuse = |indexes: &[usize]| {
        indexes.iter().map(|i| SendFailure { index: *i, retryable: true }).collect::<Vec<_>>()
    };
    for (label, calls, entries) in [
        ("one call", 1, vec![]),
        ("three calls", 3, vec![]),
        ("first entry", 0, vec![refuse(&[0])]),
        ("last entry", 0, vec![refuse(&[9])]),
        ("some entries twice", 0, vec![refuse(&[1, 4, 7]), refuse(&[0, 2])]),
        ("all entries", 0, vec![refuse(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])]),
        ("a call, then entries", 1, vec![refuse(&[3]), refuse(&[0]), refuse(&[0])]),
    ] {
        let bench = bench();
        bench.queue.fail_next(calls, QueueError::Unavailable);
        entries.into_iter().for_each(|e| bench.queue.fail_entries(e));
        assert_eq!(bench.status(&post(&batch(&messages(12, 5)))).await, 200, "{label}");
        assert_all_in_order(&bench.queue, 12, 5, label);
        assert!(metric(&bench, "QueueRetries") >= 1.0, "{label}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_queued_is_answered_with_503() {
    for (label, items, spoil) in [
        ("queue gone, one item", 1, (|q: &Queue| q.fail_next(1_000, QueueError::Unavailable)) as fn(&Queue)),
        ("queue gone, many items", 300, |q| q.fail_next(1_000, QueueError::Unavailable)),
        ("queue refuses, one item", 1, |q| q.fail_next(1, QueueError::Refused)),
        ("queue refuses, many items", 300, |q| q.fail_next(1, QueueError::Refused)),
        ("entry refused for good", 5, |q| q.fail_entries(vec![SendFailure { index: 3, retryable: false }])),
        ("entry refused again and again", 5, |q| {
            (0..1_000).for_each(|_| q.fail_entries(vec![SendFailure { index: 0, retryable: true }]));
        }),
    ] {
        let bench = bench();
        spoil(&bench.queue);
        let started = tokio::time::Instant::now();
        let answer = bench.invoke(&serde_json::to_vec(&post(&batch(&messages(items, 1)))).unwrap()).await;
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["Retry-After"]),
            (&json!(503), &json!("5")),
            "{label}"
        );
        assert!(started.elapsed().as_secs_f64() <= 5.01, "{label}: {:?}", started.elapsed());
        assert!((metric(&bench, "Rejected") - 1.0).abs() < f64::EPSILON, "{label}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_refused_for_good_holds_up_its_own_conversation_alone() {
    let bench = bench();
    bench.queue.fail_entries(vec![SendFailure { index: 2, retryable: false }]);
    assert_eq!(bench.status(&post(&batch(&messages(25, 3)))).await, 503);
    let mut lengths: Vec<_> = by_group(&bench.queue).values().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [3; 24], "the conversation of the refused entry is not there, all others are whole");
}

#[tokio::test(start_paused = true)]
async fn metas_retry_after_a_503_completes_the_batch_without_doubles() {
    let bench = bench();
    bench.queue.fail_entries(vec![SendFailure { index: 4, retryable: false }]);
    let event = post(&batch(&messages(30, 3)));
    assert_eq!(bench.status(&event).await, 503);
    assert_eq!(bench.status(&event).await, 200);
    assert_all_in_order(&bench.queue, 30, 3, "after the retry");
}

#[tokio::test(start_paused = true)]
async fn sending_ends_in_time_for_the_answer() {
    let bench = bench_with(|s| s.send.budget = QUICK);
    bench.queue.fail_next(1_000, QueueError::Unavailable);
    let started = tokio::time::Instant::now();
    assert_eq!(bench.status(&post(&one("ola"))).await, 503);
    assert!(started.elapsed() <= QUICK + QUICK / 10);

    let bench = crate::support::bench();
    bench.clock.advance(9_500);
    bench.queue.fail_next(1_000, QueueError::Unavailable);
    let started = tokio::time::Instant::now();
    assert_eq!(bench.status(&post(&one("ola"))).await, 503);
    assert!(
        started.elapsed().as_millis() <= 300,
        "half a second was left to Lambda's deadline: {:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_over_the_limit_travels_as_a_claim() {
    for (label, text, claimed) in [
        ("small", "ola".to_owned(), false),
        ("just below", "a".repeat(3_500), false),
        ("just above", "a".repeat(4_096), true),
        ("large", "a".repeat(2_000_000), true),
        ("not allowed in a queue message", "\u{ffff}".to_owned(), true),
    ] {
        let bench = bench_with(|s| s.send.max_bytes = 4_096);
        assert_eq!(bench.status(&post(&one(&text))).await, 200, "{label}");
        let sent = bench.queue.sent(Lane::Text);
        let message: QueueMessage<'_> = serde_json::from_str(&sent[0].body).unwrap();
        assert!(sent[0].body.len() <= 4_096, "{label}");
        let stored;
        let context = match message.body {
            Body::Inline(context) => {
                assert!(!claimed, "{label}");
                context
            }
            Body::Claim(ticket) => {
                assert!(claimed, "{label}");
                stored = bench.claims.get(&ticket.key, 4_000_000).await.unwrap();
                assert_eq!(stored.len() as u64, ticket.bytes);
                serde_json::from_slice::<MessageContext<'_>>(&stored).unwrap()
            }
        };
        let item: Value = serde_json::from_str(context.item.get()).unwrap();
        assert_eq!(item["text"]["body"], text, "{label}");
        assert!(
            (metric(&bench, "ClaimChecks") - f64::from(u8::from(claimed))).abs() < f64::EPSILON,
            "{label}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_stored_before_its_pointer_is_sent() {
    for (label, error, times, status) in [
        ("passes", ClaimCheckError::Unavailable, 2, 200),
        ("does not pass", ClaimCheckError::Unavailable, 1_000, 503),
        ("refused", ClaimCheckError::Refused, 1, 503),
    ] {
        let bench = bench_with(|s| s.send.max_bytes = 4_096);
        bench.claims.fail_next(times, error);
        assert_eq!(bench.status(&post(&one(&"a".repeat(10_000)))).await, status, "{label}");
        assert_eq!(bench.queue.sent(Lane::Text).len(), usize::from(status == 200), "{label}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_stays_below_the_size_limit() {
    let bench = bench_with(|s| s.send.max_bytes = 8_192);
    let large: Vec<_> = (0..40)
        .map(|n| (format!("55{}", n % 7), format!("wamid.{}.{}", n % 7, n / 7), "x".repeat(900 + n * 60)))
        .collect();
    assert_eq!(bench.status(&post(&batch(&large))).await, 200);
    let sent = bench.queue.sent(Lane::Text);
    assert_eq!(sent.len(), 40);
    let bytes: usize = sent.iter().map(|s| s.body.len()).sum();
    assert!(bench.queue.calls() >= (bytes / 8_192) as u64, "{} calls for {bytes} bytes", bench.queue.calls());
    for (group, ids) in by_group(&bench.queue) {
        let order: Vec<usize> =
            ids.iter().map(|id| id.rsplit('.').next().unwrap().parse().unwrap()).collect();
        assert!(order.is_sorted(), "{group}: {ids:?}");
    }
}

#[tokio::test]
async fn metrics_tell_items_by_lane_and_kind() {
    let bench = bench();
    let body = json!({"entry": [{"id": "1", "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp", "messages": [
        {"id": "a", "from": "5", "type": "text"}, {"id": "b", "from": "5", "type": "text"}, {"id": "c", "from": "5", "type": "image"}]}}]}]});
    assert_eq!(bench.status(&post(&body.to_string())).await, 200);
    let lines: Vec<Value> =
        bench.metrics.lock().unwrap().iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["Accepted"], &lines[0]["Items"]), (&json!(1.0), &json!(3.0)));
    let kinds: Vec<_> = lines[1..]
        .iter()
        .map(|l| (l["Lane"].as_str(), l["Kind"].as_str(), l["ItemsByKind"].as_f64()))
        .collect();
    assert_eq!(kinds, [(Some("text"), Some("text"), Some(2.0)), (Some("media"), Some("image"), Some(1.0))]);
    assert_eq!((bench.queue.sent(Lane::Text).len(), bench.queue.sent(Lane::Media).len()), (2, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn order_holds_in_a_conversation_whatever_fails(
        conversations in 1..30_usize, each in 1..12_usize, calls in 0..3_usize,
        refused in proptest::collection::vec(proptest::collection::btree_set(0..10_usize, 0..6), 0..12),
        last_for_good in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bench = bench();
            bench.queue.fail_next(calls, QueueError::Unavailable);
            let last = refused.len();
            for (n, indexes) in refused.into_iter().enumerate() {
                let retryable = !(last_for_good && n + 1 == last);
                bench.queue.fail_entries(indexes.into_iter().map(|index| SendFailure { index, retryable }).collect());
            }
            let event = post(&batch(&messages(conversations, each)));
            let first = bench.status(&event).await;
            prop_assert!(first == 200 || first == 503);
            for ids in by_group(&bench.queue).values() {
                let order: Vec<usize> = ids.iter().map(|id| id.rsplit('.').next().unwrap().parse().unwrap()).collect();
                prop_assert!(order.iter().copied().eq(0..order.len()), "a beginning, without gaps: {ids:?}");
            }
            if first == 503 {
                while bench.status(&event).await != 200 {}
            }
            assert_all_in_order(&bench.queue, conversations, each, "in the end");
            Ok(())
        })?;
    }
}
