//! What every request has in common, and how its form is written.

use portcullis_response::{AutoScaling, Instances};
use proptest::prelude::*;

use super::super::form::Form;
use super::{done, recorded, sent};

#[tokio::test]
async fn a_request_is_a_signed_form_with_the_session_token_in_the_signature() {
    let (account, client) = recorded(&[(200, &done("CreateTags"))]);
    account.tag_instance("i-1", "portcullis:evidence:inc", "evidence").await.unwrap();
    let request = client.actual_requests().next().unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://ec2.eu-west-1.amazonaws.com/");
    let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(header("x-amz-security-token"), "session/token+1=");
    let authorization = header("authorization");
    let date = header("x-amz-date");
    let scope =
        format!("Credential=AKIDEXAMPLE/{}/eu-west-1/ec2/aws4_request", date.split('T').next().unwrap());
    assert!(authorization.starts_with(&format!("AWS4-HMAC-SHA256 {scope}, ")), "{authorization}");
    assert!(
        authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "),
        "{authorization}"
    );
    let (_, signature) = authorization.split_once("Signature=").unwrap();
    assert!(signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit()), "{signature}");
}

#[tokio::test]
async fn auto_scaling_is_called_at_its_own_place_in_its_own_version_and_name() {
    let answer = "<DescribeAutoScalingInstancesResponse><DescribeAutoScalingInstancesResult/></DescribeAutoScalingInstancesResponse>";
    let (account, client) = recorded(&[(200, answer)]);
    assert_eq!(account.scaling_group("i-1").await, Ok(None));
    let request = client.actual_requests().next().unwrap();
    assert_eq!(request.uri(), "https://autoscaling.eu-west-1.amazonaws.com/");
    assert!(request.headers().get("authorization").unwrap().contains("/eu-west-1/autoscaling/aws4_request"));
    assert_eq!(
        sent(&client),
        ["Action=DescribeAutoScalingInstances&Version=2011-01-01&InstanceIds.member.1=i-1"]
    );
}

#[tokio::test]
async fn nothing_in_a_value_becomes_another_parameter() {
    let (account, client) = recorded(&[(200, &done("CreateTags"))]);
    account.tag_instance("i-1&Action=TerminateInstances", "a=b c+d", "é%").await.unwrap();
    assert_eq!(
        sent(&client),
        ["Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1%26Action%3DTerminateInstances\
          &Tag.1.Key=a%3Db%20c%2Bd&Tag.1.Value=%C3%A9%25"]
    );
}

#[test]
fn lists_are_numbered_from_one_and_filters_are_literal() {
    let form = Form::default().list("SecurityGroupId", ["sg-1", "sg-2"]).filter(2, "group-name", r"a*?\");
    assert_eq!(
        form.into_body(),
        "SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2&Filter.2.Name=group-name&Filter.2.Value.1=a%5C%2A%5C%3F%5C%5C"
    );
    assert_eq!(Form::default().list("none", []).into_body(), "");
    assert_eq!(Form::default().with("a", "1").followed_by(&Form::default()).into_body(), "a=1");
}

proptest! {
    #[test]
    fn a_form_reads_back_as_it_was_written(pairs in prop::collection::vec((".{0,12}", ".{0,24}"), 0..6)) {
        let form = pairs.iter().fold(Form::default(), |form, (name, value)| form.with(name, value));
        let body = form.into_body();
        prop_assert!(body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b)));
        let read: Vec<(String, String)> = body
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        prop_assert_eq!(read, pairs);
    }
}

/// Percent-decoding as RFC 3986 has it, written apart from the encoder.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}
