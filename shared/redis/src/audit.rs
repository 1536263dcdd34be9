//! Security events in a Redis or Valkey stream, `security.audit` unless named otherwise: fields `id` and `body`, the
//! OCSF event.
//!
//! A stream cannot be asked whether it holds an id, so each record is remembered for ten minutes under
//! `<stream>:seen:<id>`: longer than anybody tries again. One script call (ACL: `+evalsha`, `+script|load`, `+exists`,
//! `+xadd`, `+set` on `~security.audit*`). The stream is bounded; what must be kept for ever belongs into another sink.

use std::fmt;
use std::sync::Arc;

use portcullis_audit::{AuditError, AuditRecord, AuditSink};
use redis::Script;

use crate::Redis;
use crate::connection::Failure;

/// [`AuditSink`] over a Redis or Valkey stream.
#[derive(Clone)]
pub struct RedisAudit {
    redis: Redis,
    settings: RedisAuditSettings,
    script: Arc<Script>,
}

/// How a [`RedisAudit`] behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAuditSettings {
    /// The stream's key.
    pub stream: String,
    /// About how many records the stream keeps; older ones are dropped (`MAXLEN ~`).
    pub max_len: u64,
}

impl Default for RedisAuditSettings {
    /// `security.audit`, a million records: about 1.5 GB.
    fn default() -> Self {
        Self { stream: "security.audit".to_owned(), max_len: 1_000_000 }
    }
}

impl RedisAudit {
    /// Uses this server.
    pub fn new(redis: Redis, settings: RedisAuditSettings) -> Self {
        Self { redis, settings, script: Arc::new(Script::new(include_str!("append.lua"))) }
    }

    async fn send(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        let stream = &self.settings.stream;
        let ids: Vec<_> = records.iter().map(|record| record.id().to_string()).collect();
        let mut keys = vec![stream.clone()];
        keys.extend(ids.iter().map(|id| format!("{stream}:seen:{id}")));
        let mut arguments = vec![self.settings.max_len.to_string(), REMEMBERED_SECONDS.to_owned()];
        for (id, record) in ids.into_iter().zip(records) {
            arguments.extend([id, record.body().to_owned()]);
        }
        let appended: Result<usize, _> = self.redis.run(&self.script, &keys, &arguments).await;
        match appended {
            Ok(count) if count == records.len() => Ok(()),
            Ok(_) | Err(Failure::Malformed) => Err(AuditError::Malformed),
            Err(Failure::Transient) => Err(AuditError::Unavailable),
            Err(Failure::Rejected) => Err(AuditError::Refused),
        }
    }
}

impl AuditSink for RedisAudit {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        for batch in records.chunks(BATCH) {
            self.send(batch).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAudit").field("redis", &self.redis).finish_non_exhaustive()
    }
}

const REMEMBERED_SECONDS: &str = "600";
/// A script blocks the server while it runs.
const BATCH: usize = 32;
