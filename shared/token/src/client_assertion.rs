//! Client authentication by a signed assertion (`private_key_jwt`; RFC 7523 section 3, OpenID Connect Core section 9).

use portcullis_base::Timestamp;

use crate::replay::REPLAY_MARGIN_MILLIS;
use crate::verify::{check_times, choose_key};
use crate::{Algorithm, Jwks, TokenError, UnverifiedToken};

/// What is demanded of the assertions of every client.
#[derive(Debug, Clone)]
pub struct AssertionPolicy {
    /// What `aud` may name: the issuer, and the token endpoint's URL.
    pub audiences: Vec<String>,
    /// The algorithms that clients may use.
    pub algorithms: Vec<Algorithm>,
    /// The longest life, in seconds.
    pub max_lifetime_seconds: u16,
    /// For clocks that disagree, in seconds.
    pub leeway_seconds: u8,
}

/// A client that showed that it holds its key. The caller still has to note `jti` in the [`crate::ReplayWindow`].
#[derive(Debug, Clone)]
pub struct VerifiedAssertion {
    client_id: String,
    jti: String,
    replay_until: Timestamp,
}

impl VerifiedAssertion {
    /// The client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The name of the assertion, which may be used once per client.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// From when on `exp` alone refuses it, whichever container of ours looks: a minute beyond, for clocks that disagree.
    pub const fn replay_until(&self) -> Timestamp {
        self.replay_until
    }
}

impl AssertionPolicy {
    /// Who an assertion says that it is from, for finding that client's keys.
    pub fn dangerous_unverified_client<'t>(assertion: &'t UnverifiedToken<'_>) -> &'t str {
        &assertion.claims.sub
    }

    /// Verifies an assertion with the keys that are registered for the client.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] may be healed by newer keys of a client that publishes them; all others are final.
    pub fn verify(
        &self,
        assertion: &UnverifiedToken<'_>,
        client_id: &str,
        keys: &Jwks,
        now: Timestamp,
    ) -> Result<VerifiedAssertion, TokenError> {
        if !self.algorithms.contains(&assertion.algorithm) {
            return Err(TokenError::AlgorithmNotAllowed);
        }
        // An access token of ours must not do as an assertion (RFC 8725 section 3.12).
        match assertion.header.media_type().as_deref() {
            None | Some("jwt" | "client-authentication+jwt") => {}
            Some(_) => return Err(TokenError::TypeMismatch),
        }
        let key = choose_key(keys, assertion.header.kid.as_deref(), assertion.algorithm)?;
        if !key.key().verifies(assertion.algorithm, assertion.signing_input.as_bytes(), &assertion.signature)
        {
            return Err(TokenError::Signature);
        }
        self.check_claims(assertion, client_id, now)
    }

    fn check_claims(
        &self,
        assertion: &UnverifiedToken<'_>,
        client_id: &str,
        now: Timestamp,
    ) -> Result<VerifiedAssertion, TokenError> {
        let claims = &assertion.claims;
        if claims.iss != client_id || claims.sub != client_id {
            return Err(TokenError::Subject);
        }
        // One audience only: an assertion that is for another server too could be carried over from it.
        match &*claims.aud {
            [one] if self.audiences.contains(one) => {}
            [] => return Err(TokenError::ClaimMissing("aud")),
            _ => return Err(TokenError::Audience),
        }
        let leeway = i64::from(self.leeway_seconds) * 1000;
        check_times(claims, now.as_millisecond(), leeway, i64::from(self.max_lifetime_seconds) * 1000)?;
        let jti = claims.jti.clone().ok_or(TokenError::ClaimMissing("jti"))?;
        let until = claims.exp.millis().saturating_add(leeway).saturating_add(REPLAY_MARGIN_MILLIS);
        Ok(VerifiedAssertion {
            client_id: client_id.to_owned(),
            jti,
            replay_until: Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX),
        })
    }
}
