//! Where records are kept.

use std::future::Future;
use std::sync::Arc;

use crate::AuditRecord;

/// An append-only store or stream of records: an embedded database, DynamoDB, Redis Streams, EventBridge, memory.
///
/// Idempotent by record id: a record that is there stays as it is, and appending it again succeeds. (A stream that
/// cannot look back may hold it twice; then its readers know it by its id.)
pub trait AuditSink: Send + Sync {
    /// Appends all of these records, or fails; after a failure some may be there. Bounded in time by the adapter.
    fn append(&self, records: &[AuditRecord]) -> impl Future<Output = Result<(), AuditError>> + Send;
}

impl<S: AuditSink> AuditSink for &S {
    fn append(&self, records: &[AuditRecord]) -> impl Future<Output = Result<(), AuditError>> + Send {
        (**self).append(records)
    }
}

impl<S: AuditSink> AuditSink for Arc<S> {
    fn append(&self, records: &[AuditRecord]) -> impl Future<Output = Result<(), AuditError>> + Send {
        (**self).append(records)
    }
}

/// Why records were not appended, or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The sink did not answer in time, or with an error that may pass.
    #[error("audit sink unavailable")]
    Unavailable,
    /// It answered, and its answer will not change by asking again: no permission, no such table, too large.
    #[error("audit sink refused the record")]
    Refused,
    /// What it holds is not a record.
    #[error("audit sink holds something that is no record")]
    Malformed,
}
