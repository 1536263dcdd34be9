//! One contract over every account: the simulated one, and AWS: ministack, and moto for the WAF, whose lock tokens
//! ministack does not look at. GuardDuty, which no emulator has, is tested at the HTTP boundary, in
//! `shared/aws/tests/wire`.
#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_iam::types::StatusType;
use aws_sdk_wafv2::types::{IpAddressVersion, Scope};
use portcullis_aws::{AccountSettings, AwsAccount, SdkConfig, SnsNotifier};
use portcullis_response::simulation::{Faults, SimulatedAccount, SimulatedRole, SimulatedUser, World};
use portcullis_response::{AddressSet, Family, IpSets, Message, Notifier, PortError};
use portcullis_tests::contract::account::{Things, block_lists, findings, keys_of_nobody, suite, tags};
use portcullis_tests::emulators::{Account, Emulator};
use serde_json::{Value, json};

#[tokio::test]
async fn simulation() {
    let mut world = World::example();
    let user = SimulatedUser {
        keys: [("AKIA1".to_owned(), true), ("AKIA2".to_owned(), false)].into(),
        tags: tags(),
        ..SimulatedUser::default()
    };
    world.users.insert("ana".to_owned(), user);
    world.roles.insert("app".to_owned(), SimulatedRole { tags: tags(), ..SimulatedRole::default() });
    world.functions.insert("resize".to_owned(), (None, tags()));
    world.buckets.insert("reports".to_owned(), (None, tags()));
    world.buckets.insert("bare".to_owned(), (None, BTreeMap::new()));
    world.sets.values_mut().for_each(|set| set.addresses.clear());
    let account = SimulatedAccount::new(world, Arc::new(Faults::default()));
    let names = ["ana", "AKIA1", "AKIA2", "app", "resize", "reports", "bare"].map(str::to_owned);
    let [user, active_key, inactive_key, role, function, bucket, bare_bucket] = names;
    let things = Things { user, active_key, inactive_key, role, function, bucket, bare_bucket };
    suite(&account, &things).await;
    keys_of_nobody(&account).await;
    block_lists(&account).await;
    findings(&account, "detector", "finding").await;
}

#[tokio::test]
async fn aws() {
    let account = Emulator::ministack().account();
    let config = account.config().await;
    let things = make(&account, &config).await;
    suite(&AwsAccount::new(&config, settings(&account)), &things).await;
}

#[tokio::test]
async fn block_lists_of_the_waf() {
    let account = Emulator::moto().account();
    let config = account.config().await;
    for scope in [Scope::Regional, Scope::Cloudfront] {
        let settings = AccountSettings {
            block_list_v4: Some(set(&config, &scope, IpAddressVersion::Ipv4).await),
            block_list_v6: Some(set(&config, &scope, IpAddressVersion::Ipv6).await),
            ..settings(&account)
        };
        block_lists(&AwsAccount::new(&config, settings)).await;
    }
}

#[tokio::test]
async fn keys_of_nobody_are_not_found() {
    let account = Emulator::moto().account();
    keys_of_nobody(&AwsAccount::new(&account.config().await, settings(&account))).await;
}

#[tokio::test]
async fn a_block_list_that_is_gone_or_not_set_is_told() {
    let account = Emulator::moto().account();
    let config = account.config().await;
    let arn = set(&config, &Scope::Regional, IpAddressVersion::Ipv4).await;
    let (set_of_that_name, _) = arn.rsplit_once('/').unwrap();
    let gone = format!("{set_of_that_name}/00000000-0000-4000-8000-000000000000");
    let read = async |block_list_v4: Option<&str>| {
        let settings =
            AccountSettings { block_list_v4: block_list_v4.map(str::to_owned), ..settings(&account) };
        AwsAccount::new(&config, settings).address_set(Family::V4).await
    };
    assert!(read(Some(&arn)).await.is_ok());
    assert_eq!(read(Some(&gone)).await, Err(PortError::NotFound));
    for none in [None, Some("blocked"), Some("arn:aws:s3:::blocked")] {
        assert!(matches!(read(none).await, Err(PortError::Refused(_))), "{none:?}");
    }
    let account = AwsAccount::new(&config, settings(&account));
    let write = account.update_address_set(Family::V6, &AddressSet::default()).await;
    assert!(matches!(write, Err(PortError::Refused(_))), "{write:?}");
}

