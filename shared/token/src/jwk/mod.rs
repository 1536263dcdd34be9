//! Public keys (RFC 7517, 7518, 8037): parsed once, kept ready for verifying, named by their thumbprint (RFC 7638).

mod raw;
mod set;
mod spki;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

pub use raw::JwkError;
pub(crate) use raw::{Curve, MAX_KID, RawJwk, RawKey, Secrets};
pub use set::{Jwks, JwksError};

use crate::strict_json::{self, Object};
use crate::{Algorithm, base64url};

/// A public key of a set: its name, the one algorithm that it is limited to, if any, and the key.
#[derive(Debug, Clone)]
pub struct Jwk {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

impl Jwk {
    /// A key under a name and for one algorithm.
    ///
    /// # Errors
    /// When the key is not one for the algorithm, or the name is empty or over 256 bytes.
    pub fn new(kid: &str, algorithm: Algorithm, key: PublicKey) -> Result<Self, JwkError> {
        if kid.is_empty() || kid.len() > MAX_KID {
            return Err(JwkError::Malformed);
        }
        if !key.supports(algorithm) {
            return Err(JwkError::Unsupported);
        }
        Ok(Self { kid: Some(kid.to_owned()), algorithm: Some(algorithm), key })
    }

    /// Parses one public key from JSON.
    ///
    /// # Errors
    /// See [`JwkError`]; private members are always refused.
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        if json.len() > MAX_JSON {
            return Err(JwkError::Malformed);
        }
        Self::from_object(&strict_json::parse(json).map_err(|_| JwkError::Malformed)?)
    }

    pub(crate) fn from_object(object: &Object<'_>) -> Result<Self, JwkError> {
        let raw = RawJwk::read(object, Secrets::Refused)?;
        let algorithm = match raw.alg.as_deref() {
            None => None,
            // RFC 9864 gives Ed25519 a name of its own.
            Some("Ed25519") => Some(Algorithm::EdDsa),
            Some(name) => Some(Algorithm::parse(name).ok_or(JwkError::Unsupported)?),
        };
        let key = PublicKey::from_raw(&raw.key)?;
        if algorithm.is_some_and(|a| !key.supports(a)) {
            return Err(JwkError::Unsupported);
        }
        Ok(Self { kid: raw.kid, algorithm, key })
    }

    /// Its name in the set.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm that it is limited to.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether it may verify a signature of that algorithm.
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        self.algorithm.map_or_else(|| self.key.supports(algorithm), |only| only == algorithm)
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.key.members() {
            map.serialize_entry(name, &value)?;
        }
        map.serialize_entry("use", "sig")?;
        if let Some(kid) = &self.kid {
            map.serialize_entry("kid", kid)?;
        }
        if let Some(algorithm) = self.algorithm {
            map.serialize_entry("alg", &algorithm)?;
        }
        map.end()
    }
}

/// A public key, on its curve or of sound size, ready for verifying.
#[derive(Clone)]
pub struct PublicKey(Material);

#[derive(Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8>, pkcs1: ParsedPublicKey, pss: ParsedPublicKey },
    P256 { point: Vec<u8>, key: ParsedPublicKey },
    Ed25519 { x: [u8; 32], key: ParsedPublicKey },
}

impl PublicKey {
    /// An RSA key of 2048 to 8192 bits; `n` and `e` are big-endian without leading zeros.
    ///
    /// # Errors
    /// When a number is malformed or weak.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, JwkError> {
        raw::check_rsa(n, e)?;
        let parsed = |parameters: &'static RsaParameters| {
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| JwkError::Malformed)
        };
        Ok(Self(Material::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
            pkcs1: parsed(&RSA_PKCS1_2048_8192_SHA256)?,
            pss: parsed(&RSA_PSS_2048_8192_SHA256)?,
        }))
    }

    /// A P-256 key from its uncompressed point (SEC 1: `0x04`, x, y).
    ///
    /// # Errors
    /// When it is not a point of the curve.
    pub fn p256(point: &[u8]) -> Result<Self, JwkError> {
        if point.len() != 65 || point.first() != Some(&4) {
            return Err(JwkError::Malformed);
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| JwkError::Malformed)?;
        Ok(Self(Material::P256 { point: point.to_vec(), key }))
    }

    /// An Ed25519 key.
    ///
    /// # Errors
    /// When the crypto library refuses it.
    pub fn ed25519(x: &[u8; 32]) -> Result<Self, JwkError> {
        let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| JwkError::Malformed)?;
        Ok(Self(Material::Ed25519 { x: *x, key }))
    }

    fn from_raw(raw: &RawKey) -> Result<Self, JwkError> {
        match raw {
            RawKey::Rsa { n, e } => Self::rsa(n, e),
            RawKey::Ec { curve: Curve::P256, point } => Self::p256(point),
            RawKey::Ed25519 { x } => Self::ed25519(x),
            RawKey::Ec { .. } | RawKey::Oct { .. } => Err(JwkError::Unsupported),
        }
    }

    /// Whether the key is of the type that the algorithm needs.
    pub const fn supports(&self, algorithm: Algorithm) -> bool {
        matches!(
            (&self.0, algorithm),
            (Material::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
                | (Material::P256 { .. }, Algorithm::Es256)
                | (Material::Ed25519 { .. }, Algorithm::EdDsa)
        )
    }

    /// Whether `signature` (raw JWS form) is the key's over `message`. A key of another type says no.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = match (&self.0, algorithm) {
            (Material::Rsa { pkcs1, .. }, Algorithm::Rs256) => pkcs1,
            (Material::Rsa { pss, .. }, Algorithm::Ps256) => pss,
            (Material::P256 { key, .. }, Algorithm::Es256)
            | (Material::Ed25519 { key, .. }, Algorithm::EdDsa) => key,
            _ => return false,
        };
        key.verify_sig(message, signature).is_ok()
    }

    /// The RFC 7638 thumbprint: SHA-256 over the required members in their order.
    pub fn thumbprint(&self) -> Thumbprint {
        let mut canonical = String::from("{");
        for (i, (name, value)) in self.members().into_iter().enumerate() {
            // The values are base64url and fixed names: nothing in them needs an escape.
            canonical.push_str(if i == 0 { "\"" } else { ",\"" });
            canonical.extend([name, "\":\"", &*value, "\""]);
        }
        canonical.push('}');
        Thumbprint::of(canonical.as_bytes())
    }

    /// The required members in lexicographic order, as the thumbprint needs them.
    fn members(&self) -> Vec<(&'static str, String)> {
        match &self.0 {
            Material::Rsa { n, e, .. } => {
                vec![("e", base64url::encode(e)), ("kty", "RSA".into()), ("n", base64url::encode(n))]
            }
            Material::P256 { point, .. } => {
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                vec![
                    ("crv", "P-256".into()),
                    ("kty", "EC".into()),
                    ("x", base64url::encode(x)),
                    ("y", base64url::encode(y)),
                ]
            }
            Material::Ed25519 { x, .. } => {
                vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", base64url::encode(x))]
            }
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint())
    }
}

/// A SHA-256 thumbprint: of a key (RFC 7638, `jkt`) or of a certificate (RFC 8705, `x5t#S256`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(out)
    }

    /// Parses the base64url form, or `None` for anything but 32 canonically encoded bytes.
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode_array(text).map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const MAX_JSON: usize = 8 * 1024;
