//! The queues: the sender's port and the consumer's side.

use std::time::Duration;

use portcullis_pii::DeadLetter;
use portcullis_webhook::{ItemQueue, Lane, Outgoing, QueueError, SendFailure};
use redb::ReadableTable;
use tokio::sync::oneshot;

use super::dedup::Sent;
use super::index::{Leased, Slot};
use super::shared::{Shared, reported};
use super::tables::{QUEUE, QueuedText, lane_number, queue_key};
use super::writer::{Batch, Job, Writer};
use super::{Fault, Store, StoreError, dead_letters};
use crate::seal::{SealError, Tag};

/// A message as handed out.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Its group.
    pub group: String,
    /// Its deduplication id.
    pub dedup_id: String,
    /// The message.
    pub body: String,
    /// Its place among all that was ever sent to this store, both lanes together: rises within a group, across
    /// restarts too (SQS: `SequenceNumber`).
    pub sequence: u64,
    /// How often it has been handed out since the store was opened, this time included.
    pub receive_count: u32,
    /// What it is deleted or released with.
    pub handle: Handle,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sequence, receive_count, .. } = self;
        f.debug_struct("Received")
            .field("sequence", sequence)
            .field("receive_count", receive_count)
            .finish_non_exhaustive()
    }
}

/// One handing-out of one message. It is worth nothing once the message was handed out again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle {
    lane: Lane,
    slot: Slot,
    lease: u64,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({} {}, lease {})", self.lane.as_str(), self.slot.seq, self.lease)
    }
}

/// How much is in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages in nobody's hands.
    pub waiting: usize,
    /// Messages handed out and not yet deleted.
    pub in_flight: usize,
}

impl Store {
    /// Hands out the oldest `max` messages of a lane whose groups have nothing in flight, for the time of the store's
    /// visibility timeout.
    ///
    /// As on SQS FIFO, several messages of one group may come together, in order; the group is then locked until all
    /// of them are deleted, released or expired. A consumer that fails at one of them must release it AND the later
    /// ones of its group. A message that was handed out too often is moved to the dead letters instead, with the
    /// reason `max-receive-count`. One that does not open under the root key stays where it is, halting its group.
    ///
    /// # Errors
    /// When the file cannot be read; then nothing was handed out.
    pub fn receive(&self, lane: Lane, max: usize) -> Result<Vec<Received>, StoreError> {
        let shared = self.shared();
        let leased = shared.lane(lane).index().receive(shared.now(), max, shared.terms());
        if leased.is_empty() {
            return Ok(Vec::new());
        }
        let (exhausted, live): (Vec<_>, Vec<_>) = leased.into_iter().partition(|l| l.exhausted);
        exhausted.into_iter().for_each(|leased| self.move_to_dead_letters(Handle::of(lane, leased)));
        self.read_messages(lane, &live).inspect_err(|_| {
            self.release(&live.iter().map(|l| Handle::of(lane, *l)).collect::<Vec<_>>());
        })
    }

    /// Deletes messages; durable when it resolves. A handle whose message was handed out again since, or is gone,
    /// is skipped. Returns how many were deleted.
    ///
    /// # Errors
    /// When the file cannot be written: the messages are still there and become visible again.
    pub async fn delete(&self, handles: &[Handle]) -> Result<usize, StoreError> {
        if handles.is_empty() {
            return Ok(0);
        }
        let handles = handles.to_vec();
        let weight = handles.len() * size_of::<Handle>();
        self.ask(weight, |reply| Box::new(DeleteJob { handles, held: Vec::new(), reply })).await
    }

    /// Makes messages visible again at once; their receive counts stay. Handles as for [`Store::delete`]. Returns
    /// how many were released.
    pub fn release(&self, handles: &[Handle]) -> usize {
        let released = |h: &&Handle| self.shared().lane(h.lane).index().release(h.slot, h.lease);
        let count = handles.iter().rev().filter(released).count();
        handles.iter().for_each(|h| self.shared().lane(h.lane).changed.notify_waiters());
        count
    }

    /// Waits until [`Store::receive`] would hand out something from this lane.
    pub async fn wait_for_work(&self, lane: Lane) {
        let state = self.shared().lane(lane);
        loop {
            // Registered before looking, so that a message sent in between rings.
            let mut changed = std::pin::pin!(state.changed.notified());
            changed.as_mut().enable();
            let now = self.shared().now();
            let next_expiry = {
                let mut index = state.index();
                if index.has_ready(now) {
                    return;
                }
                index.next_expiry()
            };
            match next_expiry.map(|at| u64::try_from(at.saturating_sub(now)).unwrap_or(0)) {
                None => changed.await,
                Some(millis) => {
                    let _ = tokio::time::timeout(Duration::from_millis(millis.clamp(1, MAX_SLEEP)), changed)
                        .await;
                }
            }
        }
    }

