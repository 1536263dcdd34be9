//! Answers to requests that are not let in: RFC 6750 section 3, RFC 9449 section 7.1, problem details.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use portcullis_base::Problem;
use portcullis_token::Scope;

/// Why a request is not let in, as much of it as the caller may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No credentials, or of a scheme that is not spoken here: no error code (RFC 6750 section 3.1).
    NoCredentials,
    /// Credentials that cannot be read, or several.
    Malformed,
    /// The token is not taken. Which of its many reasons is for the log alone.
    InvalidToken,
    /// The DPoP proof is not taken.
    InvalidProof,
    /// The token lacks this scope.
    InsufficientScope(String),
    /// The connection has no client certificate, or not the one of the token's client.
    Certificate,
    /// Something that must be asked did not answer.
    Unavailable,
}

impl Refusal {
    pub(super) fn into_response<B: From<String>>(self, dpop: bool) -> Response<B> {
        let problem = self.problem();
        let mut response = Response::new(B::from(problem.to_json()));
        *response.status_mut() = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::FORBIDDEN);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.challenge(dpop, headers);
        response
    }

    const fn problem(&self) -> Problem {
        match self {
            Self::NoCredentials => Problem::new(401, "unauthorized", "A token is needed"),
            Self::Malformed => Problem::new(400, "invalid-request", "The credentials are malformed"),
            Self::InvalidToken => Problem::new(401, "invalid-token", "The token is not valid"),
            Self::InvalidProof => Problem::new(401, "invalid-dpop-proof", "The DPoP proof is not valid"),
            Self::InsufficientScope(_) => {
                Problem::new(403, "insufficient-scope", "The token does not allow this")
            }
            Self::Certificate => {
                Problem::new(403, "client-certificate", "The client certificate does not do")
            }
            Self::Unavailable => Problem::new(503, "unavailable", "Credentials cannot be checked now"),
        }
    }

    fn challenge(&self, dpop: bool, headers: &mut HeaderMap) {
        let bearer = match self {
            Self::NoCredentials => format!("Bearer {REALM}"),
            Self::Malformed => format!("Bearer {REALM}, error=\"invalid_request\""),
            Self::InvalidToken => format!("Bearer {REALM}, error=\"invalid_token\""),
            Self::InsufficientScope(scope) => {
                format!("Bearer {REALM}, error=\"insufficient_scope\", scope=\"{scope}\"")
            }
            Self::InvalidProof | Self::Certificate | Self::Unavailable => String::new(),
        };
        if let Ok(value) = HeaderValue::from_str(&bearer)
            && !bearer.is_empty()
        {
            headers.append(WWW_AUTHENTICATE, value);
        }
        match self {
            Self::InvalidProof => headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(DPOP_ERROR)),
            Self::NoCredentials | Self::InvalidToken if dpop => {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(DPOP))
            }
            _ => false,
        };
    }
}

/// A verified caller may not do this: answered with status 403 (RFC 6750 section 3.1, `insufficient_scope`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("token lacks a scope")]
pub struct Forbidden(Refusal);

impl Forbidden {
    pub(super) fn new(scope: &str) -> Self {
        // Only what is a scope may stand in the header's quotes.
        let safe = Scope::parse(scope).map(|scope| scope.to_string()).unwrap_or_default();
        Self(Refusal::InsufficientScope(safe))
    }

    pub(super) fn into_refusal(self) -> Refusal {
        self.0
    }

    /// The answer.
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        self.0.into_response(false)
    }
}

const REALM: &str = "realm=\"portcullis\"";
const DPOP: &str = "DPoP algs=\"ES256 EdDSA PS256 RS256\"";
const DPOP_ERROR: &str = "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA PS256 RS256\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_on_the_wire() {
        let scope = || Refusal::InsufficientScope("read:signals".into());
        for (refusal, dpop, status, challenges) in [
            (Refusal::NoCredentials, false, 401, vec!["Bearer realm=\"portcullis\""]),
            (Refusal::NoCredentials, true, 401, vec!["Bearer realm=\"portcullis\"", DPOP]),
            (Refusal::Malformed, true, 400, vec!["Bearer realm=\"portcullis\", error=\"invalid_request\""]),
            (Refusal::InvalidToken, false, 401, vec!["Bearer realm=\"portcullis\", error=\"invalid_token\""]),
            (Refusal::InvalidProof, true, 401, vec![DPOP_ERROR]),
            (
                scope(),
                false,
                403,
                vec!["Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"read:signals\""],
            ),
            (Refusal::Certificate, false, 403, vec![]),
            (Refusal::Unavailable, false, 503, vec![]),
        ] {
            let label = format!("{refusal:?}");
            let response: Response<String> = refusal.into_response(dpop);
            assert_eq!(response.status().as_u16(), status, "{label}");
            let told: Vec<_> = response.headers().get_all(WWW_AUTHENTICATE).iter().collect();
            assert_eq!(told, challenges, "{label}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{label}");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{label}");
            assert!(response.body().contains(&format!("\"status\":{status}")), "{label}");
        }
    }

    #[test]
    fn what_is_no_scope_does_not_reach_the_header() {
        let response: Response<String> = Forbidden::new("a\", realm=\"evil").into_response();
        assert_eq!(
            response.headers()[WWW_AUTHENTICATE],
            "Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"\""
        );
    }
}
