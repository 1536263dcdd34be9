//! What must hold of incidents and of detection's memory over the embedded database beyond their contracts: restarts,
//! SIGKILL, tampering, ends, and what can be read of the file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::io::Write;
use std::sync::Arc;

use common::{Home, find_in_files, killed_in_the_middle, root};
use jiff::SignedDuration;
use portcullis_base::{ManualClock, Timestamp};
use portcullis_detection::{
    AuditProgress, CorrelationState, HistoryError, Observation, ProgressStore, Series, StateError,
};
use portcullis_local::{Store, StoreOptions};
use portcullis_response::simulation::example_signal;
use portcullis_response::{
    CapStore, Created, Holds, Incident, IncidentId, IncidentStore, PortError, Saved, Slot, Status,
};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const INCIDENTS: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("incidents");
const INDEX: redb::TableDefinition<'_, (u8, i128, &str), ()> = redb::TableDefinition::new("incident_index");
const ENTRIES: Table<(u8, [u8; 16])> = Table::new("entries");
const OBSERVATIONS: Table<([u8; 16], i64, [u8; 16])> = Table::new("observations");

/// When a row ends, and what is sealed of it.
type Table<K> = redb::TableDefinition<'static, K, (i64, &'static [u8])>;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn incident(name: &str) -> Incident {
    Incident { expires_at: Some(time(600)), ..Incident::open(example_signal(name), time(0)) }
}

fn progress(revision: u64) -> AuditProgress {
    AuditProgress { done_to: time(0), open: None, revision }
}

fn series() -> Series {
    Series { rule: "rule".into(), group: "user-with-a-name".into() }
}

fn seen(at: i64) -> Observation {
    Observation { at, key: format!("event-{at}"), value: "198.51.100.77".into() }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let home = Home::new();
    let store = home.open();
    let (first, other) = (incident("a"), incident("b"));
    assert_eq!(store.create(&first).await, Ok(Created::New));
    assert_eq!(store.create(&other).await, Ok(Created::New));
    let next = Incident { status: Status::Partial, expires_at: None, revision: 1, ..first.clone() };
    assert_eq!(store.save(&next, 0).await, Ok(Saved::Yes));
    store.hold("r", &first.id).await.unwrap();
    store.hold("r", &other.id).await.unwrap();
    assert_eq!(store.reserve(&first.id, time(0), HOUR, 1).await, Ok(Slot::Granted));
    store.save_progress("eu-west-1", &progress(1)).await.unwrap();
    store.observe(&series(), &[seen(1)], 100, 4_102_444_800).await.unwrap();
    assert_eq!(store.claim(&series(), "e", 1, 100, 4_102_444_800).await, Ok(true));
    drop(store);

    let store = home.open();
    assert_eq!(store.load(&first.id).await, Ok(Some(next.clone())));
    assert_eq!(store.list(Some(Status::Partial), 9).await, Ok(vec![next]));
    assert_eq!(store.list(Some(Status::Detected), 9).await, Ok(vec![other.clone()]));
    assert_eq!(store.expired(time(600), 9).await, Ok(vec![other.id.clone()]));
    assert_eq!(store.holders("r").await, Ok(vec![first.id.clone(), other.id.clone()]));
    assert_eq!(store.reserve(&other.id, time(1), HOUR, 1).await, Ok(Slot::Full));
    assert_eq!(store.progress("eu-west-1").await, Ok(Some(progress(1))));
    let near = store.observe(&series(), &[seen(2)], 100, 4_102_444_800).await;
    assert_eq!(near, Ok(vec![seen(1), seen(2)]));
    assert_eq!(store.claim(&series(), "f", 1, 100, 4_102_444_800).await, Ok(false));
    assert_eq!(store.claim(&series(), "e", 1, 100, 4_102_444_800).await, Ok(true));
}

#[tokio::test]
async fn the_file_shows_nobody() {
    let home = Home::new();
    let store = home.open();
    let mut personal = incident("a");
    personal.notes = vec!["a note about user-with-a-name".into()];
    store.create(&personal).await.unwrap();
    store.hold("deny-user/user/user-with-a-name", &personal.id).await.unwrap();
    store.observe(&series(), &[seen(1)], 100, 4_102_444_800).await.unwrap();
    store.claim(&series(), "event-of-user-with-a-name", 1, 100, 4_102_444_800).await.unwrap();
    drop(store);
    for needle in ["user-with-a-name", "198.51.100", "Tor exit", "event-1", "\"notes\""] {
        assert_eq!(find_in_files(home.dir.path(), needle.as_bytes()), Vec::<String>::new(), "{needle}");
    }
}

