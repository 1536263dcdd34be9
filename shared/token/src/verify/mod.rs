//! Verification of access tokens of several issuers (RFC 7519, RFC 8725, RFC 9068).
//!
//! The JWS and its claims are read by code of this room, and aws-lc-rs verifies with keys that were parsed once. The
//! `jsonwebtoken` crate was tried first: it takes duplicate members (the last one wins), knows no binding and no `typ`
//! rule, and parses an RSA key at every signature (2.7 times the cost of signing). Tokens are what this project is for,
//! so the few hundred lines are ours, tested attack by attack. Microseconds of CPU, release, one quiet core, 160 different
//! tokens of nine claims; "bare" is aws-lc-rs over one signature, "bare, all" over the signatures of those tokens:
//!
//! | algorithm | bare | bare, all | this room | jsonwebtoken | of which reading | bare sign | issue |
//! |---|---|---|---|---|---|---|---|
//! | RS256 | 14.6 | 12.9 (key parsed once) | 14.7 | 17.5 | 1.5 | 222 | 223 |
//! | ES256 | 36.1 | 40.9 | 43.3 | 44.5 | 1.4 | 12.3 | 12.8 |
//! | EdDSA | 24.9 | 26.3 | 27.1 | 28.2 | 1.3 | 6.3 | 7.0 |

mod policy;

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_base::Timestamp;

pub(crate) use policy::check_times;
pub use policy::{Audience, IssuerPolicy, PolicyError, TokenType};

use crate::claims::Confirmation;
use crate::{Algorithm, Claims, Jwk, Jwks, Thumbprint, TokenError, UnverifiedToken, VerifiedProof};

/// Where the keys of an issuer are had from: the cache, in production.
pub trait IssuerKeys {
    /// The keys of that issuer, if any are known.
    fn keys(&self, issuer: &str) -> Option<Arc<Jwks>>;
}

impl<S: std::hash::BuildHasher> IssuerKeys for HashMap<String, Arc<Jwks>, S> {
    fn keys(&self, issuer: &str) -> Option<Arc<Jwks>> {
        self.get(issuer).cloned()
    }
}

/// What came with the token that shows who presents it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presentation<'a> {
    /// The verified DPoP proof of this request.
    pub dpop: Option<&'a VerifiedProof>,
    /// The thumbprint of the client certificate of this connection.
    pub certificate: Option<Thumbprint>,
}

/// Verifies tokens of the issuers that it was given policies for, and of no other.
#[derive(Debug, Clone)]
pub struct Verifier {
    policies: Vec<IssuerPolicy>,
    leeway_millis: i64,
}

impl Verifier {
    /// A verifier with a leeway for clocks that disagree, in seconds.
    ///
    /// # Errors
    /// With no policy, two of one issuer, or a leeway over 60 s.
    pub fn new(policies: Vec<IssuerPolicy>, leeway_seconds: u8) -> Result<Self, PolicyError> {
        if policies.is_empty() {
            return Err(PolicyError::NoIssuer);
        }
        if leeway_seconds > MAX_LEEWAY_SECONDS {
            return Err(PolicyError::Leeway);
        }
        let twice = |p: &IssuerPolicy| policies.iter().filter(|q| q.issuer() == p.issuer()).count() > 1;
        if policies.iter().any(twice) {
            return Err(PolicyError::IssuerTwice);
        }
        Ok(Self { policies, leeway_millis: i64::from(leeway_seconds) * 1000 })
    }

    /// The policy for a token, chosen by what it claims: for finding keys, before anything is verified.
    ///
    /// # Errors
    /// When its issuer is unknown.
    pub fn policy_for(&self, token: &UnverifiedToken<'_>) -> Result<&IssuerPolicy, TokenError> {
        self.policies.iter().find(|p| p.issuer() == token.claims.iss).ok_or(TokenError::Issuer)
    }

