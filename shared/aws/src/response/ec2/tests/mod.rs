//! The calls at the HTTP boundary: what goes out to the byte, and recorded answers coming in.
//!
//! The answers have the shapes of the EC2 and Auto Scaling API references.

mod endpoints;
mod failures;
mod groups;
mod instances;
mod scaling;
mod wire;

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;

use crate::response::{AccountSettings, AwsAccount};

/// An account whose answers are recorded: status and body of each, in order.
fn recorded(answers: &[(u16, &str)]) -> (AwsAccount, StaticReplayClient) {
    let event = |(status, body): &(u16, &str)| {
        let request = http::Request::builder().uri("https://recorded/").body(SdkBody::empty()).unwrap();
        let answer = http::Response::builder().status(*status).body(SdkBody::from(*body)).unwrap();
        ReplayEvent::new(request, answer)
    };
    let client = StaticReplayClient::new(answers.iter().map(event).collect());
    (account(&sdk().http_client(client.clone()).build()), client)
}

fn account(sdk: &SdkConfig) -> AwsAccount {
    AwsAccount::new(sdk, AccountSettings::default())
}

/// The configuration of a function: temporary credentials, a region, time limits.
fn sdk() -> aws_types::sdk_config::Builder {
    let session = Some("session/token+1=".to_owned());
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", session, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_timeout(Duration::from_secs(5))
                .build(),
        )
}

/// The bodies that were sent, in order.
fn sent(client: &StaticReplayClient) -> Vec<String> {
    client
        .actual_requests()
        .map(|request| String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap())
        .collect()
}

/// An error answer of EC2.
fn ec2_error(code: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>The instance of ana@example.com is not there</Message></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#
    )
}

/// An error answer of Auto Scaling.
fn scaling_error(code: &str) -> String {
    format!(
        r#"<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>{code}</Code><Message>The instance i-1 is not part of group ana</Message></Error><RequestId>74fc8e35-1f94-11ea</RequestId></ErrorResponse>"#
    )
}

/// The answer to a write.
fn done(action: &str) -> String {
    format!(
        r#"<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId><return>true</return></{action}Response>"#
    )
}