#[tokio::test]
async fn a_released_hold_leaves_no_row() {
    let home = Home::new();
    let store = home.open();
    let [a, b] = ["a", "b"].map(IncidentId::of);
    for (resource, id) in [("r", &a), ("r", &b), ("s", &a)] {
        store.hold(resource, id).await.unwrap();
    }
    for (resource, id) in [("r", &a), ("s", &a), ("r", &b), ("nobody's", &a)] {
        store.forget_hold(resource, id).await.unwrap();
    }
    drop(store);
    let db = redb::ReadOnlyDatabase::open(home.file()).unwrap();
    assert_eq!(db.begin_read().unwrap().open_table(ENTRIES).unwrap().len().unwrap(), 0);
}

#[tokio::test]
async fn what_was_observed_goes_with_its_end() {
    let home = Home::new();
    let store = home.open();
    let now = home.now();
    let end = now / 1000 + 60;
    store.observe(&series(), &[seen(now), seen(now + 1)], 100, end).await.unwrap();
    store.observe(&series(), &[seen(now + 2)], 100, end + 3600).await.unwrap();
    assert_eq!(store.claim(&series(), "e", now, 100, end).await, Ok(true));
    home.clock.advance(120_000);
    assert_eq!(store.claim(&series(), "f", now, 100, end + 3600).await, Ok(true), "nobody holds it any more");
    let left = store.observe(&series(), &[seen(now + 3)], 100, end + 3600).await;
    assert_eq!(left, Ok(vec![seen(now + 2), seen(now + 3)]));
}

#[tokio::test]
async fn tampered_rows_are_refused_and_the_rest_works_on() {
    let home = Home::new();
    let store = home.open();
    let (one, swapped) = (incident("a"), incident("b"));
    store.create(&one).await.unwrap();
    store.create(&swapped).await.unwrap();
    store.hold("r", &one.id).await.unwrap();
    store.reserve(&one.id, time(0), HOUR, 1).await.unwrap();
    store.save_progress("eu-west-1", &progress(1)).await.unwrap();
    drop(store);
    let db = redb::Database::open(home.file()).unwrap();
    let txn = db.begin_write().unwrap();
    {
        // Each row in the other's place.
        let mut table = txn.open_table(INCIDENTS).unwrap();
        let row = |table: &redb::Table<'_, &str, &[u8]>, id: &IncidentId| {
            table.get(id.as_str()).unwrap().unwrap().value().to_vec()
        };
        let (a, b) = (row(&table, &one.id), row(&table, &swapped.id));
        table.insert(one.id.as_str(), b.as_slice()).unwrap();
        table.insert(swapped.id.as_str(), a.as_slice()).unwrap();
        let mut entries = txn.open_table(ENTRIES).unwrap();
        let rows: Vec<_> = entries.iter().unwrap().map(|row| row.unwrap()).collect();
        let rows: Vec<_> = rows.into_iter().map(|(k, v)| (k.value(), v.value().1.to_vec())).collect();
        for (key, mut sealed) in rows {
            *sealed.last_mut().unwrap() ^= 1;
            entries.insert(key, (i64::MAX, sealed.as_slice())).unwrap();
        }
    }
    txn.commit().unwrap();
    drop(db);
    let store = home.open();
    let corrupt = || PortError::Unreadable;
    assert_eq!(store.load(&one.id).await, Err(corrupt()));
    assert_eq!(store.create(&one).await, Err(corrupt()));
    assert_eq!(store.save(&one, 0).await, Err(corrupt()));
    assert_eq!(store.list(None, 9).await, Err(corrupt()));
    assert_eq!(store.holders("r").await, Err(corrupt()), "and not nobody");
    assert_eq!(store.hold("r", &swapped.id).await, Err(corrupt()));
    assert_eq!(store.forget_hold("r", &one.id).await, Err(corrupt()));
    assert_eq!(store.holders("r").await, Err(corrupt()), "what is damaged is not replaced");
    assert_eq!(store.reserve(&one.id, time(0), HOUR, 1).await, Err(corrupt()), "and no slot is given");
    let refused = HistoryError::Refused("the store holds a row that was tampered with".into());
    assert_eq!(store.progress("eu-west-1").await, Err(refused));
    let other = incident("c");
    assert_eq!(store.create(&other).await, Ok(Created::New));
    assert_eq!(store.load(&other.id).await, Ok(Some(other)));
}

