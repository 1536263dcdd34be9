//! The conversations table.

use portcullis_pii::{MAX_RECORD_BYTES, Page, PageRequest, PutOutcome, RecordError, Records, StoredRecord};
use redb::{ReadTransaction, ReadableTable};

use super::tables::{self, EXPIRES_RECORD, RECORDS, SUBJECTS};
use super::writer::Batch;
use super::{Fault, Store, StoreError, expiry};

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Corrupt => Self::Malformed,
        }
    }
}

impl Records for Store {
    async fn put_if_absent(&self, record: &StoredRecord) -> Result<PutOutcome, RecordError> {
        if record.size() > MAX_RECORD_BYTES {
            return Err(RecordError::NotTaken);
        }
        let row = tables::encode_record(record);
        let is_key = |key: &str| (1..=MAX_KEY).contains(&key.len());
        let mut keys =
            [&record.conversation, &record.item, &record.position].into_iter().chain(&record.subject);
        if !keys.all(|key| is_key(key)) {
            return Err(RecordError::Refused);
        }
        let weight = row.len() + 512;
        let new = NewRecord {
            conversation: record.conversation.clone(),
            item: record.item.clone(),
            position: record.position.clone(),
            subject: record.subject.clone(),
            expires_at: record.expires_at,
            row,
        };
        let put = move |batch: &mut Batch<'_>| put(batch, &new);
        Ok(self.write(weight, put).await?)
    }

    async fn conversation(&self, conversation: &str, page: &PageRequest) -> Result<Page, RecordError> {
        let now = self.shared().now().div_euclid(1_000);
        Ok(self.read(|txn| list(txn, conversation, page, now))?)
    }

    async fn conversations_of(&self, subject: &str, limit: usize) -> Result<Vec<String>, RecordError> {
        let now = self.shared().now().div_euclid(1_000);
        Ok(self.read(|txn| {
            let mut found = Vec::new();
            for row in txn.open_table(SUBJECTS)?.range((subject, "")..)? {
                let (key, expires_at) = row?;
                let (of, conversation) = key.value();
                if of != subject || found.len() >= limit {
                    break;
                }
                if expires_at.value() > now {
                    found.push(conversation.to_owned());
                }
            }
            Ok(found)
        })?)
    }
}

/// A record on its way to the writer: its keys, and the rest as it will be stored.
struct NewRecord {
    conversation: String,
    item: String,
    position: String,
    subject: Option<String>,
    expires_at: i64,
    row: Vec<u8>,
}

/// An expired record that was not purged yet does not count as there.
fn put(batch: &mut Batch<'_>, new: &NewRecord) -> Result<PutOutcome, Fault> {
    let NewRecord { conversation, item, position, subject, expires_at, row } = new;
    let (conversation, item, position, expires_at) =
        (conversation.as_str(), item.as_str(), position.as_str(), *expires_at);
    let now = batch.now.div_euclid(1_000);
    let there = batch.tables.places()?.get((conversation, item))?.map(|row| {
        let (position, expires_at) = row.value();
        (position.to_owned(), expires_at)
    });
    match there {
        Some((_, expires_at)) if expires_at > now => return Ok(PutOutcome::AlreadyThere),
        Some((old, _)) => expiry::remove_record(batch, (conversation, item), &old, now)?,
        None => {}
    }
    batch.tables.places()?.insert((conversation, item), (position, expires_at))?;
    batch.tables.records()?.insert((conversation, position, item), row.as_slice())?;
    let expiry_key = tables::record_expiry_key((conversation, item));
    batch.tables.expiry()?.insert((expires_at, EXPIRES_RECORD, expiry_key.as_slice()), ())?;
    let Some(subject) = subject.as_deref() else { return Ok(PutOutcome::Stored) };
    let subjects = batch.tables.subjects()?;
    let last = subjects.get((subject, conversation))?.map(|at| at.value());
    if last.is_none_or(|at| at < expires_at) {
        subjects.insert((subject, conversation), expires_at)?;
    }
    Ok(PutOutcome::Stored)
}

fn list(txn: &ReadTransaction, conversation: &str, page: &PageRequest, now: i64) -> Result<Page, Fault> {
    let table = txn.open_table(RECORDS)?;
    let after = page.after.as_deref();
    let mut listed = Page::default();
    for row in table.range((conversation, after.unwrap_or_default(), "")..)? {
        let (key, row) = row?;
        let (of, position, _) = key.value();
        if of != conversation {
            return Ok(listed);
        }
        if after == Some(position) || tables::record_expiry(row.value()).ok_or(Fault::Row)? <= now {
            continue;
        }
        if listed.records.len() >= page.limit {
            listed.next = listed.records.last().map(|r| r.position.clone());
            return Ok(listed);
        }
        listed.records.push(tables::decode_record(key.value(), row.value()).ok_or(Fault::Row)?);
    }
    Ok(listed)
}

/// A sort or partition key of DynamoDB has at most 1 or 2 KiB.
const MAX_KEY: usize = 1_024;
