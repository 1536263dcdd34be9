//! JSON that is built once and written once: names are of the program, texts are borrowed.
//!
//! A tree of `serde_json::Value` copies every text, hashes every name and took four times as long: a fifth of an
//! authorizer's work beside the signature, where it refuses a tenth of its requests.

use serde::{Serialize, Serializer};

use crate::text::Text;

/// A value that borrows.
pub(crate) enum Json<'a> {
    Nothing,
    Bool(bool),
    Number(i64),
    Text(&'a str),
    Own(String),
    List(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// Members with their names, no name twice.
pub(crate) type Members<'a> = Vec<(&'static str, Json<'a>)>;

impl<'a> Json<'a> {
    /// An object of the members that are not empty.
    pub(crate) fn of(mut members: Members<'a>) -> Self {
        members.retain(|(_, value)| !value.is_empty());
        Self::Object(members)
    }

    /// Whether it says nothing: OCSF has no use for empty attributes.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::List(values) => values.is_empty(),
            Self::Object(members) => members.is_empty(),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Own(_) => false,
        }
    }
}

impl From<bool> for Json<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json<'_> {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<u32> for Json<'_> {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<u8> for Json<'_> {
    fn from(value: u8) -> Self {
        Self::Number(value.into())
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Self::Own(text)
    }
}

impl<'a> From<&'a Text> for Json<'a> {
    fn from(text: &'a Text) -> Self {
        Self::Text(text.as_str())
    }
}

impl<'a, T: Into<Json<'a>>> From<Option<T>> for Json<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl<'a> From<&'a Vec<Text>> for Json<'a> {
    fn from(texts: &'a Vec<Text>) -> Self {
        texts.iter().map(Self::from).collect()
    }
}

impl<'a> FromIterator<Json<'a>> for Json<'a> {
    fn from_iter<I: IntoIterator<Item = Json<'a>>>(values: I) -> Self {
        Self::List(values.into_iter().collect())
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Own(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}
