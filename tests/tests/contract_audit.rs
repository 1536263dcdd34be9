//! One contract over every sink of security events: memory, the embedded database, DynamoDB, Redis Streams,
//! EventBridge; and what each does when things go wrong.
#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use portcullis_audit::{AuditError, AuditRecord, AuditSink, MemoryAudit, MirrorFailure, Mirrored, RecordId};
use portcullis_aws::{DynamoAudit, EventBridgeAudit, SdkConfig};
use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::SystemClock;
use portcullis_local::{RootKey, Store, StoreOptions};
use portcullis_redis::{Redis, RedisAudit, RedisAuditSettings, RedisSettings};
use portcullis_tests::contract::audit::{AuditReader, Repeats, suite};
use portcullis_tests::emulators::{Emulator, RedisServer};

struct Memory<'a>(&'a MemoryAudit);

impl AuditReader for Memory<'_> {
    async fn read(&self) -> Vec<(RecordId, String)> {
        self.0.records().into_iter().map(|record| (record.id(), record.body().to_owned())).collect()
    }
}

#[tokio::test]
async fn memory() {
    let sink = MemoryAudit::default();
    suite(&[&sink], &Memory(&sink), Repeats::Known).await;
}

#[tokio::test]
async fn a_primary_with_mirrors_is_a_sink_too() {
    let (primary, [a, b]) = (MemoryAudit::default(), [MemoryAudit::default(), MemoryAudit::default()]);
    let told = MirrorFailure::Tell(|_, _| {});
    let sink = Mirrored::new(Mirrored::new(&primary, Some(&a), told), Some(&b), MirrorFailure::Refuse);
    suite(&[&sink], &Memory(&primary), Repeats::Known).await;
    assert_eq!(a.records(), primary.records());
    assert_eq!(b.records(), primary.records());
}

struct Embedded(Store);

impl AuditReader for Embedded {
    async fn read(&self) -> Vec<(RecordId, String)> {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = self.0.audit_records(after, 7).unwrap();
            read.extend(page.records.into_iter().map(|record| (record.id(), record.body().to_owned())));
            after = page.next;
            if after.is_none() {
                return read;
            }
        }
    }
}

#[tokio::test]
async fn embedded() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let store = Store::open(dir.path(), &root, Arc::new(SystemClock), StoreOptions::default()).unwrap();
    suite(&[store.clone(), store.clone()], &Embedded(store), Repeats::Known).await;
}

struct Table(SdkConfig);

impl AuditReader for Table {
    async fn read(&self) -> Vec<(RecordId, String)> {
        let scan = aws_sdk_dynamodb::Client::new(&self.0).scan().table_name(TABLE).consistent_read(true);
        let items = scan.into_paginator().items().send().try_collect().await.unwrap();
        let text = |value: &AttributeValue| value.as_s().unwrap().clone();
        items.iter().map(|item| (text(&item["sk"]).parse().unwrap(), text(&item["body"]))).collect()
    }
}

#[tokio::test]
async fn dynamodb() {
    let config = Emulator::ministack().account().config().await;
    table(&config).await;
    let sinks: Vec<_> = (0..3).map(|_| DynamoAudit::new(&config, TABLE, PATIENCE)).collect();
    suite(&sinks, &Table(config), Repeats::Known).await;
}

