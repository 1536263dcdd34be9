//! Strings as they stand in a text, and decoding them.

use std::borrow::Cow;
use std::fmt;

use super::NotJson;
use super::scan::{BLOCK, clean_prefix, is_special, simple_escape};

/// A string of a JSON text.
#[derive(Debug, PartialEq, Eq)]
pub enum LongText<'a> {
    /// One without escapes.
    Plain(&'a str),
    /// One that had to be decoded.
    Decoded(Decoded),
}

/// A decoded string, with what decoding learned for whoever reads JSON in it.
#[derive(PartialEq, Eq)]
pub struct Decoded {
    /// UTF-8, but not yet checked to be: whoever needs to know checks, once.
    bytes: Vec<u8>,
    /// Where quotes, backslashes and control characters stand in `bytes`, in order. Each came from an escape.
    marks: Vec<u32>,
}

impl Decoded {
    pub(super) const fn new(bytes: Vec<u8>, marks: Vec<u32>) -> Self {
        Self { bytes, marks }
    }

    pub(super) fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// The decoded text.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A JSON string as it stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    inner: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) const fn new(inner: &'a str, escaped: bool) -> Self {
        Self { inner, escaped }
    }

    /// The name to compare with: unescaped only where that is needed.
    #[inline]
    pub fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.inner)) } else { Cow::Borrowed(self.inner) }
    }

    /// Length between the quotes, in bytes: never less than that of the decoded text.
    pub const fn len(self) -> usize {
        self.inner.len()
    }

    /// Whether nothing stands between the quotes.
    pub const fn is_empty(self) -> bool {
        self.inner.is_empty()
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, NotJson> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| NotJson)
}

/// Names that cannot be decoded (half a surrogate pair) are compared and passed on as they are written.
fn unescape(inner: &str) -> String {
    let decoded = decode(inner.as_bytes(), |_| {}).ok().and_then(|(bytes, _)| String::from_utf8(bytes).ok());
    decoded.unwrap_or_else(|| inner.to_owned())
}

/// Decodes a string up to its closing quote or the end of `bytes`, and says where that is. `mark` is called with the
/// position of each special character in the decoded text.
#[inline]
pub(super) fn decode(bytes: &[u8], mut mark: impl FnMut(u32)) -> Result<(Vec<u8>, usize), NotJson> {
    // Whole blocks are copied and the position moved by what was clean in them: hence the room for one more.
    let mut out = vec![0; bytes.len() + BLOCK];
    let (mut at, mut to) = (0, 0);
    loop {
        let clean = copy_clean(bytes, at, &mut out, to);
        at += clean;
        to += clean;
        match bytes.get(at) {
            None | Some(b'"') => break,
            Some(b'\\') => match bytes.get(at + 1).map(|&c| simple_escape(c)) {
                Some(byte) if byte != 0 => {
                    if is_special(byte) {
                        mark(u32::try_from(to).map_err(|_| NotJson)?);
                    }
                    *out.get_mut(to).ok_or(NotJson)? = byte;
                    at += 2;
                    to += 1;
                }
                _ => {
                    let (c, after) = unicode_escape(bytes, at)?;
                    if c.is_ascii() && u8::try_from(c).is_ok_and(is_special) {
                        mark(u32::try_from(to).map_err(|_| NotJson)?);
                    }
                    at = after;
                    to += c.encode_utf8(out.get_mut(to..).filter(|o| o.len() >= 4).ok_or(NotJson)?).len();
                }
            },
            Some(_) => return Err(NotJson),
        }
    }
    out.truncate(to);
    Ok((out, at))
}

/// Copies bytes from `at` up to the next special one, and returns their number.
#[inline]
fn copy_clean(bytes: &[u8], at: usize, out: &mut [u8], to: usize) -> usize {
    let mut n = 0;
    while let (Some(Ok(block)), Some(slot)) =
        (bytes.get(at + n..at + n + BLOCK).map(<[u8; BLOCK]>::try_from), out.get_mut(to + n..to + n + BLOCK))
    {
        slot.copy_from_slice(&block);
        let clean = clean_prefix(block);
        n += clean;
        if clean < BLOCK {
            return n;
        }
    }
    while let (Some(&b), Some(slot)) = (bytes.get(at + n), out.get_mut(to + n)) {
        if is_special(b) {
            break;
        }
        *slot = b;
        n += 1;
    }
    n
}

fn unicode_escape(bytes: &[u8], backslash: usize) -> Result<(char, usize), NotJson> {
    let high = code_unit(bytes, backslash)?;
    if let Some(c) = char::from_u32(high) {
        return Ok((c, backslash + 6));
    }
    let low = code_unit(bytes, backslash + 6)?;
    if !(0xD800..0xDC00).contains(&high) || !(0xDC00..0xE000).contains(&low) {
        return Err(NotJson);
    }
    let c = char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)).ok_or(NotJson)?;
    Ok((c, backslash + 12))
}

/// The number in `\uXXXX`.
fn code_unit(bytes: &[u8], backslash: usize) -> Result<u32, NotJson> {
    let Some([b'\\', b'u', digits @ ..]) = bytes.get(backslash..backslash + 6) else { return Err(NotJson) };
    digits.iter().try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?)).ok_or(NotJson)
}
