//! The queue against a plain model of it, over random sequences of what senders, consumers, time and restarts do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::collections::HashMap;

use common::{Home, item};
use portcullis_local::{Handle, Store, StoreOptions};
use portcullis_pii::KeyStore;
use portcullis_webhook::{ItemQueue, Lane};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Send(Vec<(u8, u8)>),
    Receive(usize),
    /// Of the handles given out so far, counted from the newest; old ones included.
    Delete(Vec<usize>),
    Release(Vec<usize>),
    Pass(i64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let picks = || prop::collection::vec(0usize..6, 1..4);
    prop_oneof![
        4 => prop::collection::vec((0u8..4, 0u8..40), 1..=5).prop_map(Step::Send),
        5 => (0usize..5).prop_map(Step::Receive),
        4 => picks().prop_map(Step::Delete),
        2 => picks().prop_map(Step::Release),
        2 => prop_oneof![Just(999i64), Just(1_000), Just(100_000), Just(300_000)].prop_map(Step::Pass),
        1 => Just(Step::Reopen),
    ]
}

/// The rules of an SQS FIFO queue, each written down the simplest way.
#[derive(Default)]
struct Model {
    /// In order of sending.
    messages: Vec<Message>,
    sent_at: HashMap<(u8, u8), i64>,
    /// Group and id.
    dead: Vec<(u8, u8)>,
    leases: usize,
}

struct Message {
    group: u8,
    id: u8,
    count: u32,
    lease: Option<(i64, usize)>,
}

impl Model {
    fn send(&mut self, group: u8, id: u8, now: i64) {
        if self.sent_at.get(&(group, id)).is_none_or(|at| now - at >= 300_000) {
            self.sent_at.insert((group, id), now);
            self.messages.push(Message { group, id, count: 0, lease: None });
        }
    }

    /// Each message handed out, with its count and the number of its lease.
    fn receive(&mut self, max: usize, now: i64) -> Vec<(u8, u8, u32, usize)> {
        for m in &mut self.messages {
            m.lease = m.lease.filter(|(until, _)| *until > now);
        }
        let mut closed: Vec<u8> =
            self.messages.iter().filter(|m| m.lease.is_some()).map(|m| m.group).collect();
        let (mut given, mut dead) = (Vec::new(), Vec::new());
        for (index, m) in self.messages.iter_mut().enumerate() {
            if given.len() + dead.len() == max {
                break;
            }
            if closed.contains(&m.group) {
                continue;
            }
            if m.count == MAX_RECEIVES {
                closed.push(m.group);
                dead.push(index);
                continue;
            }
            m.count += 1;
            m.lease = Some((now + VISIBILITY, self.leases));
            given.push((m.group, m.id, m.count, self.leases));
            self.leases += 1;
        }
        for index in dead.into_iter().rev() {
            let message = self.messages.remove(index);
            self.dead.push((message.group, message.id));
        }
        given
    }

    fn leased(&self, lease: usize) -> Option<usize> {
        self.messages.iter().position(|m| m.lease.is_some_and(|(_, l)| l == lease))
    }

    fn delete(&mut self, leases: &[usize]) -> usize {
        let mut count = 0;
        for lease in leases {
            if let Some(index) = self.leased(*lease) {
                self.messages.remove(index);
                count += 1;
            }
        }
        count
    }

    fn release(&mut self, leases: &[usize]) -> usize {
        let mut count = 0;
        for lease in leases {
            if let Some(index) = self.leased(*lease) {
                self.messages[index].lease = None;
                count += 1;
            }
        }
        count
    }

    fn restart(&mut self) {
        for m in &mut self.messages {
            (m.count, m.lease) = (0, None);
        }
    }
}

async fn run(steps: Vec<Step>) {
    let visibility = std::time::Duration::from_millis(VISIBILITY.unsigned_abs());
    let options = StoreOptions { visibility, max_receive_count: MAX_RECEIVES, ..StoreOptions::default() };
    let home = Home { options, ..Home::new() };
    let mut store = home.open();
    let mut model = Model::default();
    let mut handles: Vec<Handle> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        let now = home.now();
        let picked = |picks: &[usize]| -> Vec<usize> {
            picks.iter().filter_map(|p| handles.len().checked_sub(p + 1)).collect()
        };
        match step {
            Step::Send(items) => {
                items.iter().for_each(|(group, id)| model.send(*group, *id, now));
                let items: Vec<_> =
                    items.iter().map(|(g, id)| item(&g.to_string(), &id.to_string())).collect();
                assert_eq!(store.send_batch(Lane::Media, &items).await, Ok(vec![]));
            }
            Step::Receive(max) => {
                let expected = model.receive(max, now);
                let received = store.receive(Lane::Media, max).unwrap();
                let seen: Vec<_> = received
                    .iter()
                    .map(|r| (r.group.parse().unwrap(), r.dedup_id.parse().unwrap(), r.receive_count))
                    .collect();
                let wanted: Vec<(u8, u8, u32)> = expected.iter().map(|(g, id, n, _)| (*g, *id, *n)).collect();
                assert_eq!(seen, wanted, "step {number}");
                handles.extend(received.iter().map(|r| r.handle));
                assert_eq!(handles.len(), model.leases);
                // The writer works in order: when this is answered, the dead letters are where they belong.
                store.add_index_key(b"x").await.unwrap();
            }
            Step::Delete(picks) => {
                let picks = picked(&picks);
                let chosen: Vec<_> = picks.iter().map(|p| handles[*p]).collect();
                assert_eq!(store.delete(&chosen).await, Ok(model.delete(&picks)), "step {number}");
            }
            Step::Release(picks) => {
                let picks = picked(&picks);
                let chosen: Vec<_> = picks.iter().map(|p| handles[*p]).collect();
                assert_eq!(store.release(&chosen), model.release(&picks), "step {number}");
            }
            Step::Pass(millis) => home.clock.advance(millis),
            Step::Reopen => {
                drop(store);
                store = home.open();
                model.restart();
                // Leases of another life mean nothing: the numbers go on, and none of the old ones may match.
                handles.clear();
                model.leases = 0;
            }
        }
        check(&store, &model, number);
    }
}

fn check(store: &Store, model: &Model, number: usize) {
    let depth = store.depth(Lane::Media);
    let in_flight = model.messages.iter().filter(|m| m.lease.is_some()).count();
    assert_eq!(
        (depth.waiting + depth.in_flight, depth.in_flight),
        (model.messages.len(), in_flight),
        "step {number}"
    );
    let dead = store.dead_letters(None, 1_000).unwrap();
    let parsed = dead.iter().map(|d| (d.group.parse().unwrap(), d.dedup_id.parse().unwrap()));
    let mut dead: Vec<(u8, u8)> = parsed.collect();
    let mut expected = model.dead.clone();
    dead.sort_unstable();
    expected.sort_unstable();
    // The same message, sent again after five minutes and failed again, is one dead letter.
    expected.dedup();
    assert_eq!(dead, expected, "step {number}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_its_model_does(steps in prop::collection::vec(step(), 1..50)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}

const MAX_RECEIVES: u32 = 2;
const VISIBILITY: i64 = 1_000;