    /// How much is in a lane.
    pub fn depth(&self, lane: Lane) -> Depth {
        let index = self.shared().lane(lane).index();
        Depth { waiting: index.waiting(), in_flight: index.in_flight() }
    }

    fn read_messages(&self, lane: Lane, leased: &[Leased]) -> Result<Vec<Received>, StoreError> {
        let shared = self.shared();
        self.read(|txn| {
            let queue = txn.open_table(QUEUE)?;
            let mut received = Vec::with_capacity(leased.len());
            let mut halted = Vec::new();
            for leased in leased {
                if halted.contains(&leased.slot.group) {
                    shared.lane(lane).index().release(leased.slot, leased.lease);
                    continue;
                }
                let row = queue.get(queue_key(lane, leased.slot.seq))?.map(|row| row.value().to_vec());
                match open_message(shared, lane, leased.slot, &row.unwrap_or_default()) {
                    Ok((group, dedup_id, body)) => {
                        let (sequence, receive_count) = (leased.slot.seq, leased.receive_count);
                        let handle = Handle::of(lane, *leased);
                        received.push(Received { group, dedup_id, body, sequence, receive_count, handle });
                    }
                    Err(fault) => {
                        reported(&fault, UNREADABLE);
                        shared.lane(lane).index().hold(leased.slot, leased.lease);
                        halted.push(leased.slot.group);
                    }
                }
            }
            Ok(received)
        })
    }

    /// Not waited for: if it fails, the message is tried again when its lease runs out.
    fn move_to_dead_letters(&self, handle: Handle) {
        self.submit(Box::new(MoveJob { handle, held: false }));
    }
}

impl ItemQueue for Store {
    /// The limits are those of SQS: ten messages and 1 MiB a call, ids of 1 to 128 bytes. Deduplication is within
    /// a group, as in high-throughput mode.
    async fn send_batch(&self, lane: Lane, items: &[Outgoing]) -> Result<Vec<SendFailure>, QueueError> {
        let weight: usize = items.iter().map(|i| i.body.len() + i.group.len() + i.dedup_id.len()).sum();
        if items.len() > MAX_ENTRIES || items.iter().map(|i| i.body.len()).sum::<usize>() > MAX_BYTES {
            return Err(QueueError::Refused);
        }
        let (valid, invalid): (Vec<_>, Vec<_>) = items.iter().enumerate().partition(|(_, i)| is_valid(i));
        let items: Vec<_> = valid.into_iter().map(|(_, item)| item.clone()).collect();
        if !items.is_empty() {
            let job = |reply| Box::new(SendJob { lane, items, queued: Vec::new(), reply }) as Box<dyn Job>;
            self.ask(weight, job).await.map_err(|_| QueueError::Unavailable)?;
        }
        Ok(invalid.into_iter().map(|(index, _)| SendFailure { index, retryable: false }).collect())
    }
}

fn is_valid(item: &Outgoing) -> bool {
    let is_id = |id: &str| (1..=MAX_ID).contains(&id.len());
    is_id(&item.group) && is_id(&item.dedup_id) && !item.body.is_empty()
}

impl Handle {
    fn of(lane: Lane, leased: Leased) -> Self {
        Self { lane, slot: leased.slot, lease: leased.lease }
    }
}

struct SendJob {
    lane: Lane,
    items: Vec<Outgoing>,
    queued: Vec<(Slot, Sent)>,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Job for SendJob {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        let keys = &batch.shared.keys;
        let lane = [lane_number(self.lane)];
        for item in &self.items {
            let (group_id, dedup_id) = (item.group.as_bytes(), item.dedup_id.as_bytes());
            let tag = keys.dedup_tags.tag(&[&lane, group_id, dedup_id]);
            let Some(seq) = batch.admit(tag)? else { continue };
            let slot = Slot { seq, group: keys.group_tags.tag(&[&lane, group_id]) };
            let row = seal_message(batch.shared, self.lane, slot, item)?;
            batch.tables.queue()?.insert(queue_key(self.lane, seq), row.as_slice())?;
            self.queued.push((slot, Sent { seq, at: batch.now, tag }));
        }
        Ok(())
    }

