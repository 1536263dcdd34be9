//! The envelope: a record's personal fields, sealed one by one under a key of that record alone.
//!
//! `docs/ENVELOPE.md` specifies every byte. In short: HKDF-SHA256 expands a [`SubjectKey`] over the record's salt and
//! its [`RecordBinding`] to an AES-256-GCM key and a commitment to it. The record carries a [`Header`] with the salt
//! and the commitment; each field is a blob of its own, and its associated data repeats the binding and adds the
//! field's name. Whatever is moved to another field, record, subject or table fails to open.

mod binding;
mod error;
mod header;
mod key;
mod nonces;
mod open;
pub(crate) mod primitives;
mod seal;

#[doc(hidden)]
pub mod hazmat;

pub(crate) use binding::append_name;
pub use binding::{MAX_FIELD_NAME_LEN, MAX_NAME_LEN, RecordBinding};
pub use error::{BindingError, OpenError, SealError};
pub(crate) use header::purpose_byte;
pub use header::{HEADER_LEN, Header};
pub use key::SubjectKey;
pub use open::RecordOpener;
pub use seal::RecordSealer;

/// The longest plaintext of a field: 4 MiB.
pub const MAX_FIELD_LEN: usize = 4 * 1024 * 1024;

/// How many fields a sealer seals: 256.
pub const MAX_FIELDS: usize = 256;

/// By how many bytes a sealed field is longer than its plaintext: version, nonce and tag.
pub const FIELD_OVERHEAD: usize = 1 + primitives::NONCE_LEN + primitives::TAG_LEN;

/// First byte of every sealed field.
const FIELD_VERSION: u8 = 1;
