//! Opening the fields of one record.

use super::binding::{Context, RecordBinding};
use super::error::OpenError;
use super::header::Header;
use super::key::SubjectKey;
use super::primitives::{Gcm, NONCE_LEN, TAG_LEN, same};
use super::{FIELD_OVERHEAD, FIELD_VERSION, MAX_FIELD_LEN};

/// Opens the fields of one record. That there is an opener proves that its header was made with this key for this
/// record.
pub struct RecordOpener {
    gcm: Gcm,
    context: Context,
}

impl RecordOpener {
    /// Derives the record's key and compares the commitment, before anything is decrypted.
    ///
    /// # Errors
    /// [`OpenError::NotThisRecord`] where the header was made with another key or for another record, or was changed;
    /// [`OpenError::Malformed`] and [`OpenError::Unsupported`] as [`Header::parse`].
    pub fn new(key: &SubjectKey, binding: &RecordBinding<'_>, header: &[u8]) -> Result<Self, OpenError> {
        let header = Header::parse(header)?;
        let mut context = Context::new(key, binding, &header)?;
        let record_key = key.derive(&mut context)?;
        let ours = header.purpose == binding.purpose && same(&record_key.commitment, &header.commitment);
        ours.then_some(Self { gcm: record_key.gcm, context }).ok_or(OpenError::NotThisRecord)
    }

    /// Appends the plaintext of the field to `out`. On failure `out` is as before. Wiping `out` is the caller's.
    ///
    /// # Errors
    /// [`OpenError::NotThisField`] where the blob was sealed under another name or in another record, or was changed.
    pub fn open(&mut self, field: &str, blob: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let (nonce, sealed) = parse_field(blob)?;
        let aad = self.context.aad(field)?;
        self.gcm.open(nonce, aad, sealed, out).ok_or(OpenError::NotThisField)
    }
}

/// Nonce, and ciphertext with tag.
fn parse_field(blob: &[u8]) -> Result<([u8; NONCE_LEN], &[u8]), OpenError> {
    let (version, rest) = blob.split_first().ok_or(OpenError::Malformed)?;
    if *version != FIELD_VERSION {
        return Err(OpenError::Unsupported);
    }
    let (nonce, sealed) = rest.split_first_chunk().ok_or(OpenError::Malformed)?;
    if sealed.len() < TAG_LEN || blob.len() > MAX_FIELD_LEN + FIELD_OVERHEAD {
        return Err(OpenError::Malformed);
    }
    Ok((*nonce, sealed))
}
