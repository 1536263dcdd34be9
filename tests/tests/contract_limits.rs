//! One contract over every store of limits: memory, DynamoDB, Redis; and what each does when things go wrong.
#![cfg(test)]

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use portcullis_aws::{DynamoLimits, LimitsError, SdkConfig, limit_store};
use portcullis_base::{Clock, SecretString, Timestamp};
use portcullis_lambda::SystemClock;
use portcullis_limit::{Ask, LimitStore, LimitsPlace, MemoryLimits, StoreError};
use portcullis_local::EnvSecrets;
use portcullis_redis::{Redis, RedisError, RedisLimits, RedisSettings};
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};
use portcullis_tests::contract::{fresh, limits::suite};
use portcullis_tests::emulators::{Emulator, RedisServer};

#[tokio::test]
async fn memory() {
    suite(&[MemoryLimits::default()], now()).await;
}

#[tokio::test]
async fn dynamodb() {
    let config = Emulator::ministack().account().config().await;
    table(&config).await;
    let stores: Vec<_> = (0..4).map(|_| DynamoLimits::new(&config, TABLE, PATIENCE)).collect();
    suite(&stores, now()).await;
}

#[tokio::test]
async fn dynamodb_items_expire_after_their_bucket_is_full() {
    let config = Emulator::ministack().account().config().await;
    table(&config).await;
    let (store, start) = (DynamoLimits::new(&config, TABLE, PATIENCE), now());
    store.take("b", &ask("10/m burst 5", 2, start)).await.unwrap();
    let item = dynamodb_item(&config, "b").await.unwrap();
    let number = |name: &str| item[name].as_n().unwrap().parse::<i64>().unwrap();
    assert_eq!(number("tat"), start.as_microsecond() + 12_000_000);
    assert!((start.as_second() + 30 + 60..=start.as_second() + 30 + 62).contains(&number("expires_at")));
}

