//! Where private halves live: the ports under the keeper.

use std::future::Future;

use zeroize::Zeroizing;

use crate::{Algorithm, Jwk, Signer, StoreError};

/// The private halves of the ring's keys: [`super::SealedKeys`], or KMS, where they never leave it.
pub trait SigningKeys: Send + Sync {
    /// What signs with one of them.
    type Signer: Signer + 'static;

    /// Makes a key pair, keeps its private half, and gives the public one with its name (`kid`, unique for ever) and
    /// algorithm. Nothing is published yet: whoever fails to publish it calls [`SigningKeys::destroy`].
    fn make(&self, algorithm: Algorithm) -> impl Future<Output = Result<Jwk, SigningKeysError>> + Send;

    /// The signer of a key of the ring. One or two calls; the keeper keeps what it gets.
    fn signer(&self, key: &Jwk) -> impl Future<Output = Result<Self::Signer, SigningKeysError>> + Send;

    /// Destroys the private half for good. Destroying it twice does no harm, nor does one that never was.
    fn destroy(&self, kid: &str) -> impl Future<Output = Result<(), SigningKeysError>> + Send;
}

/// Why a private half is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeysError {
    /// Throttled, timed out or unreachable: may pass.
    #[error("signing keys unavailable")]
    Unavailable,
    /// Refused: permissions, a disabled key, an algorithm that this keeper does not do.
    #[error("signing keys refused")]
    Refused,
    /// There is no private half of that name.
    #[error("signing key is missing")]
    Missing,
    /// What is there does not open, or is not the private half of that public key.
    #[error("signing key is unusable")]
    Unusable,
}

impl From<StoreError> for SigningKeysError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Refused => Self::Refused,
            StoreError::Malformed => Self::Unusable,
        }
    }
}

impl From<SealerError> for SigningKeysError {
    fn from(error: SealerError) -> Self {
        match error {
            SealerError::Unavailable => Self::Unavailable,
            SealerError::Refused => Self::Refused,
            SealerError::Invalid => Self::Unusable,
        }
    }
}

/// Where sealed private keys are kept, by `kid`.
pub trait SealedKeyStore: Send + Sync {
    /// Adds a sealed key. One of that name is never replaced ([`StoreError::Refused`]).
    fn add(&self, kid: &str, sealed: &[u8]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The sealed key of that name.
    fn load(&self, kid: &str) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// Removes it. Removing what is not there does no harm.
    fn remove(&self, kid: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a private key is sealed for: bound into the seal (KMS: the encryption context; locally: the additional data), so
/// that a sealed key put under another name does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The name of the key.
    pub kid: &'a str,
    /// What it signs with.
    pub algorithm: Algorithm,
}

/// Seals private signing keys under a key that never leaves its keeper: KMS, or the local root key. Apart from the
/// wrapper of the PII hierarchy: who may open the one has no business with the other.
pub trait KeySealer: Send + Sync {
    /// Seals at most [`MAX_PRIVATE_KEY`] bytes. One `kms:Encrypt`.
    fn seal(
        &self,
        private: &Zeroizing<Vec<u8>>,
        context: SealContext<'_>,
    ) -> impl Future<Output = Result<Vec<u8>, SealerError>> + Send;

    /// Opens what [`KeySealer::seal`] made for that context. One `kms:Decrypt`.
    fn open(
        &self,
        sealed: &[u8],
        context: SealContext<'_>,
    ) -> impl Future<Output = Result<Zeroizing<Vec<u8>>, SealerError>> + Send;
}

/// Why nothing was sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealerError {
    /// Throttled, timed out or unreachable: may pass.
    #[error("key sealer unavailable")]
    Unavailable,
    /// Refused: permissions, a disabled key.
    #[error("key sealer refused")]
    Refused,
    /// The sealed bytes were changed, or are for another context or sealer.
    #[error("sealed key does not open")]
    Invalid,
}

/// The longest private key that is sealed: an RSA key of 2048 bits in PKCS#8 form takes 1.2 KB, and KMS takes 4 KB.
pub const MAX_PRIVATE_KEY: usize = 4096;
