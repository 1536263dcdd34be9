//! The signature alone, judged by RFC 7515 against a key set: no claims, no `typ`, no issuer.
//!
//! This is a tool for people who look into a signature (`token verify --signature-only`), not a door: it takes every
//! algorithm of RFC 7518 section 3.1 but `none`, so that a verdict is the RFC's and not a policy's. Trust in a token comes
//! from [`crate::Verifier`] alone.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::compact::{Compact, Header};
use crate::jwk::{Curve, JwkError, Jwks, JwksError, RawJwk, RawKey, Secrets};
use crate::strict_json::{self, JsonFault, Value};
use crate::{TokenError, base64url};

/// The keys that a signature may be by. Unlike [`Jwks`] it may hold HMAC keys, and every curve of RFC 7518.
pub struct SignatureKeys(Vec<SignatureKey>);

struct SignatureKey {
    kid: Option<String>,
    alg: Option<JwsAlgorithm>,
    key: RawKey,
}

impl SignatureKeys {
    /// Reads a key set: the rules of [`Jwks::parse`], but secret (`oct`) keys are taken where all are secret, and two keys
    /// of one type and name are refused even where one of them is of no use: the name then says nothing.
    ///
    /// # Errors
    /// As [`Jwks::parse`], and for a set that mixes secret and public keys: it invites confusing one with the other.
    pub fn parse(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > Jwks::MAX_BYTES {
            return Err(JwksError::TooLarge);
        }
        let object = strict_json::parse(json).map_err(|fault| match fault {
            JsonFault::Malformed => JwksError::Malformed,
            JsonFault::Duplicate => JwksError::DuplicateMember,
        })?;
        let Some(Value::List(items)) = object.get("keys") else { return Err(JwksError::Malformed) };
        if items.len() > Jwks::MAX_KEYS {
            return Err(JwksError::TooLarge);
        }
        let mut keys: Vec<SignatureKey> = Vec::new();
        let (mut secret, mut public) = (false, false);
        let mut names: Vec<(&str, Option<&str>)> = Vec::new();
        for item in items {
            let Value::Object(item) = item else { return Err(JwksError::Malformed) };
            if let Ok(Some(kid)) = item.text("kid") {
                let name = (kid, item.text("kty").ok().flatten());
                if names.contains(&name) {
                    return Err(JwksError::DuplicateKid);
                }
                names.push(name);
            }
            let is_secret = item.text("kty") == Ok(Some("oct"));
            (secret, public) = (secret || is_secret, public || !is_secret);
            match RawJwk::read(item, Secrets::Allowed).and_then(SignatureKey::new) {
                Ok(key) if key.kid.is_some() && keys.iter().any(|k| k.kid == key.kid) => {
                    return Err(JwksError::DuplicateKid);
                }
                Ok(key) => keys.push(key),
                Err(JwkError::Private) => return Err(JwksError::Private),
                Err(_) => {}
            }
        }
        if secret && public { Err(JwksError::Mixed) } else { Ok(Self(keys)) }
    }
}

impl std::fmt::Debug for SignatureKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignatureKeys").field("keys", &self.0.len()).finish()
    }
}

/// Judges the signature of a compact JWS, of which the payload may be anything.
///
/// A key of the header's `kid` decides; where none has that name, keys without a name are tried; without a `kid`, all.
/// Keys that the header carries or points to are never looked at.
///
/// # Errors
/// When it is no compact JWS, uses an extension that is not understood, or no key verifies it.
pub fn verify_signature_only(jws: &str, keys: &SignatureKeys) -> Result<(), TokenError> {
    if jws.len() > MAX_BYTES {
        return Err(TokenError::Oversize);
    }
    let compact = Compact::split(jws)?;
    let header = Header::parse(&compact.header()?)?;
    base64url::decode(compact.payload).ok_or(TokenError::Base64)?;
    let signature = compact.signature()?;
    let algorithm = JwsAlgorithm::parse(&header.alg).ok_or(TokenError::AlgorithmNotAllowed)?;
    let mut suited = false;
    for key in keys.0.iter().filter(|key| named(key, header.kid.as_deref(), keys)) {
        if !key.suits(algorithm) {
            continue;
        }
        suited = true;
        if algorithm.verifies(&key.key, compact.signing_input.as_bytes(), &signature) {
            return Ok(());
        }
    }
    Err(if suited { TokenError::Signature } else { TokenError::UnknownKey })
}

fn named(key: &SignatureKey, kid: Option<&str>, all: &SignatureKeys) -> bool {
    match kid {
        None => true,
        Some(kid) if all.0.iter().any(|k| k.kid.as_deref() == Some(kid)) => key.kid.as_deref() == Some(kid),
        Some(_) => key.kid.is_none(),
    }
}

impl SignatureKey {
    fn new(raw: RawJwk) -> Result<Self, JwkError> {
        let alg = raw.alg.map(|name| match &*name {
            // The name of an early draft: RFC 7520's own P-521 key is commonly published with it.
            "ES521" => Ok(JwsAlgorithm::Es512),
            name => JwsAlgorithm::parse(name).ok_or(JwkError::Unsupported),
        });
        let key = Self { kid: raw.kid, alg: alg.transpose()?, key: raw.key };
        if key.alg.is_some_and(|alg| !alg.takes(&key.key)) {
            return Err(JwkError::Unsupported);
        }
        Ok(key)
    }

    fn suits(&self, algorithm: JwsAlgorithm) -> bool {
        self.alg.is_none_or(|only| only == algorithm) && algorithm.takes(&self.key)
    }
}

/// RFC 7518 section 3.1 without `none`, and EdDSA (RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JwsAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl JwsAlgorithm {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    fn takes(self, key: &RawKey) -> bool {
        match key {
            RawKey::Rsa { .. } => self.rsa().is_some(),
            RawKey::Ec { curve, .. } => self.curve() == Some(*curve),
            RawKey::Ed25519 { .. } => self == Self::EdDsa,
            // RFC 7518 section 3.2: no shorter than the hash.
            RawKey::Oct { k } => {
                self.hmac().is_some_and(|alg| k.len() >= alg.digest_algorithm().output_len())
            }
        }
    }

    fn verifies(self, key: &RawKey, message: &[u8], signature: &[u8]) -> bool {
        match key {
            RawKey::Rsa { n, e } => self.rsa().is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            RawKey::Ec { curve, point } => {
                let algorithm: &'static dyn VerificationAlgorithm = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED,
                    Curve::P521 => &ECDSA_P521_SHA512_FIXED,
                };
                UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
            }
            RawKey::Ed25519 { x } => UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok(),
            RawKey::Oct { k } => self
                .hmac()
                .is_some_and(|alg| hmac::verify(&hmac::Key::new(alg, k), message, signature).is_ok()),
        }
    }

    const fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            _ => return None,
        })
    }

    const fn curve(self) -> Option<Curve> {
        match self {
            Self::Es256 => Some(Curve::P256),
            Self::Es384 => Some(Curve::P384),
            Self::Es512 => Some(Curve::P521),
            _ => None,
        }
    }

    const fn hmac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::Hs256 => Some(hmac::HMAC_SHA256),
            Self::Hs384 => Some(hmac::HMAC_SHA384),
            Self::Hs512 => Some(hmac::HMAC_SHA512),
            _ => None,
        }
    }
}

const MAX_BYTES: usize = 1024 * 1024;