#[tokio::test]
async fn a_tampered_observation_is_an_error_and_no_lower_count() {
    let home = Home::new();
    let store = home.open();
    store.observe(&series(), &[seen(1)], 100, 4_102_444_800).await.unwrap();
    drop(store);
    let db = redb::Database::open(home.file()).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(OBSERVATIONS).unwrap();
        let rows: Vec<_> = table.iter().unwrap().map(|row| row.unwrap()).collect();
        let rows: Vec<_> = rows.into_iter().map(|(k, v)| (k.value(), v.value().1.to_vec())).collect();
        for (key, mut sealed) in rows {
            sealed[40] ^= 1;
            table.insert(key, (i64::MAX, sealed.as_slice())).unwrap();
        }
    }
    txn.commit().unwrap();
    drop(db);
    let seen = home.open().observe(&series(), &[seen(2)], 100, 4_102_444_800).await;
    assert_eq!(seen, Err(StateError("the store holds a row that was tampered with".into())));
}

/// The work of the process that is killed: it opens incidents, contains them, and says each time that it was done.
#[test]
#[ignore = "started by the other tests of this file, not by itself"]
fn child() {
    let mut lines = std::io::stdin().lines();
    let (Some(Ok(dir)), Some(Ok(first))) = (lines.next(), lines.next()) else { return };
    let clock = Arc::new(ManualClock::at(time(0)));
    let store = Store::open(dir.as_ref(), &root(), clock, StoreOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut done = store.progress("r").await.unwrap().map_or(0, |progress| progress.revision);
        for n in first.parse::<u64>().unwrap().. {
            let new = incident(&n.to_string());
            store.create(&new).await.unwrap();
            store.reserve(&new.id, time(0), HOUR, CAP).await.unwrap();
            store.hold("r", &new.id).await.unwrap();
            let contained = Incident { status: Status::Contained, expires_at: None, revision: 1, ..new };
            assert_eq!(store.save(&contained, 0).await, Ok(Saved::Yes));
            done += 1;
            store.save_progress("r", &progress(done)).await.unwrap();
            // One write: the line is in the pipe, whole, even if the process dies now.
            std::io::stdout().write_all(format!("\ndone {n}\n").as_bytes()).unwrap();
        }
    });
}

#[tokio::test]
async fn killed_in_the_middle_nothing_that_was_answered_is_undone() {
    let home = Home::new();
    let done = killed_in_the_middle(&home, 15);
    let store = home.open();
    let revision = store.progress("r").await.unwrap().unwrap().revision;
    assert!((done.len() as u64..=done.len() as u64 + 4).contains(&revision), "{revision} of {}", done.len());
    let contained = store.list(Some(Status::Contained), usize::MAX).await.unwrap();
    let all = store.list(None, usize::MAX).await.unwrap();
    let ids: Vec<_> = done.iter().map(|n| incident(&n.to_string()).id).collect();
    let mut holders = store.holders("r").await.unwrap();
    assert!(holders.len() <= done.len() + 4, "no more than began");
    holders.retain(|id| ids.contains(id));
    assert_eq!(holders, ids, "all hold, in order");
    for n in &done {
        let id = incident(&n.to_string()).id;
        let found = store.load(&id).await.unwrap().unwrap();
        assert_eq!((found.status, found.revision), (Status::Contained, 1), "{n}");
        assert!(contained.contains(&found) && all.contains(&found), "{n} is in the lists");
    }
    assert!(all.len() <= done.len() + 4);
    let mut with_slot = 0;
    for found in &all {
        let slot = store.reserve(&found.id, time(0), HOUR, CAP).await.unwrap();
        with_slot += u32::from(slot == Slot::Granted);
    }
    assert_eq!(with_slot, CAP);
    // The index and the incidents say the same.
    drop(store);
    let db = redb::ReadOnlyDatabase::open(home.file()).unwrap();
    let txn = db.begin_read().unwrap();
    let count = txn.open_table(INCIDENTS).unwrap().len().unwrap();
    let due = all.iter().filter(|incident| incident.expires_at.is_some()).count();
    let left = all.iter().filter(|incident| incident.left_at().is_some()).count();
    assert_eq!(txn.open_table(INDEX).unwrap().len().unwrap(), 2 * count + (due + left) as u64);
}

const CAP: u32 = 5;
