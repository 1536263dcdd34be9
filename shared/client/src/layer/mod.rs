//! The tower layer that lets only verified callers in.

mod authority;
mod context;
mod excluded;
mod refusal;
mod require;

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_base::Clock;
use portcullis_token::{
    CachedVerifier, JwksSource, Presentation, ReplayWindow, RevocationFollower, RevocationStore, TokenError,
    VerifiedToken,
};
use tower::{Layer, Service};

pub use authority::DpopChecks;
use authority::{BoxFuture, Credentials, Proofs, Revocations, Tokens, credentials};
pub use context::{PlanApproval, SecurityContext};
pub use excluded::{ExcludedPaths, PathError};
pub use refusal::Forbidden;
use refusal::Refusal;
#[cfg(feature = "axum")]
pub use require::Unverified;
pub use require::{RequireScope, RequireScopeService, require};

use crate::peer::{PeerCertificate, SCHEME};

/// Verifies the token of every request and hands the handler a [`SecurityContext`]; all else is answered with 400, 401,
/// 403 or, where something that must be asked is down, 503.
///
/// Without [`SecurityLayer::with_revocations`] a token that was revoked is taken until it expires, at most the longest life
/// of its issuer's tokens (15 minutes for those of the stack). Not checked here in any case: whether the caller may do what
/// it asks for (see [`require`]), rates, and bodies.
#[derive(Clone)]
pub struct SecurityLayer {
    tokens: Arc<dyn Tokens>,
    proofs: Option<Arc<dyn Proofs>>,
    revocations: Option<Arc<dyn Revocations>>,
    excluded: Arc<ExcludedPaths>,
    certificates: CertificateRule,
}

/// What the connection's client certificate must be. Whatever the rule: a token that is bound to a certificate
/// (RFC 8705) needs that certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CertificateRule {
    /// None is needed.
    #[default]
    Optional,
    /// There is a verified one.
    Required,
    /// It is the one of the client that the token was issued to: its SPIFFE id is `spiffe://<trust domain>/<client_id>`.
    /// A token that leaked to another service is then of no use to it.
    OfTheClient {
        /// The trust domain, such as `corp.example`.
        trust_domain: String,
    },
}

impl SecurityLayer {
    /// A layer that excludes no path, takes no DPoP-bound tokens, and needs no client certificates.
    pub fn new<S, C>(verifier: CachedVerifier<S, C>) -> Self
    where
        S: JwksSource + 'static,
        C: Clock + 'static,
    {
        Self {
            tokens: Arc::new(verifier),
            proofs: None,
            revocations: None,
            excluded: Arc::default(),
            certificates: CertificateRule::default(),
        }
    }

    /// Lets these paths through without a token. Such requests have no [`SecurityContext`], even if they bring a token.
    #[must_use]
    pub fn excluding(self, paths: ExcludedPaths) -> Self {
        Self { excluded: Arc::new(paths), ..self }
    }

    /// Takes DPoP-bound tokens.
    #[must_use]
    pub fn with_dpop<R, C>(self, checks: DpopChecks<R, C>) -> Self
    where
        R: ReplayWindow + 'static,
        C: Clock + 'static,
    {
        Self { proofs: Some(Arc::new(checks)), ..self }
    }

    /// Refuses tokens that were revoked, as the follower of the store knows them; while it knows nothing lately, all tokens
    /// (status 503).
    #[must_use]
    pub fn with_revocations<R, C>(self, revocations: impl Into<Arc<RevocationFollower<R, C>>>) -> Self
    where
        R: RevocationStore + 'static,
        C: Clock + 'static,
    {
        let revocations: Arc<RevocationFollower<R, C>> = revocations.into();
        Self { revocations: Some(revocations), ..self }
    }

    /// Demands client certificates.
    #[must_use]
    pub fn with_certificates(self, rule: CertificateRule) -> Self {
        Self { certificates: rule, ..self }
    }

