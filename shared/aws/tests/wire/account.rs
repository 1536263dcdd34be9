//! The account of a response: that each method makes the call which its port names, what goes out, and what each answer
//! means. EC2's calls are tested beside their code.

use std::collections::BTreeMap;

use aws_smithy_http_client::test_util::NeverClient;
use portcullis_aws::{AccountSettings, AwsAccount};
use portcullis_response::{
    AddressSet, Buckets, Family, Findings, Functions, IamKeys, IpSets, LoginProfile, PublicAccessBlock,
    ResourceTags, RoleSessions, UserPolicy,
};
use serde_json::{Value, json};

use super::*;

/// Calls one method and says what came of it.
async fn ask(account: &AwsAccount, method: &str) -> String {
    let set = AddressSet { addresses: ["203.0.113.7/32".to_owned()].into(), lock_token: "token".into() };
    match method {
        "access_keys" => say(account.access_keys("ana").await),
        "deactivate_key" => say(account.deactivate_key("ana", "AKIA1").await),
        "activate_key" => say(account.activate_key("ana", "AKIA1").await),
        "role_policy" => say(account.role_policy("app", "deny").await),
        "put_role_policy" => say(account.put_role_policy("app", "deny", "{}").await),
        "delete_role_policy" => say(account.delete_role_policy("app", "deny").await),
        "user_policy" => say(account.user_policy("ana", "deny").await),
        "put_user_policy" => say(account.put_user_policy("ana", "deny", "{}").await),
        "delete_user_policy" => say(account.delete_user_policy("ana", "deny").await),
        "login_profile" => say(account.login_profile("ana").await),
        "delete_login_profile" => say(account.delete_login_profile("ana").await),
        "create_login_profile" => say(account.create_login_profile("ana", true).await),
        "reserved_concurrency" => say(account.reserved_concurrency("resize").await),
        "put_concurrency" => say(account.put_concurrency("resize", 0).await),
        "delete_concurrency" => say(account.delete_concurrency("resize").await),
        "address_set" => say(account.address_set(Family::V4).await),
        "update_address_set" => say(account.update_address_set(Family::V6, &set).await),
        "public_access_block" => say(account.public_access_block("reports").await),
        "put_public_access_block" => say(account.put_public_access_block("reports", BLOCK).await),
        "delete_public_access_block" => say(account.delete_public_access_block("reports").await),
        "finding" => say(account.finding("d1", "f1").await),
        "archive" => say(account.archive("d1", "f1").await),
        "unarchive" => say(account.unarchive("d1", "f1").await),
        "comment" => say(account.comment("d1", "f1", "incident inc-1").await),
        "user_tags" => say(account.user_tags("ana").await),
        "role_tags" => say(account.role_tags("app").await),
        "function_tags" => say(account.function_tags("resize").await),
        "bucket_tags" => say(account.bucket_tags("reports").await),
        other => panic!("no method {other}"),
    }
}

fn account(config: &SdkConfig) -> AwsAccount {
    let settings = AccountSettings {
        own_role: Some("arn:aws:iam::111122223333:role/portcullis".into()),
        block_list_v4: Some("arn:aws:wafv2:eu-west-1:111122223333:regional/ipset/blocked/v4-id".into()),
        block_list_v6: Some("arn:aws:wafv2:us-east-1:111122223333:global/ipset/blocked/v6-id".into()),
    };
    AwsAccount::new(config, settings)
}

/// The IAM action that a request needs, read off the request as CloudTrail would.
fn action(request: &Request) -> String {
    let uri = request.uri();
    let host = uri.host().unwrap();
    if let Some(target) = request.headers().get("x-amz-target") {
        let operation = target.to_str().unwrap().split_once('.').unwrap().1;
        return format!("{}:{operation}", host.split('.').next().unwrap());
    }
    if host == "iam.amazonaws.com" {
        return format!("iam:{}", form(request)["Action"]);
    }
    let path = uri.path_and_query().unwrap().as_str();
    let rest = format!("{host} {} {path}", request.method());
    let known = REST.iter().find(|(wire, _)| *wire == rest);
    known.unwrap_or_else(|| panic!("{rest}")).1.to_owned()
}

fn form(request: &Request) -> BTreeMap<String, String> {
    let body = std::str::from_utf8(request.body().bytes().unwrap()).unwrap();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.replace("%7B%7D", "{}"))
    };
    body.split('&').map(pair).collect()
}

