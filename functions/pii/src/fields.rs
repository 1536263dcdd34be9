//! Named texts of a request.

use std::fmt;

use portcullis_lambda::Text;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A JSON object of strings, in order, each name once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Text<'de>, Text<'de>)> = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                    // Few names: looking through them is cheaper than a set. Bounded, so never quadratic in the body.
                    if fields.len() >= MAX_FIELDS || fields.iter().any(|(n, _)| *n == name) {
                        return Err(A::Error::custom("repeated or too many fields"));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        d.deserialize_map(Members)
    }
}

const MAX_FIELDS: usize = portcullis_pii::envelope::MAX_FIELDS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_strings_named_once() {
        for (label, json, ok) in [
            ("none", "{}", true),
            ("two", r#"{"a":"1","b":"2"}"#, true),
            ("repeated", r#"{"a":"1","a":"2"}"#, false),
            ("repeated by escape", r#"{"a":"1","\u0061":"2"}"#, false),
            ("number", r#"{"a":1}"#, false),
            ("null", r#"{"a":null}"#, false),
            ("object", r#"{"a":{}}"#, false),
            ("array", r#"[]"#, false),
        ] {
            assert_eq!(serde_json::from_str::<Fields<'_>>(json).is_ok(), ok, "{label}");
        }
    }

    #[test]
    fn at_most_256_fields() {
        let json = |n: usize| {
            let members: Vec<_> = (0..n).map(|i| format!("\"f{i}\":\"\"")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(serde_json::from_str::<Fields<'_>>(&json(256)).unwrap().0.len(), 256);
        assert!(serde_json::from_str::<Fields<'_>>(&json(257)).is_err());
    }
}
