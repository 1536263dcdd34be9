//! Texts of a bounded length.

use std::fmt;

use serde::{Serialize, Serializer};

/// A text of at most [`MAX_TEXT`] bytes as JSON writes it, escapes included; what was cut off is marked by `…`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text(Box<str>);

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        // The longest that JSON makes of a byte is six: shorter texts need no counting. Nor do those without escapes.
        let plain = || text.len() <= MAX_TEXT && text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\');
        if text.len() <= MAX_TEXT / 6 || plain() || text.chars().map(json_len).sum::<usize>() <= MAX_TEXT {
            return Self(text.into());
        }
        let mut room = MAX_TEXT - CUT.len();
        let fits = |c: &char| {
            let left = room.checked_sub(json_len(*c));
            room = left.unwrap_or(0);
            left.is_some()
        };
        Self(text.chars().take_while(fits).chain(CUT.chars()).collect())
    }

    /// `None` for an empty text: OCSF has no use for empty attributes.
    pub(crate) fn some(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first [`MAX_LIST`] texts that are not empty.
pub(crate) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<Text> {
    texts.into_iter().filter_map(|text| Text::some(text.as_ref())).take(MAX_LIST).collect()
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

/// What a character takes in JSON (RFC 8259, section 7).
const fn json_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

/// Bytes. Holds every identifier of the stack; an ARN of a secret is the longest.
pub(crate) const MAX_TEXT: usize = 256;
/// Roles, scopes and policies of one event.
pub(crate) const MAX_LIST: usize = 32;
const CUT: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        for (label, text) in [
            ("ascii", "a".repeat(300)),
            ("two bytes", "é".repeat(200)),
            ("four", "a".to_owned() + &"🔑".repeat(80)),
            ("controls", "\u{1}".repeat(50)),
            ("quotes and line ends", "\"\n".repeat(70)),
        ] {
            let cut = Text::new(&text);
            let json = serde_json::to_string(&cut).unwrap();
            assert!((MAX_TEXT - 8..=MAX_TEXT).contains(&(json.len() - 2)), "{label}: {json}");
            assert!(text.starts_with(cut.as_str().trim_end_matches(CUT)), "{label}");
            assert!(cut.as_str().ends_with(CUT), "{label}");
        }
        assert_eq!(Text::new(&"a".repeat(256)).as_str(), "a".repeat(256));
    }

    #[test]
    fn empty_texts_are_left_out() {
        assert_eq!(Text::some(""), None);
        assert_eq!(list(["", "a", ""]).len(), 1);
        assert_eq!(list((0..100).map(|n| n.to_string())).len(), MAX_LIST);
    }
}
