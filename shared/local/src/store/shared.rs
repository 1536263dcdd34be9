//! What the callers and the writer thread share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use portcullis_base::Clock;
use portcullis_webhook::Lane;
use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::Notify;

use super::index::{LaneIndex, Terms};
use super::{Fault, StoreError, StoreOptions};
use crate::RootKey;
use crate::seal::{Sealer, Tagger};

pub(super) struct Shared {
    /// `None` between an I/O error and the file's being opened afresh.
    pub(super) db: RwLock<Option<Database>>,
    pub(super) text: LaneState,
    pub(super) media: LaneState,
    pub(super) keys: StoreKeys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: StoreOptions,
    pub(super) commits: AtomicU64,
}

pub(super) struct LaneState {
    index: Mutex<LaneIndex>,
    /// Rung when a message may have become ready.
    pub(super) changed: Notify,
}

/// The keys of the tables, derived from the root key.
pub(super) struct StoreKeys {
    pub(super) queue: Sealer,
    pub(super) claims: Sealer,
    pub(super) dead: Sealer,
    pub(super) group_tags: Tagger,
    pub(super) dedup_tags: Tagger,
    pub(super) claim_tags: Tagger,
    pub(super) dead_tags: Tagger,
    pub(super) entries: Sealer,
    pub(super) entry_tags: Tagger,
    pub(super) revocations: Sealer,
    pub(super) audit: Sealer,
    pub(super) incidents: Sealer,
    pub(super) observations: Sealer,
    pub(super) series_tags: Tagger,
    pub(super) observation_tags: Tagger,
}

impl StoreKeys {
    pub(super) fn new(root: &RootKey) -> Self {
        Self {
            queue: Sealer::new(root, "queue"),
            claims: Sealer::new(root, "claims"),
            dead: Sealer::new(root, "dead"),
            group_tags: Tagger::new(root, "group"),
            dedup_tags: Tagger::new(root, "dedup"),
            claim_tags: Tagger::new(root, "claims"),
            dead_tags: Tagger::new(root, "dead"),
            entries: Sealer::new(root, "entries"),
            entry_tags: Tagger::new(root, "entries"),
            revocations: Sealer::new(root, "revocations"),
            audit: Sealer::new(root, "audit"),
            incidents: Sealer::new(root, "incidents"),
            observations: Sealer::new(root, "observations"),
            series_tags: Tagger::new(root, "series"),
            observation_tags: Tagger::new(root, "observations"),
        }
    }
}

impl Shared {
    pub(super) fn lane(&self, lane: Lane) -> &LaneState {
        match lane {
            Lane::Text => &self.text,
            Lane::Media => &self.media,
        }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    pub(super) fn terms(&self) -> Terms {
        let visibility = i64::try_from(self.options.visibility.as_millis()).unwrap_or(i64::MAX);
        Terms { visibility, max_receive_count: self.options.max_receive_count }
    }

    /// Reads a consistent state of the file.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let txn = db.as_ref().ok_or(Fault::Closed).and_then(|db| Ok(db.begin_read()?));
        txn.and_then(|txn| read(&txn)).map_err(|fault| reported(&fault, "the store could not be read"))
    }
}

impl LaneState {
    pub(super) fn new(index: LaneIndex) -> Self {
        Self { index: Mutex::new(index), changed: Notify::new() }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, LaneIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs a fault, which holds no content of a row, and turns it into what the caller learns.
pub(super) fn reported(fault: &Fault, what: &'static str) -> StoreError {
    tracing::error!(error = %fault, "{what}");
    match fault {
        Fault::Seal(_) | Fault::Row => StoreError::Corrupt,
        Fault::Database(_) | Fault::Panic | Fault::Closed => StoreError::Unavailable,
    }
}
