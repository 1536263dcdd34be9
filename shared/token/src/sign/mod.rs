//! Signing: the port, the signer that holds its key in memory, and the issuing of tokens.

mod local;

use std::future::Future;

pub use local::{LocalSigner, SigningKeyError};

use crate::{Algorithm, Claims, base64url, der};

/// Signs with one key: KMS, where the key never leaves it, or [`LocalSigner`].
pub trait Signer: Send + Sync {
    /// The algorithm of the key.
    fn algorithm(&self) -> Algorithm;

    /// The name of the key in the key set.
    fn kid(&self) -> &str;

    /// The signature of `message` in raw JWS form (RFC 7518 section 3; ECDSA as R and S, see [`ecdsa_der_to_raw`]).
    ///
    /// One `kms:Sign`. KMS takes messages of at most 4096 bytes: its adapter sends the digest, but for Ed25519.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, SignError>> + Send;
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key's keeper did not answer, throttled, or failed in a way that may pass.
    #[error("signer unavailable")]
    Unavailable,
    /// The keeper refused: permissions, disabled key, or a key pending deletion.
    #[error("signer refused")]
    Refused,
    /// The claims do not make a token: too long.
    #[error("claims are too large for a token")]
    TooLarge,
}

/// What the header's `typ` says of an issued token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedType {
    /// `at+jwt` (RFC 9068).
    AccessToken,
    /// `approval+jwt`: lets one actor execute one plan, and is no access token anywhere.
    Approval,
    /// `JWT`.
    Jwt,
}

/// Signs claims into a token.
///
/// # Errors
/// When the signer fails, or the token would be longer than [`crate::UnverifiedToken::MAX_BYTES`].
pub async fn issue<S: Signer>(claims: &Claims, typ: IssuedType, signer: &S) -> Result<String, SignError> {
    let mut token = signing_input(claims, typ, signer.algorithm(), signer.kid())?;
    let signature = signer.sign(token.as_bytes()).await?;
    finish(&mut token, &signature)?;
    Ok(token)
}

fn signing_input(
    claims: &Claims,
    typ: IssuedType,
    algorithm: Algorithm,
    kid: &str,
) -> Result<String, SignError> {
    let typ = match typ {
        IssuedType::AccessToken => "at+jwt",
        IssuedType::Approval => "approval+jwt",
        IssuedType::Jwt => "JWT",
    };
    let header =
        serde_json::to_vec(&HeaderOut { alg: algorithm, typ, kid }).map_err(|_| SignError::TooLarge)?;
    // A map with text for names: only an allocation could fail.
    let payload = serde_json::to_vec(claims).map_err(|_| SignError::TooLarge)?;
    let mut token = String::with_capacity((header.len() + payload.len() + 600) * 4 / 3);
    base64url::encode_into(&header, &mut token);
    token.push('.');
    base64url::encode_into(&payload, &mut token);
    Ok(token)
}

fn finish(token: &mut String, signature: &[u8]) -> Result<(), SignError> {
    token.push('.');
    base64url::encode_into(signature, token);
    if token.len() > crate::UnverifiedToken::MAX_BYTES { Err(SignError::TooLarge) } else { Ok(()) }
}

/// An ECDSA signature in DER form, as KMS gives it, in the form that a P-256 JWS needs: R and S, 32 bytes each.
/// `None` unless it is strict DER of two numbers that fit.
pub fn ecdsa_der_to_raw(signature: &[u8]) -> Option<[u8; 64]> {
    let (r, s) = der::two_integers(signature)?;
    let mut raw = [0; 64];
    let (left, right) = raw.split_at_mut(32);
    for (half, number) in [(left, r), (right, s)] {
        let start = 32_usize.checked_sub(number.len())?;
        half.get_mut(start..)?.copy_from_slice(number);
    }
    Some(raw)
}

#[derive(serde::Serialize)]
struct HeaderOut<'a> {
    alg: Algorithm,
    typ: &'static str,
    kid: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_signature_is_padded_to_its_raw_form() {
        let raw = ecdsa_der_to_raw(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 7]).unwrap();
        assert_eq!((raw[31], raw[63]), (0x80, 7));
        assert!(raw[..31].iter().chain(&raw[32..63]).all(|b| *b == 0));
        let long: Vec<u8> = [&[0x30, 38, 2, 33][..], &[1; 33], &[2, 1, 7]].concat();
        assert_eq!(ecdsa_der_to_raw(&long), None, "a number of 33 bytes");
        assert_eq!(ecdsa_der_to_raw(&[7; 64]), None, "raw form already");
    }
}