    async fn check(&self, request: &Seen) -> Result<SecurityContext, Refusal> {
        let credentials = credentials(&request.headers)?;
        let (token, proof) = self.verify(request, credentials).await?;
        self.check_certificate(&token, request.certificate.as_ref())?;
        if let Some(revocations) = &self.revocations {
            revocations.check(token.claims()).await?;
        }
        if let (Some(proofs), Some(proof)) = (&self.proofs, &proof) {
            proofs.note(proof).await?;
        }
        Ok(SecurityContext::new(token, request.certificate.clone()))
    }

    async fn verify(
        &self,
        request: &Seen,
        Credentials { token, proof }: Credentials<'_>,
    ) -> Result<(VerifiedToken, Option<portcullis_token::VerifiedProof>), Refusal> {
        let proof = match (&self.proofs, proof) {
            (_, None) => None,
            (None, Some(_)) => return Err(Refusal::NoCredentials),
            (Some(proofs), Some(proof)) => {
                Some(proofs.verify(proof, request.method.as_str(), request.uri.path(), token)?)
            }
        };
        let certificate = request.certificate.as_ref().map(PeerCertificate::thumbprint);
        let presented = Presentation { dpop: proof.as_ref(), certificate };
        let verified = self.tokens.verify(token, presented).await.map_err(|error| {
            if error == TokenError::KeysUnavailable {
                tracing::warn!(path = request.uri.path(), "issuer's keys cannot be had");
                return Refusal::Unavailable;
            }
            tracing::info!(reason = error.as_str(), path = request.uri.path(), "token refused");
            Refusal::InvalidToken
        })?;
        Ok((verified, proof))
    }

    fn check_certificate(
        &self,
        token: &VerifiedToken,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Refusal> {
        let good = match &self.certificates {
            CertificateRule::Optional => true,
            CertificateRule::Required => certificate.is_some(),
            CertificateRule::OfTheClient { trust_domain } => {
                let path = certificate
                    .and_then(PeerCertificate::spiffe_id)
                    .and_then(|id| id.strip_prefix(SCHEME)?.strip_prefix(trust_domain)?.strip_prefix('/'));
                path.is_some() && path == token.claims().client_id.as_deref()
            }
        };
        if good {
            return Ok(());
        }
        let shown = certificate.and_then(PeerCertificate::spiffe_id);
        tracing::warn!(client = token.claims().client_id, shown, "client certificate refused");
        Err(Refusal::Certificate)
    }
}

impl std::fmt::Debug for SecurityLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecurityLayer")
            .field("excluded", &self.excluded)
            .field("certificates", &self.certificates)
            .field("dpop", &self.proofs.is_some())
            .field("revocations", &self.revocations.is_some())
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SecurityLayer {
    type Service = SecurityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SecurityService { inner, layer: self.clone() }
    }
}

/// A service behind [`SecurityLayer`].
#[derive(Debug, Clone)]
pub struct SecurityService<S> {
    inner: S,
    layer: SecurityLayer,
}

impl<S, B, R> Service<Request<B>> for SecurityService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Of the two handles the one that was polled must be called.
        let other = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, other);
        let layer = self.layer.clone();
        request.extensions_mut().remove::<SecurityContext>();
        Box::pin(async move {
            if layer.excluded.contains(request.uri().path()) {
                return inner.call(request).await;
            }
            match layer.check(&Seen::of(&request)).await {
                Err(refusal) => Ok(refusal.into_response(layer.proofs.is_some())),
                Ok(context) => {
                    request.extensions_mut().insert(context);
                    inner.call(request).await
                }
            }
        })
    }
}

/// What the checks need of a request. A copy: a body need not be `Sync`, and checking waits.
struct Seen {
    method: http::Method,
    uri: http::Uri,
    headers: http::HeaderMap,
    certificate: Option<PeerCertificate>,
}

impl Seen {
    fn of<B>(request: &Request<B>) -> Self {
        let mut headers = http::HeaderMap::new();
        for name in [http::header::AUTHORIZATION, http::HeaderName::from_static("dpop")] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers,
            certificate: request.extensions().get::<PeerCertificate>().cloned(),
        }
    }
}
