//! Every shape in which CloudTrail records come: `EventBridge` envelopes, log files, arrays, JSON lines, single records.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::record::{Record, RecordError};
use crate::tree::Text;

/// The records in `input`, in their order. What cannot be read is an item too: nothing is dropped silently.
///
/// After an unreadable line the next one is read; an unreadable value of several lines ends the input.
pub fn records(input: &[u8]) -> Records<'_> {
    match std::str::from_utf8(input) {
        Ok(text) => Records { text, at: 0, pending: Vec::new(), failed: None },
        Err(e) => Records {
            text: "",
            at: 0,
            pending: Vec::new(),
            failed: Some(Unreadable {
                at: e.valid_up_to(),
                reason: RecordError::Malformed("not UTF-8".to_owned()),
            }),
        },
    }
}

/// A part of the input that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {reason}")]
pub struct Unreadable {
    /// Where the part begins, in bytes from the start of the input.
    pub at: usize,
    /// What is wrong with it.
    pub reason: RecordError,
}

/// Iterator over the records of an input: see [`records`].
#[derive(Debug)]
pub struct Records<'a> {
    text: &'a str,
    at: usize,
    /// What an array or a log file still holds, last first, each with its place.
    pending: Vec<(usize, &'a str)>,
    failed: Option<Unreadable>,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failed) = self.failed.take() {
            return Some(Err(failed));
        }
        loop {
            if let Some((at, json)) = self.pending.pop() {
                return Some(single(json).map_err(|reason| Unreadable { at, reason }));
            }
            let (at, value) = match self.value()? {
                Ok(found) => found,
                Err(unreadable) => return Some(Err(unreadable)),
            };
            match self.open(at, value) {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(reason) => return Some(Err(Unreadable { at, reason })),
            }
        }
    }
}

impl<'a> Records<'a> {
    /// The next JSON value of the input.
    fn value(&mut self) -> Option<Result<(usize, &'a str), Unreadable>> {
        let rest = self.text.get(self.at..)?;
        let blank = rest.len() - rest.trim_ascii_start().len();
        let (at, rest) = (self.at + blank, rest.trim_ascii_start());
        if rest.is_empty() {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        match values.next()? {
            Ok(value) => {
                self.at = at + values.byte_offset();
                Some(Ok((at, value.get())))
            }
            Err(error) => {
                // Lines are counted from 1 within the value: beyond the first, nobody knows where the next one begins.
                let line = rest.find('\n').filter(|_| error.line() <= 1);
                self.at = line.map_or(self.text.len(), |line| at + line + 1);
                Some(Err(Unreadable { at, reason: RecordError::Malformed(error.to_string()) }))
            }
        }
    }

    /// A record, or else what an array or log file holds is put into `pending`.
    fn open(&mut self, at: usize, json: &'a str) -> Result<Option<Record<'a>>, RecordError> {
        if json.starts_with('[') {
            self.hold(at, json, &list(json)?);
            return Ok(None);
        }
        let shape = shape(json)?;
        match shape.records {
            Some(records) => {
                self.hold(at, json, &list(records.get())?);
                Ok(None)
            }
            None => unwrap(json, &shape).map(Some),
        }
    }

    fn hold(&mut self, at: usize, json: &str, items: &[&'a RawValue]) {
        let start = json.as_ptr() as usize;
        let place = |item: &RawValue| at + (item.get().as_ptr() as usize).saturating_sub(start);
        self.pending.extend(items.iter().rev().map(|item| (place(item), item.get())));
    }
}

fn list(json: &str) -> Result<Vec<&RawValue>, RecordError> {
    serde_json::from_str(json).map_err(malformed)
}

/// A record, bare or in an envelope.
fn single(json: &str) -> Result<Record<'_>, RecordError> {
    unwrap(json, &shape(json)?)
}

fn unwrap<'a>(json: &'a str, shape: &Shape<'a>) -> Result<Record<'a>, RecordError> {
    match (&shape.detail_type, shape.detail) {
        (Some(kind), Some(detail)) if DETAIL_TYPES.contains(&&*kind.0) => Record::parse_str(detail.get()),
        (Some(kind), _) => Err(RecordError::OtherEvent(kind.0.chars().take(64).collect())),
        (None, _) => Record::parse_str(json),
    }
}

/// What tells an envelope and a log file from a record.
#[derive(Default)]
struct Shape<'a> {
    records: Option<&'a RawValue>,
    detail_type: Option<Text<'a>>,
    detail: Option<&'a RawValue>,
}

fn shape(json: &str) -> Result<Shape<'_>, RecordError> {
    // A record never has these members: no need to go through it twice.
    if !json.contains("\"Records\"") && !json.contains("\"detail-type\"") {
        return Ok(Shape::default());
    }
    let mut parser = serde_json::Deserializer::from_str(json);
    ShapeSeed.deserialize(&mut parser).map_err(malformed)
}

