//! The first pass: every byte once.
//!
//! One loop notes whether there is a digit, `:`, `@` or a wide form at all; it runs over arrays of fixed size, so the compiler
//! makes vector instructions of it. The other looks for terms: it takes the four bytes at every second place, lower
//! case, hashes them and asks a bitmap that fits the first-level cache. A term is in the bitmap with the four bytes
//! at its key and the four bytes one further, so wherever it stands one of the two falls on such a place.

use super::fold::WIDE_LEAD;
use super::vocabulary::{Term, terms};

/// The prepared first pass.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    /// A bit for the hash of every window of a term.
    bitmap: Bitmap<0x9E37_79B1>,
    /// The same with another hash: few windows that are no term's pass both.
    second: Bitmap<0x85EB_CA77>,
    /// Sorted by window.
    windows: Vec<(u32, usize, isize)>,
    terms: Vec<Term>,
}

impl Gate {
    pub(super) fn new() -> Self {
        let terms: Vec<Term> = terms().collect();
        let mut windows: Vec<_> = terms
            .iter()
            .enumerate()
            .flat_map(|(i, t)| windows_of(t).into_iter().map(move |(w, o)| (w, i, o)))
            .collect();
        windows.sort_unstable();
        windows.dedup();
        let mut gate = Self { bitmap: Bitmap::empty(), second: Bitmap::empty(), windows, terms };
        for (window, ..) in &gate.windows {
            gate.bitmap.add(*window);
            gate.second.add(*window);
        }
        gate
    }

    /// Which bytes of note are anywhere in the text.
    #[inline]
    pub(super) fn seen(text: &[u8]) -> Seen {
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let (mut anchors, mut wide) = ([0; BLOCK], [0; BLOCK]);
        for block in blocks {
            block.iter().zip(&mut anchors).for_each(|(b, found)| *found |= anchor(*b));
            block.iter().zip(&mut wide).for_each(|(b, found)| *found |= u8::from(*b == WIDE_LEAD));
        }
        let (halves, rest) = rest.as_chunks::<HALF>();
        for half in halves {
            half.iter().zip(&mut anchors).for_each(|(b, found)| *found |= anchor(*b));
            half.iter().zip(&mut wide).for_each(|(b, found)| *found |= u8::from(*b == WIDE_LEAD));
        }
        Seen {
            anchor: anchors != [0; BLOCK] || rest.iter().fold(0, |found, b| found | anchor(*b)) != 0,
            wide_lead: wide != [0; BLOCK] || rest.contains(&WIDE_LEAD),
        }
    }

    /// Calls `found` with every place where a term may begin.
    #[inline]
    pub(super) fn each_term(&self, text: &[u8], mut found: impl FnMut(usize, &Term)) {
        let mut at = 0;
        while let Some(stretch) = text.get(at..).and_then(<[u8]>::first_chunk::<{ STRIDE + 2 }>) {
            if self.may_hold(stretch) {
                self.look(text, at, at + STRIDE, &mut found);
            }
            at += STRIDE;
        }
        let mut tail = [b' '; STRIDE + 2];
        let rest = text.get(at..).unwrap_or_default();
        tail.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        // A window ends at most one byte past its term: none begins in the last two bytes.
        if self.may_hold(&tail) {
            self.look(text, at, text.len(), &mut found);
        }
    }

    /// Asks the bitmap about every second place of a stretch.
    #[inline]
    fn may_hold(&self, stretch: &[u8; STRIDE + 2]) -> bool {
        let mut any = 0;
        for i in (0..STRIDE).step_by(2) {
            any |= self.bitmap.bit(window(stretch, i));
        }
        any != 0
    }

    #[cold]
    fn look(&self, text: &[u8], from: usize, to: usize, found: &mut impl FnMut(usize, &Term)) {
        for at in (from..to).step_by(2) {
            let window = window(text, at);
            if self.bitmap.bit(window) == 0 || self.second.bit(window) == 0 {
                continue;
            }
            let first = self.windows.partition_point(|(w, ..)| *w < window);
            let same = self.windows.iter().skip(first).take_while(|(w, ..)| *w == window);
            for (_, term, offset) in same {
                if let (Some(start), Some(term)) = (at.checked_add_signed(-offset), self.terms.get(*term)) {
                    found(start, term);
                }
            }
        }
    }
}

/// The bytes of note that a text holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// A digit, `:` or `@`.
    pub(super) anchor: bool,
    /// The first byte of wide forms.
    pub(super) wide_lead: bool,
}

#[inline]
fn anchor(b: u8) -> u8 {
    // `:` follows `9` in ASCII.
    u8::from(b.wrapping_sub(b'0') <= 10) | u8::from(b == b'@')
}

/// Four bytes in lower case; blanks past the end.
#[inline]
fn window(text: &[u8], at: usize) -> u32 {
    let bytes = match text.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        Some(bytes) => *bytes,
        None => std::array::from_fn(|i| text.get(at + i).copied().unwrap_or(b' ')),
    };
    u32::from_le_bytes(bytes) | CASE
}

/// A set of windows that may say yes too often; its hash multiplies with the odd number `HASH`.
#[derive(Debug, Clone)]
struct Bitmap<const HASH: u32> {
    words: Box<[u64; WORDS]>,
}

