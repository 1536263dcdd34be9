use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa;

use super::{JwkError, PublicKey};
use crate::der;

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1), the form in which `kms:GetPublicKey` answers: RSA
    /// (RFC 3279), P-256 on its named curve with an uncompressed point (RFC 5480), or Ed25519 (RFC 8410).
    ///
    /// # Errors
    /// When it is a key of another kind, malformed or weak, or not in its one canonical encoding.
    pub fn from_spki(der: &[u8]) -> Result<Self, JwkError> {
        if let Some(point) = der.strip_prefix(P256_HEAD) {
            return Self::p256(point);
        }
        if let Some(x) = der.strip_prefix(ED25519_HEAD) {
            return Self::ed25519(x.try_into().map_err(|_| JwkError::Malformed)?);
        }
        let key = rsa::PublicKey::from_der(der).map_err(|_| JwkError::Unsupported)?;
        let canonical = AsDer::<PublicKeyX509Der<'_>>::as_der(&key).map_err(|_| JwkError::Malformed)?;
        if canonical.as_ref() != der {
            return Err(JwkError::Malformed);
        }
        let (n, e) = der::two_integers(key.as_ref()).ok_or(JwkError::Malformed)?;
        Self::rsa(n, e)
    }
}

/// What stands before the 65 bytes of the point: the outer sequence, the algorithm `id-ecPublicKey` with the curve
/// `prime256v1`, and the head of the bit string.
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same before the 32 bytes of an Ed25519 key: the algorithm `id-Ed25519`, without parameters.
const ED25519_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, RsaKeyPair,
    };

    use super::*;
    use crate::Algorithm;

    fn spki(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
        key.as_der().unwrap().as_ref().to_vec()
    }

    fn keys() -> [(Algorithm, Vec<u8>); 3] {
        [
            (Algorithm::Rs256, spki(RsaKeyPair::generate(KeySize::Rsa2048).unwrap().public_key())),
            (
                Algorithm::Es256,
                spki(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().public_key()),
            ),
            (Algorithm::EdDsa, spki(Ed25519KeyPair::generate().unwrap().public_key())),
        ]
    }

    /// RFC 8410 section 10.1.
    #[test]
    fn published_ed25519_key_is_read() {
        let der = hex::decode(
            "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
        )
        .unwrap();
        let key = PublicKey::from_spki(&der).unwrap();
        assert_eq!(
            serde_json::to_value(crate::Jwk::new("k", Algorithm::EdDsa, key).unwrap()).unwrap()["x"],
            "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"
        );
    }

    #[test]
    fn each_kind_of_key_is_read() {
        for (algorithm, der) in keys() {
            let key = PublicKey::from_spki(&der).unwrap();
            assert!(key.supports(algorithm), "{algorithm}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let p384 = spki(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap().public_key());
        let small = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        for (label, der) in [
            ("empty", vec![]),
            ("another curve", p384),
            ("RSAPublicKey without its algorithm", small.public_key().as_ref().to_vec()),
        ] {
            assert!(PublicKey::from_spki(&der).is_err(), "{label}");
        }
        for (algorithm, der) in keys() {
            let longer = [&der[..], &[0]].concat();
            assert!(PublicKey::from_spki(&longer).is_err(), "{algorithm} with a byte after it");
            assert!(PublicKey::from_spki(&der[..der.len() - 1]).is_err(), "{algorithm} cut");
        }
        let off_curve = [P256_HEAD, &[4], &[1; 64]].concat();
        assert!(PublicKey::from_spki(&off_curve).is_err(), "not on the curve");
    }
}
