//! What an envelope is bound to, encoded so that no two bindings have one encoding.

use super::SubjectKey;
use super::error::BindingError;
use super::header::{Header, PREFIX_LEN};
use crate::Purpose;

/// The longest name of a table, record or subject: 1024 bytes of UTF-8, a DynamoDB sort key's limit.
pub const MAX_NAME_LEN: usize = 1024;

/// The longest name of a field: 255 bytes of UTF-8.
pub const MAX_FIELD_NAME_LEN: usize = 255;

/// Where a record stands and whose it is. What is sealed for one binding opens for no other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordBinding<'a> {
    /// The table that holds the record.
    pub table: &'a str,
    /// The record's full primary key in that table, in one string. Where the key has parts, join them unambiguously.
    pub record: &'a str,
    /// The data subject: a blind index, never the phone number itself.
    pub subject: &'a str,
    /// What the record is part of.
    pub purpose: Purpose,
}

/// The bytes that bind: `info` of the derivation and, with a field's name added, associated data of that field.
pub(super) struct Context {
    bytes: Vec<u8>,
    len: usize,
}

impl Context {
    /// The first bytes of the header, then table, record and subject, each after its length.
    pub(super) fn new(
        key: &SubjectKey,
        binding: &RecordBinding<'_>,
        header: &Header,
    ) -> Result<Self, BindingError> {
        if binding.subject != key.subject() || binding.purpose != key.purpose() {
            return Err(BindingError::OtherKey);
        }
        let names = [binding.table, binding.record, binding.subject];
        let len = PREFIX_LEN + names.iter().map(|name| 2 + name.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(len + TYPICAL_FIELD_NAME_LEN);
        bytes.extend_from_slice(&header.prefix());
        for name in names {
            append_name(&mut bytes, name, MAX_NAME_LEN)?;
        }
        Ok(Self { len, bytes })
    }

    /// `info` of HKDF-Expand.
    pub(super) fn info(&mut self) -> &[u8] {
        self.bytes.truncate(self.len);
        &self.bytes
    }

    /// Associated data of the field `name`.
    pub(super) fn aad(&mut self, name: &str) -> Result<&[u8], BindingError> {
        self.bytes.truncate(self.len);
        append_name(&mut self.bytes, name, MAX_FIELD_NAME_LEN)?;
        Ok(&self.bytes)
    }
}

/// Appends `name` after its length, in 16 bits big-endian: two different sequences of names never give the same bytes.
pub(crate) fn append_name(out: &mut Vec<u8>, name: &str, max: usize) -> Result<(), BindingError> {
    let len = u16::try_from(name.len()).map_err(|_| BindingError::Name)?;
    if name.is_empty() || name.len() > max {
        return Err(BindingError::Name);
    }
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    Ok(())
}

const TYPICAL_FIELD_NAME_LEN: usize = 30;