#[tokio::test]
async fn dynamodb_hours_are_read_in_order_from_all_shards() {
    let config = Emulator::ministack().account().config().await;
    table(&config).await;
    let start: Timestamp = "2026-11-22T07:00:00Z".parse().unwrap();
    let records: Vec<_> = (0..40).map(|n| record_at(start.as_millisecond() + n * 1_000)).collect();
    let sink = DynamoAudit::new(&config, TABLE, PATIENCE).with_retention(Some(Duration::from_secs(60)));
    sink.append(&records).await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(&config);
    let (first, last) = (records[5].id(), records[30].id());
    let mut found = Vec::new();
    for shard in "0123456789abcdef".chars() {
        let of_shard = client
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :p AND sk BETWEEN :a AND :b")
            .expression_attribute_values(":p", AttributeValue::S(format!("2026-11-22T07#{shard}")))
            .expression_attribute_values(":a", AttributeValue::S(first.to_string()))
            .expression_attribute_values(":b", AttributeValue::S(last.to_string()));
        for item in of_shard.send().await.unwrap().items() {
            let seconds: i64 = item["expires_at"].as_n().unwrap().parse().unwrap();
            found.push((item["sk"].as_s().unwrap().clone(), seconds));
        }
    }
    found.sort();
    let expected = records.iter().skip(5).take(26);
    let expected: Vec<_> = expected.map(|r| (r.id().to_string(), r.time().as_second() + 60)).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn dynamodb_says_what_is_wrong() {
    let config = Emulator::ministack().account().config().await;
    let missing = DynamoAudit::new(&config, "none", PATIENCE);
    assert_eq!(missing.append(&[record()]).await, Err(AuditError::Refused));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for endpoint in ["http://127.0.0.1:1".to_owned(), format!("http://{}", silent.local_addr().unwrap())] {
        let config = config.clone().into_builder().endpoint_url(&endpoint).build();
        let started = instant();
        let sink = DynamoAudit::new(&config, TABLE, Duration::from_millis(400));
        assert_eq!(sink.append(&[record()]).await, Err(AuditError::Unavailable), "{endpoint}");
        assert!(started.elapsed() < Duration::from_secs(2), "{endpoint}: {:?}", started.elapsed());
    }
}

struct Stream<'a>(&'a RedisServer);

impl AuditReader for Stream<'_> {
    async fn read(&self) -> Vec<(RecordId, String)> {
        let mut admin = admin(self.0).await;
        let entries: Vec<(String, Vec<(String, String)>)> =
            command(&mut admin, &["XRANGE", STREAM, "-", "+"]).await;
        let record = |fields: Vec<(String, String)>| {
            let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["id", "body"]);
            (fields[0].1.parse().unwrap(), fields[1].1.clone())
        };
        entries.into_iter().map(|(_, fields)| record(fields)).collect()
    }
}

#[tokio::test]
async fn redis() {
    let server = RedisServer::start();
    let sinks: Vec<_> = (0..3).map(|_| stream(&server, PATIENCE, 1_000_000)).collect();
    suite(&sinks, &Stream(&server), Repeats::Known).await;
}

#[tokio::test]
async fn redis_keeps_about_as_many_as_set_and_remembers_ids_for_a_while() {
    let server = RedisServer::start();
    let sink = stream(&server, PATIENCE, 100);
    let records: Vec<_> = (0..500).map(|_| record()).collect();
    sink.append(&records).await.unwrap();
    let mut admin = admin(&server).await;
    let len: usize = command(&mut admin, &["XLEN", STREAM]).await;
    assert!((100..=300).contains(&len), "{len}");
    let seen = format!("{STREAM}:seen:{}", records[499].id());
    let life: i64 = command(&mut admin, &["TTL", &seen]).await;
    assert!((500..=600).contains(&life), "{life}");
}

#[tokio::test]
async fn redis_says_what_is_wrong_and_takes_again_what_was_not_appended() {
    let server = RedisServer::start();
    let (sink, mut admin) = (stream(&server, Duration::from_millis(300), 100), admin(&server).await);
    let _: redis::Value = command(&mut admin, &["SET", STREAM, "no stream"]).await;
    let record = record();
    assert_eq!(sink.append(std::slice::from_ref(&record)).await, Err(AuditError::Malformed));
    let _: redis::Value = command(&mut admin, &["DEL", STREAM]).await;
    sink.append(std::slice::from_ref(&record)).await.unwrap();
    let len: usize = command(&mut admin, &["XLEN", STREAM]).await;
    assert_eq!(len, 1, "the failed attempt did not count as appended");

    let allowed = ["ACL", "SETUSER", "audit", "on", ">pw", "~security.audit*"];
    let commands = ["+evalsha", "+script|load", "+exists", "+xadd", "+set"];
    let _: redis::Value = command(&mut admin, &[&allowed[..], &commands[..]].concat()).await;
    let _: redis::Value = command(&mut admin, &["ACL", "SETUSER", "other", "on", ">pw", "~*", "+ping"]).await;
    for (user, expected) in [("audit", Ok(())), ("other", Err(AuditError::Refused))] {
        let settings =
            settings(&server, PATIENCE).with_credentials(Some(user.into()), "pw".to_owned().into());
        let sink = RedisAudit::new(Redis::new(&settings).unwrap(), RedisAuditSettings::default());
        assert_eq!(sink.append(&[record_at(5)]).await, expected, "{user}");
    }
    drop(server);
    assert_eq!(sink.append(&[record]).await, Err(AuditError::Unavailable), "gone");
}

