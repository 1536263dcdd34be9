//! What can go wrong with an envelope. No variant carries data of the record.

use super::primitives::ProviderError;

/// Why a binding is refused before any cryptography.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// A table, record, subject or field name is empty or too long.
    #[error("a name of the binding is empty or too long")]
    Name,
    /// The key belongs to another subject or purpose than the binding says.
    #[error("the key belongs to another subject or purpose")]
    OtherKey,
}

/// Why a field could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The binding is not valid.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The plaintext is longer than [`MAX_FIELD_LEN`](super::MAX_FIELD_LEN).
    #[error("field is too large")]
    TooLarge,
    /// The record has [`MAX_FIELDS`](super::MAX_FIELDS) fields already.
    #[error("record has too many fields")]
    TooManyFields,
    /// The cryptographic provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Why a record or a field could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The binding is not valid.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The bytes are not a header or a sealed field: too short, too long, or an impossible value.
    #[error("envelope is malformed")]
    Malformed,
    /// The bytes say a format version or suite that this code does not know.
    #[error("envelope version or suite is not supported")]
    Unsupported,
    /// The commitment does not match: the header belongs to another record or subject, another key sealed it, or it was
    /// changed.
    #[error("header does not belong to this record and key")]
    NotThisRecord,
    /// The tag does not match: the field belongs to another name or record, or it was changed.
    #[error("field does not belong to this record and name")]
    NotThisField,
    /// The cryptographic provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}
