//! What errors, and answers that are none, mean.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::test_util::NeverClient;
use portcullis_response::{AutoScaling, Instances, PortError, SecurityGroups};

use super::super::query::MAX_ANSWER;
use super::{account, done, ec2_error, recorded, scaling_error, sdk};

#[tokio::test]
async fn each_error_means_one_thing_and_is_not_asked_again() {
    let refused = |code: &str| PortError::Refused(code.into());
    for (status, code, expected) in [
        (503, "RequestLimitExceeded", PortError::Throttled),
        (400, "Throttling", PortError::Throttled),
        (400, "SnapshotCreationPerVolumeRateExceeded", PortError::Throttled),
        (400, "ConcurrentSnapshotLimitExceeded", PortError::Throttled),
        (400, "ConcurrentTagAccess", PortError::Conflict),
        (403, "UnauthorizedOperation", PortError::Denied("ec2:CreateTags".into())),
        (401, "AuthFailure", PortError::Denied("ec2:CreateTags".into())),
        (400, "InvalidInstanceID.NotFound", PortError::NotFound),
        (400, "InvalidGroup.NotFound", PortError::NotFound),
        (400, "InvalidInstanceID.Malformed", refused("InvalidInstanceID.Malformed")),
        (400, "IncorrectInstanceState", refused("IncorrectInstanceState")),
        (400, "IncorrectState", refused("IncorrectState")),
        (400, "DependencyViolation", refused("DependencyViolation")),
        (400, "a message of ana@example.com", refused("no code")),
        (400, "InvalidPermission.Duplicate", refused("InvalidPermission.Duplicate")),
        (500, "InternalError", PortError::Timeout),
        (503, "Unavailable", PortError::Timeout),
    ] {
        let (account, client) = recorded(&[(status, &ec2_error(code)), (200, &done("CreateTags"))]);
        assert_eq!(account.tag_instance("i-1", "k", "v").await, Err(expected), "{status} {code}");
        assert_eq!(client.actual_requests().count(), 1, "{status} {code}");
    }
}

#[tokio::test]
async fn errors_of_auto_scaling_are_read_as_well() {
    for (code, expected) in [
        ("Throttling", PortError::Throttled),
        ("ResourceContention", PortError::Conflict),
        ("ScalingActivityInProgress", PortError::Conflict),
        ("AccessDenied", PortError::Denied("autoscaling:DetachInstances".into())),
        ("LimitExceeded", PortError::Refused("LimitExceeded".into())),
    ] {
        let (account, _) = recorded(&[(400, &scaling_error(code))]);
        assert_eq!(account.detach("i-1", "web").await, Err(expected), "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_may_have_had_its_effect() {
    let long = format!("<CreateTagsResponse>{}</CreateTagsResponse>", " ".repeat(MAX_ANSWER));
    let entities =
        r#"<!DOCTYPE a [<!ENTITY e "true">]><CreateTagsResponse><return>&e;</return></CreateTagsResponse>"#;
    for (label, status, answer) in [
        ("empty", 200, ""),
        ("a page of a proxy", 200, "<html><body>Sign in</body></html>"),
        ("the answer to another call", 200, &done("DeleteTags")),
        ("cut short", 200, "<CreateTagsResponse><return>true</return>"),
        ("too long", 200, &long),
        ("with entities", 200, entities),
        ("a broken gateway", 502, "<html>Bad gateway</html>"),
    ] {
        let (account, client) = recorded(&[(status, answer), (200, &done("CreateTags"))]);
        assert_eq!(account.tag_instance("i-1", "k", "v").await, Err(PortError::Timeout), "{label}");
        assert_eq!(client.actual_requests().count(), 1, "{label}");
    }
    let (account, _) = recorded(&[(200, "<CreateTagsResponse><return>false</return></CreateTagsResponse>")]);
    assert_eq!(account.tag_instance("i-1", "k", "v").await, Err(PortError::Refused("not done".into())));
}

#[tokio::test]
async fn a_long_answer_within_the_bound_is_read() {
    let long = format!(
        "<CreateTagsResponse>{}<return>true</return></CreateTagsResponse>",
        " ".repeat(MAX_ANSWER / 2)
    );
    let (account, _) = recorded(&[(200, &long)]);
    assert_eq!(account.tag_instance("i-1", "k", "v").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_whether_or_not_the_configuration_bounds_it() {
    for (label, limits, seconds) in [
        (
            "as configured",
            Some(TimeoutConfig::builder().operation_timeout(Duration::from_secs(3)).build()),
            3,
        ),
        ("not configured", None, 10),
    ] {
        let mut sdk = sdk().http_client(NeverClient::new());
        sdk.set_timeout_config(limits);
        let account = account(&sdk.build());
        let asked = tokio::time::timeout(Duration::from_secs(seconds + 1), account.group("vpc-1", "g"));
        assert_eq!(asked.await.expect(label), Err(PortError::Timeout), "{label}");
    }
}
