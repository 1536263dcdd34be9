use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use portcullis_base::Clock;
use portcullis_webhook::{ItemQueue, Lane, Outgoing, QueueError, SendFailure};

use super::faults::{Faults, locked};

/// Both queues in memory. What was sent stays until it is taken. Clones share it.
#[derive(Clone, Default)]
pub struct Queue(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    faults: Faults<QueueError>,
    entry_faults: Mutex<VecDeque<Vec<SendFailure>>>,
    clock: Option<Arc<dyn Clock>>,
}

#[derive(Default)]
struct State {
    text: Vec<Outgoing>,
    media: Vec<Outgoing>,
    seen: HashMap<(Lane, String, String), i64>,
    calls: u64,
}

impl Queue {
    /// A queue that deduplicates for five minutes of this clock. Without a clock it deduplicates for ever.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { clock: Some(clock), ..Inner::default() }))
    }

    /// The next `calls` calls answer with `error` and queue nothing.
    pub fn fail_next(&self, calls: usize, error: QueueError) {
        self.0.faults.add(calls, &error);
    }

    /// The next call that does not fail as a whole refuses these entries and queues the others. May be called
    /// several times: one answer for each call.
    pub fn fail_entries(&self, failures: Vec<SendFailure>) {
        locked(&self.0.entry_faults).push_back(failures);
    }

    /// What was queued, in order.
    pub fn sent(&self, lane: Lane) -> Vec<Outgoing> {
        locked(&self.0.state).lane(lane).clone()
    }

    /// Takes what was queued.
    pub fn take(&self, lane: Lane) -> Vec<Outgoing> {
        std::mem::take(locked(&self.0.state).lane(lane))
    }

    /// How many calls there were, failed ones included.
    pub fn calls(&self) -> u64 {
        locked(&self.0.state).calls
    }

    fn now(&self) -> i64 {
        self.0.clock.as_ref().map_or(0, |c| c.now().as_millisecond())
    }
}

impl ItemQueue for Queue {
    async fn send_batch(&self, lane: Lane, items: &[Outgoing]) -> Result<Vec<SendFailure>, QueueError> {
        let now = self.now();
        let mut state = locked(&self.0.state);
        state.calls += 1;
        self.0.faults.check()?;
        if items.len() > MAX_ENTRIES {
            return Err(QueueError::Refused);
        }
        let failed = locked(&self.0.entry_faults).pop_front().unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            if !failed.iter().any(|f| f.index == index) {
                state.add(lane, item, now);
            }
        }
        Ok(failed.into_iter().filter(|f| f.index < items.len()).collect())
    }
}

impl State {
    fn lane(&mut self, lane: Lane) -> &mut Vec<Outgoing> {
        match lane {
            Lane::Text => &mut self.text,
            Lane::Media => &mut self.media,
        }
    }

    fn add(&mut self, lane: Lane, item: &Outgoing, now: i64) {
        let key = (lane, item.group.clone(), item.dedup_id.clone());
        if self.seen.get(&key).is_some_and(|at| now.saturating_sub(*at) < WINDOW_MILLIS) {
            return;
        }
        self.seen.insert(key, now);
        self.lane(lane).push(item.clone());
    }
}

const MAX_ENTRIES: usize = 10;
const WINDOW_MILLIS: i64 = 5 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use portcullis_base::{ManualClock, Timestamp};

    use super::*;

    fn item(dedup_id: &str) -> Outgoing {
        Outgoing { group: "g".into(), dedup_id: dedup_id.into(), body: "{}".into() }
    }

    #[tokio::test]
    async fn faults_come_in_order_and_then_pass() {
        let queue = Queue::default();
        queue.fail_next(1, QueueError::Unavailable);
        queue.fail_entries(vec![SendFailure { index: 1, retryable: true }]);
        let items = [item("a"), item("b"), item("c")];
        assert_eq!(queue.send_batch(Lane::Text, &items).await, Err(QueueError::Unavailable));
        let failed = queue.send_batch(Lane::Text, &items).await.unwrap();
        assert_eq!(failed, [SendFailure { index: 1, retryable: true }]);
        assert_eq!(queue.sent(Lane::Text), [item("a"), item("c")]);
        assert_eq!(queue.send_batch(Lane::Text, &items).await, Ok(vec![]));
        assert_eq!(queue.take(Lane::Text), [item("a"), item("c"), item("b")]);
        assert_eq!((queue.calls(), queue.sent(Lane::Text).len(), queue.sent(Lane::Media).len()), (3, 0, 0));
    }

    #[tokio::test]
    async fn with_a_clock_the_deduplication_ends_after_five_minutes() {
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let queue = Queue::with_clock(clock.clone());
        for (advance, expected) in [(0, 1), (WINDOW_MILLIS - 1, 1), (1, 2)] {
            clock.advance(advance);
            queue.send_batch(Lane::Text, &[item("a")]).await.unwrap();
            assert_eq!(queue.sent(Lane::Text).len(), expected);
        }
    }
}
