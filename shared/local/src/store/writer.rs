//! The thread that owns every write transaction.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use redb::Database;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::dedup::{DedupWindow, Sent};
use super::shared::{Shared, reported};
use super::tables::Tables;
use super::{Fault, StoreError, expiry, open};
use crate::seal::Tag;

/// Something to do within a transaction.
pub(super) trait Job: Send {
    /// Does it. An error stops the whole transaction.
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault>;

    /// Brings the memory in line with the file and answers the caller, after the transaction was committed or failed.
    fn finish(self: Box<Self>, writer: &mut Writer, outcome: Result<(), StoreError>);
}

/// A job on its way to the writer.
pub(super) struct Envelope {
    job: Box<dyn Job>,
    weight: usize,
    /// Room taken until the job is done.
    _permit: OwnedSemaphorePermit,
}

impl Envelope {
    pub(super) fn new(job: Box<dyn Job>, weight: usize, permit: OwnedSemaphorePermit) -> Self {
        Self { job, weight, _permit: permit }
    }
}

/// A transaction being filled.
pub(super) struct Batch<'t> {
    pub(super) tables: Tables<'t>,
    pub(super) shared: &'t Shared,
    /// Milliseconds since the Unix epoch: the same for the whole transaction.
    pub(super) now: i64,
    next_seq: &'t mut u64,
    window: &'t DedupWindow,
    sent: HashSet<Tag>,
}

impl Batch<'_> {
    /// A place in the queues, or `None` where a message of that tag was sent within the window.
    pub(super) fn admit(&mut self, tag: Tag) -> Result<Option<u64>, Fault> {
        if self.window.contains(&tag, self.now) || !self.sent.insert(tag) {
            return Ok(None);
        }
        let seq = *self.next_seq;
        *self.next_seq += 1;
        self.tables.dedup()?.insert(seq, (self.now, tag))?;
        Ok(Some(seq))
    }
}

/// A job that touches nothing but the file.
pub(super) struct Task<T, F> {
    apply: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(apply: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { apply, result: None, reply }
    }
}

impl<T: Send, F: FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send> Job for Task<T, F> {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        self.result = Some((self.apply)(batch)?);
        Ok(())
    }

    fn finish(self: Box<Self>, _: &mut Writer, outcome: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let _ = reply.send(outcome.and_then(|()| result.ok_or(StoreError::Unavailable)));
    }
}

/// The writer's own state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) window: DedupWindow,
    pub(super) next_seq: u64,
    next_purge: i64,
    reopen: open::Reopen,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, window: DedupWindow, next_seq: u64, reopen: open::Reopen) -> Self {
        Self { shared, window, next_seq, next_purge: i64::MIN, reopen }
    }

    /// Serves until every sender is gone.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Envelope>) {
        while let Some(first) = inbox.blocking_recv() {
            let mut batch = gather(first, &mut inbox);
            let outcome = self.commit(&mut batch);
            for envelope in batch {
                envelope.job.finish(&mut self, outcome);
            }
        }
    }

    fn commit(&mut self, batch: &mut [Envelope]) -> Result<(), StoreError> {
        let done = self.recover().and_then(|()| self.try_commit(batch));
        done.map_err(|fault| {
            self.close();
            reported(&fault, "the store could not be written")
        })
    }

    fn try_commit(&mut self, envelopes: &mut [Envelope]) -> Result<(), Fault> {
        let now = self.shared.now();
        let expired = self.window.expired(now);
        let shared = self.shared.clone();
        let guard = shared.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = guard.as_ref().ok_or(Fault::Closed)?;
        // redb checks a damaged file by assertions: a panic of its own is an error here.
        catch_unwind(AssertUnwindSafe(|| self.fill(db, now, expired, envelopes)))
            .unwrap_or(Err(Fault::Panic))?;
        shared.commits.fetch_add(1, Ordering::Relaxed);
        expired.into_iter().for_each(|seq| self.window.forget(seq));
        Ok(())
    }

    fn fill(
        &mut self,
        db: &Database,
        now: i64,
        expired: Option<u64>,
        jobs: &mut [Envelope],
    ) -> Result<(), Fault> {
        let txn = db.begin_write()?;
        let mut batch = Batch {
            tables: Tables::of(&txn),
            shared: &self.shared,
            now,
            next_seq: &mut self.next_seq,
            window: &self.window,
            sent: HashSet::new(),
        };
        if let Some(seq) = expired {
            batch.tables.dedup()?.retain_in(..=seq, |_, _| false)?;
        }
        if now >= self.next_purge && expiry::purge(&mut batch)? {
            self.next_purge = now.saturating_add(PURGE_EVERY_MILLIS);
        }
        jobs.iter_mut().try_for_each(|envelope| envelope.job.apply(&mut batch))?;
        drop(batch);
        txn.commit()?;
        Ok(())
    }

    /// After an I/O error redb refuses every call until its file is opened again; that also shows what of the last
    /// transaction reached the disk.
    fn close(&self) {
        drop(self.shared.db.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn recover(&mut self) -> Result<(), Fault> {
        let mut slot = self.shared.db.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Ok(());
        }
        let db = self.reopen.open()?;
        let loaded = open::load(&db)?;
        *slot = Some(db);
        drop(slot);
        self.window = loaded.window;
        self.next_seq = self.next_seq.max(loaded.next_seq);
        for (state, mut fresh) in [(&self.shared.text, loaded.text), (&self.shared.media, loaded.media)] {
            let mut index = state.index();
            fresh.inherit(&index);
            *index = fresh;
            drop(index);
            state.changed.notify_waiters();
        }
        tracing::warn!("the store was opened again after an error");
        Ok(())
    }

    /// Remembers that a message was sent.
    pub(super) fn remember(&mut self, sent: Sent) {
        self.window.add(sent);
    }
}

/// All that waits at this moment, within bounds.
fn gather(first: Envelope, inbox: &mut mpsc::Receiver<Envelope>) -> Vec<Envelope> {
    let mut weight = first.weight;
    let mut batch = vec![first];
    while batch.len() < MAX_BATCH_JOBS && weight < MAX_BATCH_BYTES {
        let Ok(next) = inbox.try_recv() else { break };
        weight = weight.saturating_add(next.weight);
        batch.push(next);
    }
    batch
}

const MAX_BATCH_JOBS: usize = 1_024;
const MAX_BATCH_BYTES: usize = 16 << 20;
const PURGE_EVERY_MILLIS: i64 = 60_000;
