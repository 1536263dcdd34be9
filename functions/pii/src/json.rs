//! JSON as it may come: valid, and yet more than can be taken apart, by us or by who reads our answers.
//!
//! Half of a surrogate pair (RFC 8259 section 8.2: an emoji that was cut), nesting without end, numbers without end: the
//! signature is right, so the message is stored as it is; and what is stored is given back.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

/// The value, with U+FFFD for each half of a surrogate pair; `None` where it is nested too deep or a number too large.
pub(crate) fn value_of(json: &str) -> Option<Value> {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&mended(json))).ok()
}

/// The JSON as a part of an answer that every reader can take apart: itself, or with U+FFFD as [`value_of`] puts it, or
/// else as a text that holds it.
pub(crate) fn embeddable(json: &str) -> Option<Box<RawValue>> {
    let readable = |json: &str| serde_json::from_str::<Value>(json).is_ok();
    let embedded = if readable(json) {
        Cow::Borrowed(json)
    } else {
        Some(mended(json)).filter(|mended| readable(mended)).map_or_else(|| quoted(json), Cow::Owned)
    };
    RawValue::from_string(embedded.into_owned()).ok()
}

/// Every text in it, names of members too, however deep.
pub(crate) fn texts(json: &str) -> Vec<String> {
    let json = mended(json);
    let (mut texts, mut rest) = (Vec::new(), json.as_str());
    while let Some((_, from)) = rest.split_once('"') {
        let Some(end) = end_of_text(from) else { break };
        let (text, after) = from.split_at_checked(end).unwrap_or((from, ""));
        texts.extend(serde_json::from_str::<String>(&format!("\"{text}\"")));
        rest = after.strip_prefix('"').unwrap_or_default();
    }
    texts
}

/// Where the text ends whose first byte is the first of `json`.
fn end_of_text(json: &str) -> Option<usize> {
    let mut escaped = false;
    json.bytes().position(|b| match b {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        b => b == b'"',
    })
}

fn quoted(json: &str) -> Cow<'_, str> {
    // A string can always be written.
    Cow::Owned(serde_json::to_string(json).unwrap_or_else(|_| "null".to_owned()))
}

/// With `\ufffd` for every `\ud800` to `\udfff` that is not one of a pair. Backslashes stand in texts only.
fn mended(json: &str) -> String {
    let (mut mended, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
        mended.push_str(before);
        let (taken, put) = match unit(escape) {
            Some(0xD800..=0xDBFF) if follows_low(escape) => (PAIR, None),
            Some(0xD800..=0xDFFF) => (UNIT, Some("\\ufffd")),
            Some(_) => (UNIT, None),
            None => (ESCAPE, None),
        };
        let (same, after) = escape.split_at_checked(taken).unwrap_or((escape, ""));
        mended.push_str(put.unwrap_or(same));
        rest = after;
    }
    mended.push_str(rest);
    mended
}

fn follows_low(escape: &str) -> bool {
    escape.get(UNIT..).and_then(unit).is_some_and(|low| (0xDC00..=0xDFFF).contains(&low))
}

/// The UTF-16 unit that `\u` and four digits write.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// `\n`, `\u000a`, and two of these.
const ESCAPE: usize = 2;
const UNIT: usize = 6;
const PAIR: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn halves_of_pairs_are_replaced_and_nothing_else() {
        for (case, json, expected) in [
            ("plain", r#"{"a":"b"}"#, json!({"a": "b"})),
            ("a pair", r#""\ud83d\ude00 \u00e7""#, json!("😀 ç")),
            ("high alone", r#""\ud83d hello""#, json!("\u{fffd} hello")),
            ("low alone", r#""x\uDE00""#, json!("x\u{fffd}")),
            ("high, then a pair", r#""\ud83d\ud83d\ude00""#, json!("\u{fffd}😀")),
            ("two of one kind", r#""\ude00\ud83d""#, json!("\u{fffd}\u{fffd}")),
            ("an escaped backslash before", r#""\\ud83d""#, json!("\\ud83d")),
            ("before the end of the text", r#"["\ud83d","\\"]"#, json!(["\u{fffd}", "\\"])),
            ("in a name", r#"{"\ud83d":1}"#, json!({"\u{fffd}": 1})),
        ] {
            assert_eq!(value_of(json), Some(expected.clone()), "{case}");
            let embedded = embeddable(json).unwrap();
            assert_eq!(serde_json::from_str::<Value>(embedded.get()).unwrap(), expected, "{case}");
        }
    }

    #[test]
    fn what_can_be_read_is_embedded_byte_for_byte() {
        for json in [r#"{"b":1,"a":1,"b":2}"#, "12345678901234567890.10", r#" ["\u0041"] "#] {
            assert_eq!(embeddable(json).unwrap().get(), json.trim());
        }
    }

    #[test]
    fn what_cannot_be_read_is_embedded_as_a_text() {
        let deep = format!("{}\"x\"{}", "[".repeat(200), "]".repeat(200));
        for json in [deep.as_str(), "1e999", r#"{"a":1e999,"b":"\ud83d"}"#] {
            assert_eq!(value_of(json), None);
            assert_eq!(serde_json::from_str::<String>(embeddable(json).unwrap().get()).unwrap(), json);
        }
    }

    #[test]
    fn texts_are_found_however_deep() {
        let deep = format!(
            r#"{}{{"n\u00e3o":"c\u00e2ncer \"x\" \\","k":["\ud83d",1e999]}}{}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        assert_eq!(texts(&deep), ["não", "câncer \"x\" \\", "k", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn any_json_can_be_embedded_and_its_texts_read(text in "\\PC{0,20}", escapes in "(\\\\u[dD][0-9a-fA-F]{3}|\\\\n|\\\\\\\\){0,6}") {
            let json = format!("{{\"a\":[{},\"{escapes}\"]}}", serde_json::to_string(&text).unwrap());
            let value = value_of(&json).unwrap();
            prop_assert_eq!(&value["a"][0], &Value::String(text.clone()));
            prop_assert_eq!(texts(&json), ["a", text.as_str(), value["a"][1].as_str().unwrap()]);
            prop_assert!(embeddable(&json).is_some());
        }
    }
}
