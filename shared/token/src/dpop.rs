//! Demonstrating proof of possession (RFC 9449): the client signs method, URI, time and token with a key of its own.

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, digest};
use portcullis_base::Timestamp;
use url::Url;

use crate::claims::{NumericDate, is_plain};
use crate::compact::{Compact, Header};
use crate::replay::REPLAY_MARGIN_MILLIS;
use crate::strict_json::{self, JsonFault, Object, Value};
use crate::{Algorithm, Jwk, Thumbprint, TokenError, base64url};

/// What the proof must be about.
#[derive(Debug, Clone, Copy)]
pub struct ProofExpectation<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URI of the request as the client wrote it; query and fragment do not count.
    pub uri: &'a str,
    /// The access token that came with it; `None` at the token endpoint.
    pub access_token: Option<&'a str>,
    /// The nonces that are valid now, where the server gives out such.
    pub nonces: Option<&'a [&'a str]>,
    /// How old a proof may be, in seconds; it may be that far in the future by [`FUTURE_SECONDS`] only.
    pub max_age_seconds: u16,
}

/// A proof that [`verify_proof`] verified. The caller still has to note its `jti` in the [`crate::ReplayWindow`].
#[derive(Debug, Clone)]
pub struct VerifiedProof {
    jkt: Thumbprint,
    jti: String,
    iat: NumericDate,
    token_hash: Option<[u8; 32]>,
}

impl VerifiedProof {
    /// The thumbprint of the key that signed it.
    pub const fn jkt(&self) -> Thumbprint {
        self.jkt
    }

    /// Its name, which may be used once under its key: note `jkt` and `jti` together until
    /// [`VerifiedProof::replay_until`].
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// From when on the age alone refuses it, whichever container of ours looks: a minute beyond, for clocks that disagree.
    pub fn replay_until(&self, max_age_seconds: u16) -> Timestamp {
        let until = self.iat.plus_seconds(u32::from(max_age_seconds) + 1);
        let until = until.millis().saturating_add(REPLAY_MARGIN_MILLIS);
        Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX)
    }

    /// Whether it names an access token at all (`ath`).
    pub const fn names_a_token(&self) -> bool {
        self.token_hash.is_some()
    }

    pub(crate) fn is_for(&self, token: &str) -> bool {
        let hash = digest(&SHA256, token.as_bytes());
        self.token_hash.is_some_and(|ath| constant_time::verify_slices_are_equal(&ath, hash.as_ref()).is_ok())
    }
}

/// Verifies a proof by the list of RFC 9449 section 4.3.
///
/// # Errors
/// See [`ProofError`].
pub fn verify_proof(
    proof: &str,
    expected: &ProofExpectation<'_>,
    now: Timestamp,
) -> Result<VerifiedProof, ProofError> {
    if proof.len() > MAX_BYTES {
        return Err(TokenError::Oversize.into());
    }
    let compact = Compact::split(proof)?;
    let header_json = compact.header()?;
    let object = Header::object(&header_json)?;
    let key = check_header(&object)?;
    let header = Header::of(&object)?;
    let algorithm = Algorithm::parse(&header.alg).ok_or(TokenError::AlgorithmNotAllowed)?;
    if !key.supports(algorithm) {
        return Err(TokenError::KeyMismatch.into());
    }
    let signature = compact.signature()?;
    if !key.key().verifies(algorithm, compact.signing_input.as_bytes(), &signature) {
        return Err(TokenError::Signature.into());
    }
    let payload = compact.payload()?;
    let claims = strict_json::parse(&payload).map_err(|fault| match fault {
        JsonFault::Malformed => TokenError::ClaimsMalformed,
        JsonFault::Duplicate => TokenError::DuplicateMember,
    })?;
    check_claims(&claims, expected, key.key().thumbprint(), now)
}

fn check_header(object: &Object<'_>) -> Result<Jwk, ProofError> {
    match object.text("typ") {
        Ok(Some(typ)) if typ.eq_ignore_ascii_case("dpop+jwt") => {}
        _ => return Err(TokenError::TypeMismatch.into()),
    }
    if ["jku", "x5u", "x5c"].into_iter().any(|name| object.has(name)) {
        return Err(TokenError::EmbeddedKey.into());
    }
    match object.get("jwk") {
        Some(Value::Object(jwk)) => Jwk::from_object(jwk).map_err(|_| ProofError::Key),
        _ => Err(ProofError::Key),
    }
}

