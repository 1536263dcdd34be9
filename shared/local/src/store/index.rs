//! Which message of a lane is handed out next: FIFO within a group, many groups at once. Knows no clock, no disk and
//! no content, and holds some 40 bytes for each message and 150 for each group.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::seal::Tag;

/// The queued messages of one lane.
#[derive(Default)]
pub(super) struct LaneIndex {
    groups: HashMap<Tag, Group>,
    /// The groups that are not locked, by their oldest message.
    ready: BTreeSet<(u64, Tag)>,
    /// The leases that run out, by when they do (milliseconds since the Unix epoch).
    expiries: BTreeSet<(i64, Slot)>,
    messages: usize,
    leased: usize,
    last_lease: u64,
}

/// A message's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) seq: u64,
    pub(super) group: Tag,
}

/// A message as it was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leased {
    pub(super) slot: Slot,
    pub(super) lease: u64,
    /// How often it has been handed out, this time included.
    pub(super) receive_count: u32,
    /// It was handed out as often as it may be: it belongs into the dead letters.
    pub(super) exhausted: bool,
}

/// Rules of handing out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// How long a lease lasts, milliseconds.
    pub(super) visibility: i64,
    pub(super) max_receive_count: u32,
}

#[derive(Default)]
struct Group {
    /// In order of `seq`.
    messages: VecDeque<Message>,
    leased: usize,
}

struct Message {
    seq: u64,
    receive_count: u32,
    lease: Option<Lease>,
}

#[derive(Clone, Copy)]
struct Lease {
    id: u64,
    /// `None`: held until it is settled (being deleted, or halted).
    until: Option<i64>,
}

impl LaneIndex {
    /// Adds a message. Messages come in rising order of `seq`.
    pub(super) fn push(&mut self, slot: Slot) {
        let group = self.groups.entry(slot.group).or_default();
        group.messages.push_back(Message { seq: slot.seq, receive_count: 0, lease: None });
        self.messages += 1;
        if group.messages.len() == 1 {
            self.ready.insert((slot.seq, slot.group));
        }
    }

    /// Hands out the oldest `max` messages of groups of which nothing is in flight. Several of one group come
    /// together and in order, as SQS FIFO does it; an exhausted message is the last of its group.
    pub(super) fn receive(&mut self, now: i64, max: usize, terms: Terms) -> Vec<Leased> {
        self.expire(now);
        let mut open: BTreeSet<(u64, Tag, usize)> = BTreeSet::new();
        let mut picked = Vec::new();
        while picked.len() < max {
            let fresh = self.ready.first().copied();
            let begun = open.first().copied();
            let (seq, group, position) = match (fresh, begun) {
                (Some((seq, group)), begun) if begun.is_none_or(|(other, ..)| seq < other) => {
                    self.ready.pop_first();
                    (seq, group, 0)
                }
                (_, Some(next)) => {
                    open.pop_first();
                    next
                }
                (_, None) => break,
            };
            let leased = self.lease(Slot { seq, group }, position, now, terms);
            let next = self.groups.get(&group).and_then(|g| g.messages.get(position + 1));
            if let Some(next) = next.filter(|_| leased.is_some_and(|l| !l.exhausted)) {
                open.insert((next.seq, group, position + 1));
            }
            picked.extend(leased);
        }
        picked
    }

    /// Holds a lease until [`LaneIndex::remove`] or [`LaneIndex::restore`] settles it. `false`: the lease is over.
    pub(super) fn hold(&mut self, slot: Slot, lease: u64) -> bool {
        let Some(message) = self.leased_mut(slot, lease) else { return false };
        let Some(Lease { until: Some(until), .. }) = message.lease else { return false };
        message.lease = Some(Lease { id: lease, until: None });
        self.expiries.remove(&(until, slot));
        true
    }

    /// Undoes [`LaneIndex::hold`]: the lease lasts until `until` again.
    pub(super) fn restore(&mut self, slot: Slot, lease: u64, until: i64) {
        if let Some(message) = self.leased_mut(slot, lease) {
            message.lease = Some(Lease { id: lease, until: Some(until) });
            self.expiries.insert((until, slot));
        }
    }

