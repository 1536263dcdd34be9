//! DANGEROUS: keys, salts and nonces chosen by the caller, and the bare primitives. For test vectors and fuzzing only:
//! a nonce used twice under one key gives away the plaintexts and lets anyone forge.

use super::nonces::Nonces;
pub use super::primitives::{Gcm, Mac, NONCE_LEN, Prk, ProviderError, TAG_LEN, same};
use super::{RecordBinding, RecordSealer, SealError, SubjectKey};
use crate::Purpose;
pub use crate::blind_index::from_fixed_key as blind_index_with_fixed_key;
pub use crate::hierarchy::wrap::{KeyBinding, unwrap_with_fixed_key, wrap_with_fixed_key};

/// A subject key of given bytes, made at the beginning of time.
pub fn subject_key(purpose: Purpose, subject: &str, branch_version: u32, key: &[u8; 32]) -> SubjectKey {
    SubjectKey::new(purpose, subject, branch_version, 0, key)
}

/// A sealer with a given salt and at most eight given nonces, one for each field in turn.
///
/// # Errors
/// As [`RecordSealer::new`], and [`SealError::Provider`] for more than eight nonces.
pub fn sealer_with_fixed_randomness(
    key: &SubjectKey,
    binding: &RecordBinding<'_>,
    salt: [u8; 32],
    nonces: &[[u8; NONCE_LEN]],
) -> Result<RecordSealer, SealError> {
    RecordSealer::from_parts(key, binding, salt, Nonces::fixed(nonces)?)
}