/// The action that the documentation of a port's method names.
fn documented(method: &str) -> String {
    let ports = include_str!("../../../response/src/ports.rs");
    let (before, _) = ports.split_once(&format!("fn {method}(")).unwrap();
    let comment: Vec<_> = before.lines().rev().skip(1).take_while(|line| line.contains("///")).collect();
    let first = comment.last().unwrap();
    first.split('`').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn every_method_makes_the_one_call_that_its_port_names() {
    for method in METHODS {
        let (config, sent) = answering(|request| error(403, "AccessDenied", request)).await;
        let outcome = ask(&account(&config), method).await;
        let sent: Vec<_> = sent.take().iter().map(action).collect();
        assert_eq!(sent, [documented(method)], "{method}");
        // The denial names that action too: it is what an operator has to allow.
        assert_eq!(outcome, format!(r#"Denied("{}")"#, documented(method)), "{method}");
    }
}

#[tokio::test]
async fn what_goes_out() {
    let user = |action: &str, more: &[(&str, &str)]| {
        let all = [("Action", action), ("Version", "2010-05-08"), ("UserName", "ana")];
        json!(all.iter().chain(more).copied().collect::<BTreeMap<_, _>>())
    };
    let findings = json!({ "findingIds": ["f1"] });
    let set = |name: &str, id: &str, scope: &str| json!({ "Name": name, "Id": id, "Scope": scope });
    let mut update = set("blocked", "v6-id", "CLOUDFRONT");
    update["Addresses"] = json!(["203.0.113.7/32"]);
    update["LockToken"] = json!("token");
    for (method, host, expected) in [
        ("access_keys", "iam.amazonaws.com", user("ListAccessKeys", &[])),
        (
            "deactivate_key",
            "iam.amazonaws.com",
            user("UpdateAccessKey", &[("AccessKeyId", "AKIA1"), ("Status", "Inactive")]),
        ),
        (
            "activate_key",
            "iam.amazonaws.com",
            user("UpdateAccessKey", &[("AccessKeyId", "AKIA1"), ("Status", "Active")]),
        ),
        (
            "put_user_policy",
            "iam.amazonaws.com",
            user("PutUserPolicy", &[("PolicyName", "deny"), ("PolicyDocument", "{}")]),
        ),
        ("put_concurrency", "lambda.eu-west-1.amazonaws.com", json!({ "ReservedConcurrentExecutions": 0 })),
        ("address_set", "wafv2.eu-west-1.amazonaws.com", set("blocked", "v4-id", "REGIONAL")),
        ("update_address_set", "wafv2.us-east-1.amazonaws.com", update),
        ("finding", "guardduty.eu-west-1.amazonaws.com", findings.clone()),
        ("archive", "guardduty.eu-west-1.amazonaws.com", findings.clone()),
        ("unarchive", "guardduty.eu-west-1.amazonaws.com", findings),
        (
            "comment",
            "guardduty.eu-west-1.amazonaws.com",
            json!({ "findingIds": ["f1"], "feedback": "USEFUL", "comments": "incident inc-1" }),
        ),
    ] {
        let (config, sent) = answering(|request| error(403, "AccessDenied", request)).await;
        ask(&account(&config), method).await;
        let request = sent.take().remove(0);
        let is_form = host.starts_with("iam");
        let body = if is_form { json!(form(&request)) } else { json_body(&request) };
        assert_eq!((request.uri().host().unwrap(), body), (host, expected), "{method}");
    }
}

#[tokio::test]
async fn a_bucket_is_only_ever_touched_where_the_account_owns_it() {
    for method in
        ["public_access_block", "put_public_access_block", "delete_public_access_block", "bucket_tags"]
    {
        let (config, sent) = answering(|request| error(403, "AccessDenied", request)).await;
        ask(&account(&config), method).await;
        assert_eq!(sent.take()[0].headers()["x-amz-expected-bucket-owner"], "111122223333", "{method}");
    }
}

#[tokio::test]
async fn a_new_password_is_long_asks_for_another_and_is_never_the_same() {
    let mut passwords = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (config, sent) = answering(|request| error(403, "AccessDenied", request)).await;
        ask(&account(&config), "create_login_profile").await;
        let form = form(&sent.take()[0]);
        assert_eq!(form["PasswordResetRequired"], "true");
        assert!(form["Password"].len() >= 128);
        passwords.insert(form["Password"].clone());
    }
    assert_eq!(passwords.len(), 3);
}

#[tokio::test]
async fn what_each_error_means_for_every_method() {
    for (status, code, expected) in [
        (400, "Throttling", "Throttled"),
        (429, "TooManyRequestsException", "Throttled"),
        (503, "SlowDown", "Throttled"),
        (500, "InternalServerError", "Timeout"),
        (503, "ServiceUnavailable", "Timeout"),
        (403, "ExpiredToken", "Timeout"),
        (404, "ResourceNotFoundException", "NotFound"),
        (409, "ConcurrentModification", "Conflict"),
        (400, "WAFOptimisticLockException", "Conflict"),
        (409, "LimitExceeded", r#"Refused("LimitExceeded")"#),
        (400, "ValidationError", r#"Refused("ValidationError")"#),
    ] {
        let (config, sent) = answering(move |request| error(status, code, request)).await;
        let account = account(&config);
        for method in METHODS {
            assert_eq!(ask(&account, method).await, expected, "{method}: {status} {code}");
            assert_eq!(sent.take().len(), 1, "{method} is called once: the engine tries again");
        }
    }
}

#[tokio::test]
async fn silence_and_nonsense_prove_nothing() {
    let silent = config(SharedHttpClient::new(NeverClient::new()), SHORT).await;
    for method in METHODS {
        assert_eq!(ask(&account(&silent), method).await, "Timeout", "{method}: silence");
    }
    let (config, _) = answering(|_| answer(502, &[], "<html>bad gateway")).await;
    for method in METHODS {
        assert_eq!(ask(&account(&config), method).await, "Timeout", "{method}: nonsense");
    }
}

#[tokio::test]
async fn a_missing_policy_is_told_from_a_missing_owner() {
    for (method, message, expected) in [
        ("role_policy", "The role policy with name deny cannot be found.", "None"),
        ("role_policy", "The role with name app cannot be found.", "NotFound"),
        ("user_policy", "The user policy with name deny cannot be found.", "None"),
        ("user_policy", "The user with name ana cannot be found.", "NotFound"),
        ("login_profile", "Login Profile for User ana cannot be found.", "None"),
        ("login_profile", "The user with name ana cannot be found.", "NotFound"),
        ("access_keys", "The user with name ana cannot be found.", "NotFound"),
        ("delete_login_profile", "Login Profile for User ana cannot be found.", "NotFound"),
    ] {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        let (config, _) = answering(move |_| answer(404, &[], body.clone())).await;
        assert_eq!(ask(&account(&config), method).await, expected, "{method}: {message}");
    }
}

#[tokio::test]
async fn what_is_not_set_yet_is_none_and_a_missing_bucket_is_not_found() {
    for (method, code, expected) in [
        ("public_access_block", "NoSuchPublicAccessBlockConfiguration", "None"),
        ("public_access_block", "NoSuchBucket", "NotFound"),
        ("bucket_tags", "NoSuchTagSet", "{}"),
        ("bucket_tags", "NoSuchBucket", "NotFound"),
    ] {
        let (config, _) = answering(move |request| error(404, code, request)).await;
        assert_eq!(ask(&account(&config), method).await, expected, "{method}: {code}");
    }
}

fn keys_page(key: &str, then: &str) -> Answer {
    let member = format!(
        "<member><UserName>ana</UserName><AccessKeyId>{key}</AccessKeyId><Status>Active</Status></member>"
    );
    let result = format!("<AccessKeyMetadata>{member}</AccessKeyMetadata>{then}");
    let body = format!(
        "<ListAccessKeysResponse><ListAccessKeysResult>{result}</ListAccessKeysResult></ListAccessKeysResponse>"
    );
    answer(200, &[("content-type", "text/xml")], body)
}

#[tokio::test]
async fn all_pages_are_read_and_half_a_list_is_none() {
    let more = "<IsTruncated>true</IsTruncated><Marker>m1</Marker>";
    let two = answering(move |request| match form(request).get("Marker").map(String::as_str) {
        None => keys_page("AKIA1", more),
        Some("m1") => keys_page("AKIA2", "<IsTruncated>false</IsTruncated>"),
        Some(other) => panic!("{other}"),
    });
    let (config, sent) = two.await;
    assert_eq!(ask(&account(&config), "access_keys").await, r#"{"AKIA1": true, "AKIA2": true}"#);
    assert_eq!(sent.take().len(), 2);

    let (config, _) = answering(|_| keys_page("AKIA1", "<IsTruncated>true</IsTruncated>")).await;
    assert_eq!(
        ask(&account(&config), "access_keys").await,
        "Timeout",
        "cut, and no word of where it goes on"
    );

    let (config, sent) = answering(move |_| keys_page("AKIA1", more)).await;
    assert_eq!(ask(&account(&config), "access_keys").await, r#"Refused("more than 100 pages")"#);
    assert_eq!(sent.take().len(), 100, "without end");

    let broken = |request: &Request| match form(request).get("Marker") {
        None => keys_page("AKIA1", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>"),
        Some(_) => error(400, "Throttling", request),
    };
    let (config, _) = answering(broken).await;
    assert_eq!(ask(&account(&config), "access_keys").await, "Throttled", "the second page breaks");
}

#[tokio::test]
async fn tags_come_in_pages_too() {
    for (method, name) in [("user_tags", "ListUserTags"), ("role_tags", "ListRoleTags")] {
        let (config, sent) = answering(move |request| {
            let (key, then) = match form(request).get("Marker") {
                None => ("a", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>"),
                Some(_) => ("portcullis:protected", "<IsTruncated>false</IsTruncated>"),
            };
            let tags = format!("<Tags><member><Key>{key}</Key><Value>v</Value></member></Tags>{then}");
            let body = format!("<{name}Response><{name}Result>{tags}</{name}Result></{name}Response>");
            answer(200, &[("content-type", "text/xml")], body)
        })
        .await;
        assert_eq!(ask(&account(&config), method).await, r#"{"a": "v", "portcullis:protected": "v"}"#);
        assert_eq!(sent.take().len(), 2, "{method}");
    }
}

#[tokio::test]
async fn addresses_are_read_as_we_write_them() {
    let ranges = ["2001:0db8:0000:0000:0000:0000:0000:0007/128", "2001:db8:1::/48"];
    let set = json!({
        "IPSet": {
            "Name": "blocked", "Id": "v4-id", "ARN": "arn", "IPAddressVersion": "IPV6", "Addresses": ranges,
        },
        "LockToken": "t1",
    });
    let (config, _) = answering(move |_| answer(200, &[], set.to_string())).await;
    let read = account(&config).address_set(Family::V4).await.unwrap();
    assert_eq!(read.addresses, ["2001:db8:1::/48".to_owned(), "2001:db8::7/128".to_owned()].into());
    assert_eq!(read.lock_token, "t1");

    let (config, _) = answering(|_| answer(200, &[], r#"{"IPSet":null}"#)).await;
    assert_eq!(ask(&account(&config), "address_set").await, "Timeout", "an answer without a set");
}

#[tokio::test]
async fn a_finding_is_read_with_what_guardduty_tells_and_the_comment_that_it_took() {
    let archived = Arc::new(Mutex::new(false));
    let (config, _) = answering(move |request| {
        let mut archived = archived.lock().unwrap();
        match request.uri().path() {
            "/detector/d1/findings/archive" => *archived = true,
            "/detector/d1/findings/unarchive" => *archived = false,
            _ => {}
        }
        let service = json!({ "archived": *archived, "userFeedback": "USEFUL" });
        let finding = json!({ "id": "f1", "service": service });
        let asked = json_body(request)["findingIds"][0] == "f1";
        let findings = if asked { json!([finding]) } else { json!([]) };
        answer(200, &[], json!({ "findings": findings }).to_string())
    })
    .await;
    let account = account(&config);
    let state = async || account.finding("d1", "f1").await.map(|f| (f.archived, f.comment)).unwrap();
    assert_eq!(state().await, (false, None));
    account.archive("d1", "f1").await.unwrap();
    account.comment("d1", "f1", "incident inc-1").await.unwrap();
    assert_eq!(state().await, (true, Some("incident inc-1".into())));
    account.unarchive("d1", "f1").await.unwrap();
    account.comment("d1", "f1", "incident inc-2").await.unwrap();
    assert_eq!(state().await, (false, Some("incident inc-2".into())));
    // GuardDuty answers with an empty list, not with an error.
    assert_eq!(say(account.finding("d1", "f2").await), "NotFound");
    let other = AwsAccount::new(&config, AccountSettings::default());
    assert_eq!(other.finding("d1", "f1").await.unwrap().comment, None, "another process does not know");
}

#[tokio::test]
async fn a_comment_that_was_refused_is_not_one_that_was_taken() {
    let (config, _) = answering(|request| match request.uri().path() {
        "/detector/d1/findings/feedback" => error(400, "BadRequestException", request),
        _ => answer(200, &[], r#"{"findings":[{"id":"f1","service":{"archived":false}}]}"#),
    })
    .await;
    let account = account(&config);
    assert_eq!(ask(&account, "comment").await, r#"Refused("BadRequestException")"#);
    assert_eq!(account.finding("d1", "f1").await.unwrap().comment, None);
}

#[tokio::test]
async fn tags_of_functions_need_to_know_where_we_are() {
    let (config, sent) = answering(|_| answer(200, &[], r#"{"Tags":{"a":"b"}}"#)).await;
    assert_eq!(ask(&account(&config), "function_tags").await, r#"{"a": "b"}"#);
    assert_eq!(sent.take().len(), 1);
    for own_role in [None, Some("portcullis".to_owned())] {
        let lost = AwsAccount::new(&config, AccountSettings { own_role, ..AccountSettings::default() });
        assert!(ask(&lost, "function_tags").await.starts_with("Refused"));
        assert_eq!(sent.take().len(), 0);
    }
    let wrong = AccountSettings { own_role: Some("portcullis".into()), ..AccountSettings::default() };
    let wrong = AwsAccount::new(&config, wrong);
    for method in ["public_access_block", "put_public_access_block", "bucket_tags"] {
        assert!(ask(&wrong, method).await.starts_with("Refused"), "{method}: whose bucket is unknown");
    }
}

fn json_body(request: &Request) -> Value {
    let body = request.body().bytes().unwrap();
    if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() }
}

/// An error as each of these services words it.
fn error(status: u16, code: &str, request: &Request) -> Answer {
    match request.uri().host().unwrap() {
        "iam.amazonaws.com" => {
            let body = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{QUOTED}</Message></Error></ErrorResponse>"
            );
            answer(status, &[("content-type", "text/xml")], body)
        }
        host if host.starts_with("lambda") || host.starts_with("guardduty") => {
            let body = json!({ "message": QUOTED }).to_string();
            answer(status, &[("content-type", "application/json"), ("x-amzn-errortype", code)], body)
        }
        _ => super::error(status, code, request),
    }
}

const BLOCK: PublicAccessBlock =
    PublicAccessBlock { block_acls: true, ignore_acls: true, block_policy: true, restrict_buckets: true };

/// Every method, but for those of EC2.
const METHODS: [&str; 28] = [
    "access_keys",
    "deactivate_key",
    "activate_key",
    "role_policy",
    "put_role_policy",
    "delete_role_policy",
    "user_policy",
    "put_user_policy",
    "delete_user_policy",
    "login_profile",
    "delete_login_profile",
    "create_login_profile",
    "reserved_concurrency",
    "put_concurrency",
    "delete_concurrency",
    "address_set",
    "update_address_set",
    "public_access_block",
    "put_public_access_block",
    "delete_public_access_block",
    "finding",
    "archive",
    "unarchive",
    "comment",
    "user_tags",
    "role_tags",
    "function_tags",
    "bucket_tags",
];

/// The calls whose operation is in method and path, with the IAM action of each.
///
/// Source: the Service Authorization Reference of Amazon GuardDuty, AWS Lambda, and Amazon S3.
const REST: [(&str, &str); 12] = [
    (
        "lambda.eu-west-1.amazonaws.com GET /2019-09-30/functions/resize/concurrency",
        "lambda:GetFunctionConcurrency",
    ),
    (
        "lambda.eu-west-1.amazonaws.com PUT /2017-10-31/functions/resize/concurrency",
        "lambda:PutFunctionConcurrency",
    ),
    (
        "lambda.eu-west-1.amazonaws.com DELETE /2017-10-31/functions/resize/concurrency",
        "lambda:DeleteFunctionConcurrency",
    ),
    (
        "lambda.eu-west-1.amazonaws.com GET /2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3Aresize",
        "lambda:ListTags",
    ),
    ("reports.s3.eu-west-1.amazonaws.com GET /?publicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("reports.s3.eu-west-1.amazonaws.com PUT /?publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("reports.s3.eu-west-1.amazonaws.com DELETE /?publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("reports.s3.eu-west-1.amazonaws.com GET /?tagging", "s3:GetBucketTagging"),
    ("guardduty.eu-west-1.amazonaws.com POST /detector/d1/findings/get", "guardduty:GetFindings"),
    ("guardduty.eu-west-1.amazonaws.com POST /detector/d1/findings/archive", "guardduty:ArchiveFindings"),
    ("guardduty.eu-west-1.amazonaws.com POST /detector/d1/findings/unarchive", "guardduty:UnarchiveFindings"),
    (
        "guardduty.eu-west-1.amazonaws.com POST /detector/d1/findings/feedback",
        "guardduty:UpdateFindingsFeedback",
    ),
];
