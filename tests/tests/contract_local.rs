//! Every contract over the adapters that need nothing but this machine: memory, files, the embedded database.
#![expect(clippy::unwrap_used, reason = "test code: a panic is a failed test")]

use std::sync::Arc;

use portcullis_lambda::SystemClock;
use portcullis_local::memory::{Claims, DeadLetterBox, Keys, Queue, RecordTable};
use portcullis_local::{LocalKeyWrapper, RootKey, Store, StoreOptions};
use portcullis_tests::contract::dead_letters::{DeadLetterReader, Found};
use portcullis_tests::contract::item_queue::QueueConsumer;
use portcullis_tests::contract::{
    claim_check, dead_letters, item_queue, key_store, key_wrapper, record_objects, records,
};
use portcullis_webhook::{Lane, Outgoing};

struct Embedded {
    store: Store,
    _dir: tempfile::TempDir,
}

fn embedded() -> Embedded {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::random().unwrap();
    let store = Store::open(dir.path(), &root, Arc::new(SystemClock), StoreOptions::default()).unwrap();
    Embedded { store, _dir: dir }
}

struct MemoryConsumer(Queue);

impl QueueConsumer for MemoryConsumer {
    async fn drain(&self, lane: Lane) -> Vec<Outgoing> {
        self.0.take(lane)
    }
}

struct StoreConsumer(Store);

impl QueueConsumer for StoreConsumer {
    async fn drain(&self, lane: Lane) -> Vec<Outgoing> {
        let mut drained = Vec::new();
        loop {
            let received = self.0.receive(lane, 3).unwrap();
            if received.is_empty() {
                return drained;
            }
            let handles: Vec<_> = received.iter().map(|r| r.handle).collect();
            assert_eq!(self.0.delete(&handles).await, Ok(handles.len()));
            let item = |r: portcullis_local::Received| (r.group, r.dedup_id, r.body);
            drained.extend(received.into_iter().map(item).map(|(group, dedup_id, body)| Outgoing {
                group,
                dedup_id,
                body,
            }));
        }
    }
}

struct MemoryReader(DeadLetterBox);

impl DeadLetterReader for MemoryReader {
    async fn read(&self, lane: &str) -> Vec<Found> {
        let of_lane = self.0.items().into_iter().filter(|i| i.lane == lane);
        of_lane
            .map(|i| Found { group: i.group, dedup_id: i.dedup_id, body: i.body, reason: i.reason })
            .collect()
    }
}

struct StoreReader(Store);

impl DeadLetterReader for StoreReader {
    async fn read(&self, lane: &str) -> Vec<Found> {
        let of_lane = self.0.dead_letters(None, 1_000).unwrap().into_iter().filter(|i| i.lane == lane);
        of_lane
            .map(|i| Found { group: i.group, dedup_id: i.dedup_id, body: i.body, reason: i.reason })
            .collect()
    }
}

#[tokio::test]
async fn item_queue_in_memory() {
    let queue = Queue::with_clock(Arc::new(SystemClock));
    item_queue::suite(&queue, &MemoryConsumer(queue.clone())).await;
}

#[tokio::test]
async fn item_queue_in_the_embedded_database() {
    let embedded = embedded();
    item_queue::suite(&embedded.store, &StoreConsumer(embedded.store.clone())).await;
}

#[tokio::test]
async fn claim_check_in_memory() {
    claim_check::suite(&Claims::default()).await;
    record_objects::suite(&Claims::default()).await;
}

#[tokio::test]
async fn claim_check_in_the_embedded_database() {
    claim_check::suite(&embedded().store).await;
    record_objects::suite(&embedded().store).await;
}

#[tokio::test]
async fn records_in_memory() {
    records::suite(&RecordTable::default()).await;
}

#[tokio::test]
async fn records_in_the_embedded_database() {
    records::suite(&embedded().store).await;
}

/// Twice over the same store: a suite must not depend on an empty one.
#[tokio::test]
async fn key_store_in_memory() {
    let keys = Keys::default();
    key_store::suite(&keys).await;
    key_store::suite(&keys).await;
}

#[tokio::test]
async fn key_store_in_the_embedded_database() {
    let embedded = embedded();
    key_store::suite(&embedded.store).await;
    key_store::suite(&embedded.store).await;
}

#[tokio::test]
async fn dead_letters_in_memory() {
    let letters = DeadLetterBox::default();
    dead_letters::suite(&letters, &MemoryReader(letters.clone())).await;
}

#[tokio::test]
async fn dead_letters_in_the_embedded_database() {
    let embedded = embedded();
    dead_letters::suite(&embedded.store, &StoreReader(embedded.store.clone())).await;
}

#[tokio::test]
async fn key_wrapper_under_the_local_root_key() {
    let wrapper = LocalKeyWrapper::new(&RootKey::random().unwrap());
    key_wrapper::suite(&wrapper).await;
    key_wrapper::changed_keys_are_refused(&wrapper).await;
}