struct ShapeSeed;

impl<'de> DeserializeSeed<'de> for ShapeSeed {
    type Value = Shape<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Shape<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape<'de>, A::Error> {
        let mut shape = Shape::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "Records" => shape.records = once(&shape.records, map.next_value()?)?,
                "detail-type" => shape.detail_type = once(&shape.detail_type, map.next_value()?)?,
                "detail" => shape.detail = once(&shape.detail, map.next_value()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(shape)
    }
}

/// Of two members of one name, which one counts is anyone's guess: neither is taken.
fn once<T, E: serde::de::Error>(before: &Option<T>, value: T) -> Result<Option<T>, E> {
    if before.is_some() { Err(E::custom("a member is there twice")) } else { Ok(Some(value)) }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn malformed(error: serde_json::Error) -> RecordError {
    RecordError::Malformed(error.to_string())
}

/// The detail types under which CloudTrail's records reach `EventBridge`. The sign-in type is "Signin" in the user guide
/// and "Sign In" in delivered events: both are taken, and a rule of `EventBridge` should list both.
///
/// Source: Amazon EventBridge User Guide, "AWS service events delivered via AWS CloudTrail".
pub const DETAIL_TYPES: [&str; 5] = [
    "AWS API Call via CloudTrail",
    "AWS Console Signin via CloudTrail",
    "AWS Console Sign In via CloudTrail",
    "AWS Console Action via CloudTrail",
    "AWS Service Event via CloudTrail",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> String {
        format!(r#"{{"eventID":"{id}","eventTime":"2026-01-02T03:04:05Z","eventName":"X"}}"#)
    }

    /// Ids of the records, `!` for what is unreadable.
    fn ids(input: &str) -> String {
        records(input.as_bytes())
            .map(|r| r.map_or_else(|_| "!".to_owned(), |r| r.id().to_owned()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn every_shape_gives_its_records_in_order() {
        let (a, b) = (record("a"), record("b"));
        let envelope = |kind: &str| {
            format!(r#"{{"version":"0","detail-type":"{kind}","source":"aws.iam","detail":{a}}}"#)
        };
        for (case, input, expected) in [
            ("one", a.clone(), "a"),
            ("lines", format!("{a}\n\n{b}\r\n"), "a b"),
            ("one after another", format!("{a}{b}"), "a b"),
            ("array", format!("[{a},{b}]"), "a b"),
            ("log file", format!(r#"{{"Records":[{a},{b}]}}"#), "a b"),
            ("log files in lines", format!("{{\"Records\":[{a}]}}\n{{\"Records\":[{b}]}}"), "a b"),
            ("API call", envelope("AWS API Call via CloudTrail"), "a"),
            ("sign-in", envelope("AWS Console Sign In via CloudTrail"), "a"),
            ("sign-in as documented", envelope("AWS Console Signin via CloudTrail"), "a"),
            ("service event", envelope("AWS Service Event via CloudTrail"), "a"),
            ("envelopes in an array", format!("[{},{b}]", envelope("AWS API Call via CloudTrail")), "a b"),
            ("nothing", " \n ".to_owned(), ""),
            ("empty log file", r#"{"Records":[]}"#.to_owned(), ""),
        ] {
            assert_eq!(ids(&input), expected, "{case}");
        }
    }

    #[test]
    fn nothing_is_dropped_silently() {
        let (a, b) = (record("a"), record("b"));
        for (case, input, expected) in [
            ("another event", r#"{"detail-type":"GuardDuty Finding","detail":{}}"#.to_owned(), "!"),
            (
                "an envelope without detail",
                r#"{"detail-type":"AWS API Call via CloudTrail"}"#.to_owned(),
                "!",
            ),
            ("a broken line", format!("{a}\n{{\"eventID\n{b}"), "a ! b"),
            ("a line that is no record", format!("{a}\n{{}}\n7\n{b}"), "a ! ! b"),
            ("one bad item", format!("[{a},3,{b}]"), "a ! b"),
            ("a cut log file", format!("{{\"Records\":[\n{a},\n{b}"), "!"),
            ("Records no array", r#"{"Records":7}"#.to_owned(), "!"),
            (
                "detail twice",
                format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{a},"detail":{b}}}"#),
                "!",
            ),
        ] {
            assert_eq!(ids(&input), expected, "{case}");
        }
        assert_eq!(records(b"\xff").count(), 1);
    }

    #[test]
    fn an_unreadable_part_says_where_it_is() {
        let input = format!("{}\nnonsense\n", record("a"));
        let error = records(input.as_bytes()).find_map(Result::err).unwrap();
        assert_eq!(error.at, record("a").len() + 1);
        let input = format!("[{},7]", record("a"));
        let error = records(input.as_bytes()).find_map(Result::err).unwrap();
        assert_eq!(input.as_bytes()[error.at], b'7');
    }
}
