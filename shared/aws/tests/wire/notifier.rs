//! SNS: the exact request.

use std::collections::BTreeMap;

use portcullis_aws::SnsNotifier;
use portcullis_response::{Message, Notifier};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_message_goes_out_with_what_subscriptions_filter_by() {
    let published =
        "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";
    let (config, sent) = answering(move |_| answer(200, &[("content-type", "text/xml")], published)).await;
    let message = message();
    assert_eq!(SnsNotifier::new(&config, TOPIC).send(&message).await, Ok(()));
    let sent = sent.take();
    let body = std::str::from_utf8(sent[0].body().bytes().unwrap()).unwrap();
    let form: BTreeMap<_, _> = body.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    for (name, value) in [
        ("Action", "Publish"),
        ("MessageStructure", "json"),
        ("Subject", "Keys"),
        ("TopicArn", "arn%3Aaws%3Asns%3Aeu-west-1%3A111122223333%3Aincidents"),
    ] {
        assert_eq!(form[name], value);
    }
    let entry = |n: usize, part: &str| form[format!("MessageAttributes.entry.{n}.{part}").as_str()];
    let attributes: BTreeMap<_, _> =
        (1..=4).map(|n| (entry(n, "Name"), entry(n, "Value.StringValue"))).collect();
    let expected = [
        ("severity", "HIGH"),
        ("incident_type", "COMPROMISED_CREDENTIALS"),
        ("account", "111122223333"),
        ("id", "inc-1-0-opened"),
    ];
    assert_eq!(attributes, expected.into());
    assert!(form["Message"].starts_with("%7B"));
}

#[tokio::test]
async fn what_each_failure_means_and_that_it_is_sent_once() {
    for (status, code, expected) in [
        (400, "Throttled", "Throttled"),
        (403, "AuthorizationError", r#"Denied("sns:Publish")"#),
        (400, "KMSAccessDenied", r#"Denied("sns:Publish")"#),
        (404, "NotFound", "NotFound"),
        (400, "InvalidParameter", r#"Refused("InvalidParameter")"#),
        (500, "InternalError", "Timeout"),
    ] {
        let body = format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>{QUOTED}</Message></Error></ErrorResponse>"
        );
        let (config, sent) = answering(move |_| answer(status, &[], body.clone())).await;
        assert_eq!(say(SnsNotifier::new(&config, TOPIC).send(&message()).await), expected, "{code}");
        assert_eq!(sent.take().len(), 1, "{code}");
    }
}

fn message() -> Message {
    let json =
        json!({ "severity": "HIGH", "incident_type": "COMPROMISED_CREDENTIALS", "account": "111122223333" });
    Message {
        id: "inc-1-0-opened".into(),
        subject: "Keys".into(),
        body: "For people".into(),
        json: json.to_string(),
    }
}

const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:incidents";
