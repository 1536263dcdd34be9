//! The Lambda's answers to batches from SQS, bytes in and bytes out.
#![cfg(test)]

mod support;

use portcullis_base::Timestamp;
use portcullis_lambda::{Handler, Invocation};
use portcullis_pii::RecordError;
use serde_json::{Value, json};
use support::{NOW, bench, message};

fn invocation() -> Invocation {
    Invocation { request_id: "r".to_owned(), deadline: Timestamp::MAX }
}

fn record(id: &str, group: &str, queue: &str, body: &str) -> Value {
    json!({
        "messageId": id, "receiptHandle": "h", "body": body, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:111122223333:{queue}"),
        "attributes": {"MessageGroupId": group, "MessageDeduplicationId": id, "SequenceNumber": "18850000000000000001",
                       "ApproximateReceiveCount": "1"},
        "messageAttributes": {}, "md5OfBody": "x",
    })
}

#[tokio::test]
async fn only_failed_items_are_reported() {
    let b = bench();
    let (one, two) =
        (message("c1", "w1", Some("5511987654321"), "a"), message("c2", "w2", Some("5511987654322"), "b"));
    let event =
        json!({"Records": [record("m1", "c1", "text.fifo", &one), record("m2", "c2", "text.fifo", &two)]});
    b.records.fail_next(1, RecordError::Unavailable);
    let answer = b.function.handle(event.to_string().as_bytes(), &invocation()).await.unwrap();
    assert_eq!(answer, br#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#);
    let answer = b.function.handle(event.to_string().as_bytes(), &invocation()).await.unwrap();
    assert_eq!(answer, br#"{"batchItemFailures":[]}"#);
    assert_eq!(b.records.all().len(), 2);
}

/// What Lambda kills counts as failed as a whole, what was stored of it too.
#[tokio::test]
async fn no_item_is_begun_shortly_before_the_deadline() {
    let body = message("c1", "w1", Some("5511987654321"), "a");
    let event = json!({"Records": [record("m1", "c1", "text.fifo", &body)]}).to_string();
    for (seconds, stored) in [(30, 1), (11, 1), (10, 0), (0, 0), (-5, 0)] {
        let b = bench();
        let deadline = Timestamp::from_millisecond(NOW + seconds * 1_000).unwrap();
        let invocation = Invocation { request_id: "r".to_owned(), deadline };
        let answer = b.function.handle(event.as_bytes(), &invocation).await.unwrap();
        assert_eq!(b.records.all().len(), stored, "{seconds}");
        assert_eq!(answer == br#"{"batchItemFailures":[]}"#, stored == 1, "{seconds}");
    }
}

#[tokio::test]
async fn poison_is_put_aside_with_the_lane_of_its_queue() {
    for (queue, lane) in [("text.fifo", "text"), ("media.fifo", "media")] {
        let b = bench();
        let event = json!({"Records": [record("m1", "g", queue, "no json")]});
        let answer = b.function.handle(event.to_string().as_bytes(), &invocation()).await.unwrap();
        assert_eq!(answer, br#"{"batchItemFailures":[]}"#);
        assert_eq!(b.dead.items()[0].lane, lane);
    }
}

#[tokio::test]
async fn an_event_of_no_known_kind_fails_in_fixed_words() {
    let b = bench();
    for event in
        ["", "{}", "[]", "null", r#"{"Records":[{"s3":{}}]}"#, r#"{"detail":{"secret":"4111111111111111"}}"#]
    {
        let failure = b.function.handle(event.as_bytes(), &invocation()).await.unwrap_err();
        assert_eq!(failure.kind, "UnknownEvent", "{event}");
        assert!(!failure.to_string().contains("4111"));
    }
}