#[tokio::test]
async fn a_subscriber_gets_json_under_a_filter_and_people_get_text() {
    let account = Emulator::ministack().account();
    let config = account.config().await;
    let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
    let topic = sns.create_topic().name("incidents").send().await.unwrap().topic_arn.unwrap();
    let mut queues = Vec::new();
    for severity in ["HIGH", "LOW"] {
        let queue = sqs.create_queue().queue_name(severity).send().await.unwrap().queue_url.unwrap();
        let endpoint = format!("arn:aws:sqs:eu-west-1:{}:{severity}", account.id());
        let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(endpoint);
        let subscribe = subscribe.attributes("FilterPolicy", json!({ "severity": [severity] }).to_string());
        subscribe.send().await.unwrap();
        queues.push(queue);
    }
    let json = json!({ "severity": "HIGH", "incident_type": "GENERIC", "account": account.id() }).to_string();
    let message = Message {
        id: "inc-1-0-opened".into(),
        subject: "[Portcullis] HIGH".into(),
        body: "For people".into(),
        json: json.clone(),
    };
    assert_eq!(SnsNotifier::new(&config, &topic).send(&message).await, Ok(()));
    let mut received = Vec::new();
    for queue in queues {
        let answer = sqs.receive_message().queue_url(queue).wait_time_seconds(1).send().await.unwrap();
        received.push(answer.messages.unwrap_or_default());
    }
    let [high, low] = received.as_slice() else { panic!("two queues") };
    assert_eq!((high.len(), low.len()), (1, 0));
    let envelope: Value = serde_json::from_str(high[0].body().unwrap()).unwrap();
    assert_eq!((&envelope["Message"], &envelope["Subject"]), (&json!(json), &json!(message.subject)));
    assert_eq!(envelope["MessageAttributes"]["id"]["Value"], "inc-1-0-opened");

    let gone = SnsNotifier::new(&config, format!("{topic}-gone")).send(&message).await;
    assert_eq!(gone, Err(PortError::NotFound), "no such topic");
}

fn settings(account: &Account) -> AccountSettings {
    let own_role = format!("arn:aws:iam::{}:role/portcullis", account.id());
    AccountSettings { own_role: Some(own_role), ..AccountSettings::default() }
}

async fn make(account: &Account, config: &SdkConfig) -> Things {
    let [bucket, bare_bucket] = ["a", "b"].map(|name| format!("portcullis-account-{}-{name}", account.id()));
    make_bucket(config, &bucket, true).await;
    make_bucket(config, &bare_bucket, false).await;
    let [active_key, inactive_key] = make_user(config).await;
    let role_arn = make_role(config).await;
    make_function(config, role_arn).await;
    let [user, role, function] = [USER, ROLE, FUNCTION].map(str::to_owned);
    Things { user, active_key, inactive_key, role, function, bucket, bare_bucket }
}

async fn make_user(config: &SdkConfig) -> [String; 2] {
    let iam = aws_sdk_iam::Client::new(config);
    iam.create_user().user_name(USER).set_tags(Some(iam_tags())).send().await.unwrap();
    let key = async || {
        let answer = iam.create_access_key().user_name(USER).send().await.unwrap();
        answer.access_key.unwrap().access_key_id
    };
    let keys = [key().await, key().await];
    let call = iam.update_access_key().user_name(USER).access_key_id(&keys[1]);
    call.status(StatusType::Inactive).send().await.unwrap();
    keys
}

async fn make_role(config: &SdkConfig) -> String {
    let principal = json!({ "Service": "lambda.amazonaws.com" });
    let statement = json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal });
    let trust = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    let call = aws_sdk_iam::Client::new(config).create_role().role_name(ROLE);
    let call = call.assume_role_policy_document(trust).set_tags(Some(iam_tags()));
    call.send().await.unwrap().role.unwrap().arn
}

fn iam_tags() -> Vec<aws_sdk_iam::types::Tag> {
    let tag = |(key, value)| aws_sdk_iam::types::Tag::builder().key(key).value(value).build().unwrap();
    tags().into_iter().map(tag).collect()
}

async fn make_function(config: &SdkConfig, role: String) {
    use aws_sdk_lambda::primitives::Blob;
    use aws_sdk_lambda::types::{FunctionCode, Runtime};
    let call = aws_sdk_lambda::Client::new(config).create_function().function_name(FUNCTION).role(role);
    let call = call.runtime(Runtime::Providedal2023).handler("bootstrap");
    let call = call.code(FunctionCode::builder().zip_file(Blob::new(EMPTY_ZIP)).build());
    call.set_tags(Some(tags().into_iter().collect())).send().await.unwrap();
}

async fn make_bucket(config: &SdkConfig, name: &str, tagged: bool) {
    use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Tag, Tagging};
    let s3 = aws_sdk_s3::Client::new(config);
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1);
    let call = s3.create_bucket().bucket(name).create_bucket_configuration(place.build());
    call.send().await.unwrap();
    // A new bucket of AWS has one.
    s3.delete_public_access_block().bucket(name).send().await.unwrap();
    if tagged {
        let tag = |(key, value)| Tag::builder().key(key).value(value).build().unwrap();
        let tags =
            Tagging::builder().set_tag_set(Some(tags().into_iter().map(tag).collect())).build().unwrap();
        s3.put_bucket_tagging().bucket(name).tagging(tags).send().await.unwrap();
    }
}

async fn set(config: &SdkConfig, scope: &Scope, version: IpAddressVersion) -> String {
    let region = if *scope == Scope::Cloudfront { "us-east-1" } else { "eu-west-1" };
    let config = config.clone().into_builder().region(aws_config::Region::from_static(region)).build();
    let call = aws_sdk_wafv2::Client::new(&config).create_ip_set().name(format!("blocked-{version}"));
    let call = call.scope(scope.clone()).ip_address_version(version).set_addresses(Some(Vec::new()));
    call.send().await.unwrap().summary.unwrap().arn.unwrap()
}

const USER: &str = "ana";
const ROLE: &str = "app";
const FUNCTION: &str = "resize";
/// The end of a central directory without entries.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