    /// Forgets a message.
    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(group) = self.groups.get_mut(&slot.group) else { return };
        let Ok(position) = group.messages.binary_search_by_key(&slot.seq, |m| m.seq) else { return };
        let Some(message) = group.messages.remove(position) else { return };
        self.messages -= 1;
        if position == 0 {
            self.ready.remove(&(slot.seq, slot.group));
        }
        if let Some(lease) = message.lease {
            group.leased -= 1;
            self.leased -= 1;
            lease.until.map(|until| self.expiries.remove(&(until, slot)));
        }
        self.unlock(slot.group);
    }

    /// Makes a message visible again. `false`: the lease is over, or being settled.
    pub(super) fn release(&mut self, slot: Slot, lease: u64) -> bool {
        let Some(message) = self.leased_mut(slot, lease) else { return false };
        let Some(until) = message.lease.and_then(|l| l.until) else { return false };
        self.expiries.remove(&(until, slot));
        self.end_lease(slot);
        true
    }

    /// Takes over the leases and counts of `before` for the messages that are still here.
    pub(super) fn inherit(&mut self, before: &Self) {
        self.last_lease = before.last_lease;
        let old = before.groups.iter().flat_map(|(group, g)| g.messages.iter().map(move |m| (*group, m)));
        for (group, message) in old {
            let slot = Slot { seq: message.seq, group };
            let Some(here) = self.message_mut(slot) else { continue };
            here.receive_count = message.receive_count;
            here.lease = message.lease;
            let Some(lease) = message.lease else { continue };
            self.leased += 1;
            lease.until.map(|until| self.expiries.insert((until, slot)));
            if let Some(g) = self.groups.get_mut(&group) {
                g.leased += 1;
                g.messages.front().map(|m| self.ready.remove(&(m.seq, group)));
            }
        }
    }

    /// Whether [`LaneIndex::receive`] would hand out anything now.
    pub(super) fn has_ready(&mut self, now: i64) -> bool {
        self.expire(now);
        !self.ready.is_empty()
    }

    /// When the next lease runs out.
    pub(super) fn next_expiry(&self) -> Option<i64> {
        self.expiries.first().map(|(until, _)| *until)
    }

    /// Messages that are in nobody's hands.
    pub(super) fn waiting(&self) -> usize {
        self.messages - self.leased
    }

    /// Messages in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.leased
    }

    fn lease(&mut self, slot: Slot, position: usize, now: i64, terms: Terms) -> Option<Leased> {
        let group = self.groups.get_mut(&slot.group)?;
        let message = group.messages.get_mut(position)?;
        let exhausted = message.receive_count >= terms.max_receive_count;
        let until = now.saturating_add(terms.visibility);
        self.last_lease += 1;
        message.receive_count += u32::from(!exhausted);
        message.lease = Some(Lease { id: self.last_lease, until: Some(until) });
        group.leased += 1;
        self.leased += 1;
        self.expiries.insert((until, slot));
        Some(Leased { slot, lease: self.last_lease, receive_count: message.receive_count, exhausted })
    }

    fn expire(&mut self, now: i64) {
        while let Some((until, slot)) = self.expiries.first().copied() {
            if until > now {
                return;
            }
            self.expiries.pop_first();
            self.end_lease(slot);
        }
    }

    fn end_lease(&mut self, slot: Slot) {
        let Some(message) = self.message_mut(slot) else { return };
        if message.lease.take().is_none() {
            return;
        }
        self.leased -= 1;
        if let Some(group) = self.groups.get_mut(&slot.group) {
            group.leased -= 1;
        }
        self.unlock(slot.group);
    }

    /// A group is ready when none of its messages is in flight, and gone when it has none.
    fn unlock(&mut self, tag: Tag) {
        let Some(group) = self.groups.get(&tag) else { return };
        match group.messages.front() {
            None => drop(self.groups.remove(&tag)),
            Some(first) if group.leased == 0 => drop(self.ready.insert((first.seq, tag))),
            Some(_) => {}
        }
    }

    fn message_mut(&mut self, slot: Slot) -> Option<&mut Message> {
        let messages = &mut self.groups.get_mut(&slot.group)?.messages;
        let position = messages.binary_search_by_key(&slot.seq, |m| m.seq).ok()?;
        messages.get_mut(position)
    }

    fn leased_mut(&mut self, slot: Slot, lease: u64) -> Option<&mut Message> {
        self.message_mut(slot).filter(|m| m.lease.is_some_and(|l| l.id == lease))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { visibility: 100, max_receive_count: 2 };

    fn slot(seq: u64, group: u8) -> Slot {
        Slot { seq, group: [group; 16] }
    }

    fn lane(groups: &[u8]) -> LaneIndex {
        let mut lane = LaneIndex::default();
        groups.iter().zip(1..).for_each(|(g, seq)| lane.push(slot(seq, *g)));
        lane
    }

    fn seqs(leased: &[Leased]) -> Vec<u64> {
        leased.iter().map(|l| l.slot.seq).collect()
    }

    #[test]
    fn the_oldest_go_out_first_across_groups_and_a_group_in_flight_is_locked() {
        let mut lane = lane(&[1, 2, 1, 3, 2]);
        assert_eq!(seqs(&lane.receive(0, 3, TERMS)), [1, 2, 3]);
        assert_eq!(seqs(&lane.receive(0, 9, TERMS)), [4], "groups 1 and 2 are locked");
        assert_eq!((lane.waiting(), lane.in_flight()), (1, 4));
        lane.remove(slot(2, 2));
        assert_eq!(seqs(&lane.receive(0, 9, TERMS)), [5]);
    }

    #[test]
    fn a_new_message_of_a_locked_group_waits() {
        let mut lane = lane(&[1]);
        let first = lane.receive(0, 1, TERMS)[0];
        lane.push(slot(2, 1));
        assert!(!lane.has_ready(0));
        assert!(lane.release(first.slot, first.lease));
        assert_eq!(seqs(&lane.receive(0, 9, TERMS)), [1, 2]);
    }

    #[test]
    fn a_lease_that_ran_out_is_over() {
        let mut lane = lane(&[1]);
        let first = lane.receive(0, 1, TERMS)[0];
        assert_eq!(lane.next_expiry(), Some(100));
        assert!(!lane.has_ready(99));
        assert!(lane.has_ready(100));
        let second = lane.receive(100, 1, TERMS)[0];
        assert_eq!((second.receive_count, second.exhausted), (2, false));
        assert!(!lane.hold(first.slot, first.lease) && !lane.release(first.slot, first.lease));
        assert!(lane.hold(second.slot, second.lease));
    }

    #[test]
    fn a_held_lease_never_runs_out_until_it_is_restored() {
        let mut lane = lane(&[1]);
        let it = lane.receive(0, 1, TERMS)[0];
        assert!(lane.hold(it.slot, it.lease));
        assert!(!lane.hold(it.slot, it.lease), "held once");
        assert!(!lane.release(it.slot, it.lease));
        assert!(!lane.has_ready(1_000));
        lane.restore(it.slot, it.lease, 1_100);
        assert!(lane.has_ready(1_100));
    }

    #[test]
    fn a_message_handed_out_too_often_is_exhausted_and_ends_its_group() {
        let mut lane = lane(&[1, 1]);
        for now in [0, 100] {
            assert!(lane.receive(now, 9, TERMS).iter().all(|l| !l.exhausted));
        }
        let third = lane.receive(200, 9, TERMS);
        assert_eq!((seqs(&third), third[0].exhausted, third[0].receive_count), (vec![1], true, 2));
    }

    #[test]
    fn an_emptied_group_takes_no_memory() {
        let mut lane = lane(&[1, 2]);
        lane.receive(0, 9, TERMS);
        lane.remove(slot(1, 1));
        lane.remove(slot(2, 2));
        lane.remove(slot(2, 2));
        assert!(lane.groups.is_empty() && lane.ready.is_empty() && lane.expiries.is_empty());
        assert_eq!((lane.waiting(), lane.in_flight()), (0, 0));
    }

    #[test]
    fn a_rebuilt_index_keeps_leases_and_counts() {
        let mut before = lane(&[1, 1, 2]);
        let it = before.receive(0, 1, TERMS)[0];
        let mut after = lane(&[1, 1, 2]);
        after.inherit(&before);
        assert_eq!(seqs(&after.receive(0, 9, TERMS)), [3]);
        assert!(after.release(it.slot, it.lease));
        let again = after.receive(0, 9, TERMS);
        assert_eq!((seqs(&again), again[0].receive_count), (vec![1, 2], 2));
    }
}
