//! What must hold of the embedded database beyond the contracts of its ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use common::{Home, find_in_files, item, record, root};
use portcullis_local::{OpenError, Received, RootKey, Store, StoreError, StoreOptions};
use portcullis_pii::{
    DeadLetter, DeadLetters, KeyStore, ObjectError, PageRequest, PutOutcome, RecordObjects, Records,
};
use portcullis_token::{KeyRingStore, RevocationStore};
use portcullis_webhook::{ClaimCheck, ClaimCheckError, ItemQueue, Lane, Outgoing, QueueError, SendFailure};
use redb::ReadableTable;

fn ids(received: &[Received]) -> Vec<&str> {
    received.iter().map(|r| r.dedup_id.as_str()).collect()
}

async fn send(store: &Store, items: &[Outgoing]) {
    assert_eq!(store.send_batch(Lane::Text, items).await, Ok(vec![]));
}

/// Every write asked for before is done when this returns.
async fn barrier(store: &Store) {
    store.add_index_key(b"barrier").await.unwrap();
}

#[tokio::test]
async fn everything_is_there_after_a_restart_and_what_was_in_flight_is_visible_again() {
    let home = Home::new();
    let store = home.open();
    send(&store, &[item("a", "1"), item("b", "2"), item("a", "3")]).await;
    store.send_batch(Lane::Media, &[item("a", "4")]).await.unwrap();
    let first = store.receive(Lane::Text, 1).unwrap();
    assert_eq!(store.delete(&[first[0].handle]).await, Ok(1));
    assert_eq!(ids(&store.receive(Lane::Text, 9).unwrap()), ["2", "3"]);
    assert_eq!(store.receive(Lane::Text, 9), Ok(vec![]));
    ClaimCheck::put(&store, "claim", b"body").await.unwrap();
    drop(store);

    let store = home.open();
    let again = store.receive(Lane::Text, 9).unwrap();
    assert_eq!(ids(&again), ["2", "3"]);
    assert_eq!((again[0].group.as_str(), again[0].body.as_str()), ("b", "body of 2"));
    assert_eq!(ids(&store.receive(Lane::Media, 9).unwrap()), ["4"]);
    assert_eq!(store.get("claim", 4).await, Ok(b"body".to_vec()));
}

#[tokio::test]
async fn sequence_numbers_rise_across_restarts_even_of_an_emptied_store() {
    let home = Home::new();
    let mut last = 0;
    for round in 0..4 {
        let store = home.open();
        send(&store, &[item("a", &format!("x{round}")), item("a", &format!("y{round}"))]).await;
        for received in store.receive(Lane::Text, 9).unwrap() {
            assert!(received.sequence > last, "round {round}");
            last = received.sequence;
            store.delete(&[received.handle]).await.unwrap();
        }
        home.clock.advance(10 * 60 * 1_000);
    }
}

#[tokio::test]
async fn the_same_item_is_queued_once_within_five_minutes_restarts_included() {
    let home = Home::new();
    let store = home.open();
    send(&store, &[item("a", "1"), item("a", "1")]).await;
    let received = store.receive(Lane::Text, 9).unwrap();
    assert_eq!(store.delete(&[received[0].handle]).await, Ok(1));
    drop(store);
    home.clock.advance(299_999);
    let store = home.open();
    send(&store, &[item("a", "1")]).await;
    assert_eq!(store.depth(Lane::Text).waiting, 0);
    store.send_batch(Lane::Media, &[item("a", "1")]).await.unwrap();
    assert_eq!(store.depth(Lane::Media).waiting, 1, "each lane by itself");
    home.clock.advance(1);
    send(&store, &[item("a", "1")]).await;
    assert_eq!(store.depth(Lane::Text).waiting, 1);
}

