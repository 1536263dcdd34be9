//! Sends the items of a batch: in order within a conversation, again where the queue refused an entry, within a time
//! budget, and by way of the claim-check bucket where one is too large.
//!
//! The queue may refuse one entry of a call and take the next. So a call holds one entry of a conversation only, and
//! a conversation's next entry goes out after the one before it is durable: nothing overtakes. Conversations do not
//! wait for each other, and large batches are sent over several calls at once.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::poll;
use portcullis_webhook::{ClaimCheck, ClaimCheckError, ItemQueue, Lane, Outgoing, QueueError, Routed};

use crate::tally::Tally;

/// How sending behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendSettings {
    /// The queue's limit for one message and for one call, in bytes.
    pub max_bytes: usize,
    /// Time for all of a request's calls together.
    pub budget: Duration,
    /// The wait before the first retry; it doubles with each further one, up to [`SendSettings::max_wait`].
    pub first_wait: Duration,
    /// The longest wait between two tries.
    pub max_wait: Duration,
}

impl Default for SendSettings {
    fn default() -> Self {
        Self {
            max_bytes: 1_048_576,
            budget: Duration::from_secs(5),
            first_wait: Duration::from_millis(25),
            max_wait: Duration::from_millis(800),
        }
    }
}

/// Not every item was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DispatchError {
    #[error("queue refused an item")]
    Refused,
    #[error("claim-check bucket refused an item")]
    ClaimRefused,
    #[error("time ran out before every item was queued")]
    TimedOut,
}

/// Queues every item, or says why not. What was sent before a failure stays sent: the caller's retry is deduplicated.
pub(crate) async fn dispatch<Q: ItemQueue, B: ClaimCheck>(
    items: &[Routed<'_>],
    queue: &Q,
    claims: &B,
    settings: &SendSettings,
    within: Duration,
    tally: &Tally,
) -> Result<(), DispatchError> {
    let stop = AtomicBool::new(false);
    let refused = AtomicBool::new(false);
    let sender = Sender { queue, claims, settings, tally, stop, refused };
    let mut work = pin!(sender.send(items));
    // Where the queue answers at once, as an embedded one does, no timer need be made.
    if let Poll::Ready(sent) = poll!(work.as_mut()) {
        return sent;
    }
    tokio::time::timeout(within, work).await.unwrap_or(Err(DispatchError::TimedOut))
}

struct Sender<'s, Q, B> {
    queue: &'s Q,
    claims: &'s B,
    settings: &'s SendSettings,
    tally: &'s Tally,
    /// Set by the first failure that is not one entry's own: the others finish their call and send no more.
    stop: AtomicBool,
    /// Set when the queue refused an entry for good: its conversation ends there, the others go on.
    refused: AtomicBool,
}

impl<Q: ItemQueue, B: ClaimCheck> Sender<'_, Q, B> {
    async fn send(&self, items: &[Routed<'_>]) -> Result<(), DispatchError> {
        if let [only] = items {
            let entry = self.entry(only).await?;
            self.call(only.lane(), vec![entry]).await?;
        } else {
            let (text, media) = join(self.lane(Lane::Text, items), self.lane(Lane::Media, items)).await;
            text.and(media)?;
        }
        if self.refused.load(Ordering::Relaxed) { Err(DispatchError::Refused) } else { Ok(()) }
    }

    async fn lane(&self, lane: Lane, items: &[Routed<'_>]) -> Result<(), DispatchError> {
        let line = Line::of(items.iter().filter(|item| item.lane() == lane));
        let workers = line.workers();
        let line = Mutex::new(line);
        let sent = join_all((0..workers).map(|_| self.work(lane, &line))).await;
        sent.into_iter().collect()
    }

    /// Sends call after call until no conversation is waiting.
    async fn work(&self, lane: Lane, line: &Mutex<Line<'_>>) -> Result<(), DispatchError> {
        let mut carry = None;
        while !self.stop.load(Ordering::Relaxed) {
            let batch = self.batch(line, &mut carry).await?;
            if batch.is_empty() {
                break;
            }
            let (groups, entries): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let refused = self.call(lane, entries).await?;
            // What comes after a refused entry would overtake it when Meta sends it again.
            let ended: Vec<_> = refused.iter().filter_map(|place| groups.get(*place).copied()).collect();
            carry = carry.filter(|(group, _)| !ended.contains(group));
            let carried = carry.as_ref().map(|(group, _)| *group);
            let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
            // What is carried goes before the rest of its conversation: nobody else may take that yet.
            groups
                .into_iter()
                .filter(|group| Some(*group) != carried && !ended.contains(group))
                .for_each(|group| line.give_back(group));
        }
        Ok(())
    }

    /// The next call's entries, each with its conversation, which nobody else sends for meanwhile.
    async fn batch(
        &self,
        line: &Mutex<Line<'_>>,
        carry: &mut Option<(usize, Outgoing)>,
    ) -> Result<Vec<(usize, Outgoing)>, DispatchError> {
        let mut batch = Vec::with_capacity(MAX_ENTRIES);
        let mut bytes = 0;
        while batch.len() < MAX_ENTRIES {
            let next = match carry.take() {
                Some(carried) => carried,
                None => {
                    let taken = line.lock().unwrap_or_else(PoisonError::into_inner).take(&batch);
                    let Some((group, item)) = taken else { break };
                    (group, self.entry(item).await?)
                }
            };
            bytes += next.1.body.len();
            if bytes > self.settings.max_bytes && !batch.is_empty() {
                *carry = Some(next);
                break;
            }
            batch.push(next);
        }
        Ok(batch)
    }

    /// The message for an item, its content put into the claim-check bucket first where it must be.
    async fn entry(&self, item: &Routed<'_>) -> Result<Outgoing, DispatchError> {
        // The item's bytes are in the message: whoever is over the limit alone need not be built to know.
        if item.item.len() <= self.settings.max_bytes && !item.has_forbidden_character() {
            let message = item.inline();
            if message.body.len() <= self.settings.max_bytes {
                return Ok(message);
            }
        }
        let claim = item.claim();
        let mut tries = 0;
        loop {
            match self.claims.put(&claim.ticket.key, claim.object.as_bytes()).await {
                Ok(()) => break,
                Err(ClaimCheckError::Unavailable) => self.pause(&mut tries).await?,
                Err(_) => return Err(self.fail(DispatchError::ClaimRefused)),
            }
        }
        self.tally.claimed();
        Ok(item.claimed(&claim.ticket))
    }

    /// Sends entries until each was accepted or refused for good. Gives the places of those that were refused.
    async fn call(&self, lane: Lane, entries: Vec<Outgoing>) -> Result<Vec<usize>, DispatchError> {
        let mut places: Vec<usize> = (0..entries.len()).collect();
        let (mut entries, mut refused, mut tries) = (entries, Vec::new(), 0);
        loop {
            match self.queue.send_batch(lane, &entries).await {
                Ok(failures) if failures.is_empty() => return Ok(refused),
                Ok(failures) => {
                    let failed: Vec<_> = failures.iter().filter(|f| f.index < entries.len()).collect();
                    // An answer that names no entry of ours says nothing about which were accepted.
                    if failed.len() < failures.len() {
                        return Err(self.fail(DispatchError::Refused));
                    }
                    let for_good = failed.iter().filter(|f| !f.retryable).filter_map(|f| places.get(f.index));
                    refused.extend(for_good.copied());
                    let again = |i: usize| failed.iter().any(|f| f.index == i && f.retryable);
                    keep(&mut entries, again);
                    keep(&mut places, again);
                    if !refused.is_empty() {
                        self.refused.store(true, Ordering::Relaxed);
                    }
                    if entries.is_empty() {
                        return Ok(refused);
                    }
                }
                Err(QueueError::Refused) => return Err(self.fail(DispatchError::Refused)),
                Err(QueueError::Unavailable) => {}
            }
            self.pause(&mut tries).await?;
        }
    }

    /// Waits before another try: exponential backoff, half of it random so that containers do not try in step.
    async fn pause(&self, tries: &mut u32) -> Result<(), DispatchError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(DispatchError::TimedOut);
        }
        let full = self.settings.first_wait.saturating_mul(1 << (*tries).min(16)).min(self.settings.max_wait);
        *tries += 1;
        self.tally.retried();
        let random = RandomState::new().hash_one(*tries) % 1_024;
        let wait = full / 2 + full.mul_f64(random_share(random) / 2.0);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn fail(&self, error: DispatchError) -> DispatchError {
        self.stop.store(true, Ordering::Relaxed);
        error
    }
}

