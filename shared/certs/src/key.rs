//! Private keys: P-256, made and held by aws-lc-rs, which wipes them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use zeroize::Zeroizing;

use crate::error::CertsError;
use crate::pem;

/// A key pair. `rcgen`'s own keeps a copy of the private key that nobody wipes.
pub(crate) struct Key(EcdsaKeyPair);

impl Key {
    pub(crate) fn generate() -> Result<Self, CertsError> {
        Ok(Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?))
    }

    /// Reads PKCS#8 in PEM.
    pub(crate) fn from_pem(text: &str) -> Option<Self> {
        let der = pem::decode(pem::PRIVATE_KEY, text)?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).ok().map(Self)
    }

    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>, CertsError> {
        let der = Zeroizing::new(self.0.to_pkcs8v1()?.as_ref().to_vec());
        Ok(pem::encode(pem::PRIVATE_KEY, &der))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        signature.map(|s| s.as_ref().to_vec()).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_file() {
        let key = Key::generate().unwrap();
        let read = Key::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(read.der_bytes(), key.der_bytes());
        assert!(Key::from_pem("").is_none());
        assert!(Key::from_pem(&pem::encode(pem::PRIVATE_KEY, b"x")).is_none());
    }
}
