//! The checks behind the layer, with their types erased: one layer type whatever the sources of keys and clocks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use portcullis_base::Clock;
use portcullis_token::{
    CachedVerifier, Claims, FollowError, JwksSource, Presentation, ProofExpectation, ReplayWindow,
    RevocationFollower, RevocationStore, TokenError, VerifiedProof, VerifiedToken, verify_proof,
};

use super::refusal::Refusal;
use crate::endpoint::{self, UrlError};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub(super) trait Tokens: Send + Sync {
    fn verify<'a>(
        &'a self,
        token: &'a str,
        presented: Presentation<'a>,
    ) -> BoxFuture<'a, Result<VerifiedToken, TokenError>>;
}

impl<S: JwksSource, C: Clock> Tokens for CachedVerifier<S, C> {
    fn verify<'a>(
        &'a self,
        token: &'a str,
        presented: Presentation<'a>,
    ) -> BoxFuture<'a, Result<VerifiedToken, TokenError>> {
        Box::pin(self.verify(token, presented))
    }
}

pub(super) trait Revocations: Send + Sync {
    fn check<'a>(&'a self, claims: &'a Claims) -> BoxFuture<'a, Result<(), Refusal>>;
}

impl<S: RevocationStore, C: Clock> Revocations for RevocationFollower<S, C> {
    fn check<'a>(&'a self, claims: &'a Claims) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            match self.check(claims).await {
                Ok(()) => Ok(()),
                Err(FollowError::Token(error)) => {
                    tracing::info!(reason = error.as_str(), "token refused");
                    Err(Refusal::InvalidToken)
                }
                Err(FollowError::Store(error)) => {
                    tracing::warn!(%error, "revocations cannot be asked");
                    Err(Refusal::Unavailable)
                }
            }
        })
    }
}

pub(super) trait Proofs: Send + Sync {
    fn verify(&self, proof: &str, method: &str, path: &str, token: &str) -> Result<VerifiedProof, Refusal>;

    /// Takes note of the proof: to be called once all else is verified, so that nobody fills the window with rubbish.
    fn note<'a>(&'a self, proof: &'a VerifiedProof) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// What DPoP proofs (RFC 9449) are checked against. A token that is bound to a key is refused without it.
#[derive(Debug)]
pub struct DpopChecks<R, C> {
    origin: String,
    replay: R,
    clock: C,
    max_age_seconds: u16,
}

impl<R: ReplayWindow, C: Clock> DpopChecks<R, C> {
    /// Checks for a service whose clients know it under `origin` (`https://host[:port]`). The `Host` header does not count:
    /// the client writes it.
    ///
    /// # Errors
    /// When `origin` is not `https`, nor on a loopback address, or has a path.
    pub fn new(origin: &str, replay: R, clock: C) -> Result<Self, UrlError> {
        let origin = endpoint::parse_origin(origin)?.ascii_serialization();
        Ok(Self { origin, replay, clock, max_age_seconds: MAX_AGE })
    }

    /// Another age up to which a proof is taken, in seconds (60 otherwise).
    #[must_use]
    pub fn with_max_age(self, seconds: u16) -> Self {
        Self { max_age_seconds: seconds, ..self }
    }
}

impl<R: ReplayWindow, C: Clock> Proofs for DpopChecks<R, C> {
    fn verify(&self, proof: &str, method: &str, path: &str, token: &str) -> Result<VerifiedProof, Refusal> {
        let expected = ProofExpectation {
            method,
            uri: &format!("{}{path}", self.origin),
            access_token: Some(token),
            nonces: None,
            max_age_seconds: self.max_age_seconds,
        };
        verify_proof(proof, &expected, self.clock.now()).map_err(|error| {
            tracing::info!(reason = error.as_str(), "dpop proof refused");
            Refusal::InvalidProof
        })
    }

    fn note<'a>(&'a self, proof: &'a VerifiedProof) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let scope = format!("dpop:{}", proof.jkt());
            let until = proof.replay_until(self.max_age_seconds);
            match self.replay.first_use(&scope, proof.jti(), until).await {
                Ok(true) => Ok(()),
                Ok(false) => {
                    tracing::warn!(jkt = %proof.jkt(), "dpop proof replayed");
                    Err(Refusal::InvalidProof)
                }
                Err(error) => {
                    tracing::warn!(%error, "dpop replay window cannot be asked");
                    Err(Refusal::Unavailable)
                }
            }
        })
    }
}

