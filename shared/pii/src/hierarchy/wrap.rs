//! A subject's key under a branch key: AES-256-GCM, bound to subject, purpose, branch version and table.

use zeroize::Zeroizing;

use super::branch::BranchKey;
use crate::envelope::primitives::{Gcm, NONCE_LEN, ProviderError, TAG_LEN, random};
use crate::envelope::{MAX_NAME_LEN, append_name, purpose_byte};
use crate::{KeyError, Purpose};

/// What a wrapped subject key is bound to.
#[derive(Clone, Copy)]
pub struct KeyBinding<'a> {
    /// Name of the subject-keys table.
    pub table: &'a str,
    /// Whose key it is.
    pub subject: &'a str,
    /// What it protects.
    pub purpose: Purpose,
    /// The branch key version that wraps it.
    pub branch_version: u32,
}

impl KeyBinding<'_> {
    fn aad(&self) -> Result<Vec<u8>, KeyError> {
        let mut aad = START.to_vec();
        aad.push(purpose_byte(self.purpose));
        aad.extend_from_slice(&self.branch_version.to_be_bytes());
        for name in [self.table, self.subject] {
            append_name(&mut aad, name, MAX_NAME_LEN).map_err(|_| KeyError::Invalid)?;
        }
        Ok(aad)
    }
}

/// Wraps a key under a fresh nonce.
pub(super) fn wrap(
    branch: &BranchKey,
    binding: &KeyBinding<'_>,
    key: &[u8; 32],
) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce).map_err(provider)?;
    wrap_under(&branch.gcm, binding, nonce, key)
}

/// Unwraps a key.
pub(super) fn unwrap(
    branch: &BranchKey,
    binding: &KeyBinding<'_>,
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    unwrap_under(&branch.gcm, binding, wrapped)
}

fn wrap_under(
    gcm: &Gcm,
    binding: &KeyBinding<'_>,
    nonce: [u8; NONCE_LEN],
    key: &[u8; 32],
) -> Result<Vec<u8>, KeyError> {
    let mut out = Vec::with_capacity(WRAPPED_LEN);
    out.extend_from_slice(START);
    out.extend_from_slice(&nonce);
    gcm.seal(nonce, &binding.aad()?, key, &mut out).map_err(provider)?;
    Ok(out)
}

fn unwrap_under(
    gcm: &Gcm,
    binding: &KeyBinding<'_>,
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let rest = wrapped.strip_prefix(START).ok_or(KeyError::Invalid)?;
    let (nonce, sealed) = rest.split_first_chunk().ok_or(KeyError::Invalid)?;
    if sealed.len() != 32 + TAG_LEN {
        return Err(KeyError::Invalid);
    }
    // Room for the whole key from the start: a vector that grows would leave a copy behind.
    let mut key = Zeroizing::new(Vec::with_capacity(32));
    gcm.open(*nonce, &binding.aad()?, sealed, &mut key).ok_or(KeyError::Invalid)?;
    let mut out = Zeroizing::new([0; 32]);
    out.iter_mut().zip(key.iter()).for_each(|(to, from)| *to = *from);
    Ok(out)
}

/// Wraps a key with a given branch key and nonce: for test vectors.
///
/// # Errors
/// [`KeyError::Invalid`] where a name is empty or too long.
pub fn wrap_with_fixed_key(
    branch: &[u8; 32],
    binding: &KeyBinding<'_>,
    nonce: [u8; NONCE_LEN],
    key: &[u8; 32],
) -> Result<Vec<u8>, KeyError> {
    wrap_under(&Gcm::new(branch).map_err(provider)?, binding, nonce, key)
}

/// Unwraps a key with a given branch key: for test vectors.
///
/// # Errors
/// [`KeyError::Invalid`] for anything that was not wrapped under this key and binding.
pub fn unwrap_with_fixed_key(
    branch: &[u8; 32],
    binding: &KeyBinding<'_>,
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    unwrap_under(&Gcm::new(branch).map_err(provider)?, binding, wrapped)
}

pub(super) fn provider(_: ProviderError) -> KeyError {
    KeyError::Unavailable
}

/// Magic, version and suite of a wrapped subject key.
const START: &[u8; 4] = b"PS\x01\x01";
const WRAPPED_LEN: usize = START.len() + NONCE_LEN + 32 + TAG_LEN;
