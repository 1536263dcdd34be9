//! Text as it would be written with the signs of ASCII: wide digits and letters, every kind of blank and dash, and the
//! characters that show nothing, between digits.
//!
//! Most text needs none of it. Whoever scans asks [`has_wide`] and [`odd_after`] first, and looks at a [`Folded`] text
//! beside the text itself: what is found in either is found.

use memchr::memchr_iter;

use super::Hit;
use super::text::{at, is_digit};

/// A text folded, and where each of its bytes was.
pub(super) struct Folded {
    pub(super) text: Vec<u8>,
    /// In order of both places. From each on, a byte is as in the original, or (one byte) what stands for `taken` there.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    folded: usize,
    original: usize,
    /// How many bytes of the original each byte stands for.
    taken: usize,
}

impl Folded {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut folded = Self { text: Vec::with_capacity(text.len()), pieces: Vec::new() };
        let mut i = 0;
        while i < text.len() {
            match stands_for(text, i, folded.text.last().is_some_and(|b| is_digit(*b) || *b == b')')) {
                Some((taken, byte)) => {
                    if let Some(byte) = byte {
                        folded.push(i, taken, byte);
                    }
                    i += taken;
                }
                None => {
                    folded.push(i, 1, at(text, i));
                    i += 1;
                }
            }
        }
        folded
    }

    fn push(&mut self, original: usize, taken: usize, byte: u8) {
        let folded = self.text.len();
        let goes_on = self.pieces.last().is_some_and(|last| {
            last.taken == 1 && taken == 1 && last.original + (folded - last.folded) == original
        });
        if !goes_on {
            self.pieces.push(Piece { folded, original, taken });
        }
        self.text.push(byte);
    }

    /// Moves a hit of the folded text to where it is in the original.
    pub(super) fn unfold(&self, hit: &mut Hit) {
        let start = self.place(hit.start).map_or(0, |(start, _)| start);
        // The hit's last byte tells its end: what comes after it may have been left out.
        let end = self.place(hit.end.saturating_sub(1)).map_or(start, |(last, taken)| last + taken);
        (hit.start, hit.end) = (start, end);
    }

    /// Where the byte at `i` was, and how many bytes it stands for.
    fn place(&self, i: usize) -> Option<(usize, usize)> {
        let after = self.pieces.partition_point(|piece| piece.folded <= i);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        Some((piece.original + (i - piece.folded), piece.taken))
    }
}

/// Whether a wide form of an ASCII character is in the text. For texts in which [`WIDE_LEAD`] was seen.
#[cold]
pub(super) fn has_wide(text: &[u8]) -> bool {
    memchr_iter(WIDE_LEAD, text).any(|i| wide(text, i).is_some())
}

/// Whether a number that ends at `i` goes on behind signs that the detectors do not read: more than one of them, or an
/// unusual one.
#[inline]
pub(super) fn odd_after(text: &[u8], i: usize) -> bool {
    let i = i + usize::from(matches!(at(text, i), b'.' | b')'));
    let odd = match at(text, i) {
        b' ' | b'-' => matches!(at(text, i + 1), b' ' | b'-' | 0xC2 | 0xE1..=WIDE_LEAD),
        0xC2 | 0xE1..=WIDE_LEAD => true,
        _ => false,
    };
    odd && goes_on(text, i)
}

#[cold]
fn goes_on(text: &[u8], i: usize) -> bool {
    let joint = Joint::read(text, i);
    let next = i + joint.len;
    let sign = usize::from(matches!(at(text, next), b'.' | b'(' | b')' | b'/'));
    joint.len > 0 && begins_number(text, next + sign)
}

fn begins_number(text: &[u8], i: usize) -> bool {
    is_digit(at(text, i)) || wide(text, i).is_some_and(is_digit)
}

