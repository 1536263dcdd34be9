//! Scopes that a route demands.

use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_token::{Scope, ScopeError};
use tower::{Layer, Service};

use super::authority::BoxFuture;
use super::context::SecurityContext;
use super::refusal::Refusal;

/// A layer, to be put inside of [`super::SecurityLayer`], that lets only callers with this scope through.
///
/// # Errors
/// When the text is not one scope of RFC 6749 section 3.3.
pub fn require(scope: &str) -> Result<RequireScope, ScopeError> {
    let parsed = Scope::parse(scope)?;
    if parsed.iter().count() == 1 { Ok(RequireScope { scope: scope.to_owned() }) } else { Err(ScopeError) }
}

/// See [`require`].
#[derive(Debug, Clone)]
pub struct RequireScope {
    scope: String,
}

impl<S> Layer<S> for RequireScope {
    type Service = RequireScopeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireScopeService { inner, scope: self.scope.clone() }
    }
}

/// A service behind [`RequireScope`].
#[derive(Debug, Clone)]
pub struct RequireScopeService<S> {
    inner: S,
    scope: String,
}

impl<S, B, R> Service<Request<B>> for RequireScopeService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Without a context nobody was verified: the path is excluded, or the outer layer is missing.
        let allowed = match request.extensions().get::<SecurityContext>() {
            None => Err(Refusal::NoCredentials),
            Some(context) => context.require(&self.scope).map_err(|forbidden| {
                tracing::info!(subject = context.subject(), scope = self.scope, "scope missing");
                forbidden.into_refusal()
            }),
        };
        match allowed {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(refusal) => Box::pin(std::future::ready(Ok(refusal.into_response(false)))),
        }
    }
}

#[cfg(feature = "axum")]
mod axum_support {
    use axum::extract::FromRequestParts;
    use axum::response::{IntoResponse, Response};
    use http::request::Parts;

    use super::super::refusal::{Forbidden, Refusal};
    use super::SecurityContext;

    impl<S: Sync> FromRequestParts<S> for SecurityContext {
        type Rejection = Unverified;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
            parts.extensions.get::<Self>().cloned().ok_or(Unverified)
        }
    }

    /// A handler wants a caller's context, and nobody verified one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Unverified;

    impl IntoResponse for Unverified {
        fn into_response(self) -> Response {
            Refusal::NoCredentials.into_response(false)
        }
    }

    impl IntoResponse for Forbidden {
        fn into_response(self) -> Response {
            Self::into_response(self)
        }
    }
}

#[cfg(feature = "axum")]
pub use axum_support::Unverified;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scope_is_demanded() {
        assert!(require("read:signals").is_ok());
        for scope in ["", "read:signals write:plans", "a\"b", " "] {
            assert!(require(scope).is_err(), "{scope:?}");
        }
    }
}
