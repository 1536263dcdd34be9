//! Private halves in a store of ours, sealed under a key that is not.

use super::keys::{KeySealer, SealContext, SealedKeyStore, SigningKeys, SigningKeysError};
use crate::{Algorithm, Jwk, LocalSigner, SigningKeyError};

/// Keys that are sealed at rest and held in memory while they sign: for volume, one call for each container and key
/// rather than one for each token.
#[derive(Debug)]
pub struct SealedKeys<K, W> {
    store: K,
    sealer: W,
}

impl<K: SealedKeyStore, W: KeySealer> SealedKeys<K, W> {
    /// Keys in that store under that sealer.
    pub const fn new(store: K, sealer: W) -> Self {
        Self { store, sealer }
    }
}

impl<K: SealedKeyStore, W: KeySealer> SigningKeys for SealedKeys<K, W> {
    type Signer = LocalSigner;

    async fn make(&self, algorithm: Algorithm) -> Result<Jwk, SigningKeysError> {
        let signer = LocalSigner::generate(algorithm)?;
        let private = signer.dangerous_private_pkcs8()?;
        let kid = signer.public().kid().ok_or(SigningKeysError::Unusable)?;
        let sealed = self.sealer.seal(&private, SealContext { kid, algorithm }).await?;
        self.store.add(kid, &sealed).await?;
        Ok(signer.public().clone())
    }

    async fn signer(&self, key: &Jwk) -> Result<LocalSigner, SigningKeysError> {
        let (kid, algorithm) = key.kid().zip(key.algorithm()).ok_or(SigningKeysError::Unusable)?;
        let sealed = self.store.load(kid).await?.ok_or(SigningKeysError::Missing)?;
        let private = self.sealer.open(&sealed, SealContext { kid, algorithm }).await?;
        let signer = LocalSigner::from_pkcs8(algorithm, Some(kid), &private)?;
        // Tokens of any other key would be refused everywhere.
        if signer.public().key().thumbprint() == key.key().thumbprint() {
            Ok(signer)
        } else {
            Err(SigningKeysError::Unusable)
        }
    }

    async fn destroy(&self, kid: &str) -> Result<(), SigningKeysError> {
        Ok(self.store.remove(kid).await?)
    }
}

impl From<SigningKeyError> for SigningKeysError {
    fn from(_: SigningKeyError) -> Self {
        Self::Unusable
    }
}
