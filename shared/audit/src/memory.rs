//! Records in memory: for tests and for a process that keeps none.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::{AuditError, AuditRecord, AuditSink, RecordId};

/// [`AuditSink`] over a list, gone with the process. Full, it is [`AuditError::Unavailable`]: it forgets nothing.
pub struct MemoryAudit {
    max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    records: Vec<AuditRecord>,
    known: HashSet<RecordId>,
    failure: Option<AuditError>,
}

impl MemoryAudit {
    /// A sink for at most so many records.
    pub fn new(max: usize) -> Self {
        Self { max, inner: Mutex::default() }
    }

    /// All records, in the order in which they were appended.
    pub fn records(&self) -> Vec<AuditRecord> {
        self.lock().records.clone()
    }

    /// All bodies, parsed, in the order in which they were appended.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let parsed = |record: &AuditRecord| serde_json::from_str(record.body()).unwrap_or_default();
        self.lock().records.iter().map(parsed).collect()
    }

    /// The [`crate::Kind::as_str`] of all records, in order.
    pub fn codes(&self) -> Vec<String> {
        let code = |event: &serde_json::Value| {
            event
                .pointer("/metadata/event_code")
                .and_then(|code| code.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        self.events().iter().map(code).collect()
    }

    /// Fails every call from now on, or none any more: for tests of what a function does then.
    pub fn fail_with(&self, failure: Option<AuditError>) {
        self.lock().failure = failure;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryAudit {
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl AuditSink for MemoryAudit {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        let mut inner = self.lock();
        if let Some(failure) = inner.failure {
            return Err(failure);
        }
        for record in records.iter() {
            if inner.known.contains(&record.id()) {
                continue;
            }
            if inner.records.len() >= self.max {
                return Err(AuditError::Unavailable);
            }
            inner.known.insert(record.id());
            inner.records.push(record.clone());
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAudit").field("len", &self.lock().records.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use portcullis_base::Timestamp;

    use super::*;

    #[test]
    fn a_full_sink_refuses_rather_than_forgets() {
        let sink = MemoryAudit::new(2);
        let record = |n| {
            AuditRecord::from_parts(RecordId::of(Timestamp::UNIX_EPOCH, n), Timestamp::UNIX_EPOCH, "{}")
                .unwrap()
        };
        let append = |n| sink.append(&[record(n)]).now_or_never().unwrap();
        assert_eq!(
            [append(1), append(2), append(3), append(2)],
            [Ok(()), Ok(()), Err(AuditError::Unavailable), Ok(())]
        );
        assert_eq!(sink.records(), [record(1), record(2)]);
    }
}