/// Keeps the items at these indexes.
fn keep<T>(items: &mut Vec<T>, at: impl Fn(usize) -> bool) {
    let mut index = 0..;
    items.retain(|_| index.next().is_some_and(&at));
}

/// 0 to 1 for 0 to 1023.
fn random_share(random: u64) -> f64 {
    u32::try_from(random).map_or(0.5, f64::from) / 1_023.0
}

/// Conversations waiting to send, each with its items in order.
struct Line<'i> {
    ready: VecDeque<usize>,
    groups: Vec<VecDeque<&'i Routed<'i>>>,
    /// How many entries of one conversation a call may hold.
    per_call: usize,
}

impl<'i> Line<'i> {
    fn of(items: impl Iterator<Item = &'i Routed<'i>>) -> Self {
        let mut by_conversation = HashMap::new();
        let mut groups: Vec<VecDeque<&Routed<'_>>> = Vec::new();
        for item in items {
            let group = *by_conversation.entry(item.conversation).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(items) => items.push_back(item),
                None => groups.push(VecDeque::from([item])),
            }
        }
        let longest = groups.iter().map(VecDeque::len).max().unwrap_or_default();
        // One by one, a very long conversation would never be through within the time budget, not even when Meta
        // tries again. Beyond this length its order holds unless the queue refuses single entries.
        let per_call = longest.div_ceil(LONG_CONVERSATION).clamp(1, MAX_ENTRIES);
        Self { ready: (0..groups.len()).collect(), groups, per_call }
    }

    /// The next item that may go into a call beside `batch`.
    fn take(&mut self, batch: &[(usize, Outgoing)]) -> Option<(usize, &'i Routed<'i>)> {
        let last = batch.last().map(|(group, _)| *group);
        if let Some(group) = last
            && batch.iter().filter(|(g, _)| *g == group).count() < self.per_call
            && let Some(item) = self.groups.get_mut(group).and_then(VecDeque::pop_front)
        {
            return Some((group, item));
        }
        let group = self.ready.pop_front()?;
        Some((group, self.groups.get_mut(group)?.pop_front()?))
    }

    /// After a call: the conversation may send again if it has more.
    fn give_back(&mut self, group: usize) {
        let more = self.groups.get(group).is_some_and(|items| !items.is_empty());
        if more && self.ready.back() != Some(&group) {
            self.ready.push_back(group);
        }
    }

    /// One sender for each fifty conversations, up to a bound that spares the queue.
    fn workers(&self) -> usize {
        self.groups.len().div_ceil(CONVERSATIONS_PER_WORKER).min(MAX_WORKERS)
    }
}

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
const MAX_ENTRIES: usize = 10;
const LONG_CONVERSATION: usize = 100;
const CONVERSATIONS_PER_WORKER: usize = 50;
const MAX_WORKERS: usize = 8;
