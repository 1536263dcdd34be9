//! A one-pass reader of JSON text that hands out spans of the input instead of building values.
//!
//! It accepts exactly the texts of [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259), to any depth, in one forward
//! pass and with one bit of memory per level of nesting. It never recurses: a hostile text cannot exhaust the stack.

use std::borrow::Cow;
use std::fmt;

use wide::u8x16;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON")]
pub struct NotJson;

/// A position in a JSON text.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the quotes, backslashes and control characters of the text stand, from `at` or before it on.
    marks: Option<&'a [u32]>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, marks: None }
    }

    /// A reader at the start of `bytes`.
    ///
    /// # Errors
    /// When they are not UTF-8.
    pub fn of_bytes(bytes: &'a [u8]) -> Result<Self, NotJson> {
        utf8(bytes).map(Self::new)
    }

    /// A reader of a JSON text that was itself a string in another one. It does not search for the ends of strings:
    /// decoding found them already.
    ///
    /// # Errors
    /// When the text is not UTF-8.
    pub fn nested(text: &'a Decoded) -> Result<Self, NotJson> {
        let marks = Some(text.marks.as_slice());
        Ok(Self { text: utf8(&text.bytes)?, at: 0, marks })
    }

    /// All of the text.
    pub const fn all(&self) -> &'a str {
        self.text
    }

    /// The first byte of the next token, without consuming it.
    ///
    /// # Errors
    /// At the end of the text.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, NotJson> {
        match self.text.as_bytes().get(self.at) {
            Some(&byte) if byte > b' ' => Ok(byte),
            _ => self.peek_past_space(),
        }
    }

    /// Goes on in an object, from its opening brace where `*started` is false: the name of the next member, whose
    /// value the caller must consume, or `None` after the closing brace.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn member(&mut self, started: &mut bool) -> Result<Option<Text<'a>>, NotJson> {
        let more = self.goes_on(started, b'{', b'}')?;
        if more { self.name().map(Some) } else { Ok(None) }
    }

    /// Goes on in an array, as [`Reader::member`]: whether there is another element, which the caller must consume.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn element(&mut self, started: &mut bool) -> Result<bool, NotJson> {
        self.goes_on(started, b'[', b']')
    }

    /// Consumes a value and returns its text.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn value(&mut self) -> Result<&'a str, NotJson> {
        let first = self.peek()?;
        let start = self.at;
        self.skip(first)?;
        self.text.get(start..self.at).ok_or(NotJson)
    }

    /// Consumes a value and returns it if it is a string.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn text(&mut self) -> Result<Option<Text<'a>>, NotJson> {
        if self.peek()? == b'"' {
            return self.string().map(Some);
        }
        self.value().map(|_| None)
    }

    /// Consumes a value and returns it decoded if it is a string: as [`Reader::text`] and [`Text::decode`], in one pass.
    ///
    /// For the one large string of a document: it reserves room for all the text that is left.
    ///
    /// # Errors
    /// When the text is not JSON, or the string holds half a surrogate pair.
    pub fn long_text(&mut self) -> Result<Option<LongText<'a>>, NotJson> {
        if self.peek()? != b'"' {
            return self.value().map(|_| None);
        }
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let clean = next_special(bytes, start);
        if bytes.get(clean) == Some(&b'"') {
            self.at = clean + 1;
            return Ok(self.text.get(start..clean).map(LongText::Plain));
        }
        let mut marks = Vec::with_capacity((bytes.len() - start) / 8);
        let (bytes, end) = decode(bytes.get(start..).ok_or(NotJson)?, |at| marks.push(at))?;
        self.at = start + end + 1;
        // At the end of the text the closing quote is missing.
        if self.at > self.text.len() {
            Err(NotJson)
        } else {
            Ok(Some(LongText::Decoded(Decoded { bytes, marks })))
        }
    }

    /// Where the next token starts, for [`Reader::since`].
    ///
    /// # Errors
    /// At the end of the text.
    pub fn mark(&mut self) -> Result<usize, NotJson> {
        self.peek()?;
        Ok(self.at)
    }

    /// The text consumed since `mark`.
    ///
    /// # Errors
    /// When `mark` is not of this text.
    pub fn since(&self, mark: usize) -> Result<&'a str, NotJson> {
        self.text.get(mark..self.at).ok_or(NotJson)
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// When something else is left.
    pub fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_ok() { Err(NotJson) } else { Ok(()) }
    }

    fn peek_past_space(&mut self) -> Result<u8, NotJson> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&other) => return Ok(other),
                None => return Err(NotJson),
            }
        }
    }

    #[inline]
    fn goes_on(&mut self, started: &mut bool, open: u8, close: u8) -> Result<bool, NotJson> {
        if *started {
            return self.closes(close).map(|closed| !closed);
        }
        *started = true;
        self.expect(open)?;
        let empty = self.peek()? == close;
        self.at += usize::from(empty);
        Ok(!empty)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek()? != byte {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// A member's name with the colon after it.
    #[inline]
    fn name(&mut self) -> Result<Text<'a>, NotJson> {
        if self.peek()? != b'"' {
            return Err(NotJson);
        }
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    #[inline]
    fn skip_name(&mut self) -> Result<(), NotJson> {
        if self.peek()? != b'"' {
            return Err(NotJson);
        }
        self.skip_string()?;
        self.expect(b':')
    }

    /// After a value: consumes `close` (true) or a comma (false).
    #[inline]
    fn closes(&mut self, close: u8) -> Result<bool, NotJson> {
        let next = self.peek()?;
        self.at += 1;
        match next {
            b',' => Ok(false),
            b if b == close => Ok(true),
            _ => Err(NotJson),
        }
    }

    fn skip(&mut self, first: u8) -> Result<(), NotJson> {
        match first {
            b'"' => self.skip_string().map(|_| ()),
            b'{' | b'[' => self.skip_nested(),
            other => self.skip_scalar(other),
        }
    }

    fn skip_scalar(&mut self, first: u8) -> Result<(), NotJson> {
        match first {
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number(),
        }
    }

    /// Skips an object or array without recursion.
    fn skip_nested(&mut self) -> Result<(), NotJson> {
        let mut open = Levels::default();
        loop {
            // At a value.
            match self.peek()? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let object = bracket == b'{';
                    if self.peek()? != close_of(object) {
                        open.push(object);
                        if object {
                            self.skip_name()?;
                        }
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => {
                    self.skip_string()?;
                }
                other => self.skip_scalar(other)?,
            }
            // After a value.
            loop {
                let Some(object) = open.top() else { return Ok(()) };
                if self.closes(close_of(object))? {
                    open.pop();
                    continue;
                }
                if object {
                    self.skip_name()?;
                }
                break;
            }
        }
    }

    /// A string, from its opening quote.
    #[inline]
    fn string(&mut self) -> Result<Text<'a>, NotJson> {
        let start = self.at + 1;
        let escaped = self.skip_string()?;
        let inner = self.text.get(start..self.at - 1).ok_or(NotJson)?;
        Ok(Text { inner, escaped })
    }

    /// Goes past a string, from its opening quote, and says whether it holds escapes.
    #[inline]
    fn skip_string(&mut self) -> Result<bool, NotJson> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            at = self.special(at);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = after_escape(bytes, at)?;
                }
                _ => return Err(NotJson),
            }
        }
        self.at = at + 1;
        Ok(escaped)
    }

    /// As [`next_special`], from the marks where there are any.
    #[inline]
    fn special(&mut self, at: usize) -> usize {
        let Some(mut marks) = self.marks else { return next_special(self.text.as_bytes(), at) };
        loop {
            match marks {
                [mark, ..] if *mark as usize >= at => {
                    self.marks = Some(marks);
                    return *mark as usize;
                }
                [_, rest @ ..] => marks = rest,
                [] => return self.text.len(),
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), NotJson> {
        let end = self.at + word.len();
        if self.text.as_bytes().get(self.at..end) != Some(word.as_bytes()) {
            return Err(NotJson);
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<(), NotJson> {
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"eE") {
            self.take(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn take(&mut self, any_of: &[u8]) -> bool {
        let taken = self.text.as_bytes().get(self.at).is_some_and(|b| any_of.contains(b));
        self.at += usize::from(taken);
        taken
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while self.text.as_bytes().get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(NotJson) } else { Ok(()) }
    }
}

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

/// Appends `text` as a JSON string, in characters that a queue message may hold.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    if next_special(text.as_bytes(), 0) == text.len() && text.is_ascii() {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| write_char(out, c));
    }
    out.push('"');
}

/// Appends a number.
pub fn write_number(out: &mut String, number: u64) {
    let mut digits = [b'0'; 20];
    let (mut left, mut length) = (number, 0);
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        length += 1;
        if left == 0 {
            break;
        }
    }
    let written = digits.get(digits.len() - length..).and_then(|d| std::str::from_utf8(d).ok());
    out.push_str(written.unwrap_or_default());
}

fn write_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        c if c < ' ' => {
            out.push_str("\\u00");
            for nibble in [u32::from(c) >> 4, u32::from(c) & 15] {
                out.push(char::from_digit(nibble, 16).unwrap_or('0'));
            }
        }
        // Not allowed in XML, and so not in a queue message either.
        '\u{fffe}' => out.push_str("\\ufffe"),
        '\u{ffff}' => out.push_str("\\uffff"),
        c => out.push(c),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, NotJson> {
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
fn decode(bytes: &[u8], mut mark: impl FnMut(u32)) -> Result<(Vec<u8>, usize), NotJson> {
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

/// The character that a letter after a backslash stands for; 0 where it does not stand for one by itself.
#[inline]
fn simple_escape(letter: u8) -> u8 {
    SIMPLE_ESCAPES.get(usize::from(letter)).copied().unwrap_or_default()
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

/// The first position from `at` on that holds a quote, a backslash or a control character, or the end.
#[inline]
fn next_special(bytes: &[u8], mut at: usize) -> usize {
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
fn clean_prefix(block: [u8; BLOCK]) -> usize {
    let bytes = u8x16::new(block);
    let special = bytes.simd_eq(u8x16::splat(b'"'))
        | bytes.simd_eq(u8x16::splat(b'\\'))
        | bytes.simd_eq(bytes.min(u8x16::splat(b' ' - 1)));
    // A bit above the block stops the count where nothing is special.
    (special.to_bitmask() | 1 << BLOCK).trailing_zeros() as usize
}

#[inline]
const fn is_special(b: u8) -> bool {
    b < b' ' || b == b'"' || b == b'\\'
}

/// The position after an escape.
#[inline]
fn after_escape(bytes: &[u8], backslash: usize) -> Result<usize, NotJson> {
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

const fn close_of(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// Which levels are objects: a stack of bits, the top 63 of it in a register.
struct Levels {
    /// Below a leading one bit, so that the length is known.
    near: u64,
    far: Vec<u64>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { near: EMPTY, far: Vec::new() }
    }
}

impl Levels {
    #[inline]
    fn push(&mut self, object: bool) {
        if self.near & FULL != 0 {
            self.far.push(self.near);
            self.near = EMPTY;
        }
        self.near = self.near << 1 | u64::from(object);
    }

    #[inline]
    fn top(&self) -> Option<bool> {
        (self.near != EMPTY).then_some(self.near & 1 == 1)
    }

    #[inline]
    fn pop(&mut self) {
        self.near >>= 1;
        if self.near == EMPTY
            && let Some(below) = self.far.pop()
        {
            self.near = below;
        }
    }
}

// Tables instead of comparisons: which letter follows a backslash, and which hex digit that, cannot be predicted.
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
static HEX_DIGITS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_hexdigit();
        byte += 1;
    }
    table
};

const BLOCK: usize = 16;
const EMPTY: u64 = 1;
const FULL: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn accepts(text: &str) -> bool {
        let mut reader = Reader::new(text);
        reader.value().is_ok() && reader.end().is_ok()
    }

    #[test]
    fn texts_are_accepted_exactly_as_rfc_8259_has_it() {
        for good in [
            "0",
            "-0",
            "10",
            "-1.5e+10",
            "1E5",
            "0.0",
            "true",
            "false",
            "null",
            "\"\"",
            "[]",
            "{}",
            " \t\r\n1 ",
            "[1,[2,[{}]]]",
            r#"{"a":{"b":[]},"a":1}"#,
            r#""\u00e9\n\"\\\/\b\f\r\t""#,
            r#""\ud83d""#,
            "\"\u{7f}é😀\"",
        ] {
            assert!(accepts(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "01",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "tru",
            "truee",
            "nul",
            "'a'",
            "\"",
            "\"a",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "\"\u{0}\"",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[]]",
            "{}{}",
            "\u{feff}1",
            "[1]\u{a0}",
            "/**/1",
            "[1,\u{b}2]",
        ] {
            assert!(!accepts(bad), "{bad:?}");
        }
    }

    #[test]
    fn nesting_is_followed_to_any_depth_without_recursion() {
        for depth in [1, 62, 63, 64, 65, 127, 128, 500, 1_000_000] {
            let arrays = "[".repeat(depth) + &"]".repeat(depth);
            assert!(accepts(&arrays), "{depth}");
            let (short, long) = ("[".repeat(depth) + &"]".repeat(depth - 1), arrays + "]");
            assert!(!accepts(&short) && !accepts(&long), "{depth}");
            let mixed = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth);
            assert!(accepts(&mixed), "{depth}");
            let crossed = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth - 1) + "]}";
            assert!(!accepts(&crossed), "{depth}");
        }
    }

    #[test]
    fn values_are_handed_out_byte_for_byte() {
        let mut reader = Reader::new(" [ {\"a\" : [1 , 2]} ,\"x\\/y\", 1.50 ] ");
        let mut values = Vec::new();
        let mut started = false;
        while reader.element(&mut started).unwrap() {
            values.push(reader.value().unwrap());
        }
        reader.end().unwrap();
        assert_eq!(values, ["{\"a\" : [1 , 2]}", "\"x\\/y\"", "1.50"]);
    }

    #[test]
    fn half_a_surrogate_pair_is_json_but_has_no_decoded_form() {
        for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\ude00\ud83d""#] {
            assert!(accepts(half) && Reader::new(half).long_text().is_err(), "{half}");
            let text = Reader::new(half).text().unwrap().unwrap();
            assert_eq!(text.decode(), half.trim_matches('"'), "passed on as written");
        }
    }

    /// JSON, near-JSON and noise, with the characters that matter to a scanner.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            r#"[\[\]{}:,"\\u0-9a-fnrtE+. -]{0,40}"#,
            any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
            (r#"[ -~é\n]{0,40}"#, any::<String>()).prop_map(|(a, b)| format!(r#"{{"{a}":["{b}",{{}}]}}"#)),
            proptest::collection::vec(any::<char>(), 0..40)
                .prop_map(|c| {
                    c.iter().map(|c| format!("\\u{:04x}", u32::from(*c) & 0xffff)).collect::<String>()
                })
                .prop_map(|s| format!("\"{s}\"")),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn verdict_is_that_of_serde_json(text in texts()) {
            prop_assert_eq!(accepts(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn decoded_strings_are_those_of_serde_json(text in texts()) {
            if !text.starts_with('"') {
                return Ok(());
            }
            let mut reader = Reader::new(&text);
            let decoded = reader.long_text().and_then(|t| reader.end().map(|()| t));
            let Ok(expected) = serde_json::from_str::<String>(&text) else {
                prop_assert!(decoded.is_err());
                return Ok(());
            };
            match decoded.unwrap().unwrap() {
                LongText::Plain(plain) => prop_assert_eq!(plain, &*expected),
                LongText::Decoded(decoded) => prop_assert_eq!(decoded.bytes(), expected.as_bytes()),
            }
            prop_assert_eq!(Reader::new(&text).text().unwrap().unwrap().decode(), expected);
        }

        #[test]
        fn a_nested_text_is_read_as_if_it_stood_alone(text in texts()) {
            let outer = serde_json::to_string(&text).unwrap();
            let inner = Reader::new(&outer).long_text().unwrap().unwrap();
            if let LongText::Decoded(decoded) = inner {
                let mut nested = Reader::nested(&decoded).unwrap();
                let (value, end) = (nested.value(), nested.end());
                let mut alone = Reader::new(&text);
                prop_assert_eq!(value, alone.value());
                prop_assert_eq!(end, alone.end());
            }
        }

        #[test]
        fn written_numbers_are_read_back(number in any::<u64>(), bits in 0..64_u32) {
            for number in [number >> bits, 0, u64::MAX] {
                let mut out = String::new();
                write_number(&mut out, number);
                prop_assert_eq!(out, number.to_string());
            }
        }

        #[test]
        fn written_strings_are_read_back_and_fit_a_queue_message(text in any::<String>()) {
            let mut out = String::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            let allowed = out.chars().all(|c| c >= ' ' && !('\u{fffe}'..='\u{ffff}').contains(&c));
            prop_assert!(allowed, "{out:?}");
        }
    }
}
