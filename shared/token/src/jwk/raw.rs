//! The members of a JWK, decoded and bounded (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use zeroize::Zeroizing;

use crate::strict_json::{Object, Value};
use crate::{base64url, roca};

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It has private or secret members: whoever published it must consider it lost.
    #[error("key has private members")]
    Private,
    /// A type, curve, algorithm, use or operation that is not one for verifying with here.
    #[error("key is of no use here")]
    Unsupported,
    /// A member is missing, of the wrong type, not canonical or not on the curve.
    #[error("key is malformed")]
    Malformed,
    /// RSA under 2048 or over 8192 bits, an even or tiny exponent, a modulus of a known broken generator, or an HMAC
    /// key shorter than its hash.
    #[error("key is weak")]
    Weak,
}

/// An elliptic curve of RFC 7518 section 6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// What a key consists of, well-formed but not yet known to lie on its curve.
pub(crate) enum RawKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point in SEC 1 form, uncompressed.
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519 {
        x: [u8; 32],
    },
    /// Only asked for where HMAC is allowed at all.
    Oct {
        k: Zeroizing<Vec<u8>>,
    },
}

/// A JWK whose `use` and `key_ops` allow verifying.
pub(crate) struct RawJwk {
    pub(crate) kid: Option<String>,
    pub(crate) alg: Option<String>,
    pub(crate) key: RawKey,
}

impl RawJwk {
    /// Reads a key. Secret ones (`oct`) are refused like private ones unless `secrets` are allowed.
    pub(crate) fn read(object: &Object<'_>, secrets: Secrets) -> Result<Self, JwkError> {
        let symmetric = secrets == Secrets::Allowed && object.text("kty") == Ok(Some("oct"));
        // Before all else: what is published is lost, whatever else is wrong with the key.
        if PRIVATE.into_iter().any(|name| object.has(name)) || (object.has("k") && !symmetric) {
            return Err(JwkError::Private);
        }
        let kty = required(object, "kty")?;
        check_use(object, symmetric)?;
        let key = match kty {
            "RSA" => rsa(object)?,
            "EC" => ec(object)?,
            "OKP" => ed25519(object)?,
            "oct" if symmetric => RawKey::Oct { k: Zeroizing::new(bytes(object, "k")?) },
            _ => return Err(JwkError::Unsupported),
        };
        Ok(Self { kid: bounded(object, "kid")?, alg: bounded(object, "alg")?, key })
    }
}

/// Whether secret keys may be among those read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    Allowed,
    Refused,
}

fn check_use(object: &Object<'_>, symmetric: bool) -> Result<(), JwkError> {
    match text(object, "use")? {
        None | Some("sig") => {}
        Some(_) => return Err(JwkError::Unsupported),
    }
    match object.get("key_ops") {
        None => Ok(()),
        Some(Value::List(ops)) => {
            let lets = |op: &str| ops.iter().any(|o| matches!(o, Value::Text(t) if t == op));
            // RFC 7517 section 4.3: `sign` on a public key contradicts itself.
            if lets("verify") && (symmetric || !lets("sign")) { Ok(()) } else { Err(JwkError::Unsupported) }
        }
        Some(_) => Err(JwkError::Malformed),
    }
}

/// RFC 7518 section 6.3.1: integers without leading zero octets.
fn rsa(object: &Object<'_>) -> Result<RawKey, JwkError> {
    let (n, e) = (bytes(object, "n")?, bytes(object, "e")?);
    check_rsa(&n, &e)?;
    Ok(RawKey::Rsa { n, e })
}

/// The same checks for a key from any source.
pub(crate) fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), JwkError> {
    let (Some(n_first), Some(e_first), Some(e_last)) = (n.first(), e.first(), e.last()) else {
        return Err(JwkError::Malformed);
    };
    if *n_first == 0 || *e_first == 0 {
        return Err(JwkError::Malformed);
    }
    let bits = n.len() * 8 - n_first.leading_zeros() as usize;
    let tiny_exponent = e.len() == 1 && *e_last < 3;
    let even_exponent = e_last & 1 == 0;
    let weak = !(2048..=8192).contains(&bits) || tiny_exponent || even_exponent || e.len() > 4;
    if weak || roca::is_marked(n) { Err(JwkError::Weak) } else { Ok(()) }
}

/// RFC 7518 section 6.2.1: coordinates of the full length of the curve.
fn ec(object: &Object<'_>) -> Result<RawKey, JwkError> {
    let curve = match required(object, "crv")? {
        "P-256" => Curve::P256,
        "P-384" => Curve::P384,
        "P-521" => Curve::P521,
        _ => return Err(JwkError::Unsupported),
    };
    let (x, y) = (bytes(object, "x")?, bytes(object, "y")?);
    if x.len() != curve.coordinate_len() || y.len() != curve.coordinate_len() {
        return Err(JwkError::Malformed);
    }
    Ok(RawKey::Ec { curve, point: [&[4][..], &x, &y].concat() })
}

fn ed25519(object: &Object<'_>) -> Result<RawKey, JwkError> {
    if required(object, "crv")? != "Ed25519" {
        return Err(JwkError::Unsupported);
    }
    let x = bytes(object, "x")?.try_into().map_err(|_| JwkError::Malformed)?;
    Ok(RawKey::Ed25519 { x })
}

fn bytes(object: &Object<'_>, name: &str) -> Result<Vec<u8>, JwkError> {
    let text = required(object, name)?;
    if text.len() > MAX_ENCODED_INTEGER {
        return Err(JwkError::Malformed);
    }
    base64url::decode(text).ok_or(JwkError::Malformed)
}

fn bounded(object: &Object<'_>, name: &str) -> Result<Option<String>, JwkError> {
    match text(object, name)? {
        Some(t) if t.is_empty() || t.len() > MAX_KID => Err(JwkError::Malformed),
        found => Ok(found.map(str::to_owned)),
    }
}

fn required<'o>(object: &'o Object<'_>, name: &str) -> Result<&'o str, JwkError> {
    text(object, name)?.ok_or(JwkError::Malformed)
}

fn text<'o>(object: &'o Object<'_>, name: &str) -> Result<Option<&'o str>, JwkError> {
    object.text(name).map_err(|_| JwkError::Malformed)
}

/// The longest `kid`, in bytes: an ARN of a KMS key fits well.
pub(crate) const MAX_KID: usize = 256;
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];
// 8192 bits and a leading byte, in base64url.
const MAX_ENCODED_INTEGER: usize = 1_370;
