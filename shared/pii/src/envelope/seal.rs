//! Sealing the fields of one record.

use super::binding::{Context, RecordBinding};
use super::error::SealError;
use super::header::{HEADER_LEN, Header};
use super::key::SubjectKey;
use super::nonces::Nonces;
use super::primitives::Gcm;
use super::{FIELD_OVERHEAD, FIELD_VERSION, MAX_FIELD_LEN, MAX_FIELDS};

/// Seals the fields of one record. Each sealer has a salt of its own, and so a key that no other record has.
pub struct RecordSealer {
    gcm: Gcm,
    header: [u8; HEADER_LEN],
    context: Context,
    nonces: Nonces,
    sealed: usize,
}

impl RecordSealer {
    /// Draws a salt and derives the record's key.
    ///
    /// # Errors
    /// [`SealError::Binding`] where a name is empty or too long, or the key is another subject's.
    pub fn new(key: &SubjectKey, binding: &RecordBinding<'_>) -> Result<Self, SealError> {
        let (salt, nonces) = Nonces::with_salt()?;
        Self::from_parts(key, binding, salt, nonces)
    }

    pub(super) fn from_parts(
        key: &SubjectKey,
        binding: &RecordBinding<'_>,
        salt: [u8; 32],
        nonces: Nonces,
    ) -> Result<Self, SealError> {
        let unsigned = Header {
            purpose: binding.purpose,
            branch_version: key.branch_version(),
            salt,
            commitment: [0; 32],
        };
        let mut context = Context::new(key, binding, &unsigned)?;
        let record_key = key.derive(&mut context)?;
        let header = Header { commitment: record_key.commitment, ..unsigned }.to_bytes();
        Ok(Self { gcm: record_key.gcm, header, context, nonces, sealed: 0 })
    }

    /// What must be stored beside the fields.
    pub const fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Appends the sealed `plaintext` of the field to `out`: [`FIELD_OVERHEAD`] bytes more than the plaintext. On
    /// failure `out` is as before.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], [`SealError::TooManyFields`], or [`SealError::Binding`] where the field's name is empty
    /// or too long.
    pub fn seal(&mut self, field: &str, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        if plaintext.len() > MAX_FIELD_LEN {
            return Err(SealError::TooLarge);
        }
        if self.sealed >= MAX_FIELDS {
            return Err(SealError::TooManyFields);
        }
        let aad = self.context.aad(field)?;
        let nonce = self.nonces.take()?;
        let start = out.len();
        out.reserve(plaintext.len() + FIELD_OVERHEAD);
        out.push(FIELD_VERSION);
        out.extend_from_slice(&nonce);
        self.gcm.seal(nonce, aad, plaintext, out).inspect_err(|_| out.truncate(start))?;
        self.sealed += 1;
        Ok(())
    }
}
