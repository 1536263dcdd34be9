//! Security events at the HTTP boundary: what goes out, and what each answer means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_audit::{AuditError, AuditRecord, AuditSink, RecordId};
use portcullis_aws::{DynamoAudit, EventBridgeAudit};
use portcullis_base::Timestamp;
use serde_json::{Value, json};

use super::*;

fn records(count: u128) -> Vec<AuditRecord> {
    let time = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
    let record = |n| AuditRecord::from_parts(RecordId::of(time, n), time, format!(r#"{{"n":{n}}}"#)).unwrap();
    (0..count).map(record).collect()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(request.body().bytes().unwrap()).unwrap()
}

#[tokio::test]
async fn a_record_is_put_where_there_is_none() {
    let (config, sent) = answering(|_| answer(200, &[], "{}")).await;
    let sink = DynamoAudit::new(&config, "audit", TIMEOUT).with_retention(Some(Duration::from_secs(10)));
    sink.append(&records(1)).await.unwrap();
    let sent = sent.take();
    assert_eq!(sent[0].headers()["x-amz-target"], "DynamoDB_20120810.PutItem");
    let id = records(1)[0].id().to_string();
    assert_eq!(
        body(&sent[0]),
        json!({
            "TableName": "audit",
            "ConditionExpression": "attribute_not_exists(pk)",
            "Item": {
                "pk": { "S": "2027-01-15T08#0" },
                "sk": { "S": id },
                "time": { "N": "1800000000123" },
                "body": { "S": r#"{"n":0}"# },
                "expires_at": { "N": "1800000010" },
            },
        })
    );
}

#[tokio::test]
async fn a_record_that_is_there_counts_as_kept_and_other_refusals_do_not() {
    for (status, code, expected) in [
        (400, "ConditionalCheckFailedException", Ok(())),
        (400, "ResourceNotFoundException", Err(AuditError::Refused)),
        (400, "AccessDeniedException", Err(AuditError::Refused)),
        (400, "ProvisionedThroughputExceededException", Err(AuditError::Unavailable)),
        (500, "InternalServerError", Err(AuditError::Unavailable)),
    ] {
        let (config, _) = answering(move |request| error(status, code, request)).await;
        let sink = DynamoAudit::new(&config, "audit", TIMEOUT);
        assert_eq!(sink.append(&records(2)).await, expected, "{code}");
        let bus = EventBridgeAudit::new(&config, "siem", TIMEOUT);
        let expected = if expected == Ok(()) { Err(AuditError::Refused) } else { expected };
        assert_eq!(bus.append(&records(1)).await, expected, "bus: {code}");
    }
}

/// An answer of `PutEvents`: an error code for each entry that was not taken.
fn taken(codes: &[Option<&str>]) -> String {
    let entry = |code: &Option<&str>| match code {
        None => json!({ "EventId": "e" }),
        Some(code) => json!({ "ErrorCode": code, "ErrorMessage": QUOTED }),
    };
    let failed = codes.iter().flatten().count();
    json!({ "FailedEntryCount": failed, "Entries": codes.iter().map(entry).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn events_name_the_bus_their_source_and_their_time() {
    let (config, sent) = answering(|_| answer(200, &[], taken(&[None]))).await;
    EventBridgeAudit::new(&config, "siem", TIMEOUT).append(&records(1)).await.unwrap();
    let sent = sent.take();
    assert_eq!(sent[0].headers()["x-amz-target"], "AWSEvents.PutEvents");
    assert_eq!(
        body(&sent[0]),
        json!({ "Entries": [{
            "EventBusName": "siem",
            "Source": "portcullis.audit",
            "DetailType": "Security Event",
            "Time": 1_800_000_000.123,
            "Detail": r#"{"n":0}"#,
        }] })
    );
}

#[tokio::test]
async fn entries_that_were_not_taken_are_sent_again_and_no_others() {
    let calls = AtomicUsize::new(0);
    let (config, sent) = answering(move |_| {
        let codes: &[Option<&str>] = match calls.fetch_add(1, Ordering::SeqCst) {
            0 => &[None, Some("ThrottlingException"), None, Some("InternalFailure")],
            1 => &[Some("ThrottlingException"), None],
            _ => &[None],
        };
        answer(200, &[], taken(codes))
    })
    .await;
    EventBridgeAudit::new(&config, "siem", TIMEOUT).append(&records(4)).await.unwrap();
    let details = |request: &Request| -> Vec<String> {
        let body = body(request);
        let entries = body["Entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["Detail"].as_str().unwrap().to_owned()).collect()
    };
    let sent: Vec<_> = sent.take().iter().map(details).collect();
    let of = |numbers: &[u32]| numbers.iter().map(|n| format!(r#"{{"n":{n}}}"#)).collect::<Vec<_>>();
    assert_eq!(sent, [of(&[0, 1, 2, 3]), of(&[1, 3]), of(&[1])]);
}

#[tokio::test]
async fn a_bus_that_takes_nothing_is_left_after_three_attempts() {
    for (label, reply, expected, calls) in [
        ("throttled", taken(&[Some("ThrottlingException")]), AuditError::Unavailable, 3),
        ("no answer for the entry", taken(&[]), AuditError::Unavailable, 3),
        ("refused for good", taken(&[Some("MalformedDetail")]), AuditError::Refused, 1),
    ] {
        let (config, sent) = answering(move |_| answer(200, &[], reply.clone())).await;
        let sink = EventBridgeAudit::new(&config, "siem", TIMEOUT);
        assert_eq!(sink.append(&records(1)).await, Err(expected), "{label}");
        assert_eq!(sent.take().len(), calls, "{label}");
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
