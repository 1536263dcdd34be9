use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use portcullis_pii::{MAX_RECORD_BYTES, Page, PageRequest, PutOutcome, RecordError, Records, StoredRecord};

use super::faults::{Faults, locked};

/// The conversations table in memory. Nothing expires. Clones share it.
#[derive(Clone, Default)]
pub struct RecordTable(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rows: Mutex<Rows>,
    faults: Faults<RecordError>,
}

#[derive(Default)]
struct Rows {
    /// Conversation and item of every record.
    places: BTreeSet<(String, String)>,
    /// By conversation, position and item.
    records: BTreeMap<(String, String, String), StoredRecord>,
}

impl RecordTable {
    /// The next `calls` calls answer with `error`.
    pub fn fail_next(&self, calls: usize, error: RecordError) {
        self.0.faults.add(calls, &error);
    }

    /// Every record, by conversation and position.
    pub fn all(&self) -> Vec<StoredRecord> {
        locked(&self.0.rows).records.values().cloned().collect()
    }
}

impl Records for RecordTable {
    async fn put_if_absent(&self, record: &StoredRecord) -> Result<PutOutcome, RecordError> {
        self.0.faults.check()?;
        if record.size() > MAX_RECORD_BYTES {
            return Err(RecordError::NotTaken);
        }
        let mut rows = locked(&self.0.rows);
        let StoredRecord { conversation, item, position, .. } = record.clone();
        if !rows.places.insert((conversation.clone(), item.clone())) {
            return Ok(PutOutcome::AlreadyThere);
        }
        rows.records.insert((conversation, position, item), record.clone());
        Ok(PutOutcome::Stored)
    }

    async fn conversation(&self, conversation: &str, page: &PageRequest) -> Result<Page, RecordError> {
        self.0.faults.check()?;
        let after = page.after.as_deref();
        let start = (conversation.to_owned(), after.unwrap_or_default().to_owned(), String::new());
        let rows = locked(&self.0.rows);
        let of_conversation =
            rows.records.range(start..).map(|(_, r)| r).take_while(|r| r.conversation == conversation);
        let mut found = of_conversation.skip_while(|r| Some(r.position.as_str()) == after);
        let records: Vec<_> = found.by_ref().take(page.limit).cloned().collect();
        let more = found.next().is_some();
        let next = records.last().filter(|_| more).map(|r| r.position.clone());
        Ok(Page { records, next })
    }

    async fn conversations_of(&self, subject: &str, limit: usize) -> Result<Vec<String>, RecordError> {
        self.0.faults.check()?;
        let rows = locked(&self.0.rows);
        let of_subject = rows.records.values().filter(|r| r.subject.as_deref() == Some(subject));
        let mut found: Vec<_> = of_subject.map(|r| r.conversation.clone()).collect();
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }
}
