//! Security events. Appended, read back in order, never changed or dropped.

use std::ops::Bound;

use portcullis_audit::{AuditError, AuditRecord, AuditSink, RecordId};
use portcullis_base::Timestamp;
use redb::{ReadableTable, ReadableTableMetadata};

use super::tables::AUDIT;
use super::writer::Batch;
use super::{Fault, Store, StoreError};
use crate::codec::{RowReader, RowWriter};

/// A page of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditPage {
    /// The records, by time, those of one millisecond by id.
    pub records: Vec<AuditRecord>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<RecordId>,
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Corrupt => Self::Malformed,
        }
    }
}

impl AuditSink for Store {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        if records.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = records.iter().map(|record| (record.id().to_bytes(), encode(record))).collect();
        let weight = rows.iter().map(|(_, row)| row.len()).sum();
        let append = move |batch: &mut Batch<'_>| {
            for (id, row) in &rows {
                if batch.tables.audit()?.get(*id)?.is_none() {
                    let sealed = batch.shared.keys.audit.seal(id, row)?;
                    batch.tables.audit()?.insert(*id, sealed.as_slice())?;
                }
            }
            Ok(())
        };
        Ok(self.write(weight, append).await?)
    }
}

impl Store {
    /// The records after `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read, or a record does not open.
    pub fn audit_records(&self, after: Option<RecordId>, limit: usize) -> Result<AuditPage, StoreError> {
        let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.to_bytes()));
        self.read(|txn| {
            let table = txn.open_table(AUDIT)?;
            let mut rows = table.range::<[u8; 16]>((start, Bound::Unbounded))?;
            let mut records = Vec::new();
            for row in rows.by_ref().take(limit) {
                let (id, row) = row?;
                let plain = self.shared().keys.audit.open(&id.value(), row.value())?;
                records.push(decode(RecordId::from_bytes(id.value()), &plain).ok_or(Fault::Row)?);
            }
            let more = rows.next().transpose()?.is_some();
            let next = records.last().map(AuditRecord::id).or(after).filter(|_| more);
            Ok(AuditPage { records, next })
        })
    }

    /// How many records there are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn audit_count(&self) -> Result<u64, StoreError> {
        self.read(|txn| Ok(txn.open_table(AUDIT)?.len()?))
    }
}

fn encode(record: &AuditRecord) -> Vec<u8> {
    RowWriter::with_capacity(record.body().len() + 16)
        .i64(record.time().as_microsecond())
        .text(record.body())
        .finish()
}

fn decode(id: RecordId, row: &[u8]) -> Option<AuditRecord> {
    let mut r = RowReader::new(row);
    let (micros, body) = (r.i64()?, r.text()?);
    let record = AuditRecord::from_parts(id, Timestamp::from_microsecond(micros).ok()?, body).ok()?;
    r.end()?;
    Some(record)
}
