//! One contract over every state of correlation rules: memory, the embedded database, DynamoDB.
#![cfg(test)]

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use portcullis_aws::{DynamoCorrelation, SdkConfig};
use portcullis_detection::{CorrelationState, MemoryState, Series, StateError};
use portcullis_lambda::SystemClock;
use portcullis_local::{RootKey, Store, StoreOptions};
use portcullis_tests::contract::correlation::suite;
use portcullis_tests::emulators::Emulator;

#[tokio::test]
async fn memory() {
    suite(&[MemoryState::default()]).await;
}

#[tokio::test]
async fn embedded_database() {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let store = Store::open(dir.path(), &root, Arc::new(SystemClock), StoreOptions::default()).unwrap();
    suite(&vec![store; 3]).await;
}

#[tokio::test]
async fn dynamodb() {
    let config = Emulator::ministack().account().config().await;
    table(&config).await;
    let stores: Vec<_> = (0..3).map(|_| DynamoCorrelation::new(&config, TABLE)).collect();
    suite(&stores).await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error_and_no_empty_state() {
    let config = Emulator::ministack().account().config().await;
    let state = DynamoCorrelation::new(&config, "none");
    let series = Series { rule: "r".into(), group: "g".into() };
    let error = Err(StateError("the table refuses".into()));
    assert_eq!(state.claim(&series, "e", 1, 100, 4_102_444_800).await, error);
}

async fn table(config: &SdkConfig) {
    let keys = [("pk", KeyType::Hash), ("sk", KeyType::Range)];
    let schema = keys
        .clone()
        .map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap());
    let attributes = keys.map(|(name, _)| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    });
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.into()))
        .set_key_schema(Some(schema.into()))
        .send()
        .await
        .unwrap();
}

const TABLE: &str = "correlation";