/// What stands for the bytes at `i`, and how many they are; `None` where they stay as they are.
fn stands_for(text: &[u8], i: usize, after_number: bool) -> Option<(usize, Option<u8>)> {
    if let Some(byte) = wide(text, i) {
        return Some((WIDE_LEN, Some(byte)));
    }
    let (sign, len) = sign_at(text, i)?;
    let joint = Joint::read(text, i);
    let between = after_number && begins_number(text, i + joint.len);
    match joint {
        Joint { blanks: 0, dashes: 0, len } => Some((len, None)),
        Joint { blanks: 1..=2, dashes: 0, len } if between => Some((len, Some(b' '))),
        Joint { blanks: 0..=2, dashes: 1, len } if between => Some((len, Some(b'-'))),
        _ => Some((len, sign.byte())),
    }
}

/// The ASCII character whose wide form (U+FF01 to U+FF5E) is at `i`.
fn wide(text: &[u8], i: usize) -> Option<u8> {
    match (at(text, i), at(text, i + 1), at(text, i + 2)) {
        (WIDE_LEAD, 0xBC, b @ 0x81..=0xBF) => Some(b - 0x60),
        (WIDE_LEAD, 0xBD, b @ 0x80..=0x9E) => Some(b - 0x20),
        _ => None,
    }
}

/// A run of blanks, dashes and what shows nothing; long ones are cut.
#[derive(Debug, Clone, Copy, Default)]
struct Joint {
    blanks: usize,
    dashes: usize,
    len: usize,
}

impl Joint {
    fn read(text: &[u8], start: usize) -> Self {
        let mut joint = Self::default();
        for _ in 0..LONGEST_JOINT {
            let Some((sign, len)) = sign_at(text, start + joint.len) else { break };
            match sign {
                Sign::Blank => joint.blanks += 1,
                Sign::Dash => joint.dashes += 1,
                Sign::Nothing => {}
            }
            joint.len += len;
        }
        joint
    }
}

#[derive(Debug, Clone, Copy)]
enum Sign {
    Blank,
    Dash,
    /// Shows nothing, or a frame around the digit before it.
    Nothing,
}

impl Sign {
    const fn byte(self) -> Option<u8> {
        match self {
            Self::Blank => Some(b' '),
            Self::Dash => Some(b'-'),
            Self::Nothing => None,
        }
    }
}

/// The sign at `i`, and its length.
fn sign_at(text: &[u8], i: usize) -> Option<(Sign, usize)> {
    let sign = match (at(text, i), at(text, i + 1), at(text, i + 2)) {
        (b' ', ..) => (Sign::Blank, 1),
        (b'-', ..) => (Sign::Dash, 1),
        // U+00A0 NO-BREAK SPACE; U+00AD SOFT HYPHEN.
        (0xC2, 0xA0, _) => (Sign::Blank, 2),
        (0xC2, 0xAD, _) => (Sign::Nothing, 2),
        // General category Zs: U+1680, U+2000–200A, U+202F, U+205F, U+3000.
        (0xE1, 0x9A, 0x80) | (0xE2, 0x80, 0x80..=0x8A | 0xAF) | (0xE2, 0x81, 0x9F) | (0xE3, 0x80, 0x80) => {
            (Sign::Blank, 3)
        }
        // U+2010–2015, U+2212 MINUS SIGN, U+FE58, U+FE63. The wide hyphen is wide.
        (0xE2, 0x80, 0x90..=0x95) | (0xE2, 0x88, 0x92) | (0xEF, 0xB9, 0x98 | 0xA3) => (Sign::Dash, 3),
        // Zero width and direction marks (U+200B–200F, U+202A–202E, U+2060–2064, U+2066–2069, U+FEFF), variation selectors
        // (U+FE00–FE0F), and the frame of key caps (U+20E3).
        (0xE2, 0x80, 0x8B..=0x8F | 0xAA..=0xAE)
        | (0xE2, 0x81, 0xA0..=0xA4 | 0xA6..=0xA9)
        | (0xE2, 0x83, 0xA3)
        | (0xEF, 0xB8, 0x80..=0x8F)
        | (0xEF, 0xBB, 0xBF) => (Sign::Nothing, 3),
        _ => return None,
    };
    Some(sign)
}

/// First byte of the wide forms, and of the last plane's signs.
pub(super) const WIDE_LEAD: u8 = 0xEF;
const WIDE_LEN: usize = 3;
const LONGEST_JOINT: usize = 8;