    /// What to say of a token whose issuer's keys cannot be had: what is wrong with it under whatever key, if anything is.
    pub(crate) fn without_keys(&self, token: &UnverifiedToken<'_>, now: Timestamp) -> TokenError {
        let judge = || {
            let policy = self.policy_for(token)?;
            policy.check_header(token.algorithm, token.header.media_type().as_deref())?;
            policy.check_claims(&token.claims, now.as_millisecond(), self.leeway_millis)
        };
        judge().err().unwrap_or(TokenError::KeysUnavailable)
    }

    /// The issuers that are known.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(IssuerPolicy::issuer)
    }

    /// Verifies a token: form, algorithm, type, key, signature, then claims and binding.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] is the one that newer keys may heal; all others are final.
    pub fn verify(
        &self,
        text: &str,
        keys: &impl IssuerKeys,
        presented: Presentation<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        self.verify_parsed(UnverifiedToken::parse(text)?, keys, presented, now)
    }

    /// The same for a token that was parsed already.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify_parsed(
        &self,
        token: UnverifiedToken<'_>,
        keys: &impl IssuerKeys,
        presented: Presentation<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let text = token.text;
        let verified = self.verify_unpresented(token, keys, now)?;
        check_binding(verified.claims.cnf.as_ref(), presented, text)?;
        Ok(verified)
    }

    /// The same but for the binding (`cnf`), for whoever is only told of a token: introspection and revocation. Nobody
    /// showed here that the token is theirs, so it must not open anything.
    ///
    /// # Errors
    /// As [`Verifier::verify`], but for those of the binding.
    pub fn verify_unpresented(
        &self,
        token: UnverifiedToken<'_>,
        keys: &impl IssuerKeys,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let policy = self.policy_for(&token)?;
        policy.check_header(token.algorithm, token.header.media_type().as_deref())?;
        let keys = keys.keys(policy.issuer()).ok_or(TokenError::UnknownKey)?;
        let key = choose_key(&keys, token.header.kid.as_deref(), token.algorithm)?;
        if !key.key().verifies(token.algorithm, token.signing_input.as_bytes(), &token.signature) {
            return Err(TokenError::Signature);
        }
        policy.check_claims(&token.claims, now.as_millisecond(), self.leeway_millis)?;
        Ok(VerifiedToken { algorithm: token.algorithm, kid: token.header.kid, claims: token.claims })
    }
}

/// A token that [`Verifier`] verified. There is no other way to make one.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Claims,
}

impl VerifiedToken {
    /// What its issuer says.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What its issuer says, to keep.
    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// The algorithm of its signature.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key of its signature.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// The key by its name; without a name, the issuer's only key.
pub(crate) fn choose_key<'k>(
    keys: &'k Jwks,
    kid: Option<&str>,
    algorithm: Algorithm,
) -> Result<&'k Jwk, TokenError> {
    let key = match (kid, keys.keys()) {
        (Some(kid), _) => keys.by_kid(kid).ok_or(TokenError::UnknownKey)?,
        (None, [only]) => only,
        (None, []) => return Err(TokenError::UnknownKey),
        (None, _) => return Err(TokenError::KeyIdMissing),
    };
    if key.supports(algorithm) { Ok(key) } else { Err(TokenError::KeyMismatch) }
}

/// A bound token needs its proof, each of them where it is bound twice. A proof with a token that is not bound to it is
/// refused as well (RFC 9449 section 7.1): the caller believes in a protection that is not there.
fn check_binding(
    cnf: Option<&Confirmation>,
    presented: Presentation<'_>,
    token: &str,
) -> Result<(), TokenError> {
    let cnf = cnf.copied().unwrap_or_default();
    if cnf.unknown {
        return Err(TokenError::BindingUnknown);
    }
    match (cnf.jkt, presented.dpop) {
        (None, None) => {}
        (Some(_), None) => return Err(TokenError::BindingMissing),
        (Some(jkt), Some(proof)) if proof.jkt() == jkt && proof.is_for(token) => {}
        _ => return Err(TokenError::BindingMismatch),
    }
    match (cnf.x5t_s256, presented.certificate) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(TokenError::BindingMissing),
        (Some(bound), Some(shown)) if bound == shown => Ok(()),
        _ => Err(TokenError::BindingMismatch),
    }
}

const MAX_LEEWAY_SECONDS: u8 = 60;