/// A queue behind a rule on the bus.
struct Bus {
    config: SdkConfig,
    queue: String,
}

impl AuditReader for Bus {
    async fn read(&self) -> Vec<(RecordId, String)> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        let (mut read, mut silent) = (Vec::new(), 0);
        while silent < 3 {
            let receive = client.receive_message().queue_url(&self.queue).max_number_of_messages(10);
            let messages = receive.wait_time_seconds(1).send().await.unwrap().messages.unwrap_or_default();
            silent = if messages.is_empty() { silent + 1 } else { 0 };
            for message in messages {
                let event: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
                assert_eq!(event["source"], "portcullis.audit");
                assert_eq!(event["detail-type"], "Security Event");
                let id = event["detail"]["metadata"]["uid"].as_str().unwrap().parse().unwrap();
                // The bus passes the detail on as JSON, not as text.
                read.push((id, event["detail"].to_string()));
                let handle = message.receipt_handle().unwrap();
                client.delete_message().queue_url(&self.queue).receipt_handle(handle).send().await.unwrap();
            }
        }
        read
    }
}

#[tokio::test]
async fn eventbridge() {
    let config = Emulator::ministack().account().config().await;
    let queue = bus(&config).await;
    let sinks: Vec<_> = (0..2).map(|_| EventBridgeAudit::new(&config, BUS, PATIENCE)).collect();
    suite(&sinks, &Bus { config, queue }, Repeats::Delivered).await;
}

/// A bus with a rule that leads what comes from us into a queue; its URL.
async fn bus(config: &SdkConfig) -> String {
    let events = aws_sdk_eventbridge::Client::new(config);
    let queues = aws_sdk_sqs::Client::new(config);
    events.create_event_bus().name(BUS).send().await.unwrap();
    let url = queues.create_queue().queue_name("audit").send().await.unwrap().queue_url.unwrap();
    let attribute = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
    let attributes = queues.get_queue_attributes().queue_url(&url).attribute_names(attribute.clone());
    let arn = attributes.send().await.unwrap().attributes.unwrap()[&attribute].clone();
    let pattern = r#"{"source":["portcullis.audit"]}"#;
    events.put_rule().name("siem").event_bus_name(BUS).event_pattern(pattern).send().await.unwrap();
    let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(arn).build().unwrap();
    events.put_targets().rule("siem").event_bus_name(BUS).targets(target).send().await.unwrap();
    url
}

fn record() -> AuditRecord {
    record_at(SystemClock.now().as_millisecond())
}

fn record_at(millis: i64) -> AuditRecord {
    let time = Timestamp::from_millisecond(millis).unwrap();
    let id = RecordId::fresh(time).unwrap();
    AuditRecord::from_parts(id, time, format!(r#"{{"metadata":{{"uid":"{id}"}}}}"#)).unwrap()
}

fn stream(server: &RedisServer, timeout: Duration, max_len: u64) -> RedisAudit {
    let settings = settings(server, timeout);
    RedisAudit::new(
        Redis::new(&settings).unwrap(),
        RedisAuditSettings { max_len, ..RedisAuditSettings::default() },
    )
}

fn settings(server: &RedisServer, timeout: Duration) -> RedisSettings {
    RedisSettings::new(&format!("redis://127.0.0.1:{}", server.port())).unwrap().with_timeout(timeout)
}

async fn admin(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port())).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn command<T: redis::FromRedisValue>(to: &mut redis::aio::MultiplexedConnection, words: &[&str]) -> T {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    command.query_async(to).await.unwrap()
}

async fn table(config: &SdkConfig) {
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let string = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(string("pk"))
        .attribute_definitions(string("sk"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .send()
        .await
        .unwrap();
}

#[expect(clippy::disallowed_methods, reason = "how long a call took is measured, not decided")]
fn instant() -> Instant {
    Instant::now()
}

const TABLE: &str = "portcullis-audit";
const STREAM: &str = "security.audit";
const BUS: &str = "portcullis-security";
/// Time enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
