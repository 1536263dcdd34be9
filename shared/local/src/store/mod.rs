//! The embedded database: both queues, the claim checks, the conversations, the keys, the dead letters, the
//! incidents, and what the identity ports and detection keep, in one file.
//!
//! One thread writes. It takes every request that waits at that moment into one transaction, so that many callers
//! share one `fsync`; a request is answered after it. What is read comes straight from the file, and who gets which
//! message next is decided in memory ([`index`]), so receiving costs no transaction at all.

mod account;
mod audit;
mod claims;
mod correlation;
mod dead_letters;
mod dedup;
mod entries;
mod expiry;
mod identity;
mod incidents;
mod index;
mod keys;
mod open;
mod queue;
mod records;
mod revocations;
mod rows;
mod shared;
mod tables;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_base::Clock;
use redb::{ReadTransaction, ReadableTableMetadata};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::RootKey;
use shared::Shared;
use writer::{Batch, Envelope, Job, Task};

pub use account::{KeptWorld, LocalAccount};
pub use audit::AuditPage;
pub use dead_letters::DeadLetterEntry;
pub use open::OpenError;
pub use queue::{Depth, Handle, Received};

/// The embedded database. Clones share it; dropping the last one finishes what was asked for and closes the file.
///
/// Everything personal in the file is sealed under keys derived from the [`RootKey`]; what must be found again is
/// found by keyed hashes. When a write is answered, it has been flushed to the disk.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// How a [`Store`] behaves.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How long a message that was handed out stays invisible.
    pub visibility: Duration,
    /// How often a message is handed out before it goes to the dead letters. Counts start again when the store is
    /// opened.
    pub max_receive_count: u32,
    /// Memory for pages of the file, bytes.
    pub cache_bytes: usize,
    /// Verifies the checksum of every page when opening; without it only after a crash.
    pub check_on_open: bool,
    /// How long a claim check is kept.
    pub claim_retention: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            max_receive_count: 5,
            cache_bytes: 64 << 20,
            check_on_open: true,
            claim_retention: CLAIM_RETENTION,
        }
    }
}

/// Why the store could not do what was asked. Nothing was changed as far as the caller may rely on; asking again is
/// harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file could not be read or written: a full or failing disk. Tried afresh with the next request.
    #[error("the store is unavailable")]
    Unavailable,
    /// A row does not open under the root key: it was changed on disk.
    #[error("the store holds a row that was tampered with")]
    Corrupt,
}

impl Store {
    /// Opens the database in `data_dir`, making both if there are none. Blocks while it does.
    ///
    /// Messages that were in flight when the store was last closed, or its process killed, are visible again.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        data_dir: &Path,
        root: &RootKey,
        clock: Arc<dyn Clock>,
        options: StoreOptions,
    ) -> Result<Self, OpenError> {
        let (shared, writer) = open::open(data_dir, root, clock, options)?;
        let (jobs, inbox) = mpsc::channel(MAX_WAITING_JOBS);
        let thread =
            std::thread::Builder::new().name("portcullis-store".into()).spawn(move || writer.run(inbox))?;
        let budget = Arc::new(Semaphore::new(MAX_WAITING_KIB));
        Ok(Self(Arc::new(Inner { shared, jobs: Some(jobs), budget, thread: Some(thread) })))
    }

    /// How many transactions were committed since the store was opened.
    pub fn commits(&self) -> u64 {
        self.shared().commits.load(Ordering::Relaxed)
    }

    /// How many records there are, those expired but not yet purged included.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn record_count(&self) -> Result<u64, StoreError> {
        self.read(|txn| Ok(txn.open_table(tables::RECORDS)?.len()?))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Reads a consistent state of the file. Where it is closed after an error, the writer is made to open it again.
    fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.shared().read(read).inspect_err(|error| {
            if *error == StoreError::Unavailable {
                self.submit(Box::new(Task::new(|_: &mut Batch<'_>| Ok(()), oneshot::channel().0)));
            }
        })
    }

    /// Hands a small job to the writer without waiting, if there is room.
    fn submit(&self, job: Box<dyn Job>) {
        let (Some(jobs), Ok(permit)) = (&self.0.jobs, self.0.budget.clone().try_acquire_owned()) else {
            return;
        };
        let _ = jobs.try_send(Envelope::new(job, 1_024, permit));
    }

    /// Runs `apply` in the next transaction and returns its result once that is durable. Waits while too much is
    /// waiting already. `weight` is about how many bytes it holds.
    async fn write<T, F>(&self, weight: usize, apply: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.ask(weight, |reply| Box::new(Task::new(apply, reply))).await
    }

    async fn ask<T>(
        &self,
        weight: usize,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Box<dyn Job>,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let kib = u32::try_from(weight / 1024 + 1).unwrap_or(u32::MAX).min(MAX_JOB_KIB);
        let permit =
            self.0.budget.clone().acquire_many_owned(kib).await.map_err(|_| StoreError::Unavailable)?;
        let jobs = self.0.jobs.as_ref().ok_or(StoreError::Unavailable)?;
        jobs.send(Envelope::new(job(reply), weight, permit)).await.map_err(|_| StoreError::Unavailable)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

struct Inner {
    shared: Arc<Shared>,
    jobs: Option<mpsc::Sender<Envelope>>,
    budget: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Inner {
    /// Without the wait, the file might still be locked when the next owner opens it.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What stops a transaction.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Database(redb::Error),
    #[error("{0}")]
    Seal(#[from] crate::seal::SealError),
    #[error("a row is not what was written")]
    Row,
    #[error("the database panicked")]
    Panic,
    #[error("the database is closed after an error")]
    Closed,
}

macro_rules! from_redb {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for Fault {
            fn from(e: redb::$error) -> Self {
                Self::Database(e.into())
            }
        }
    )+};
}

from_redb!(StorageError, TableError, TransactionError, CommitError, DatabaseError);

/// Together with [`MAX_WAITING_KIB`] this bounds the memory of requests that wait for the disk.
/// Longer than its message may wait: 14 days in a queue, 14 more among the dead letters, and a day, as in infra/data.yaml.
const CLAIM_RETENTION: Duration = Duration::from_secs((14 + 14 + 1) * 24 * 60 * 60);
const MAX_WAITING_JOBS: usize = 4_096;
const MAX_WAITING_KIB: usize = 64 * 1_024;
/// A larger request takes the place of this much, or it would never find room.
const MAX_JOB_KIB: u32 = 16 * 1_024;
