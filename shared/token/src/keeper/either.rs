//! One of two kinds of signing keys, chosen by a setting.

use super::keys::{SigningKeys, SigningKeysError};
use crate::{Algorithm, Jwk, SignError, Signer};

/// Signing keys of the one kind or the other: KMS or sealed.
#[derive(Debug)]
pub enum EitherKeys<A, B> {
    /// The one.
    Left(A),
    /// The other.
    Right(B),
}

impl<A: SigningKeys, B: SigningKeys> SigningKeys for EitherKeys<A, B> {
    type Signer = EitherSigner<A::Signer, B::Signer>;

    async fn make(&self, algorithm: Algorithm) -> Result<Jwk, SigningKeysError> {
        match self {
            Self::Left(keys) => keys.make(algorithm).await,
            Self::Right(keys) => keys.make(algorithm).await,
        }
    }

    async fn signer(&self, key: &Jwk) -> Result<Self::Signer, SigningKeysError> {
        Ok(match self {
            Self::Left(keys) => EitherSigner::Left(keys.signer(key).await?),
            Self::Right(keys) => EitherSigner::Right(keys.signer(key).await?),
        })
    }

    async fn destroy(&self, kid: &str) -> Result<(), SigningKeysError> {
        match self {
            Self::Left(keys) => keys.destroy(kid).await,
            Self::Right(keys) => keys.destroy(kid).await,
        }
    }
}

/// A signer of the one kind or the other.
#[derive(Debug)]
pub enum EitherSigner<A, B> {
    /// The one.
    Left(A),
    /// The other.
    Right(B),
}

impl<A: Signer, B: Signer> Signer for EitherSigner<A, B> {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Left(signer) => signer.algorithm(),
            Self::Right(signer) => signer.algorithm(),
        }
    }

    fn kid(&self) -> &str {
        match self {
            Self::Left(signer) => signer.kid(),
            Self::Right(signer) => signer.kid(),
        }
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Left(signer) => signer.sign(message).await,
            Self::Right(signer) => signer.sign(message).await,
        }
    }
}
