//! Finding the characters that end a string or start an escape, a block at a time.

use wide::u8x16;

use super::NotJson;

/// The first position from `at` on that holds a quote, a backslash or a control character, or the end.
#[inline]
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(Ok(block)) = bytes.get(at..at + BLOCK).map(<[u8; BLOCK]>::try_from) {
        let clean = clean_prefix(block);
        at += clean;
        if clean < BLOCK {
            return at;
        }
    }
    while bytes.get(at).is_some_and(|&b| !is_special(b)) {
        at += 1;
    }
    at
}

/// How many bytes come before the first special one. Without a branch: where in a block a name or value ends cannot be
/// predicted.
#[inline]
pub(super) fn clean_prefix(block: [u8; BLOCK]) -> usize {
    let bytes = u8x16::new(block);
    let special = bytes.simd_eq(u8x16::splat(b'"'))
        | bytes.simd_eq(u8x16::splat(b'\\'))
        | bytes.simd_eq(bytes.min(u8x16::splat(b' ' - 1)));
    // A bit above the block stops the count where nothing is special.
    (special.to_bitmask() | 1 << BLOCK).trailing_zeros() as usize
}

#[inline]
pub(super) const fn is_special(b: u8) -> bool {
    b < b' ' || b == b'"' || b == b'\\'
}

/// The character that a letter after a backslash stands for; 0 where it does not stand for one by itself.
#[inline]
pub(super) fn simple_escape(letter: u8) -> u8 {
    SIMPLE_ESCAPES.get(usize::from(letter)).copied().unwrap_or_default()
}

/// The position after an escape.
#[inline]
pub(super) fn after_escape(bytes: &[u8], backslash: usize) -> Result<usize, NotJson> {
    match bytes.get(backslash + 1) {
        Some(b'u') => {
            let Some([a, b, c, d]) = bytes.get(backslash + 2..backslash + 6) else { return Err(NotJson) };
            let digits = is_hex(*a) & is_hex(*b) & is_hex(*c) & is_hex(*d);
            if digits { Ok(backslash + 6) } else { Err(NotJson) }
        }
        Some(&letter) if simple_escape(letter) != 0 => Ok(backslash + 2),
        _ => Err(NotJson),
    }
}

#[inline]
fn is_hex(digit: u8) -> bool {
    HEX_DIGITS.get(usize::from(digit)).copied().unwrap_or_default()
}

// Tables instead of comparisons: which letter follows a backslash, and which hex digit that, cannot be predicted.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it: an index out of range would not build"
)]
static SIMPLE_ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table[b'n' as usize] = b'\n';
    table[b't' as usize] = b'\t';
    table[b'r' as usize] = b'\r';
    table[b'b' as usize] = 8;
    table[b'f' as usize] = 12;
    table
};

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it: an index out of range would not build, and the index is below 256"
)]
static HEX_DIGITS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_hexdigit();
        byte += 1;
    }
    table
};

pub(super) const BLOCK: usize = 16;