    fn finish(self: Box<Self>, writer: &mut Writer, outcome: Result<(), StoreError>) {
        if outcome.is_ok() {
            let state = writer.shared.clone();
            let state = state.lane(self.lane);
            let mut index = state.index();
            self.queued.iter().for_each(|(slot, _)| index.push(*slot));
            drop(index);
            self.queued.iter().for_each(|(_, sent)| writer.remember(*sent));
            state.changed.notify_waiters();
        }
        let _ = self.reply.send(outcome);
    }
}

struct DeleteJob {
    handles: Vec<Handle>,
    held: Vec<Handle>,
    reply: oneshot::Sender<Result<usize, StoreError>>,
}

impl Job for DeleteJob {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        for handle in &self.handles {
            if hold(batch.shared, handle) {
                self.held.push(*handle);
                batch.tables.queue()?.remove(queue_key(handle.lane, handle.slot.seq))?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, writer: &mut Writer, outcome: Result<(), StoreError>) {
        self.held.iter().for_each(|handle| settle(&writer.shared, handle, outcome.is_ok()));
        let _ = self.reply.send(outcome.map(|()| self.held.len()));
    }
}

struct MoveJob {
    handle: Handle,
    held: bool,
}

impl Job for MoveJob {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<(), Fault> {
        let Handle { lane, slot, .. } = self.handle;
        if !hold(batch.shared, &self.handle) {
            return Ok(());
        }
        let row = batch.tables.queue()?.get(queue_key(lane, slot.seq))?.map(|row| row.value().to_vec());
        let opened = open_message(batch.shared, lane, slot, &row.unwrap_or_default());
        let Ok((group, dedup_id, body)) = opened.map_err(|f| reported(&f, UNREADABLE)) else { return Ok(()) };
        let (lane, reason) = (lane.as_str(), "max-receive-count");
        let letter = DeadLetter { lane, group: &group, dedup_id: &dedup_id, body: &body, reason };
        dead_letters::insert(batch, &letter)?;
        batch.tables.queue()?.remove(queue_key(self.handle.lane, slot.seq))?;
        self.held = true;
        Ok(())
    }

    fn finish(self: Box<Self>, writer: &mut Writer, outcome: Result<(), StoreError>) {
        if self.held {
            settle(&writer.shared, &self.handle, outcome.is_ok());
        }
    }
}

/// Held in the writer thread, not by the caller: a caller that goes away can then never leave a message held.
fn hold(shared: &Shared, handle: &Handle) -> bool {
    shared.lane(handle.lane).index().hold(handle.slot, handle.lease)
}

fn settle(shared: &Shared, handle: &Handle, removed: bool) {
    let state = shared.lane(handle.lane);
    let until = shared.now().saturating_add(shared.terms().visibility);
    let mut index = state.index();
    if removed {
        index.remove(handle.slot);
    } else {
        index.restore(handle.slot, handle.lease, until);
    }
    drop(index);
    state.changed.notify_waiters();
}

/// The group's tag stands in front, so that the index can be rebuilt without opening every message.
fn seal_message(shared: &Shared, lane: Lane, slot: Slot, item: &Outgoing) -> Result<Vec<u8>, SealError> {
    let text = QueuedText { group: &item.group, dedup_id: &item.dedup_id, body: &item.body };
    let sealed = shared.keys.queue.seal(&place(lane, slot), &text.encode())?;
    Ok([slot.group.as_slice(), &sealed].concat())
}

fn open_message(
    shared: &Shared,
    lane: Lane,
    slot: Slot,
    row: &[u8],
) -> Result<(String, String, String), Fault> {
    let sealed = row.get(size_of::<Tag>()..).ok_or(Fault::Row)?;
    let plain = shared.keys.queue.open(&place(lane, slot), sealed)?;
    let QueuedText { group, dedup_id, body } = QueuedText::decode(&plain).ok_or(Fault::Row)?;
    Ok((group.to_owned(), dedup_id.to_owned(), body.to_owned()))
}

fn place(lane: Lane, slot: Slot) -> Vec<u8> {
    [queue_key(lane, slot.seq).as_slice(), &slot.group].concat()
}

const UNREADABLE: &str = "a queued message does not open: its group is halted";
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 1 << 20;
const MAX_ID: usize = 128;
/// The clock may be one that a test moves: look again at least this often, milliseconds.
const MAX_SLEEP: u64 = 1_000;
