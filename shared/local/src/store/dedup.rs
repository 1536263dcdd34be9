//! The deduplication window: which messages were sent within the last five minutes.

use std::collections::{HashMap, VecDeque};

use crate::seal::Tag;

/// What was sent lately, by the tag of lane, group and deduplication id. Some 60 bytes for each message.
#[derive(Default)]
pub(super) struct DedupWindow {
    sent_at: HashMap<Tag, i64>,
    /// In order of sequence number.
    order: VecDeque<Sent>,
}

/// A message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) seq: u64,
    /// Milliseconds since the Unix epoch.
    pub(super) at: i64,
    pub(super) tag: Tag,
}

impl DedupWindow {
    /// Remembers a message. They come in rising order of `seq`.
    pub(super) fn add(&mut self, sent: Sent) {
        self.sent_at.insert(sent.tag, sent.at);
        self.order.push_back(sent);
    }

    /// Whether a message of that tag was sent within the window before `now`.
    pub(super) fn contains(&self, tag: &Tag, now: i64) -> bool {
        self.sent_at.get(tag).is_some_and(|at| is_within(*at, now))
    }

    /// The highest sequence number to forget now. The last message is never forgotten: with it on disk, sequence
    /// numbers rise across restarts.
    pub(super) fn expired(&self, now: i64) -> Option<u64> {
        let all_but_last = self.order.len().saturating_sub(1);
        self.order.iter().take(all_but_last).take_while(|s| !is_within(s.at, now)).last().map(|s| s.seq)
    }

    /// Forgets everything up to `seq`.
    pub(super) fn forget(&mut self, seq: u64) {
        while let Some(sent) = self.order.pop_front_if(|s| s.seq <= seq) {
            if self.sent_at.get(&sent.tag) == Some(&sent.at) {
                self.sent_at.remove(&sent.tag);
            }
        }
    }

    /// The highest sequence number in the window.
    pub(super) fn last_seq(&self) -> Option<u64> {
        self.order.back().map(|s| s.seq)
    }
}

fn is_within(at: i64, now: i64) -> bool {
    now.saturating_sub(at) < WINDOW_MILLIS
}

/// As Amazon SQS: five minutes.
pub(super) const WINDOW_MILLIS: i64 = 5 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u64, at: i64, tag: u8) -> Sent {
        Sent { seq, at, tag: [tag; 16] }
    }

    #[test]
    fn a_tag_counts_for_five_minutes() {
        let mut window = DedupWindow::default();
        window.add(sent(1, 1_000, 1));
        assert!(window.contains(&[1; 16], 1_000 + WINDOW_MILLIS - 1));
        assert!(!window.contains(&[1; 16], 1_000 + WINDOW_MILLIS));
        assert!(!window.contains(&[2; 16], 1_000));
        assert!(window.contains(&[1; 16], 0), "a clock that was set back does not open the window");
    }

    #[test]
    fn only_what_left_the_window_is_forgotten() {
        let mut window = DedupWindow::default();
        window.add(sent(1, 0, 1));
        window.add(sent(2, 10, 2));
        window.add(sent(3, WINDOW_MILLIS, 1));
        assert_eq!(window.expired(WINDOW_MILLIS - 1), None);
        assert_eq!(window.expired(WINDOW_MILLIS + 10), Some(2));
        assert_eq!(window.expired(i64::MAX), Some(2), "the last one stays");
        window.forget(2);
        assert!(window.contains(&[1; 16], WINDOW_MILLIS + 10), "sent again since");
        assert!(!window.contains(&[2; 16], 10));
        assert_eq!((window.last_seq(), window.order.len(), window.sent_at.len()), (Some(3), 1, 1));
    }
}
