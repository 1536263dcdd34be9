//! JSON as a security decision wants it: one object, no member twice at any depth, everything bounded.
//!
//! RFC 7515 section 4 and RFC 7519 section 4 let a parser refuse duplicate members or take the last one. Two parsers that
//! choose differently see two tokens in one, so here a duplicate is an error, unknown members included.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonFault {
    /// Not JSON, not an object, or over a bound.
    Malformed,
    /// A member stands twice.
    Duplicate,
}

/// A value. Text borrows from the input unless it holds an escape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// An object whose members are all different.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Parses one object and nothing after it.
pub(crate) fn parse(text: &[u8]) -> Result<Object<'_>, JsonFault> {
    let fault = Cell::new(JsonFault::Malformed);
    // Checked at once: from bytes serde_json checks every text by itself.
    let text = std::str::from_utf8(text).map_err(|_| JsonFault::Malformed)?;
    let mut de = serde_json::Deserializer::from_str(text);
    let parsed = Seed { fault: &fault, depth: 0 }.deserialize(&mut de).and_then(|v| de.end().map(|()| v));
    match parsed {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(JsonFault::Malformed),
        Err(_) => Err(fault.get()),
    }
}

impl<'a> Object<'a> {
    /// The member of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Whether there is a member of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that must be text if it is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, JsonFault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(JsonFault::Malformed),
        }
    }

    /// All members, in the order of the text.
    pub(crate) fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> {
        self.0.into_iter()
    }
}

impl From<Value<'_>> for serde_json::Value {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => b.into(),
            Value::Int(n) => n.into(),
            Value::Float(n) => n.into(),
            Value::Text(text) => text.into_owned().into(),
            Value::List(items) => items.into_iter().map(Self::from).collect(),
            Value::Object(object) => {
                object.into_members().map(|(n, v)| (n.into_owned(), Self::from(v))).collect()
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'f> {
    fault: &'f Cell<JsonFault>,
    depth: usize,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(v).map_or(Value::Float(v as f64), Value::Int))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(v))
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (inner, mut items) = (self.deeper()?, Vec::new());
        while let Some(item) = seq.next_element_seed(inner)? {
            if items.len() >= MAX_ITEMS {
                return Err(A::Error::custom("too many items"));
            }
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut members: Vec<(Cow<'de, str>, Value<'de>)> = Vec::with_capacity(12);
        while let Some(name) = map.next_key_seed(Name)? {
            if members.len() >= MAX_ITEMS {
                return Err(A::Error::custom("too many members"));
            }
            if members.iter().any(|(n, _)| *n == name) {
                self.fault.set(JsonFault::Duplicate);
                return Err(A::Error::custom("duplicate member"));
            }
            members.push((name, map.next_value_seed(inner)?));
        }
        Ok(Value::Object(Object(members)))
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }
}

const MAX_DEPTH: usize = 8;
// Duplicates are found by comparing with all members before: the bound keeps that cheap.
const MAX_ITEMS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_and_why() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(8), "]".repeat(8));
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(128));
        for (label, text, expected) in [
            ("empty object", "{}", None),
            ("white space around", " {\"a\" : 1 } ", None),
            ("empty", "", Some(JsonFault::Malformed)),
            ("array", "[]", Some(JsonFault::Malformed)),
            ("text", "\"a\"", Some(JsonFault::Malformed)),
            ("trailing text", "{}{}", Some(JsonFault::Malformed)),
            ("byte order mark", "\u{feff}{}", Some(JsonFault::Malformed)),
            ("duplicate", r#"{"a":1,"b":2,"a":1}"#, Some(JsonFault::Duplicate)),
            ("duplicate by escape", r#"{"a":1,"\u0061":1}"#, Some(JsonFault::Duplicate)),
            ("nested duplicate", r#"{"a":{"b":1,"b":1}}"#, Some(JsonFault::Duplicate)),
            ("duplicate in a list", r#"{"a":[{"b":1,"b":1}]}"#, Some(JsonFault::Duplicate)),
            ("same name at two depths", r#"{"a":{"a":1}}"#, None),
            ("lone surrogate", r#"{"a":"\ud800"}"#, Some(JsonFault::Malformed)),
            ("infinite number", r#"{"a":1e999}"#, Some(JsonFault::Malformed)),
            ("not a number", r#"{"a":NaN}"#, Some(JsonFault::Malformed)),
            ("too deep", &*deep, Some(JsonFault::Malformed)),
            ("too long", &*many, Some(JsonFault::Malformed)),
        ] {
            assert_eq!(parse(text.as_bytes()).err(), expected, "{label}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}").err(), Some(JsonFault::Malformed), "not UTF-8");
    }

    #[test]
    fn values_keep_their_kind() {
        let text = br#"{"i":-1,"u":18446744073709551615,"f":1.5,"t":"x\ny","l":[null,true],"o":{"k":"v"}}"#;
        let object = parse(text).unwrap();
        assert_eq!(object.get("i"), Some(&Value::Int(-1)));
        assert_eq!(object.get("u"), Some(&Value::Float(18_446_744_073_709_551_615.0)));
        assert_eq!(object.text("t"), Ok(Some("x\ny")));
        assert_eq!((object.text("i"), object.text("z")), (Err(JsonFault::Malformed), Ok(None)));
        let json = serde_json::Value::from(Value::Object(object));
        assert_eq!(json["l"], serde_json::json!([null, true]));
        assert_eq!(json["o"]["k"], "v");
    }
}
