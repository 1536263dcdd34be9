//! A one-pass reader of JSON text that hands out spans of the input instead of building values.
//!
//! It accepts exactly the texts of [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259), to any depth, in one forward
//! pass and with one bit of memory per level of nesting. It never recurses: a hostile text cannot exhaust the stack.

mod levels;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod write;

use self::levels::Levels;
use self::scan::{after_escape, next_special};
pub use self::text::{Decoded, LongText, Text};
use self::text::{decode, utf8};
pub use self::write::{write_number, write_string};

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
        let marks = Some(text.marks());
        Ok(Self { text: utf8(text.bytes())?, at: 0, marks })
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
            Ok(Some(LongText::Decoded(Decoded::new(bytes, marks))))
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
        Ok(Text::new(inner, escaped))
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

const fn close_of(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}
