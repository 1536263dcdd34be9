//! Digits as people write long numbers: in groups, with one blank, dash or dot between, or an area code in brackets.

use super::text::{at, before, digits_end, is_digit};

/// What stands between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// A blank or a no-break space.
    Blank,
    /// A hyphen or a dash.
    Dash,
    /// A full stop.
    Dot,
    /// `)`, perhaps with a blank or a hyphen: the group before it was in brackets.
    Close,
    /// `(`, perhaps after a blank.
    Open,
}

/// A group of digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// How many digits.
    pub(super) len: usize,
    /// Past its last byte.
    pub(super) end: usize,
    /// What stands before it; meaningless for the first.
    pub(super) join: Join,
}

/// The groups from a place on.
#[derive(Debug)]
pub(super) struct Groups {
    groups: [Group; MAX_GROUPS],
    count: usize,
    digits: [u8; MAX_DIGITS],
    digit_count: usize,
    /// Whether another group follows that did not fit.
    pub(super) cut: bool,
}

impl Groups {
    /// Reads groups from the digit at `start`.
    pub(super) fn read(text: &[u8], start: usize) -> Self {
        let none = Group { len: 0, end: start, join: Join::Blank };
        let mut read = Self {
            groups: [none; MAX_GROUPS],
            count: 0,
            digits: [0; MAX_DIGITS],
            digit_count: 0,
            cut: false,
        };
        let mut next = Some((start, Join::Blank));
        while let Some((from, join)) = next {
            let end = digits_end(text, from);
            if !read.push(text.get(from..end).unwrap_or_default(), end, join) {
                read.cut = true;
                break;
            }
            next = join_at(text, end);
        }
        read
    }

    fn push(&mut self, digits: &[u8], end: usize, join: Join) -> bool {
        let Some(room) = self.digits.get_mut(self.digit_count..self.digit_count + digits.len()) else {
            return false;
        };
        let Some(group) = self.groups.get_mut(self.count) else { return false };
        room.iter_mut().zip(digits).for_each(|(to, from)| *to = from - b'0');
        *group = Group { len: digits.len(), end, join };
        self.digit_count += digits.len();
        self.count += 1;
        true
    }

    /// How many groups were read.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The first `count` groups.
    pub(super) fn first(&self, count: usize) -> &[Group] {
        self.groups.get(..count.min(self.count)).unwrap_or_default()
    }

    /// The values of the digits of the first `count` groups.
    pub(super) fn digits(&self, count: usize) -> &[u8] {
        let len = self.first(count).iter().map(|g| g.len).sum();
        self.digits.get(..len).unwrap_or_default()
    }

    /// What follows the first `count` groups, if it is another group.
    pub(super) fn join_after(&self, count: usize) -> Option<Join> {
        self.first(self.count).get(count).map(|g| g.join)
    }

    /// How many digits the group after the first `count` has.
    pub(super) fn len_after(&self, count: usize) -> usize {
        self.first(self.count).get(count).map_or(0, |g| g.len)
    }
}

/// Whether the lengths of `groups` are exactly `lens`.
pub(super) fn shaped(groups: &[Group], lens: &[usize]) -> bool {
    groups.len() == lens.len() && groups.iter().zip(lens).all(|(g, len)| g.len == *len)
}

/// Whether all joins of `groups` are `join`.
pub(super) fn joined_by(groups: &[Group], join: Join) -> bool {
    groups.iter().skip(1).all(|g| g.join == join)
}

/// Whether a blank and before it a digit stand before `start`: the groups go on to the left.
pub(super) fn goes_on_before(text: &[u8], start: usize) -> bool {
    match before(text, start, 1) {
        b' ' => is_digit(before(text, start, 2)),
        0xA0 => before(text, start, 2) == 0xC2 && is_digit(before(text, start, 3)),
        _ => false,
    }
}

fn join_at(text: &[u8], i: usize) -> Option<(usize, Join)> {
    let (next, join) = match (at(text, i), at(text, i + 1), at(text, i + 2)) {
        (b' ', b'(', _) => (i + 2, Join::Open),
        (b' ', _, _) => (i + 1, Join::Blank),
        (b'-', _, _) => (i + 1, Join::Dash),
        (b'.', _, _) => (i + 1, Join::Dot),
        (b')', b' ' | b'-', _) => (i + 2, Join::Close),
        (b')', _, _) => (i + 1, Join::Close),
        (b'(', _, _) => (i + 1, Join::Open),
        (0xC2, 0xA0, _) => (i + 2, Join::Blank),
        // The hyphens and dashes that keyboards of phones put for `-`.
        (0xE2, 0x80, 0x90..=0x94) => (i + 3, Join::Dash),
        _ => return None,
    };
    is_digit(at(text, next)).then_some((next, join))
}

const MAX_GROUPS: usize = 8;
const MAX_DIGITS: usize = 24;
