//! Words near a place: the context that makes a number a phone or a date a date of birth.
//!
//! An entry is lower case; its space stands for blanks, `-` or `_`; a final `*` for any further letters.

use super::text::{at, fold, letter_len, word_at, word_before};

/// Past the entry if it stands at `i` as whole words. The caller knows that a word begins there.
pub(super) fn word_end(text: &[u8], i: usize, entry: &[u8]) -> Option<usize> {
    let mut place = i;
    for wanted in entry {
        match *wanted {
            b'*' => return Some(letters_end(text, place)),
            b' ' => place = blanks_end(text, place)?,
            wanted if fold(at(text, place)) == wanted => place += 1,
            _ => return None,
        }
    }
    (!word_at(text, place)).then_some(place)
}

/// Whether one of `entries` begins and ends within `start..end`.
pub(super) fn any_within(text: &[u8], start: usize, end: usize, entries: &[&[u8]]) -> bool {
    let end = end.min(text.len());
    (start..end).filter(|i| !word_before(text, *i)).any(|i| {
        let first = fold(at(text, i));
        entries
            .iter()
            .filter(|entry| entry.first() == Some(&first))
            .any(|entry| word_end(text, i, entry).is_some_and(|past| past <= end))
    })
}

/// Whether one of `entries` ends within the `reach` bytes before `i`, on the same line.
pub(super) fn near_before(text: &[u8], i: usize, reach: usize, entries: &[&[u8]]) -> bool {
    let from = i.saturating_sub(reach);
    let window = text.get(from..i).unwrap_or_default();
    let line = window.iter().rposition(|b| *b == b'\n').map_or(from, |n| from + n + 1);
    any_within(text, line, i, entries)
}

/// Whether one of `entries` begins within the `reach` bytes from `i`, before any of `stops`.
pub(super) fn near_after(text: &[u8], i: usize, reach: usize, stops: &[u8], entries: &[&[u8]]) -> bool {
    let window = text.get(i..text.len().min(i.saturating_add(reach))).unwrap_or_default();
    let end = i + window.iter().position(|b| stops.contains(b)).unwrap_or(window.len());
    any_within(text, i, end, entries)
}

/// Whether one of `entries`, at most `reach` bytes long, ends at `end`.
pub(super) fn ends_with_any(text: &[u8], end: usize, reach: usize, entries: &[&[u8]]) -> bool {
    let starts = (end.saturating_sub(reach)..end).filter(|i| !word_before(text, *i));
    starts.into_iter().any(|i| entries.iter().any(|entry| word_end(text, i, entry) == Some(end)))
}

/// Past the letters that begin at `i`.
pub(super) fn letters_end(text: &[u8], mut i: usize) -> usize {
    loop {
        match letter_len(text, i) {
            0 => return i,
            n => i += n,
        }
    }
}

fn blanks_end(text: &[u8], i: usize) -> Option<usize> {
    let blanks =
        text.get(i..)?.iter().take(3).take_while(|b| matches!(b, b' ' | b'-' | b'_' | b'\t')).count();
    (blanks > 0).then_some(i + blanks)
}