fn check_claims(
    claims: &Object<'_>,
    expected: &ProofExpectation<'_>,
    jkt: Thumbprint,
    now: Timestamp,
) -> Result<VerifiedProof, ProofError> {
    if text(claims, "htm")? != expected.method {
        return Err(ProofError::Method);
    }
    if !same_target(text(claims, "htu")?, expected.uri) {
        return Err(ProofError::Uri);
    }
    let iat = claims.get("iat").ok_or(TokenError::ClaimMissing("iat"))?;
    let iat = NumericDate::read(iat).ok_or(TokenError::ClaimMalformed("iat"))?;
    check_age(iat, expected.max_age_seconds, now)?;
    if let Some(nonces) = expected.nonces {
        let given = claims.text("nonce").ok().flatten().ok_or(ProofError::Nonce)?;
        if !nonces.contains(&given) {
            return Err(ProofError::Nonce);
        }
    }
    let token_hash = match claims.text("ath") {
        Ok(ath) => {
            ath.map(|a| base64url::decode_array(a).ok_or(TokenError::ClaimMalformed("ath"))).transpose()?
        }
        Err(_) => return Err(TokenError::ClaimMalformed("ath").into()),
    };
    let proof = VerifiedProof { jkt, jti: text(claims, "jti")?.to_owned(), iat, token_hash };
    match expected.access_token {
        Some(token) if !proof.is_for(token) => Err(ProofError::AccessToken),
        _ => Ok(proof),
    }
}

fn check_age(iat: NumericDate, max_age_seconds: u16, now: Timestamp) -> Result<(), ProofError> {
    let age = now.as_millisecond().saturating_sub(iat.millis());
    if age > i64::from(max_age_seconds) * 1000 {
        return Err(TokenError::Expired.into());
    }
    if age < -FUTURE_SECONDS * 1000 {
        return Err(TokenError::IssuedInFuture.into());
    }
    Ok(())
}

fn text<'o>(claims: &'o Object<'_>, name: &'static str) -> Result<&'o str, ProofError> {
    match claims.text(name) {
        Ok(Some(text)) if is_plain(text) => Ok(text),
        Ok(None) => Err(TokenError::ClaimMissing(name).into()),
        _ => Err(TokenError::ClaimMalformed(name).into()),
    }
}

/// RFC 9449 section 4.3, point 9: equal but for query and fragment, after the normalisation of RFC 3986 sections 6.2.2
/// and 6.2.3 (case of scheme and host, default port, empty path, dot segments).
fn same_target(claimed: &str, actual: &str) -> bool {
    let (Some(claimed), Some(actual)) = (target(claimed), target(actual)) else { return false };
    claimed == actual
}

fn target(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "https" | "http") || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

/// Why a proof is not taken: RFC 9449 answers with `invalid_dpop_proof`, or `use_dpop_nonce` for the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is no sound JWS, or too old, or lacks a claim.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It carries no key, a weak one, or a private one.
    #[error("proof key is missing or unsuitable")]
    Key,
    /// It is for another method.
    #[error("proof is for another method")]
    Method,
    /// It is for another URI.
    #[error("proof is for another uri")]
    Uri,
    /// It does not bear a nonce that is valid now.
    #[error("proof nonce is missing or stale")]
    Nonce,
    /// It is for another access token.
    #[error("proof is for another token")]
    AccessToken,
}

impl ProofError {
    /// A stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token(error) => error.as_str(),
            Self::Key => "proof-key",
            Self::Method => "proof-method",
            Self::Uri => "proof-uri",
            Self::Nonce => "proof-nonce",
            Self::AccessToken => "proof-token",
        }
    }
}

/// The algorithms of proofs that are taken, as challenges name them (RFC 9449 section 7.1).
pub const DPOP_ALGS: &str = "ES256 EdDSA RS256 PS256";
/// How far in the future a proof may be dated: clocks of clients run ahead.
pub const FUTURE_SECONDS: i64 = 5;
const MAX_BYTES: usize = 4 * 1024;
