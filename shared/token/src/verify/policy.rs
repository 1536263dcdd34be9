use crate::{Algorithm, Claims, TokenError};

/// What is demanded of the tokens of one issuer.
#[derive(Debug, Clone)]
pub struct IssuerPolicy {
    issuer: String,
    audience: Audience,
    algorithms: Vec<Algorithm>,
    token_type: TokenType,
    max_lifetime_seconds: u32,
}

/// How a token says whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// `aud` holds one of these.
    AnyOf(Vec<String>),
    /// There is no `aud` in this issuer's access tokens (Cognito's): `client_id` is one of these, and `aud`, should it
    /// be there, holds one of them too.
    ClientIdAnyOf(Vec<String>),
}

/// What the header's `typ` must be (RFC 8725 section 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068), with all the claims that it demands.
    AccessToken,
    /// `approval+jwt` ([`crate::IssuedType::Approval`]), with all the claims that RFC 9068 demands.
    Approval,
    /// `JWT`.
    Jwt,
    /// `JWT`, or nothing at all: issuers that are older than explicit types.
    JwtOrAbsent,
}

impl IssuerPolicy {
    /// A policy with the tokens of RFC 9068 in mind, which live one hour at most.
    ///
    /// # Errors
    /// With an empty issuer, no audience or no algorithm.
    pub fn new(
        issuer: impl Into<String>,
        audience: Audience,
        algorithms: &[Algorithm],
    ) -> Result<Self, PolicyError> {
        let (issuer, algorithms) = (issuer.into(), algorithms.to_vec());
        let (Audience::AnyOf(names) | Audience::ClientIdAnyOf(names)) = &audience;
        if issuer.is_empty() {
            return Err(PolicyError::NoIssuer);
        }
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(PolicyError::NoAudience);
        }
        if algorithms.is_empty() {
            return Err(PolicyError::NoAlgorithm);
        }
        let token_type = TokenType::AccessToken;
        Ok(Self { issuer, audience, algorithms, token_type, max_lifetime_seconds: DEFAULT_LIFETIME })
    }

    /// Another `typ`.
    #[must_use]
    pub const fn with_token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// The longest life that is taken, from `iat` (or from now, where there is none) to `exp`.
    #[must_use]
    pub const fn with_max_lifetime(mut self, seconds: u32) -> Self {
        self.max_lifetime_seconds = seconds;
        self
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn check_header(&self, algorithm: Algorithm, typ: Option<&str>) -> Result<(), TokenError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(TokenError::AlgorithmNotAllowed);
        }
        match (self.token_type, typ) {
            (TokenType::AccessToken, Some("at+jwt"))
            | (TokenType::Approval, Some("approval+jwt"))
            | (TokenType::Jwt | TokenType::JwtOrAbsent, Some("jwt"))
            | (TokenType::JwtOrAbsent, None) => Ok(()),
            _ => Err(TokenError::TypeMismatch),
        }
    }

    pub(super) fn check_claims(&self, claims: &Claims, now: i64, leeway: i64) -> Result<(), TokenError> {
        self.check_audience(claims)?;
        if matches!(self.token_type, TokenType::AccessToken | TokenType::Approval) {
            // RFC 9068 section 2.2.
            claims.iat.ok_or(TokenError::ClaimMissing("iat"))?;
            claims.jti.as_ref().ok_or(TokenError::ClaimMissing("jti"))?;
            claims.client_id.as_ref().ok_or(TokenError::ClaimMissing("client_id"))?;
        }
        check_times(claims, now, leeway, i64::from(self.max_lifetime_seconds) * 1000)
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), TokenError> {
        match &self.audience {
            Audience::AnyOf(_) if claims.aud.is_empty() => Err(TokenError::ClaimMissing("aud")),
            Audience::AnyOf(ours) if claims.aud.iter().any(|a| ours.contains(a)) => Ok(()),
            Audience::AnyOf(_) => Err(TokenError::Audience),
            Audience::ClientIdAnyOf(ours) => {
                let client = claims.client_id.as_ref().ok_or(TokenError::ClaimMissing("client_id"))?;
                let for_us = claims.aud.is_empty() || claims.aud.iter().any(|a| ours.contains(a));
                if ours.contains(client) && for_us { Ok(()) } else { Err(TokenError::Audience) }
            }
        }
    }
}

/// All times in milliseconds since the epoch.
pub(crate) fn check_times(
    claims: &Claims,
    now: i64,
    leeway: i64,
    max_lifetime: i64,
) -> Result<(), TokenError> {
    let exp = claims.exp.millis();
    // RFC 7519 section 4.1.4: "on or after" it is too late.
    if now >= exp.saturating_add(leeway) {
        return Err(TokenError::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf.millis() > now.saturating_add(leeway)) {
        return Err(TokenError::NotYetValid);
    }
    if claims.iat.is_some_and(|iat| iat.millis() > now.saturating_add(leeway)) {
        return Err(TokenError::IssuedInFuture);
    }
    let start = claims.iat.map_or(now, |iat| iat.millis());
    if exp.saturating_sub(start) > max_lifetime { Err(TokenError::LifetimeTooLong) } else { Ok(()) }
}

/// Why a policy makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No issuer is named.
    #[error("no issuer is configured")]
    NoIssuer,
    /// One issuer has two policies.
    #[error("an issuer is configured twice")]
    IssuerTwice,
    /// No audience is named, so that every token would be for us.
    #[error("an issuer has no audience")]
    NoAudience,
    /// No algorithm is pinned.
    #[error("an issuer has no algorithm")]
    NoAlgorithm,
    /// The leeway is over a minute.
    #[error("leeway is too long")]
    Leeway,
}

const DEFAULT_LIFETIME: u32 = 3600;
