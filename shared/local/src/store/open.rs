//! Opening the file: locks, schema version, root key, and the index in memory.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use portcullis_base::Clock;
use portcullis_webhook::Lane;
use redb::{Builder, Database, ReadableDatabase, ReadableTable};

use super::dedup::{DedupWindow, Sent};
use super::index::{LaneIndex, Slot};
use super::shared::{LaneState, Shared, StoreKeys};
use super::tables::{self, DEDUP, META, QUEUE, Tables};
use super::writer::Writer;
use super::{Fault, StoreOptions};
use crate::RootKey;
use crate::seal::{Tag, Tagger};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data directory is in use by another process")]
    InUse,
    /// The file is damaged, or is not a database of ours.
    #[error("the database file is damaged: restore it from a backup, or move it away to start afresh")]
    Corrupt,
    /// The file was written under another root key.
    #[error("the root key is not the one that this data directory was written with")]
    WrongKey,
    /// A newer version of this program wrote it.
    #[error("the data directory has schema version {found}; this program knows up to {supported}")]
    NewerSchema {
        /// The file's version.
        found: u32,
        /// This program's version.
        supported: u32,
    },
    /// A copy of the data would hold the key to it.
    #[error("the root key lies inside the data directory: move it out")]
    KeyInsideData,
    /// The file or directory could not be read or made.
    #[error("data directory: {0}")]
    Io(#[from] io::Error),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Database(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
                Self::InUse
            }
            Fault::Database(redb::Error::Io(e))
                if !matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Io(e)
            }
            _ => Self::Corrupt,
        }
    }
}

/// How to open the file again.
pub(super) struct Reopen {
    file: PathBuf,
    cache_bytes: usize,
    check: bool,
}

impl Reopen {
    pub(super) fn open(&self) -> Result<Database, Fault> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes).set_check_integrity_on_open(self.check);
        // redb checks a damaged file by assertions: a panic of its own is an error here.
        let opened = catch_unwind(AssertUnwindSafe(|| builder.create(&self.file)));
        Ok(opened.map_err(|_| Fault::Panic)??)
    }
}

/// What is kept in memory of the file.
pub(super) struct Loaded {
    pub(super) text: LaneIndex,
    pub(super) media: LaneIndex,
    pub(super) window: DedupWindow,
    pub(super) next_seq: u64,
}

pub(super) fn open(
    data_dir: &Path,
    root: &RootKey,
    clock: Arc<dyn Clock>,
    options: StoreOptions,
) -> Result<(Arc<Shared>, Writer), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let data_dir = data_dir.canonicalize()?;
    if root.is_inside(&data_dir) {
        return Err(OpenError::KeyInsideData);
    }
    let file = data_dir.join(FILE);
    OpenOptions::new().append(true).create(true).mode(0o600).open(&file)?;
    let reopen = Reopen { file, cache_bytes: options.cache_bytes, check: options.check_on_open };
    let db = reopen.open()?;
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        check_schema(&db, root)?;
        Ok::<_, OpenError>(load(&db)?)
    }))
    .map_err(|_| OpenError::Corrupt)??;
    let shared = Arc::new(Shared {
        db: RwLock::new(Some(db)),
        text: LaneState::new(loaded.text),
        media: LaneState::new(loaded.media),
        keys: StoreKeys::new(root),
        clock,
        options,
        commits: AtomicU64::new(0),
    });
    Ok((shared.clone(), Writer::new(shared, loaded.window, loaded.next_seq, reopen)))
}

/// Reads which messages are queued and which were sent lately.
pub(super) fn load(db: &Database) -> Result<Loaded, Fault> {
    let txn = db.begin_read()?;
    let (mut text, mut media) = (LaneIndex::default(), LaneIndex::default());
    let mut last_seq = 0;
    for row in txn.open_table(QUEUE)?.iter()? {
        let (key, row) = row?;
        let (lane, seq) = tables::parse_queue_key(key.value()).ok_or(Fault::Row)?;
        let group = *row.value().first_chunk::<{ size_of::<Tag>() }>().ok_or(Fault::Row)?;
        match lane {
            Lane::Text => text.push(Slot { seq, group }),
            Lane::Media => media.push(Slot { seq, group }),
        }
        last_seq = last_seq.max(seq);
    }
    let mut window = DedupWindow::default();
    for row in txn.open_table(DEDUP)?.iter()? {
        let (seq, sent) = row?;
        let (at, tag) = sent.value();
        window.add(Sent { seq: seq.value(), at, tag });
    }
    let next_seq = last_seq.max(window.last_seq().unwrap_or(0)) + 1;
    Ok(Loaded { text, media, window, next_seq })
}

/// Marks a new file as ours, brings an older one up to date, and refuses one that is not ours.
fn check_schema(db: &Database, root: &RootKey) -> Result<(), OpenError> {
    let key_check = Tagger::new(root, "key-check").tag(&[]);
    let txn = db.begin_write().map_err(Fault::from)?;
    let (version, check) = stored_schema(&txn)?;
    match (version, check) {
        (None, None) => {
            mark(&txn, &key_check)?;
            return Ok(txn.commit().map_err(Fault::from)?);
        }
        (Some(found), _) if found > SCHEMA => {
            return Err(OpenError::NewerSchema { found, supported: SCHEMA });
        }
        (Some(SCHEMA), Some(check)) if check == key_check => {}
        // Every version so far only added tables.
        (Some(_), Some(check)) if check == key_check => {
            mark(&txn, &key_check)?;
            return Ok(txn.commit().map_err(Fault::from)?);
        }
        (Some(_), Some(_)) => return Err(OpenError::WrongKey),
        _ => return Err(OpenError::Corrupt),
    }
    Ok(txn.abort().map_err(Fault::from)?)
}

fn stored_schema(txn: &redb::WriteTransaction) -> Result<(Option<u32>, Option<Vec<u8>>), Fault> {
    let meta = txn.open_table(META)?;
    let version = match meta.get(SCHEMA_KEY)? {
        Some(row) => Some(u32::from_be_bytes(row.value().try_into().map_err(|_| Fault::Row)?)),
        None => None,
    };
    let check = meta.get(KEY_CHECK_KEY)?.map(|row| row.value().to_vec());
    Ok((version, check))
}

fn mark(txn: &redb::WriteTransaction, key_check: &[u8]) -> Result<(), Fault> {
    Tables::create_all(txn)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(SCHEMA_KEY, SCHEMA.to_be_bytes().as_slice())?;
    meta.insert(KEY_CHECK_KEY, key_check)?;
    Ok(())
}

const FILE: &str = "portcullis.redb";
/// 1: queues, claim checks, conversations, keys, dead letters. 2: identity. 3: audit. 4: incidents and
/// correlation.
const SCHEMA: u32 = 4;
const SCHEMA_KEY: &str = "schema";
const KEY_CHECK_KEY: &str = "key-check";
