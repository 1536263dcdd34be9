//! CloudTrail's past events: what goes out, and what each answer means. No emulator lets events be put there.

use aws_smithy_http_client::test_util::NeverClient;
use portcullis_aws::CloudTrailHistory;
use portcullis_base::Timestamp;
use portcullis_detection::{EventHistory, HistoryError, HistoryPage};
use serde_json::{Value, json};

use super::*;

async fn lookup(config: &SdkConfig, region: &str, page: Option<&str>) -> Result<HistoryPage, HistoryError> {
    let at = |second| Timestamp::from_second(second).unwrap();
    CloudTrailHistory::new(config).lookup(region, at(1_800_000_000), at(1_800_000_060), page).await
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(request.body().bytes().unwrap()).unwrap()
}

#[tokio::test]
async fn a_page_is_asked_of_its_region_and_read_in_its_order() {
    let event = |id: &str| json!({ "EventId": id, "EventTime": 1_800_000_030, "CloudTrailEvent": format!("record {id}") });
    let (config, sent) = answering(move |_| {
        // An event without its record is kept as one that nobody can read: it is counted, not lost.
        let bare = json!({ "EventId": "bare" });
        let page = json!({ "Events": [event("b"), bare, event("a")], "NextToken": "page-2" });
        answer(200, &[], page.to_string())
    })
    .await;
    let read = lookup(&config, "us-east-1", None).await.unwrap();
    assert_eq!(read.records, ["record b", "", "record a"]);
    assert_eq!(read.next.as_deref(), Some("page-2"));
    lookup(&config, "eu-west-1", Some("page-2")).await.unwrap();
    let sent = sent.take();
    let hosts: Vec<_> = sent.iter().map(|request| request.uri().host().unwrap()).collect();
    assert_eq!(hosts, ["cloudtrail.us-east-1.amazonaws.com", "cloudtrail.eu-west-1.amazonaws.com"]);
    let target = |request: &Request| request.headers()["x-amz-target"].to_str().unwrap().to_owned();
    assert!(sent.iter().all(|request| target(request).ends_with("CloudTrail_20131101.LookupEvents")));
    let mut expected = json!({ "StartTime": 1_800_000_000, "EndTime": 1_800_000_060, "MaxResults": 50 });
    assert_eq!(body(&sent[0]), expected);
    expected["NextToken"] = json!("page-2");
    assert_eq!(body(&sent[1]), expected);
}

#[tokio::test]
async fn calls_that_only_read_are_left_out_where_they_are_too_many() {
    let (config, sent) = answering(|_| answer(200, &[], r#"{"Events":[]}"#)).await;
    let at = |second| Timestamp::from_second(second).unwrap();
    for reads in [true, false] {
        let history = CloudTrailHistory::new(&config).with_reads(reads);
        history.lookup("eu-west-1", at(0), at(60), Some("page-2")).await.unwrap();
    }
    let asked: Vec<_> = sent.take().iter().map(|request| body(request)["LookupAttributes"].clone()).collect();
    let writes = json!([{ "AttributeKey": "ReadOnly", "AttributeValue": "false" }]);
    assert_eq!(asked, [Value::Null, writes]);
}

#[tokio::test]
async fn the_last_page_has_none_after_it() {
    let (config, _) = answering(|_| answer(200, &[], r#"{"Events":[]}"#)).await;
    assert_eq!(lookup(&config, "eu-west-1", None).await, Ok(HistoryPage::default()));
}

#[tokio::test]
async fn what_each_failure_means() {
    let denied = || HistoryError::Denied("cloudtrail:LookupEvents".into());
    for (label, status, code, expected) in [
        ("two a second", 400, "ThrottlingException", HistoryError::Throttled),
        ("429", 429, "", HistoryError::Throttled),
        ("an old page", 400, "InvalidNextTokenException", HistoryError::PageExpired),
        ("denied", 400, "AccessDeniedException", denied()),
        ("denied by an organization", 403, "", denied()),
        ("a broken service", 500, "InternalFailure", HistoryError::Timeout),
        ("old credentials", 400, "ExpiredTokenException", HistoryError::Timeout),
        (
            "a window that ends before it begins",
            400,
            "InvalidTimeRangeException",
            HistoryError::Refused("InvalidTimeRangeException".into()),
        ),
        ("a sentence for a code", 400, "user ana may not", HistoryError::Refused("no code".into())),
    ] {
        let (config, sent) = answering(move |request| error(status, code, request)).await;
        assert_eq!(lookup(&config, "eu-west-1", Some("p")).await, Err(expected), "{label}");
        assert_eq!(sent.take().len(), 1, "{label}: the audit keeps the pace, so one attempt a call");
    }
    let silent = config(SharedHttpClient::new(NeverClient::new()), SHORT).await;
    assert_eq!(lookup(&silent, "eu-west-1", None).await, Err(HistoryError::Timeout));
}
