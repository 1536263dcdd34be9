//! The three primitives that everything here is made of, over aws-lc-rs, tested with Wycheproof in these very forms.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hkdf, hmac, rand};

/// Length of a GCM nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of a GCM tag in bytes.
pub const TAG_LEN: usize = 16;

/// The provider failed (out of memory, no entropy), or a length is beyond what the primitive allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cryptographic provider failed")]
pub struct ProviderError;

/// Fills `bytes` from the operating system's seeded generator.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), ProviderError> {
    rand::fill(bytes).map_err(|_| ProviderError)
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// AES-256-GCM (NIST SP 800-38D) with 96-bit nonces and 128-bit tags.
pub struct Gcm(LessSafeKey);

impl Gcm {
    /// Expands a key.
    pub fn new(key: &[u8; 32]) -> Result<Self, ProviderError> {
        UnboundKey::new(&AES_256_GCM, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| ProviderError)
    }

    /// Appends ciphertext and tag to `out`. On failure `out` is as before.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ProviderError> {
        let start = out.len();
        out.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = out
            .get_mut(start..)
            .and_then(|text| self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), text).ok());
        match sealed {
            Some(tag) => out.extend_from_slice(tag.as_ref()),
            None => {
                wipe_from(out, start);
                return Err(ProviderError);
            }
        }
        Ok(())
    }

    /// Appends the plaintext of `sealed` (ciphertext and tag) to `out`; `None`, with `out` as before, unless the tag is
    /// right.
    #[must_use]
    pub fn open(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
        let start = out.len();
        out.resize(start.checked_add(ciphertext.len())?, 0);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = out
            .get_mut(start..)
            .and_then(|text| self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, text).ok());
        if opened.is_none() {
            wipe_from(out, start);
        }
        opened
    }
}

/// A uniformly random 256-bit key for HKDF-Expand with SHA-256 (RFC 5869, section 2.3); wiped when dropped.
pub struct Prk(hkdf::Prk);

impl Prk {
    /// `key` must be uniformly random: no extract step runs (RFC 5869, section 3.3).
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key))
    }

    /// Fills `okm`; fails beyond 255 blocks of 32 bytes.
    pub fn expand(&self, info: &[u8], okm: &mut [u8]) -> Result<(), ProviderError> {
        let info = [info];
        let expanded = self.0.expand(&info, OkmLen(okm.len())).map_err(|_| ProviderError)?;
        expanded.fill(okm).map_err(|_| ProviderError)
    }
}

struct OkmLen(usize);

impl hkdf::KeyType for OkmLen {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key for HMAC-SHA256 (RFC 2104); wiped when dropped.
pub struct Mac(hmac::Key);

impl Mac {
    /// Prepares a key of any length.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag over the parts, one after another.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut tag = [0; 32];
        // Zipping two 32-byte sequences instead of `copy_from_slice`, which could panic in principle.
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

/// What a failed operation leaves must not be read by accident.
fn wipe_from(out: &mut Vec<u8>, start: usize) {
    if let Some(rest) = out.get_mut(start..) {
        zeroize::Zeroize::zeroize(rest);
    }
    out.truncate(start);
}
