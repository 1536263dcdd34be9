//! What is answered when a request is refused: RFC 6749 section 5.2, RFC 6750 section 3, RFC 8693, RFC 9449.

use std::borrow::Cow;

use portcullis_audit::AuditUnavailable;
use portcullis_base::Problem;
use portcullis_lambda::ProxyResponse;
use portcullis_token::{DPOP_ALGS, FollowError, KeeperError, RefreshTokenError, SignError, StoreError};
use serde::Serialize;

/// A refusal. The words in it are fixed: nothing of the request or of the system gets into an answer by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: the request is malformed, or (RFC 8693 section 2.2.2) its subject token is not taken.
    InvalidRequest(&'static str),
    /// 413.
    TooLarge,
    /// 401: the client is not who it says, or did not say.
    InvalidClient,
    /// 400: the refresh token is not taken.
    InvalidGrant,
    /// 400: this client may not do this.
    UnauthorizedClient(&'static str),
    /// 400.
    UnsupportedGrantType,
    /// 400: malformed, unknown, or more than the client may have.
    InvalidScope,
    /// 400: no token for that audience (RFC 8693 section 2.2.2).
    InvalidTarget(&'static str),
    /// 400: the DPoP proof is not taken (RFC 9449 section 5).
    InvalidDpopProof,
    /// 401: no token, or none that is taken (RFC 6750 section 3).
    Bearer(BearerRefusal),
    /// 429: wait so many seconds.
    TooMany(u64),
    /// 503: something that this needs did not answer.
    Unavailable,
    /// 500: something that this needs refused, or holds what it must not.
    Internal,
}

/// Why a bearer of a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BearerRefusal {
    /// No token was shown: then no error is named (RFC 6750 section 3.1).
    Missing,
    /// 400: shown in two ways at once, or malformed.
    Malformed,
    /// The token is not taken.
    Invalid,
    /// 403: the token does not reach so far.
    InsufficientScope(&'static str),
}

impl Refusal {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::Bearer(BearerRefusal::Missing | BearerRefusal::Invalid) => 401,
            Self::Bearer(BearerRefusal::InsufficientScope(_)) => 403,
            Self::TooLarge => 413,
            Self::TooMany(_) => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
            _ => 400,
        }
    }

    /// The value of `error`: of the registry at RFC 6749 section 11.4.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::TooLarge | Self::Bearer(BearerRefusal::Malformed) => {
                "invalid_request"
            }
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget(_) => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::Bearer(BearerRefusal::Missing | BearerRefusal::Invalid) => "invalid_token",
            Self::Bearer(BearerRefusal::InsufficientScope(_)) => "insufficient_scope",
            Self::TooMany(_) | Self::Unavailable => "temporarily_unavailable",
            Self::Internal => "server_error",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest(what) | Self::UnauthorizedClient(what) | Self::InvalidTarget(what) => what,
            Self::TooLarge => "the body is too large",
            Self::InvalidClient => "client authentication failed",
            Self::InvalidGrant => "the refresh token is not valid",
            Self::UnsupportedGrantType => "this grant type is not supported",
            Self::InvalidScope => "the scope is malformed or exceeds what may be granted",
            Self::InvalidDpopProof => "the DPoP proof is not valid",
            Self::Bearer(BearerRefusal::Missing) => "an access token is needed",
            Self::Bearer(BearerRefusal::Malformed) => "the access token is presented wrongly",
            Self::Bearer(BearerRefusal::Invalid) => "the access token is not valid",
            Self::Bearer(BearerRefusal::InsufficientScope(_)) => "the access token does not allow this",
            Self::TooMany(_) => "too many requests",
            Self::Unavailable => "try again later",
            Self::Internal => "the request could not be processed",
        }
    }

    /// Whether it is the fault of this service, and nothing is known of the request.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Unavailable | Self::Internal)
    }

    pub(crate) fn to_response(self) -> ProxyResponse {
        let body = ErrorBody { error: self.code(), error_description: self.description() };
        // Fixed words: serialisation cannot fail.
        let answer = ProxyResponse::json(self.status(), serde_json::to_string(&body).unwrap_or_default())
            .with_header("Pragma", "no-cache");
        match self {
            Self::InvalidClient => answer.with_header("WWW-Authenticate", BASIC),
            Self::Bearer(refusal) => answer.with_header("WWW-Authenticate", refusal.challenge()),
            Self::TooMany(seconds) => answer.with_header("Retry-After", seconds.to_string()),
            Self::Unavailable => answer.with_header("Retry-After", "1"),
            _ => answer,
        }
    }
}

impl BearerRefusal {
    fn challenge(self) -> Cow<'static, str> {
        let error = match self {
            Self::Missing => return format!(r#"Bearer realm="{REALM}", DPoP algs="{DPOP_ALGS}""#).into(),
            Self::Malformed => r#"error="invalid_request""#.to_owned(),
            Self::Invalid => r#"error="invalid_token""#.to_owned(),
            Self::InsufficientScope(scope) => format!(r#"error="insufficient_scope", scope="{scope}""#),
        };
        format!(r#"Bearer realm="{REALM}", {error}, DPoP algs="{DPOP_ALGS}""#).into()
    }
}

#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    error_description: &'static str,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a store failed");
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Refused | StoreError::Malformed => Self::Internal,
        }
    }
}

impl From<KeeperError> for Refusal {
    fn from(error: KeeperError) -> Self {
        tracing::error!(%error, "signing keys are not to be had");
        match error {
            KeeperError::Algorithm | KeeperError::Ring(_) => Self::Internal,
            _ => Self::Unavailable,
        }
    }
}

impl From<SignError> for Refusal {
    fn from(error: SignError) -> Self {
        tracing::error!(%error, "a token was not signed");
        match error {
            SignError::Unavailable => Self::Unavailable,
            SignError::Refused | SignError::TooLarge => Self::Internal,
        }
    }
}

impl From<AuditUnavailable> for Refusal {
    fn from(_: AuditUnavailable) -> Self {
        tracing::error!("the audit trail is not to be had, and its setting is to refuse");
        Self::Unavailable
    }
}

impl From<RefreshTokenError> for Refusal {
    fn from(error: RefreshTokenError) -> Self {
        match error {
            RefreshTokenError::Invalid => Self::InvalidGrant,
            RefreshTokenError::Key | RefreshTokenError::Random => Self::Internal,
        }
    }
}

impl From<FollowError> for Refusal {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Token(_) => Self::Bearer(BearerRefusal::Invalid),
            FollowError::Store(error) => error.into(),
        }
    }
}

pub(crate) const NOT_FOUND: Problem = Problem::new(404, "not-found", "There is nothing here");
const METHOD: Problem = Problem::new(405, "method-not-allowed", "This method is not allowed here");

pub(crate) fn method_not_allowed(allow: String) -> ProxyResponse {
    ProxyResponse::problem(&METHOD).with_header("Allow", allow)
}

const REALM: &str = "portcullis";
const BASIC: &str = r#"Basic realm="portcullis", charset="UTF-8""#;
