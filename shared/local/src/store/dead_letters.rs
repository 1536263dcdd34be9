//! The dead letters.

use portcullis_pii::{DeadLetter, DeadLetterError, DeadLetters};
use redb::{ReadableTable, ReadableTableMetadata};

use super::tables::DEAD;
use super::writer::Batch;
use super::{Fault, Store, StoreError};
use crate::codec::{RowReader, RowWriter};

/// An item that was put aside.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetterEntry {
    /// Its number: dead letters are listed in this order.
    pub id: u64,
    /// The queue that it came from: `text` or `media`.
    pub lane: String,
    /// Its group there.
    pub group: String,
    /// Its deduplication id there.
    pub dedup_id: String,
    /// The message, unchanged.
    pub body: String,
    /// Why it could not be processed.
    pub reason: String,
    /// When it was put aside, milliseconds since the Unix epoch.
    pub put_at: i64,
}

impl std::fmt::Debug for DeadLetterEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, lane, reason, put_at, .. } = self;
        f.debug_struct("DeadLetterEntry")
            .field("id", id)
            .field("lane", lane)
            .field("reason", reason)
            .field("put_at", put_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The dead letters after the number `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry does not open.
    pub fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetterEntry>, StoreError> {
        let start = after.map_or(0, |id| id.saturating_add(1));
        self.read(|txn| {
            let table = txn.open_table(DEAD)?;
            let rows = table.range(start..)?.take(limit);
            rows.map(|row| {
                let (id, row) = row?;
                let plain = self.shared().keys.dead.open(&id.value().to_be_bytes(), row.value())?;
                decode(id.value(), &plain).ok_or(Fault::Row)
            })
            .collect()
        })
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dead_letter_count(&self) -> Result<u64, StoreError> {
        self.read(|txn| Ok(txn.open_table(DEAD)?.len()?))
    }
}

impl DeadLetters for Store {
    async fn put(&self, item: &DeadLetter<'_>) -> Result<(), DeadLetterError> {
        let own = [item.lane, item.group, item.dedup_id, item.body, item.reason].map(str::to_owned);
        let weight = item.body.len() + 512;
        let put = move |batch: &mut Batch<'_>| {
            let [lane, group, dedup_id, body, reason] = &own;
            insert(batch, &DeadLetter { lane, group, dedup_id, body, reason })
        };
        self.write(weight, put).await.map_err(|_| DeadLetterError)
    }
}

/// Puts an item aside unless it is there already: a consumer that died before its acknowledgement comes again.
pub(super) fn insert(batch: &mut Batch<'_>, letter: &DeadLetter<'_>) -> Result<(), Fault> {
    let parts = [letter.lane, letter.group, letter.dedup_id, letter.body].map(str::as_bytes);
    let tag = batch.shared.keys.dead_tags.tag(&parts);
    if batch.tables.dead_index()?.get(tag)?.is_some() {
        return Ok(());
    }
    let id = batch.tables.dead()?.last()?.map_or(1, |(id, _)| id.value() + 1);
    let row = encode(batch.now, letter);
    let sealed = batch.shared.keys.dead.seal(&id.to_be_bytes(), &row)?;
    batch.tables.dead()?.insert(id, sealed.as_slice())?;
    batch.tables.dead_index()?.insert(tag, id)?;
    Ok(())
}

fn encode(now: i64, letter: &DeadLetter<'_>) -> Vec<u8> {
    let row = RowWriter::with_capacity(letter.body.len() + 512).i64(now);
    let DeadLetter { lane, group, dedup_id, body, reason } = letter;
    [lane, group, dedup_id, body, reason].into_iter().fold(row, |row, part| row.text(part)).finish()
}

fn decode(id: u64, plain: &[u8]) -> Option<DeadLetterEntry> {
    let mut r = RowReader::new(plain);
    let put_at = r.i64()?;
    let mut text = || r.text().map(str::to_owned);
    let (lane, group, dedup_id, body, reason) = (text()?, text()?, text()?, text()?, text()?);
    r.end()?;
    Some(DeadLetterEntry { id, lane, group, dedup_id, body, reason, put_at })
}
