//! Reading and writing items: strict, because what a table holds is input too.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

/// An item as the SDK gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An attribute is missing or of another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A string (`S`).
pub(super) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number (`N`).
pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Bytes (`B`).
pub(super) fn binary(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A map (`M`) of bytes.
pub(super) fn binaries(values: &BTreeMap<String, Vec<u8>>) -> AttributeValue {
    AttributeValue::M(values.iter().map(|(name, value)| (name.clone(), binary(value))).collect())
}

/// Takes a string out of an item.
pub(super) fn take_string(item: &mut Item, name: &str) -> Result<String, Malformed> {
    take_optional_string(item, name)?.ok_or(Malformed)
}

/// Takes a string out of an item that may be without it.
pub(super) fn take_optional_string(item: &mut Item, name: &str) -> Result<Option<String>, Malformed> {
    match item.remove(name) {
        None => Ok(None),
        Some(AttributeValue::S(value)) => Ok(Some(value)),
        Some(_) => Err(Malformed),
    }
}

/// Takes a whole number out of an item.
pub(super) fn take_number<T: std::str::FromStr>(item: &mut Item, name: &str) -> Result<T, Malformed> {
    match item.remove(name) {
        Some(AttributeValue::N(value)) => value.parse().map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}

/// Takes bytes out of an item.
pub(super) fn take_binary(item: &mut Item, name: &str) -> Result<Vec<u8>, Malformed> {
    item.remove(name).ok_or(Malformed).and_then(into_binary)
}

/// Takes a map of bytes out of an item.
pub(super) fn take_binaries(item: &mut Item, name: &str) -> Result<BTreeMap<String, Vec<u8>>, Malformed> {
    match item.remove(name) {
        Some(AttributeValue::M(values)) => {
            values.into_iter().map(|(name, value)| Ok((name, into_binary(value)?))).collect()
        }
        _ => Err(Malformed),
    }
}

fn into_binary(value: AttributeValue) -> Result<Vec<u8>, Malformed> {
    match value {
        AttributeValue::B(bytes) => Ok(bytes.into_inner()),
        _ => Err(Malformed),
    }
}
