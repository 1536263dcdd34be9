//! Reading bytes around an anchor. Nothing here can fail: outside the text every byte is NUL.

/// The byte at `i`; NUL outside the text.
pub(super) fn at(text: &[u8], i: usize) -> u8 {
    text.get(i).copied().unwrap_or(0)
}

/// The byte `back` places before `i`; NUL outside the text.
pub(super) fn before(text: &[u8], i: usize, back: usize) -> u8 {
    i.checked_sub(back).map_or(0, |i| at(text, i))
}

/// The bytes `start..end`; empty where that is not a range of the text.
pub(super) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}

pub(super) fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

fn is_ascii_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Lead bytes of two-byte letters: Latin with marks, Greek, Cyrillic and so on. `C2` leads signs such as `º` and the
/// no-break space; longer sequences are emoji and scripts that put no space between words: neither joins a word.
fn leads_letter(b: u8) -> bool {
    matches!(b, 0xC3..=0xDF)
}

/// Whether a word begins or goes on at `i`: a letter or a digit, over underscores or none. Underscores at a word's edge
/// are no part of it: chat writes italics so.
pub(super) fn word_at(text: &[u8], i: usize) -> bool {
    let begins = |i| at(text, i).is_ascii_alphanumeric() || leads_letter(at(text, i));
    begins(i) || (at(text, i) == b'_' && begins(past_underscores(text, i)))
}

/// Whether a word ends just before `i`, over underscores or none.
pub(super) fn word_before(text: &[u8], i: usize) -> bool {
    let ends = |i| before(text, i, 1).is_ascii_alphanumeric() || letter_ends(text, i);
    ends(i) || (before(text, i, 1) == b'_' && ends(before_underscores(text, i)))
}

fn past_underscores(text: &[u8], i: usize) -> usize {
    (i..i + EDGE).find(|i| at(text, *i) != b'_').unwrap_or(i + EDGE)
}

fn before_underscores(text: &[u8], i: usize) -> usize {
    let floor = i.saturating_sub(EDGE);
    (floor..i).rev().find(|i| at(text, *i) != b'_').map_or(floor, |i| i + 1)
}

fn letter_ends(text: &[u8], i: usize) -> bool {
    matches!(before(text, i, 1), 0x80..=0xBF) && leads_letter(before(text, i, 2))
}

/// How many bytes the letter at `i` takes: 0 where there is none.
pub(super) fn letter_len(text: &[u8], i: usize) -> usize {
    let b = at(text, i);
    if b.is_ascii_alphabetic() {
        1
    } else if leads_letter(b) && matches!(at(text, i + 1), 0x80..=0xBF) {
        2
    } else {
        0
    }
}

/// How many bytes the letter that ends just before `i` takes: 0 where there is none.
pub(super) fn letter_len_before(text: &[u8], i: usize) -> usize {
    if before(text, i, 1).is_ascii_alphabetic() {
        1
    } else if letter_ends(text, i) {
        2
    } else {
        0
    }
}

/// Lower case, for ASCII and for the second byte of Latin-1 letters (`C3 87` Ç and `C3 A7` ç).
pub(super) fn fold(b: u8) -> u8 {
    match b {
        b'A'..=b'Z' | 0x80..=0x9E => b | 0x20,
        _ => b,
    }
}

/// Past the digits that begin at `i`.
pub(super) fn digits_end(text: &[u8], i: usize) -> usize {
    let rest = text.get(i..).unwrap_or_default();
    i + rest.iter().position(|b| !is_digit(*b)).unwrap_or(rest.len())
}

/// The number that the digits `start..end` write; `None` if there are none, more than four, or something else.
pub(super) fn number(text: &[u8], start: usize, end: usize) -> Option<u32> {
    let digits = part(text, start, end);
    if !(1..=4).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
}

/// Whether what ends before `start` is glued to a longer token by a sign, as in `AB-123` or `1.234`.
pub(super) fn glued_before(text: &[u8], start: usize) -> bool {
    word_before(text, start)
        || (matches!(before(text, start, 1), b'-' | b'.' | b'/' | b'\\' | b'@')
            && is_ascii_word(before(text, start, 2)))
        || (matches!(before(text, start, 1), b',' | b':') && is_digit(before(text, start, 2)))
}

/// Whether what begins at `end` is glued to a longer token by a sign, as in `123-45` or `12.5`.
pub(super) fn glued_after(text: &[u8], end: usize) -> bool {
    let next = at(text, end + 1);
    word_at(text, end)
        || match at(text, end) {
            b'-' | b'.' | b'@' => is_ascii_word(next),
            b',' | b':' | b'/' => is_digit(next),
            b'%' => true,
            _ => false,
        }
}

/// Whether the token around `start` is opaque: a URL or a message id, whose digits mean nothing to a person.
pub(super) fn in_opaque_token(text: &[u8], start: usize) -> bool {
    let reach = part(text, start.saturating_sub(OPAQUE_REACH), start);
    let from =
        reach.iter().rposition(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'<' | b'>'));
    // No blank in that whole reach: a blob, not chat.
    if from.is_none() && reach.len() == OPAQUE_REACH {
        return true;
    }
    let token = reach.get(from.map_or(0, |i| i + 1)..).unwrap_or_default();
    OPAQUE_MARKS.iter().any(|mark| memchr::memmem::find(token, mark).is_some())
}

/// Underscores over which a word goes on.
const EDGE: usize = 4;
const OPAQUE_REACH: usize = 512;
const OPAQUE_MARKS: [&[u8]; 3] = [b"://", b"www.", b"wamid."];
