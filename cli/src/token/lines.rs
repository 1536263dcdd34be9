//! Tokens, one a line, however long somebody makes a line.

use std::io::{self, BufRead, Read};

/// A line without its end.
pub(super) enum Line {
    /// It may be empty, and may be no text.
    Whole(Vec<u8>),
    /// Longer than any token; the rest of it was read over.
    TooLong,
}

/// The next line of at most `max` bytes; `None` at the end of the input.
pub(super) fn next(reader: &mut dyn BufRead, max: u64) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    // One more for the end of the line, one more to see that there is too much.
    reader.take(max.saturating_add(2)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let ended = line.pop_if(|last| *last == b'\n').is_some();
    let _carriage_return = line.pop_if(|last| ended && *last == b'\r');
    if line.len() as u64 <= max {
        return Ok(Some(Line::Whole(line)));
    }
    if !ended {
        skip_line(reader)?;
    }
    Ok(Some(Line::TooLong))
}

fn skip_line(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut input: &[u8], max: u64) -> Vec<Option<Vec<u8>>> {
        let mut found = Vec::new();
        while let Some(line) = next(&mut input, max).unwrap() {
            found.push(match line {
                Line::Whole(line) => Some(line),
                Line::TooLong => None,
            });
        }
        found
    }

    #[test]
    fn every_line_is_one_whatever_its_length_and_end() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        for (label, input, expected) in [
            ("nothing", "", vec![]),
            ("one, ended", "abc\n", vec![some("abc")]),
            ("one, not ended", "abc", vec![some("abc")]),
            ("empty lines", "\n\nabc\n", vec![some(""), some(""), some("abc")]),
            ("lines of another system", "abc\r\n\r\n", vec![some("abc"), some("")]),
            ("a carriage return alone stays", "a\rb", vec![some("a\rb")]),
            ("as long as may be", "abcd\nx", vec![some("abcd"), some("x")]),
            ("one too long", "abcde\nx", vec![None, some("x")]),
            ("two too long", "abcdef\nx", vec![None, some("x")]),
            ("much too long", "abcdefghijkl\nx", vec![None, some("x")]),
            ("too long and not ended", "abcdefghijkl", vec![None]),
            ("as long as may be, of another system", "abcd\r\nx", vec![some("abcd"), some("x")]),
        ] {
            assert_eq!(all(input.as_bytes(), 4), expected, "{label}");
        }
    }
}
