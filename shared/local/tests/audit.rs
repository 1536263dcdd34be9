//! What must hold of the stored security events beyond the contract of their port.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::fs;

use common::Home;
use portcullis_audit::{AuditRecord, AuditSink, RecordId};
use portcullis_base::Timestamp;
use portcullis_local::AuditPage;

fn record(millis: i64, n: u128) -> AuditRecord {
    let time = Timestamp::from_millisecond(millis).unwrap();
    AuditRecord::from_parts(RecordId::of(time, n), time, format!(r#"{{"ip":"198.51.100.{n}"}}"#)).unwrap()
}

#[tokio::test]
async fn records_are_read_back_by_time_page_by_page_and_after_a_restart() {
    let home = Home::new();
    let store = home.open();
    let all: Vec<_> = (0_u8..7).map(|n| record(1_000 + i64::from(n / 2), n.into())).collect();
    for shuffled in [5, 0, 6, 2, 1, 4, 3] {
        store.append(&all[shuffled..=shuffled]).await.unwrap();
    }
    drop(store);
    let store = home.open();
    for limit in 1..=8 {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let AuditPage { records, next } = store.audit_records(after, limit).unwrap();
            assert!(records.len() <= limit);
            read.extend(records);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, all, "{limit} at a time");
    }
    assert_eq!(store.audit_count(), Ok(7));
    assert_eq!(store.audit_records(None, 0).unwrap(), AuditPage::default());
}

#[tokio::test]
async fn the_file_shows_nothing_of_an_event() {
    let home = Home::new();
    let store = home.open();
    store.append(&[record(1_000, 77)]).await.unwrap();
    drop(store);
    let file = fs::read(home.file()).unwrap();
    assert!(!file.windows(12).any(|window| window == b"198.51.100.7"));
}
