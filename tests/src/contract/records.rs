//! The contract of [`Records`].

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_pii::{
    MAX_RECORD_BYTES, Outside, Page, PageRequest, PutOutcome, RecordError, Records, StoredRecord,
};

use super::fresh;

/// Runs the whole contract.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(records: &impl Records) {
    a_record_is_read_as_it_was_stored(records).await;
    the_largest_record_is_taken_and_no_larger_one(records).await;
    a_taken_place_keeps_its_record(records).await;
    one_writer_of_a_place_wins(records).await;
    listings_are_in_order_of_position(records).await;
    pages_together_are_the_whole_listing(records).await;
    conversations_are_apart(records).await;
    a_subject_is_found_in_each_of_its_conversations_once(records).await;
}

async fn a_record_is_read_as_it_was_stored(records: &impl Records) {
    let conversation = fresh("conversation");
    let full = record(&conversation, 1);
    let bare = StoredRecord { subject: None, fields: BTreeMap::new(), ..record(&conversation, 2) };
    let outside = Outside { object: "records/7/ab".to_owned(), bytes: 3_000_000, sha256: "ab".to_owned() };
    let elsewhere =
        StoredRecord { outside: [("item".to_owned(), outside)].into(), ..record(&conversation, 3) };
    for stored in [&full, &bare, &elsewhere] {
        assert_eq!(records.put_if_absent(stored).await, Ok(PutOutcome::Stored));
    }
    assert_eq!(
        listed(records, &conversation, 10, None).await,
        Page { records: vec![full, bare, elsewhere], next: None }
    );
}

async fn the_largest_record_is_taken_and_no_larger_one(records: &impl Records) {
    let conversation = fresh("conversation");
    let of_size = |n: u8, size: usize| {
        let mut record = record(&conversation, n);
        record.fields.insert("text".to_owned(), Vec::new());
        record.fields.insert("text".to_owned(), vec![n; size - record.size()]);
        assert_eq!(record.size(), size);
        record
    };
    let largest = of_size(1, MAX_RECORD_BYTES);
    assert_eq!(records.put_if_absent(&largest).await, Ok(PutOutcome::Stored));
    for size in [MAX_RECORD_BYTES + 1, 500_000] {
        assert_eq!(records.put_if_absent(&of_size(2, size)).await, Err(RecordError::NotTaken), "{size}");
    }
    assert_eq!(listed(records, &conversation, 10, None).await.records, [largest]);
}

async fn a_taken_place_keeps_its_record(records: &impl Records) {
    let conversation = fresh("conversation");
    let first = record(&conversation, 5);
    assert_eq!(records.put_if_absent(&first).await, Ok(PutOutcome::Stored));
    assert_eq!(records.put_if_absent(&first).await, Ok(PutOutcome::AlreadyThere));
    // The same item again, days later: another position, sealed afresh.
    let later = StoredRecord { item: first.item.clone(), header: vec![8], ..record(&conversation, 9) };
    assert_eq!(records.put_if_absent(&later).await, Ok(PutOutcome::AlreadyThere));
    assert_eq!(listed(records, &conversation, 10, None).await.records, [first]);
}

async fn one_writer_of_a_place_wins(records: &impl Records) {
    let conversation = fresh("conversation");
    let item = fresh("item");
    let [a, b, c] = [1, 2, 3].map(|n| StoredRecord { item: item.clone(), ..record(&conversation, n) });
    let outcomes =
        tokio::join!(records.put_if_absent(&a), records.put_if_absent(&b), records.put_if_absent(&c));
    let winner = match outcomes {
        (Ok(PutOutcome::Stored), Ok(PutOutcome::AlreadyThere), Ok(PutOutcome::AlreadyThere)) => Some(a),
        (Ok(PutOutcome::AlreadyThere), Ok(PutOutcome::Stored), Ok(PutOutcome::AlreadyThere)) => Some(b),
        (Ok(PutOutcome::AlreadyThere), Ok(PutOutcome::AlreadyThere), Ok(PutOutcome::Stored)) => Some(c),
        _ => None,
    };
    assert!(winner.is_some(), "exactly one wins: {outcomes:?}");
    assert_eq!(listed(records, &conversation, 10, None).await.records, winner.as_slice());
}

