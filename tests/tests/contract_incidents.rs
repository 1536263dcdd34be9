//! One contract over every store of incidents, holds, the cap, and the audit's progress: memory, the embedded database,
//! DynamoDB.
#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use portcullis_aws::{DynamoIncidents, SdkConfig};
use portcullis_detection::{HistoryError, ProgressStore};
use portcullis_lambda::SystemClock;
use portcullis_local::{RootKey, Store, StoreOptions};
use portcullis_response::simulation::example_signal;
use portcullis_response::{
    CapStore, Holds, Incident, IncidentId, IncidentStore, MemoryDesk, PortError, Slot, Status,
};
use portcullis_tests::contract::{incidents, progress};
use portcullis_tests::emulators::{Emulator, incidents_table};

struct Embedded {
    stores: Vec<Store>,
    _dir: tempfile::TempDir,
}

fn embedded() -> Embedded {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let store = Store::open(dir.path(), &root, Arc::new(SystemClock), StoreOptions::default()).unwrap();
    Embedded { stores: vec![store; 3], _dir: dir }
}

#[tokio::test]
async fn memory() {
    let desk = [MemoryDesk::default()];
    incidents::suite(&desk).await;
    incidents::holds(&desk).await;
    incidents::cap(&desk).await;
}

/// Several threads: what is exact must be so under real concurrency.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_database() {
    let embedded = embedded();
    incidents::suite(&embedded.stores).await;
    incidents::holds(&embedded.stores).await;
    incidents::cap(&embedded.stores).await;
    progress::suite(&embedded.stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dynamodb() {
    let config = table().await;
    let stores: Vec<_> = (0..3).map(|_| store(&config)).collect();
    incidents::suite(&stores).await;
    incidents::holds(&stores).await;
    incidents::cap(&stores).await;
    progress::suite(&stores).await;
}

#[tokio::test]
async fn dynamodb_says_what_is_wrong() {
    let config = table().await;
    let missing = DynamoIncidents::new(&config, "none", Arc::new(SystemClock));
    let refused = || PortError::Refused("ResourceNotFoundException".into());
    let incident = incident();
    assert_eq!(missing.create(&incident).await, Err(refused()));
    assert_eq!(missing.load(&incident.id).await, Err(refused()));
    assert_eq!(missing.list(None, 9).await, Err(refused()));
    assert_eq!(missing.expired(now(), 9).await, Err(refused()));
    assert_eq!(missing.hold("r", &incident.id).await, Err(refused()));
    assert_eq!(missing.holders("r").await, Err(refused()), "and not nobody");
    assert_eq!(missing.forget_hold("r", &incident.id).await, Err(refused()));
    assert_eq!(missing.reserve(&incident.id, now(), HOUR, 1).await, Err(refused()));
    let history = HistoryError::Refused("ResourceNotFoundException".into());
    assert_eq!(missing.progress("eu-west-1").await, Err(history));
    let unreachable = config.into_builder().endpoint_url("http://127.0.0.1:1").build();
    let unreachable = store(&unreachable);
    assert_eq!(unreachable.load(&incident.id).await, Err(PortError::Timeout));
    assert_eq!(unreachable.hold("r", &incident.id).await, Err(PortError::Timeout));
    assert_eq!(unreachable.holders("r").await, Err(PortError::Timeout));
    assert_eq!(unreachable.forget_hold("r", &incident.id).await, Err(PortError::Timeout));
    assert_eq!(unreachable.progress("eu-west-1").await, Err(HistoryError::Timeout));
}

/// What was written by something else is an error, never an absence.
#[tokio::test]
async fn dynamodb_refuses_items_that_are_not_ours() {
    let config = table().await;
    let store = store(&config);
    let incident = incident();
    store.create(&incident).await.unwrap();
    store.hold("r", &incident.id).await.unwrap();
    store.reserve(&incident.id, now(), HOUR, 1).await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(&config);
    for item in client.scan().table_name(TABLE).send().await.unwrap().items() {
        let changed = AttributeValue::S(r#"{"id":"inc-"}"#.into());
        let put = client.put_item().table_name(TABLE).set_item(Some(item.clone()));
        put.item("body", changed).send().await.unwrap();
    }
    let refused = || PortError::Unreadable;
    assert_eq!(store.load(&incident.id).await, Err(refused()));
    assert_eq!(store.create(&incident).await, Err(refused()));
    assert_eq!(store.list(None, 9).await, Ok(vec![]), "it hides no other, and is told of in the log");
    assert_eq!(store.holders("r").await, Err(refused()), "and not nobody");
    assert_eq!(store.hold("r", &IncidentId::of("a")).await, Err(refused()));
    assert_eq!(store.forget_hold("r", &incident.id).await, Err(refused()));
    assert_eq!(store.holders("r").await, Err(refused()), "what is damaged is not replaced");
    let asked = store.reserve(&incident.id, now(), HOUR, 1).await;
    assert_eq!(asked, Err(refused()), "and no slot is given");
}

#[tokio::test]
async fn dynamodb_keeps_no_name_in_a_key_and_no_empty_hold() {
    let config = table().await;
    let store = store(&config);
    let id = IncidentId::of("a");
    store.hold("deny-user/user/ana", &id).await.unwrap();
    let other = IncidentId::of("b");
    for holder in [&id, &other] {
        store.hold("other", holder).await.unwrap();
    }
    for holder in [&id, &other] {
        store.forget_hold("other", holder).await.unwrap();
    }
    store.forget_hold("nobody's", &id).await.unwrap();
    assert_eq!(store.reserve(&id, now(), HOUR, 0).await, Ok(Slot::Full));
    let client = aws_sdk_dynamodb::Client::new(&config);
    let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    let [item] = &items[..] else { panic!("one item is left: {items:?}") };
    assert!(!format!("{:?}", item["pk"]).contains("ana"));
}

/// Without the end, so that a contained incident keeps its way back whatever the retention is.
#[tokio::test]
async fn dynamodb_gives_an_end_to_what_has_no_effect_any_more() {
    let config = table().await;
    let store = store(&config).with_retention(Some(Duration::from_secs(3600)));
    let open = Incident { status: Status::Contained, ..incident() };
    store.create(&open).await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(&config);
    let items = || async { client.scan().table_name(TABLE).send().await.unwrap().items.unwrap() };
    assert!(!items().await[0].contains_key("expires_at"));
    store.save(&Incident { status: Status::Released, revision: 1, ..open.clone() }, 0).await.unwrap();
    assert!(items().await[0].contains_key("expires_at"));
    store.save(&Incident { status: Status::Contained, revision: 2, ..open }, 1).await.unwrap();
    assert!(!items().await[0].contains_key("expires_at"), "it was seen again");
}

async fn table() -> SdkConfig {
    let config = Emulator::ministack().account().config().await;
    incidents_table(&config, TABLE).await;
    config
}

fn store(config: &SdkConfig) -> DynamoIncidents {
    DynamoIncidents::new(config, TABLE, Arc::new(SystemClock))
}

fn incident() -> Incident {
    Incident::open(example_signal("f"), now())
}

fn now() -> portcullis_base::Timestamp {
    portcullis_base::Timestamp::from_second(1_800_000_000).unwrap()
}

const TABLE: &str = "incidents";
const HOUR: SignedDuration = SignedDuration::from_hours(1);
