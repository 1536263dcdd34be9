//! Why a call did not come to an answer.

use crate::body::BodyError;
use crate::endpoint::UrlError;

/// Why a call did not come to an answer. Holds nothing of the request, the token or the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one to send credentials to.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The URL is of an origin that was not allowed: the token is not shown to it.
    #[error("url is of an origin that may not see the token")]
    Origin,
    /// A header or the body cannot be written.
    #[error("request cannot be written")]
    Request,
    /// No connection, or no TLS on it.
    #[error("server cannot be reached")]
    Connect,
    /// No answer in time, all attempts and pauses included.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke before the whole answer was there.
    #[error("connection broke")]
    Broken,
    /// The answer is larger than allowed.
    #[error("answer is too large")]
    TooLarge,
    /// The answer is not the JSON that was expected.
    #[error("answer is not the expected json")]
    Json,
    /// The token service says no.
    #[error("token service refused: {}", .0.as_str())]
    TokenRefused(OauthError),
    /// The token service did not answer, or failed, or did so a moment ago.
    #[error("token service unavailable")]
    TokenUnavailable,
    /// The token service's answer is not one.
    #[error("token service's answer is malformed")]
    TokenMalformed,
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() || error.is_request() && error.is_body() {
            Self::Request
        } else if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Broken
        }
    }
}

impl From<BodyError> for ClientError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken => Self::Broken,
            BodyError::TooLarge => Self::TooLarge,
        }
    }
}

/// An error code of a token endpoint (RFC 6749 section 5.2, RFC 8707 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OauthError {
    /// The client is unknown, or did not authenticate.
    InvalidClient,
    /// The request lacks something or is malformed.
    InvalidRequest,
    /// The grant is not valid.
    InvalidGrant,
    /// The scope is unknown or more than the client may have.
    InvalidScope,
    /// The resource is unknown.
    InvalidTarget,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// The grant is not spoken there.
    UnsupportedGrantType,
    /// Something else.
    Other,
}

impl OauthError {
    /// The code; `other` for one that is not known here.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::Other => "other",
        }
    }

    pub(crate) fn parse(code: &str) -> Self {
        const ALL: [OauthError; 7] = [
            OauthError::InvalidClient,
            OauthError::InvalidRequest,
            OauthError::InvalidGrant,
            OauthError::InvalidScope,
            OauthError::InvalidTarget,
            OauthError::UnauthorizedClient,
            OauthError::UnsupportedGrantType,
        ];
        ALL.into_iter().find(|known| known.as_str() == code).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        for error in [OauthError::InvalidClient, OauthError::UnsupportedGrantType, OauthError::InvalidTarget]
        {
            assert_eq!(OauthError::parse(error.as_str()), error);
        }
        assert_eq!(OauthError::parse("x\u{202e}y"), OauthError::Other);
    }
}