#[tokio::test]
async fn dynamodb_says_what_is_wrong() {
    let config = Emulator::ministack().account().config().await;
    let ask = ask("10/m", 1, now());
    assert_eq!(DynamoLimits::new(&config, "none", PATIENCE).take("b", &ask).await, Err(StoreError::Refused));

    table(&config).await;
    for (label, tat) in
        [("text", AttributeValue::S("x".into())), ("a fraction", AttributeValue::N("1.5e20".into()))]
    {
        let key = fresh(label);
        let client = aws_sdk_dynamodb::Client::new(&config);
        let put =
            client.put_item().table_name(TABLE).item("pk", AttributeValue::S(key.clone())).item("tat", tat);
        put.send().await.unwrap();
        let got = DynamoLimits::new(&config, TABLE, PATIENCE).take(&key, &ask).await;
        assert_eq!(got, Err(StoreError::Malformed), "{label}");
    }

    // Nobody listens there; and there nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for endpoint in ["http://127.0.0.1:1".to_owned(), format!("http://{}", silent.local_addr().unwrap())] {
        let config = config.clone().into_builder().endpoint_url(&endpoint).build();
        let store = DynamoLimits::new(&config, TABLE, Duration::from_millis(400));
        let started = instant();
        assert_eq!(store.take("b", &ask).await, Err(StoreError::Unavailable), "{endpoint}");
        assert!(started.elapsed() < Duration::from_secs(2), "{endpoint}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn redis() {
    let server = RedisServer::start();
    let stores: Vec<_> = (0..4).map(|_| limits(&server, PATIENCE)).collect();
    suite(&stores, now()).await;
}

#[tokio::test]
async fn functions_take_the_store_that_their_settings_name() {
    let server = RedisServer::start();
    let mut admin = admin(&server).await;
    let _: redis::Value = command(&mut admin, &["CONFIG", "SET", "requirepass", "hunter2"]).await;
    let secrets = || EnvSecrets::from_pairs("S_", vec![("S_REDIS".to_owned(), "hunter2".to_owned())]);
    let sdk = SdkConfig::builder().build();
    let here = format!("redis://127.0.0.1:{}", server.port());
    let store = async |address: &str, secret: Option<&str>| {
        let secret = secret.map(str::to_owned);
        let place = LimitsPlace::Redis { address: address.to_owned(), user: None, secret };
        limit_store(&sdk, secrets(), place, PATIENCE).await
    };
    let stores = [store(&here, Some("redis")).await.unwrap(), store(&here, Some("redis")).await.unwrap()];
    suite(&stores, now()).await;
    let nobody = store(&here, None).await.unwrap();
    assert_eq!(
        nobody.take("b", &ask("10/m", 1, now())).await,
        Err(StoreError::Refused),
        "without a password"
    );
    let unknown = store(&here, Some("other")).await.unwrap_err();
    assert!(matches!(unknown, LimitsError::Secret(_)), "{unknown}");
    let plain = store("redis://cache.example", None).await.unwrap_err();
    assert!(matches!(plain, LimitsError::Redis(RedisError::Insecure)), "{plain}");

    let config = Emulator::ministack().account().config().await;
    table(&config).await;
    let place = LimitsPlace::Table(TABLE.to_owned());
    let dynamo = limit_store(&config, secrets(), place, PATIENCE).await.unwrap();
    assert_eq!(dynamo.take("b", &ask("10/m", 1, now())).await.map(|taken| taken.granted), Ok(1));
    assert!(dynamodb_item(&config, "b").await.is_some());
}

/// A keeper of secrets that answers what it is told to.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Option<&'static str>>>);

impl SecretSource for Keeper {
    async fn fetch(&self, _: &str) -> Result<SecretVersions, SecretError> {
        let told = self.0.lock().unwrap().ok_or(SecretError::Unavailable)?;
        Ok(SecretVersions { current: SecretString::from(told), previous: None, since: None })
    }
}

#[tokio::test]
async fn a_password_that_is_not_to_be_had_or_was_changed_is_asked_for_again() {
    let server = RedisServer::start();
    let mut admin = admin(&server).await;
    let _: redis::Value = command(&mut admin, &["CONFIG", "SET", "requirepass", "first"]).await;
    let keeper = Keeper::default();
    let address = format!("redis://127.0.0.1:{}", server.port());
    let place = LimitsPlace::Redis { address, user: None, secret: Some("redis".to_owned()) };
    let sdk = SdkConfig::builder().build();
    let store = limit_store(&sdk, keeper.clone(), place, PATIENCE).await.unwrap();
    let take = async || store.take("b", &ask("10/m", 1, now())).await.map(|taken| taken.granted);
    assert_eq!(take().await, Err(StoreError::Unavailable), "while nobody says the password");
    *keeper.0.lock().unwrap() = Some("first");
    assert_eq!(take().await, Ok(1), "once somebody does");

    let _: redis::Value = command(&mut admin, &["CONFIG", "SET", "requirepass", "second"]).await;
    assert_eq!(take().await, Ok(1), "a connection stays what it is");
    let kill = async |admin: &mut _| {
        let _: redis::Value = command(admin, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    };
    kill(&mut admin).await;
    assert_eq!(take().await, Err(StoreError::Refused), "the keeper does not know of it yet");
    *keeper.0.lock().unwrap() = Some("second");
    assert_eq!(take().await, Ok(1), "a new connection with the new one");
}

#[tokio::test]
async fn redis_keys_have_a_prefix_and_expire_after_their_bucket_is_full() {
    let server = RedisServer::start();
    let start = now();
    limits(&server, PATIENCE).take("b", &ask("10/m burst 5", 2, start)).await.unwrap();
    let mut admin = admin(&server).await;
    let keys: Vec<String> = command(&mut admin, &["KEYS", "*"]).await;
    assert_eq!(keys, ["portcullis:limit:b"]);
    let tat: i64 = command(&mut admin, &["GET", "portcullis:limit:b"]).await;
    assert_eq!(tat, start.as_microsecond() + 12_000_000);
    let life: i64 = command(&mut admin, &["PTTL", "portcullis:limit:b"]).await;
    assert!((60_000..=72_000).contains(&life), "{life}");
}

#[tokio::test]
async fn redis_connections_and_scripts_come_back() {
    let server = RedisServer::start();
    let (store, mut admin) = (limits(&server, PATIENCE), admin(&server).await);
    let mut granted = 0;
    for trouble in [&["PING"][..], &["SCRIPT", "FLUSH"], &["CLIENT", "KILL", "TYPE", "normal"], &["PING"]] {
        // The admin's own connection is spared: `SKIPME yes` is the default.
        let _: redis::Value = command(&mut admin, trouble).await;
        granted += store.take("b", &ask("10/h", 1, now())).await.expect("an answer after trouble").granted;
    }
    assert_eq!(granted, 4, "{granted}");
}

#[tokio::test]
async fn redis_that_hangs_or_is_gone_is_unavailable_in_time() {
    let server = RedisServer::start();
    let (store, mut admin) = (limits(&server, Duration::from_millis(150)), admin(&server).await);
    let ask = ask("1000/h", 1, now());
    assert_eq!(store.take("b", &ask).await.map(|t| t.granted), Ok(1));
    let _: redis::Value = command(&mut admin, &["CLIENT", "PAUSE", "600", "ALL"]).await;
    let started = instant();
    for _ in 0..2 {
        assert_eq!(store.take("b", &ask).await, Err(StoreError::Unavailable), "paused");
    }
    assert!(started.elapsed() < Duration::from_millis(550), "{:?}", started.elapsed());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(store.take("b", &ask).await.map(|t| t.granted), Ok(1), "resumed");
    drop(server);
    assert_eq!(store.take("b", &ask).await, Err(StoreError::Unavailable), "gone");
}

#[tokio::test]
async fn redis_says_what_is_wrong() {
    let server = RedisServer::start();
    let (store, mut admin) = (limits(&server, PATIENCE), admin(&server).await);
    let ask = ask("10/m", 1, now());
    let _: redis::Value = command(&mut admin, &["SET", "portcullis:limit:text", "x"]).await;
    let _: redis::Value = command(&mut admin, &["LPUSH", "portcullis:limit:list", "1"]).await;
    for key in ["text", "list"] {
        assert_eq!(store.take(key, &ask).await, Err(StoreError::Malformed), "{key}");
    }
    let allowed = [
        "ACL",
        "SETUSER",
        "limited",
        "on",
        ">pw",
        "~portcullis:limit:*",
        "+evalsha",
        "+script|load",
        "+get",
        "+set",
    ];
    let _: redis::Value = command(&mut admin, &allowed).await;
    let _: redis::Value = command(&mut admin, &["ACL", "SETUSER", "other", "on", ">pw", "~*", "+ping"]).await;
    for (user, password, expected) in [
        ("limited", "pw", Ok(1)),
        ("limited", "wrong", Err(StoreError::Refused)),
        ("nobody", "pw", Err(StoreError::Refused)),
        ("other", "pw", Err(StoreError::Refused)),
    ] {
        let settings =
            settings(&server, PATIENCE).with_credentials(Some(user.into()), SecretString::from(password));
        let store = RedisLimits::new(Redis::new(&settings).unwrap());
        assert_eq!(store.take("acl", &ask).await.map(|t| t.granted), expected, "{user} {password}");
    }
}

#[tokio::test]
async fn redis_over_tls_trusts_the_given_ca_and_no_other() {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let server = RedisServer::start_tls("hunter2", &own.cert.pem(), &own.signing_key.serialize_pem());
    let connect = |host: &str, ca: Option<String>| {
        let settings = RedisSettings::new(&format!("rediss://{host}:{}", server.port())).unwrap();
        let settings = settings.with_timeout(PATIENCE).with_credentials(None, SecretString::from("hunter2"));
        Redis::new(&settings.with_ca_pem(ca.map(String::into_bytes))).map(RedisLimits::new)
    };
    let ask = ask("10/m", 1, now());
    for (label, host, ca, expected) in [
        ("its CA", "localhost", Some(own.cert.pem()), Ok(1)),
        ("another CA", "localhost", Some(other.cert.pem()), Err(StoreError::Unavailable)),
        ("the system's CAs", "localhost", None, Err(StoreError::Unavailable)),
        ("another name", "127.0.0.1", Some(own.cert.pem()), Err(StoreError::Unavailable)),
    ] {
        assert_eq!(
            connect(host, ca).unwrap().take("tls", &ask).await.map(|t| t.granted),
            expected,
            "{label}"
        );
    }
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"] {
        assert_eq!(
            connect("localhost", Some(text.to_owned())).unwrap_err(),
            RedisError::Certificates,
            "{text:?}"
        );
    }
}

fn limits(server: &RedisServer, timeout: Duration) -> RedisLimits {
    RedisLimits::new(Redis::new(&settings(server, timeout)).unwrap())
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
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let attribute =
        AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key)
        .send()
        .await
        .unwrap();
}

async fn dynamodb_item(
    config: &SdkConfig,
    key: &str,
) -> Option<std::collections::HashMap<String, AttributeValue>> {
    let client = aws_sdk_dynamodb::Client::new(config);
    let get = client.get_item().table_name(TABLE).key("pk", AttributeValue::S(key.to_owned()));
    get.send().await.unwrap().item
}

fn ask(quota: &str, cells: u32, now: Timestamp) -> Ask {
    Ask::new(&quota.parse().unwrap(), NonZeroU32::new(cells).unwrap(), cells, now)
}

fn now() -> Timestamp {
    SystemClock.now()
}

#[expect(clippy::disallowed_methods, reason = "how long a call took is measured, not decided")]
fn instant() -> Instant {
    Instant::now()
}

const TABLE: &str = "portcullis-limits";
/// Time enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