async fn listings_are_in_order_of_position(records: &impl Records) {
    let conversation = fresh("conversation");
    for n in [7, 3, 9, 1, 8, 2, 6, 4, 5] {
        assert_eq!(records.put_if_absent(&record(&conversation, n)).await, Ok(PutOutcome::Stored));
    }
    let page = listed(records, &conversation, 100, None).await;
    assert_eq!(positions(&page), (1..=9).map(position).collect::<Vec<_>>());
}

async fn pages_together_are_the_whole_listing(records: &impl Records) {
    let conversation = fresh("conversation");
    for n in 1..=7 {
        assert_eq!(records.put_if_absent(&record(&conversation, n)).await, Ok(PutOutcome::Stored));
    }
    for limit in [1, 2, 3, 6, 7, 8] {
        let mut seen = Vec::new();
        let mut after = None;
        for _ in 0..10 {
            let page = listed(records, &conversation, limit, after.clone()).await;
            assert!(page.records.len() <= limit, "at most {limit}");
            seen.extend(positions(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(after, None, "pages of {limit} come to an end");
        assert_eq!(seen, (1..=7).map(position).collect::<Vec<_>>(), "pages of {limit}");
    }
    let rest = listed(records, &conversation, 10, Some(position(5))).await;
    assert_eq!(positions(&rest), [position(6), position(7)]);
    assert_eq!(listed(records, &conversation, 10, Some(position(7))).await, Page::default());
}

async fn conversations_are_apart(records: &impl Records) {
    let a = fresh("conversation");
    let longer = format!("{a}0");
    assert_eq!(listed(records, &a, 10, None).await, Page::default(), "an unknown one is empty");
    let item = fresh("item");
    for conversation in [&a, &longer] {
        let record = StoredRecord { item: item.clone(), ..record(conversation, 1) };
        assert_eq!(records.put_if_absent(&record).await, Ok(PutOutcome::Stored), "a place in each");
        assert_eq!(listed(records, conversation, 10, None).await.records, [record]);
    }
}

async fn a_subject_is_found_in_each_of_its_conversations_once(records: &impl Records) {
    let subject = fresh("subject");
    let mut expected: Vec<_> = (0..3).map(|_| fresh("conversation")).collect();
    for conversation in &expected {
        for n in 1..=3 {
            let record = StoredRecord { subject: Some(subject.clone()), ..record(conversation, n) };
            assert_eq!(records.put_if_absent(&record).await, Ok(PutOutcome::Stored));
        }
    }
    expected.sort();
    let mut found = Vec::new();
    // An index may follow its table with a delay.
    for _ in 0..50 {
        found = conversations_of(records, &subject, 10).await;
        found.sort();
        if found == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found, expected);
    let two = conversations_of(records, &subject, 2).await;
    assert!(two.len() == 2 && two.iter().all(|c| expected.contains(c)), "at most two: {two:?}");
    assert!(conversations_of(records, &fresh("subject"), 10).await.is_empty());
}

async fn listed(records: &impl Records, conversation: &str, limit: usize, after: Option<String>) -> Page {
    let page = records.conversation(conversation, &PageRequest { limit, after }).await;
    assert!(page.is_ok(), "{page:?}");
    page.unwrap_or_default()
}

async fn conversations_of(records: &impl Records, subject: &str, limit: usize) -> Vec<String> {
    let found = records.conversations_of(subject, limit).await;
    assert!(found.is_ok(), "{found:?}");
    found.unwrap_or_default()
}

fn positions(page: &Page) -> Vec<String> {
    page.records.iter().map(|r| r.position.clone()).collect()
}

fn position(n: u8) -> String {
    format!("{:013}-{:020}", 1_800_000_000_000_i64, n)
}

fn record(conversation: &str, n: u8) -> StoredRecord {
    StoredRecord {
        conversation: conversation.to_owned(),
        item: fresh("item"),
        position: position(n),
        subject: Some(fresh("subject")),
        kind: "text".to_owned(),
        class: "SENSITIVE".to_owned(),
        received_at: 1_800_000_000_000 + i64::from(n),
        // The year 2100: far from any table's time to live.
        expires_at: 4_102_444_800,
        header: vec![0, 1, n],
        fields: BTreeMap::from([
            ("caption".to_owned(), vec![0xff; 300]),
            ("text".to_owned(), (0..=u8::MAX).collect()),
        ]),
        outside: BTreeMap::new(),
    }
}
