use crate::compact::{Compact, Header};
use crate::{Algorithm, Claims, TokenError};

/// A token that has the form of one and nothing more. Only [`crate::Verifier`] turns it into something to trust.
pub struct UnverifiedToken<'a> {
    pub(crate) text: &'a str,
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
    pub(crate) header: Header,
    pub(crate) algorithm: Algorithm,
    pub(crate) claims: Claims,
}

impl<'a> UnverifiedToken<'a> {
    /// The longest token that is read: what fits beside other headers in API Gateway's 10 240 bytes of them.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Takes a compact JWS apart and reads its header and claims, refusing what no issuer's policy could allow.
    ///
    /// # Errors
    /// All of [`TokenError`] that can be told without a key: form, encoding, header, types of claims.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > Self::MAX_BYTES {
            return Err(TokenError::Oversize);
        }
        let compact = Compact::split(text)?;
        let header = Header::parse(&compact.header()?)?;
        if header.carries_key {
            return Err(TokenError::EmbeddedKey);
        }
        if header.is_nested() {
            return Err(TokenError::Nested);
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(TokenError::AlgorithmNotAllowed)?;
        let signature = compact.signature()?;
        let payload = compact.payload()?;
        if payload.starts_with(b"eyJ") {
            return Err(TokenError::Nested);
        }
        let claims = Claims::read(&payload)?;
        Ok(Self { text, signing_input: compact.signing_input, signature, header, algorithm, claims })
    }

    /// What it claims, which anybody may have written: for choosing where to look for a key, and for showing.
    pub const fn dangerous_unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// The algorithm that its header names.
    pub const fn dangerous_unverified_algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that its header names.
    pub fn dangerous_unverified_kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The type that its header names.
    pub fn dangerous_unverified_typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }
}

impl std::fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedToken").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}