#[tokio::test]
async fn entries_that_sqs_would_refuse_are_named_and_the_others_are_queued() {
    let store = Home::new().open();
    let long = "x".repeat(129);
    let mut items = vec![item("a", "1"), item("", "2"), item("a", ""), item(&long, "3"), item("a", &long)];
    items.push(Outgoing { body: String::new(), ..item("a", "4") });
    items.push(item("a", "5"));
    let failed = store.send_batch(Lane::Text, &items).await.unwrap();
    assert_eq!(failed, [1, 2, 3, 4, 5].map(|index| SendFailure { index, retryable: false }));
    assert_eq!(ids(&store.receive(Lane::Text, 9).unwrap()), ["1", "5"]);
    let eleven: Vec<_> = (0..11).map(|i| item("a", &i.to_string())).collect();
    assert_eq!(store.send_batch(Lane::Text, &eleven).await, Err(QueueError::Refused));
    let large = Outgoing { body: "x".repeat((1 << 20) + 1), ..item("a", "6") };
    assert_eq!(store.send_batch(Lane::Text, &[large]).await, Err(QueueError::Refused));
    assert_eq!(store.send_batch(Lane::Text, &[]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_message_received_too_often_becomes_a_dead_letter_and_frees_its_group() {
    let home = Home { options: StoreOptions { max_receive_count: 3, ..Default::default() }, ..Home::new() };
    let store = home.open();
    send(&store, &[item("a", "poison"), item("a", "next")]).await;
    for count in 1..=3 {
        let received = store.receive(Lane::Text, 1).unwrap();
        assert_eq!((ids(&received), received[0].receive_count), (vec!["poison"], count));
        assert_eq!(store.release(&[received[0].handle]), 1);
        assert_eq!(store.release(&[received[0].handle]), 0, "a handle is good once");
    }
    assert_eq!(store.receive(Lane::Text, 9), Ok(vec![]));
    tokio::time::timeout(Duration::from_secs(10), store.wait_for_work(Lane::Text)).await.unwrap();
    assert_eq!(ids(&store.receive(Lane::Text, 9).unwrap()), ["next"]);
    drop(store);
    let store = home.open();
    let dead = store.dead_letters(None, 9).unwrap();
    assert_eq!((dead.len(), store.dead_letter_count().unwrap()), (1, 1));
    let it = &dead[0];
    assert_eq!((it.lane.as_str(), it.group.as_str(), it.dedup_id.as_str()), ("text", "a", "poison"));
    assert_eq!((it.body.as_str(), it.reason.as_str()), ("body of poison", "max-receive-count"));
    assert_eq!(it.put_at, home.now());
    assert_eq!(store.dead_letters(Some(it.id), 9), Ok(vec![]));
    assert!(!format!("{it:?}").contains("body of"));
}

#[tokio::test]
async fn a_dead_letter_put_twice_is_kept_once() {
    let store = Home::new().open();
    let letter =
        DeadLetter { lane: "text", group: "g", dedup_id: "d", body: "b", reason: "malformed-message" };
    for body in ["b", "b", "c"] {
        DeadLetters::put(&store, &DeadLetter { body, ..letter }).await.unwrap();
    }
    let bodies: Vec<_> = store.dead_letters(None, 9).unwrap().into_iter().map(|d| d.body).collect();
    assert_eq!(bodies, ["b", "c"]);
}

#[tokio::test]
async fn an_expired_lease_makes_the_message_visible_and_its_handle_worthless() {
    let home = Home::new();
    let store = home.open();
    send(&store, &[item("a", "1")]).await;
    let old = store.receive(Lane::Text, 9).unwrap()[0].handle;
    home.clock.advance(29_999);
    assert_eq!(store.receive(Lane::Text, 9), Ok(vec![]));
    home.clock.advance(1);
    store.wait_for_work(Lane::Text).await;
    let new = store.receive(Lane::Text, 9).unwrap()[0].handle;
    assert_eq!(store.delete(&[old]).await, Ok(0));
    assert_eq!(store.delete(&[new, new]).await, Ok(1));
    assert_eq!(store.delete(&[new]).await, Ok(0));
    assert_eq!((store.depth(Lane::Text).waiting, store.depth(Lane::Text).in_flight), (0, 0));
}

#[tokio::test]
async fn a_waiting_consumer_is_woken_by_a_send_and_by_a_release() {
    let store = Home::new().open();
    let woken = |store: Store| tokio::spawn(async move { store.wait_for_work(Lane::Text).await });
    let waiter = woken(store.clone());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiter.is_finished());
    send(&store, &[item("a", "1")]).await;
    tokio::time::timeout(Duration::from_secs(10), waiter).await.unwrap().unwrap();
    let handle = store.receive(Lane::Text, 9).unwrap()[0].handle;
    let waiter = woken(store.clone());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiter.is_finished());
    store.release(&[handle]);
    tokio::time::timeout(Duration::from_millis(900), waiter).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_record_expires_and_its_place_is_free_again() {
    let home = Home::new();
    let store = home.open();
    let now = home.now() / 1_000;
    let page = PageRequest { limit: 9, after: None };
    for (item, expires_at) in [("short", now + 100), ("long", now + 1_000)] {
        store.put_if_absent(&record("c", item, item, expires_at)).await.unwrap();
    }
    store.put_if_absent(&record("d", "x", "x", now + 100)).await.unwrap();
    assert_eq!(store.conversations_of("subject of d", 9).await.unwrap(), ["d"]);
    home.clock.advance(100_000);
    let left = store.conversation("c", &page).await.unwrap().records;
    assert_eq!(left.iter().map(|r| r.item.as_str()).collect::<Vec<_>>(), ["long"]);
    assert!(store.conversations_of("subject of d", 9).await.unwrap().is_empty());
    assert_eq!(store.conversations_of("subject of c", 9).await.unwrap(), ["c"]);
    let again = record("c", "short", "short", now + 500);
    assert_eq!(store.put_if_absent(&again).await, Ok(PutOutcome::Stored));
    assert_eq!(store.put_if_absent(&again).await, Ok(PutOutcome::AlreadyThere));
    assert_eq!(store.record_count().unwrap(), 2, "what expired was purged by a later write");
    home.clock.advance(500_000);
    barrier(&store).await;
    assert_eq!(store.record_count().unwrap(), 1);
    assert_eq!(store.conversations_of("subject of c", 9).await.unwrap(), ["c"]);
}

#[tokio::test]
async fn a_claim_check_is_kept_for_its_retention() {
    let home = Home::new();
    let store = home.open();
    let day = 24 * 60 * 60 * 1_000;
    ClaimCheck::put(&store, "a", b"first").await.unwrap();
    home.clock.advance(28 * day);
    ClaimCheck::put(&store, "a", b"first").await.unwrap();
    home.clock.advance(day);
    barrier(&store).await;
    assert_eq!(store.get("a", 9).await, Ok(b"first".to_vec()), "it was put again");
    home.clock.advance(28 * day);
    assert_eq!(store.get("a", 9).await, Err(ClaimCheckError::NotFound));
}

#[tokio::test]
async fn an_object_of_a_record_is_kept_for_the_days_that_it_is_put_for() {
    let home = Home::new();
    let store = home.open();
    let day = 24 * 60 * 60 * 1_000;
    let week = store.put_object("ab", b"sealed", 7).await.unwrap();
    let month = store.put_object("cd", b"sealed", 30).await.unwrap();
    home.clock.advance(7 * day - 1_000);
    assert_eq!(store.object(&week, 9).await, Ok(b"sealed".to_vec()));
    home.clock.advance(1_000);
    barrier(&store).await;
    assert_eq!(store.object(&week, 9).await, Err(ObjectError::NotFound));
    assert_eq!(store.object(&month, 9).await, Ok(b"sealed".to_vec()), "longer than a claim");
    home.clock.advance(23 * day);
    assert_eq!(store.object(&month, 9).await, Err(ObjectError::NotFound));
}

/// The searched words stand for what the stack stores: phone numbers, message ids, texts.
#[tokio::test]
async fn nothing_in_the_file_can_be_read_before_or_after_it_was_deleted() {
    let secrets = ["+5511987654321", "wamid.HBgNNTUxMTk4", "segredo do usuário", "pseudonym-0123456789"];
    let home = Home::new();
    let store = home.open();
    for n in 0..300 {
        let [phone, id, text, group] = secrets;
        let body = format!("{phone} {text} ").repeat(20);
        let sent =
            Outgoing { group: format!("{group}{}", n % 7), dedup_id: format!("{id}{n}"), body: body.clone() };
        store.send_batch(Lane::Text, &[sent]).await.unwrap();
        if n % 10 == 0 {
            ClaimCheck::put(&store, &format!("{id}{n}"), body.as_bytes()).await.unwrap();
            let letter = DeadLetter { lane: "text", group, dedup_id: id, body: &body, reason: "poison" };
            DeadLetters::put(&store, &letter).await.unwrap();
        }
    }
    let search = |when: &str| {
        for secret in secrets.map(str::as_bytes).into_iter().chain([[42; 32].as_slice()]) {
            assert_eq!(find_in_files(home.dir.path(), secret), Vec::<String>::new(), "{when}");
        }
    };
    search("while queued");
    loop {
        let received = store.receive(Lane::Text, 100).unwrap();
        if received.is_empty() {
            break;
        }
        store.delete(&received.iter().map(|r| r.handle).collect::<Vec<_>>()).await.unwrap();
    }
    assert_eq!(store.depth(Lane::Text).waiting, 0);
    search("after all was deleted");
    drop(store);
    search("after the store was closed");
    let store = home.open();
    store.put_if_absent(&record("plain-pseudonym", "i", "p", i64::MAX)).await.unwrap();
    drop(store);
    assert_eq!(
        find_in_files(home.dir.path(), b"plain-pseudonym").len(),
        1,
        "the search does find what is there"
    );
}

#[tokio::test]
async fn only_its_owner_may_touch_directory_and_file() {
    let Home { dir, clock, options } = Home::new();
    let dir = dir.path().join("a/b");
    let _store = Store::open(&dir, &root(), clock, options).unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(dir.join("portcullis.redb")).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_owner_is_refused() {
    let home = Home::new();
    let store = home.open();
    assert!(matches!(home.try_open(&root()), Err(OpenError::InUse)));
    let clone = store.clone();
    drop(store);
    assert!(matches!(home.try_open(&root()), Err(OpenError::InUse)));
    drop(clone);
    home.open();
}

#[tokio::test]
async fn another_root_key_is_refused() {
    let home = Home::new();
    drop(home.open());
    assert!(matches!(home.try_open(&RootKey::from_bytes([43; 32])), Err(OpenError::WrongKey)));
    home.open();
}

#[test]
fn a_root_key_inside_the_data_directory_is_refused() {
    let home = Home::new();
    let inside = RootKey::load_or_create(&home.dir.path().join("keys/root.key")).unwrap();
    assert!(matches!(home.try_open(&inside), Err(OpenError::KeyInsideData)));
}

#[test]
fn a_newer_schema_is_refused() {
    const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let home = Home::new();
    drop(home.open());
    let db = redb::Database::open(home.file()).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("schema", 99u32.to_be_bytes().as_slice()).unwrap();
    txn.commit().unwrap();
    drop(db);
    let refused = home.try_open(&root());
    assert!(matches!(refused, Err(OpenError::NewerSchema { found: 99, supported: 4 })));
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date() {
    const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let home = Home::new();
    let store = home.open();
    send(&store, &[item("a", "1")]).await;
    drop(store);
    let db = redb::Database::open(home.file()).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("schema", 1u32.to_be_bytes().as_slice()).unwrap();
    let entries = redb::TableDefinition::<(u8, [u8; 16]), (i64, &[u8])>::new("entries");
    let revocations = redb::TableDefinition::<u64, (i64, &[u8])>::new("revocations");
    assert!(txn.delete_table(entries).unwrap() && txn.delete_table(revocations).unwrap());
    txn.commit().unwrap();
    drop(db);
    let other = RootKey::from_bytes([9; 32]);
    assert!(matches!(home.try_open(&other), Err(OpenError::WrongKey)), "not under another key");
    for _ in 0..2 {
        let store = home.open();
        assert_eq!(KeyRingStore::load(&store).await.unwrap().1, 0);
        assert_eq!(store.since(None).await.unwrap().items, []);
        assert_eq!(ids(&store.receive(Lane::Text, 9).unwrap()), ["1"]);
    }
}

#[tokio::test]
async fn a_damaged_file_is_named_as_such_and_never_a_panic() {
    let home = Home::new();
    let store = home.open();
    for n in 0..200 {
        send(&store, &[item("a", &n.to_string())]).await;
    }
    drop(store);
    let good = fs::read(home.file()).unwrap();
    let overwritten = |at: usize, length: usize| {
        let mut bytes = good.clone();
        bytes[at..at + length].fill(0xa5);
        bytes
    };
    for (what, bytes) in [
        ("garbage", vec![0xa5; 100_000]),
        ("text", b"this is not a database".to_vec()),
        ("cut short", good[..good.len() / 3].to_vec()),
        ("header overwritten", overwritten(0, 64)),
        ("commit slots overwritten", overwritten(64, 256)),
        ("a page of data overwritten", overwritten(queue_page(&good), 2_000)),
    ] {
        fs::write(home.file(), bytes).unwrap();
        let opened = home.try_open(&root());
        assert!(matches!(opened, Err(OpenError::Corrupt)), "{what}: {opened:?}");
    }
    fs::write(home.file(), &good).unwrap();
    assert_eq!(home.open().depth(Lane::Text).waiting, 200);
}

/// A place in the file that surely holds live data: the newest of its rows of sealed messages.
fn queue_page(file: &[u8]) -> usize {
    let leaf_of_rows = |page: &[u8]| page.windows(9).any(|w| w == [0, 0, 0, 0, 0, 0, 0, 0, 150]);
    let (last, _) = file.chunks(4_096).enumerate().skip(1).rfind(|(_, page)| leaf_of_rows(page)).unwrap();
    last * 4_096 + 1_000
}

#[tokio::test]
async fn a_row_that_was_changed_on_disk_halts_its_group_only() {
    const QUEUE: redb::TableDefinition<'_, [u8; 9], &[u8]> = redb::TableDefinition::new("queue");
    let home = Home::new();
    let store = home.open();
    send(&store, &[item("a", "1"), item("a", "2"), item("b", "3"), item("c", "4")]).await;
    drop(store);
    let db = redb::Database::open(home.file()).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(QUEUE).unwrap();
        let key = [0, 0, 0, 0, 0, 0, 0, 0, 1];
        let mut row = table.get(key).unwrap().unwrap().value().to_vec();
        *row.last_mut().unwrap() ^= 1;
        table.insert(key, row.as_slice()).unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    let store = home.open();
    assert_eq!(
        ids(&store.receive(Lane::Text, 3).unwrap()),
        ["3"],
        "the damaged one and what follows it stay"
    );
    assert_eq!(ids(&store.receive(Lane::Text, 9).unwrap()), ["4"]);
    home.clock.advance(60_000);
    assert_eq!(
        ids(&store.receive(Lane::Text, 9).unwrap()),
        ["3", "4"],
        "the group of the damaged one is halted"
    );
    drop(store);
    let store = home.open();
    assert_eq!(store.depth(Lane::Text).waiting, 4, "and nothing of it is lost");
}

#[tokio::test]
async fn many_senders_at_once_share_commits() {
    let store = Home::new().open();
    let before = store.commits();
    let senders = (0..32).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for i in 0..20 {
                send(&store, &[item(&format!("g{n}"), &format!("{n}-{i}"))]).await;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!(store.depth(Lane::Text).waiting, 640);
    assert!(store.commits() - before < 200, "{} commits", store.commits() - before);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_held() {
    let home = Home::new();
    let store = home.open();
    send(&store, &[item("a", "1")]).await;
    let handle = store.receive(Lane::Text, 1).unwrap()[0].handle;
    let handles = [handle];
    drop(tokio::time::timeout(Duration::ZERO, store.delete(&handles)).await);
    barrier(&store).await;
    home.clock.advance(30_000);
    let again = store.receive(Lane::Text, 1).unwrap().len();
    let depth = store.depth(Lane::Text);
    assert_eq!(again, depth.in_flight, "deleted, or visible again: {depth:?}");
    assert_eq!(store.get("none", 1).await, Err(ClaimCheckError::NotFound));
    assert_ne!(store.receive(Lane::Media, 1), Err(StoreError::Unavailable));
}