impl<const HASH: u32> Bitmap<HASH> {
    fn empty() -> Self {
        Self { words: Box::new([0; WORDS]) }
    }

    fn add(&mut self, window: u32) {
        let (word, bit) = Self::place(window);
        self.words.iter_mut().skip(word).take(1).for_each(|w| *w |= bit);
    }

    /// Not 0 where the window may have been added.
    #[inline]
    fn bit(&self, window: u32) -> u64 {
        let (word, bit) = Self::place(window);
        self.words.get(word).map_or(0, |w| w & bit)
    }

    /// The top bits of a multiplicative hash.
    #[inline]
    fn place(window: u32) -> (usize, u64) {
        let hash = window.wrapping_mul(HASH) >> (32 - HASH_BITS);
        ((hash >> 6) as usize % WORDS, 1 << (hash & 63))
    }
}

/// The windows of a term, with their distance from its beginning.
///
/// One of three bytes is seen with the byte before it or the byte after it, one of four with itself or the byte after
/// it: those windows are made with every byte that can stand there.
fn windows_of(term: &Term) -> Vec<(u32, isize)> {
    let stem = term.entry.strip_suffix(b"*").unwrap_or(&term.entry);
    let key = stem.get(term.key_offset..).unwrap_or_default();
    let offset = isize::try_from(term.key_offset).unwrap_or(0);
    match key {
        [a, b, c] => {
            let either =
                |x| [(window(&[x, *a, *b, *c], 0), offset - 1), (window(&[*a, *b, *c, x], 0), offset)];
            outside().flat_map(either).collect()
        }
        [a, b, c, d] => {
            let second = outside().map(|x| (window(&[*b, *c, *d, x], 0), offset + 1));
            second.chain([(window(&[*a, *b, *c, *d], 0), offset)]).collect()
        }
        _ => vec![(window(key, 0), offset), (window(key.get(1..).unwrap_or_default(), 0), offset + 1)],
    }
}

/// Every byte that is no ASCII letter or digit: what can stand beside a short term.
fn outside() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).filter(|b| !b.is_ascii_alphanumeric())
}

/// The bit in which lower case differs, in four bytes.
const CASE: u32 = 0x2020_2020;
const HASH_BITS: u32 = 17;
const WORDS: usize = 1 << (HASH_BITS - 6);
/// Bytes that the bitmap is asked about at once.
const STRIDE: usize = 16;
/// Bytes that are tested at once for anchors.
const BLOCK: usize = 32;
const HALF: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// The terms that the gate names at `start` of the text.
    fn named(gate: &Gate, text: &[u8], start: usize) -> Vec<Vec<u8>> {
        let mut named = Vec::new();
        gate.each_term(text, |at, term| named.extend((at == start).then(|| term.entry.clone())));
        named
    }

    #[test]
    fn every_term_is_seen_wherever_it_stands_in_either_case() {
        let gate = Gate::new();
        for term in terms() {
            let word = term.entry.strip_suffix(b"*").unwrap_or(&term.entry);
            let capitals = std::str::from_utf8(word).unwrap().to_uppercase().into_bytes();
            for (shift, end) in
                (0..40).flat_map(|shift| [(shift, &b""[..]), (shift, b"."), (shift, b" and more words")])
            {
                for word in [word, &capitals] {
                    let text = [&vec![b' '; shift], word, end].concat();
                    let shown = String::from_utf8_lossy(&text);
                    assert!(named(&gate, &text, shift).contains(&term.entry), "{shown:?} at {shift}");
                }
            }
        }
    }

    #[test]
    fn short_terms_are_seen_between_any_signs() {
        let gate = Gate::new();
        for (before, after) in [
            ("(", ")"),
            ("\n", "\r"),
            ("“", "”"),
            ("😀", "😀"),
            ("/", "+"),
            ("\u{a0}", "…"),
            ("_", "_"),
            ("", ""),
        ] {
            for shift in 0..2 {
                let start = shift + before.len();
                let text = [&" ".repeat(shift), before, "HIV", after].concat();
                assert_eq!(named(&gate, text.as_bytes(), start), [b"hiv"], "{text:?}");
            }
        }
    }

    #[test]
    fn keys_are_long_enough_to_be_seen_at_odd_and_at_even_places() {
        for term in terms() {
            let stem = term.entry.strip_suffix(b"*").unwrap_or(&term.entry);
            let key = stem.len() - term.key_offset;
            let whole = stem.len() == term.entry.len();
            assert!(key >= 5 || (key >= 3 && whole), "{}", String::from_utf8_lossy(&term.entry));
        }
    }

    #[test]
    fn bytes_of_note_are_seen_anywhere_and_no_others() {
        for len in [1, 7, 8, 9, 31, 32, 33, 47, 80] {
            for at in 0..len {
                for b in 0..=u8::MAX {
                    let mut text = vec![b'x'; len];
                    text[at] = b;
                    let seen = Gate::seen(&text);
                    assert_eq!(seen.anchor, b.is_ascii_digit() || b == b':' || b == b'@', "{b} at {at}");
                    assert_eq!(seen.wide_lead, b == WIDE_LEAD, "{b} at {at}");
                }
            }
        }
    }
}
