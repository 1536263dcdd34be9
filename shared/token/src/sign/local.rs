use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::{IssuedType, SignError, Signer, finish, signing_input};
use crate::{Algorithm, Claims, Jwk, PublicKey, der};

/// A signer that holds its key in memory, parsed once: for the sealed signer, for the local default, for clients.
pub struct LocalSigner {
    public: Jwk,
    kid: String,
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl LocalSigner {
    /// Makes a key (RSA: 2048 bits) and names it by its thumbprint.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let key = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Key::rsa(algorithm, RsaKeyPair::generate(KeySize::Rsa2048)?)
            }
            Algorithm::Es256 => Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            Algorithm::EdDsa => Key::Ed25519(Ed25519KeyPair::generate()?),
        };
        Self::new(algorithm, None, key)
    }

    /// Reads a private key in PKCS#8 form. Without a name it is named by its thumbprint.
    ///
    /// # Errors
    /// When it is not a sound key for the algorithm, or the name is empty or over 256 bytes.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        kid: Option<&str>,
        pkcs8: &[u8],
    ) -> Result<Self, SigningKeyError> {
        let rejected = |_| SigningKeyError;
        let key = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Key::rsa(algorithm, RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?)
            }
            Algorithm::Es256 => Key::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(rejected)?,
            ),
            Algorithm::EdDsa => Key::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
        };
        Self::new(algorithm, kid, key)
    }

    fn new(algorithm: Algorithm, kid: Option<&str>, key: Key) -> Result<Self, SigningKeyError> {
        let public = key.public()?;
        let kid = kid.map_or_else(|| public.thumbprint().to_string(), str::to_owned);
        let public = Jwk::new(&kid, algorithm, public).map_err(|_| SigningKeyError)?;
        Ok(Self { public, kid, algorithm, key })
    }

    /// The private key in PKCS#8 form, wiped when dropped: only for sealing it.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn dangerous_private_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let bytes = match &self.key {
            Key::Rsa(key, _) => AsDer::<Pkcs8V1Der<'_>>::as_der(key)?.as_ref().to_vec(),
            Key::P256(key) => key.to_pkcs8v1()?.as_ref().to_vec(),
            Key::Ed25519(key) => key.to_pkcs8v1()?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// The public key, to publish.
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    /// Signs without waiting for anything: the key is here.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.key {
            Key::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError::Unavailable)?;
                Ok(signature)
            }
            Key::P256(key) => key
                .sign(&SystemRandom::new(), message)
                .map(|s| s.as_ref().to_vec())
                .map_err(|_| SignError::Unavailable),
            Key::Ed25519(key) => {
                key.try_sign(message).map(|s| s.as_ref().to_vec()).map_err(|_| SignError::Unavailable)
            }
        }
    }

    /// [`super::issue`] without waiting.
    ///
    /// # Errors
    /// As [`super::issue`].
    pub fn issue_now(&self, claims: &Claims, typ: IssuedType) -> Result<String, SignError> {
        let mut token = signing_input(claims, typ, self.algorithm, &self.kid)?;
        let signature = self.sign_now(token.as_bytes())?;
        finish(&mut token, &signature)?;
        Ok(token)
    }
}

impl Signer for LocalSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn kid(&self) -> &str {
        &self.kid
    }

    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, SignError>> + Send {
        std::future::ready(self.sign_now(message))
    }
}

impl std::fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSigner")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn rsa(algorithm: Algorithm, key: RsaKeyPair) -> Self {
        let pss = algorithm == Algorithm::Ps256;
        Self::Rsa(key, if pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 })
    }

    fn public(&self) -> Result<PublicKey, SigningKeyError> {
        let public = match self {
            Self::Rsa(key, _) => {
                let (n, e) = der::two_integers(key.public_key().as_ref()).ok_or(SigningKeyError)?;
                PublicKey::rsa(n, e)
            }
            Self::P256(key) => PublicKey::p256(key.public_key().as_ref()),
            Self::Ed25519(key) => {
                PublicKey::ed25519(key.public_key().as_ref().try_into().map_err(|_| SigningKeyError)?)
            }
        };
        public.map_err(|_| SigningKeyError)
    }
}

/// A private key could not be made, read or written. Says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signing key is unusable")]
pub struct SigningKeyError;

impl From<aws_lc_rs::error::Unspecified> for SigningKeyError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}
