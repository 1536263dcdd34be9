//! JSON from outside: bounded, and no member twice at any depth.
//!
//! Two readers that choose differently between duplicates see two findings in one, so a duplicate is an error.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Parses one value and nothing after it. `None` for what is not JSON, too deep, or has a member twice.
pub(crate) fn parse(bytes: &[u8]) -> Option<Value> {
    let mut de = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { depth: 0 }.deserialize(&mut de).ok()?;
    de.end().ok()?;
    Some(value)
}

/// The member at a path of names.
pub(crate) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// The text at a path; empty counts as absent, longer than 2048 bytes too.
pub(crate) fn text(value: &Value, path: &[&str]) -> Option<String> {
    let text = at(value, path)?.as_str()?;
    (!text.is_empty() && text.len() <= MAX_TEXT).then(|| text.to_owned())
}

/// The items of the list at a path, at most 64.
pub(crate) fn items<'v>(value: &'v Value, path: &[&str]) -> impl Iterator<Item = &'v Value> + use<'v> {
    at(value, path).and_then(Value::as_array).into_iter().flatten().take(MAX_ITEMS)
}

#[derive(Clone, Copy)]
struct Seed {
    depth: usize,
}

impl Seed {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH { Err(E::custom("too deep")) } else { Ok(Self { depth: self.depth + 1 }) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let (inner, mut items) = (self.deeper()?, Vec::new());
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (inner, mut members) = (self.deeper()?, Map::new());
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

const MAX_DEPTH: usize = 32;
const MAX_TEXT: usize = 2048;
const MAX_ITEMS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_depth_and_tails_are_refused() {
        assert!(parse(br#"{"a":{"b":[1,2.5,"x",null,true,-3]}}"#).is_some());
        for (case, json) in [
            ("twice", r#"{"a":1,"a":1}"#.to_owned()),
            ("twice, further down", r#"{"x":[{"a":1,"b":2,"a":3}]}"#.to_owned()),
            ("a tail", "{} {}".to_owned()),
            ("deep", format!("{}{}", "[".repeat(40), "]".repeat(40))),
            ("cut", r#"{"a":"#.to_owned()),
        ] {
            assert!(parse(json.as_bytes()).is_none(), "{case}");
        }
    }
}