/// The credentials of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Credentials<'r> {
    pub(super) token: &'r str,
    /// The DPoP proof; `Some` exactly if the scheme is `DPoP`.
    pub(super) proof: Option<&'r str>,
}

/// Neither the token nor the proof, with which anybody could call.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("dpop", &self.proof.is_some()).finish_non_exhaustive()
    }
}

/// Reads `Authorization` (RFC 6750 section 2.1; the form body and the query are no places for tokens) and `DPoP`.
pub(super) fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>, Refusal> {
    let authorization = only(headers, &AUTHORIZATION)?.ok_or(Refusal::NoCredentials)?;
    let proof = only(headers, &DPOP)?;
    let (scheme, token) = authorization.split_once(' ').ok_or(Refusal::NoCredentials)?;
    let token = token.trim_start_matches(' ');
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    if !bearer && !scheme.eq_ignore_ascii_case("dpop") {
        return Err(Refusal::NoCredentials);
    }
    match proof {
        _ if !is_token68(token) => Err(Refusal::Malformed),
        // The caller believes in a protection that the scheme does not give (RFC 9449 section 7.1).
        Some(_) if bearer => Err(Refusal::Malformed),
        None if !bearer => Err(Refusal::InvalidProof),
        proof => Ok(Credentials { token, proof }),
    }
}

/// The value of a header that may stand once: with two, what one reader takes another may not.
fn only<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Result<Option<&'r str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::Malformed),
        (Some(_), Some(_)) => Err(Refusal::Malformed),
    }
}

fn is_token68(token: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    !token.is_empty() && token.bytes().all(allowed)
}

const DPOP: HeaderName = HeaderName::from_static("dpop");
const MAX_AGE: u16 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_is_written_of_credentials_holds_none() {
        let text = format!("{:?}", Credentials { token: "SECRET", proof: Some("SECRET") });
        assert_eq!(text, "Credentials { dpop: true, .. }");
    }

    #[test]
    fn every_form_of_credentials() {
        let bearer = Ok(Credentials { token: "a.b.c", proof: None });
        let dpop = Ok(Credentials { token: "a.b.c", proof: Some("p") });
        for (label, given, expected) in [
            ("bearer", vec![("authorization", "Bearer a.b.c")], bearer.clone()),
            ("scheme in any case", vec![("authorization", "bEARER a.b.c")], bearer.clone()),
            ("several spaces", vec![("authorization", "Bearer   a.b.c")], bearer),
            ("dpop", vec![("authorization", "DPoP a.b.c"), ("dpop", "p")], dpop),
            ("nothing", vec![], Err(Refusal::NoCredentials)),
            ("basic", vec![("authorization", "Basic YTpi")], Err(Refusal::NoCredentials)),
            ("token alone", vec![("authorization", "a.b.c")], Err(Refusal::NoCredentials)),
            ("scheme alone", vec![("authorization", "Bearer ")], Err(Refusal::Malformed)),
            ("two tokens", vec![("authorization", "Bearer a b")], Err(Refusal::Malformed)),
            ("tab", vec![("authorization", "Bearer \ta")], Err(Refusal::Malformed)),
            ("list", vec![("authorization", "Bearer a,Bearer b")], Err(Refusal::Malformed)),
            (
                "two headers",
                vec![("authorization", "Bearer a"), ("authorization", "Bearer a")],
                Err(Refusal::Malformed),
            ),
            (
                "proof with a bearer token",
                vec![("authorization", "Bearer a"), ("dpop", "p")],
                Err(Refusal::Malformed),
            ),
            ("dpop without its proof", vec![("authorization", "DPoP a")], Err(Refusal::InvalidProof)),
            (
                "two proofs",
                vec![("authorization", "DPoP a"), ("dpop", "p"), ("dpop", "q")],
                Err(Refusal::Malformed),
            ),
        ] {
            assert_eq!(credentials(&headers(&given)), expected, "{label}");
        }
        let mut strange = HeaderMap::new();
        strange.insert(AUTHORIZATION, http::HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(credentials(&strange), Err(Refusal::Malformed));
    }
}
