//! Event in, answer out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;

use portcullis_audit::Kind;
use portcullis_base::Clock;
use portcullis_lambda::{Failure, Handler, Invocation, ProxyEvent, ProxyResponse, Reading, Text};
use portcullis_token::PolicyError;
use serde::Deserialize;

use crate::context::Context;
use crate::own_tokens::OwnTokens;
use crate::refusal::{self, Refusal};
use crate::request::Request;
use crate::{Parts, Ports, api_keys, client, grants, introspect, publish, revocations, revoke, rotate};

/// The token service over its adapters.
pub struct StsFunction<P: Ports> {
    parts: Parts<P>,
    own: OwnTokens,
    limited_at: AtomicI64,
}

/// The endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Token,
    Introspect,
    Revoke,
    Revocations,
    RotateKeys,
    Keys,
    CreateApiKey,
    ApiKeys,
    RotateApiKey,
    RevokeApiKey,
    Jwks,
    Metadata,
    OpenApi,
}

impl<P: Ports> StsFunction<P> {
    /// The function, made of these parts.
    ///
    /// # Errors
    /// When no token could be verified with such settings: the audience is empty, or the leeway over a minute.
    pub fn new(parts: Parts<P>) -> Result<Self, PolicyError> {
        let own = OwnTokens::new(&parts.settings, &parts.identities)?;
        Ok(Self { parts, own, limited_at: AtomicI64::default() })
    }

    /// Its parts: for the local stack's own commands.
    pub const fn parts(&self) -> &Parts<P> {
        &self.parts
    }

    /// Answers a request of the HTTP API.
    pub async fn answer(&self, event: &ProxyEvent<'_>) -> ProxyResponse {
        let endpoint = match Endpoint::of(&event.method, &event.path) {
            Ok(endpoint) => endpoint,
            Err(methods) if methods.is_empty() => return ProxyResponse::problem(&refusal::NOT_FOUND),
            Err(methods) => return refusal::method_not_allowed(methods.join(", ")),
        };
        let viewer = self.parts.settings.viewer_address_header.as_deref();
        let request = Request::new(event, endpoint.operation(), viewer);
        let mut context = Context::new(&self.parts, &self.own, &self.limited_at, &request);
        let served = match self.serve(endpoint, &mut context).await {
            Ok(answer) => Ok(answer),
            Err(refusal) => {
                context.note_refusal(refusal);
                Err(refusal)
            }
        };
        // Before the answer: what cannot be recorded does not happen, as far as anybody is told.
        let answer = match (context.record().await, served) {
            (Err(refusal), _) | (Ok(()), Err(refusal)) => refused(endpoint, refusal),
            (Ok(()), Ok(answer)) => answer,
        };
        self.measure(endpoint, &context, answer.status);
        answer
    }

    async fn serve(
        &self,
        endpoint: Endpoint,
        context: &mut Context<'_, P>,
    ) -> Result<ProxyResponse, Refusal> {
        if !endpoint.is_published() {
            client::refuse_revoked_certificate(context).await?;
        }
        match endpoint {
            Endpoint::Token => grants::token(context).await,
            Endpoint::Introspect => introspect::introspect(context).await,
            Endpoint::Revoke => revoke::revoke(context).await,
            Endpoint::Revocations => revocations::add(context).await,
            Endpoint::RotateKeys => rotate::rotate(context).await,
            Endpoint::Keys => rotate::list(context).await,
            Endpoint::CreateApiKey => api_keys::create(context).await,
            Endpoint::ApiKeys => api_keys::list(context).await,
            Endpoint::RotateApiKey => api_keys::rotate(context).await,
            Endpoint::RevokeApiKey => api_keys::revoke(context).await,
            Endpoint::Jwks => publish::jwks(context).await,
            Endpoint::Metadata => Ok(publish::metadata(context)),
            Endpoint::OpenApi => Ok(publish::openapi(context)),
        }
    }

    fn measure(&self, endpoint: Endpoint, context: &Context<'_, P>, status: u16) {
        let now = self.parts.clock.now();
        let millis = now.as_millisecond().saturating_sub(context.now.as_millisecond());
        let readings = [
            Reading::count("Requests", 1.0),
            Reading::millis("Latency", f64::from(i32::try_from(millis).unwrap_or(i32::MAX))),
        ];
        let dimensions = [("Endpoint", endpoint.operation()), ("Status", &*status.to_string())];
        self.parts.metrics.emit(now, &dimensions, &readings);
        // By the function alone: an alarm on guesses hears of those at every endpoint that takes a secret.
        self.parts.metrics.emit(now, &[], context.readings());
    }
}

fn refused(endpoint: Endpoint, refusal: Refusal) -> ProxyResponse {
    tracing::info!(
        endpoint = endpoint.operation(),
        status = refusal.status(),
        error = refusal.code(),
        "request refused"
    );
    refusal.to_response()
}

impl<P: Ports> Context<'_, P> {
    /// Notes a refusal at the token endpoint that nothing was noted of yet. A flood that is over its rate leaves no more
    /// than the limiter noted.
    fn note_refusal(&mut self, refusal: Refusal) {
        let is_told = self.has_noted() || refusal.is_ours() || matches!(refusal, Refusal::TooMany(_));
        if !is_told {
            let event = self.event(Kind::TokenRequestRefused, &self.caller);
            self.note(event.reason(refusal.code()));
        }
    }
}

impl Endpoint {
    const ALL: [Self; 13] = [
        Self::Token,
        Self::Introspect,
        Self::Revoke,
        Self::Revocations,
        Self::RotateKeys,
        Self::Keys,
        Self::CreateApiKey,
        Self::ApiKeys,
        Self::RotateApiKey,
        Self::RevokeApiKey,
        Self::Jwks,
        Self::Metadata,
        Self::OpenApi,
    ];

    const fn operation(self) -> &'static str {
        match self {
            Self::Token => "POST /sts/token",
            Self::Introspect => "POST /sts/introspect",
            Self::Revoke => "POST /sts/revoke",
            Self::Revocations => "POST /sts/revocations",
            Self::RotateKeys => "POST /sts/rotate-keys",
            Self::Keys => "GET /sts/keys",
            Self::CreateApiKey => "POST /sts/api-keys",
            Self::ApiKeys => "GET /sts/api-keys",
            Self::RotateApiKey => "POST /sts/api-keys/rotate",
            Self::RevokeApiKey => "POST /sts/api-keys/revoke",
            Self::Jwks => "GET /sts/jwks",
            Self::Metadata => "GET /.well-known/oauth-authorization-server",
            Self::OpenApi => "GET /openapi.json",
        }
    }

    fn method(self) -> &'static str {
        self.operation().split_once(' ').map_or("", |(method, _)| method)
    }

    fn path(self) -> &'static str {
        self.operation().split_once(' ').map_or("", |(_, path)| path)
    }

    /// What anybody may read, whoever it is.
    const fn is_published(self) -> bool {
        matches!(self, Self::Jwks | Self::Metadata | Self::OpenApi)
    }

    /// The endpoint of a request.
    ///
    /// # Errors
    /// What may be done there: nothing, if there is no such path.
    fn of(method: &str, path: &str) -> Result<Self, Vec<&'static str>> {
        let there: Vec<_> = Self::ALL.into_iter().filter(|endpoint| endpoint.path() == path).collect();
        let found = there.iter().copied().find(|endpoint| endpoint.method() == method);
        found.ok_or_else(|| there.iter().map(|endpoint| endpoint.method()).collect())
    }
}

impl<P: Ports> Handler for StsFunction<P> {
    async fn handle(&self, event: &[u8], _: &Invocation) -> Result<Vec<u8>, Failure> {
        let Ok(mut request) = ProxyEvent::parse(event) else {
            tracing::error!(bytes = event.len(), "event is not a request");
            return Err(UNKNOWN_EVENT);
        };
        add_repeated_headers(&mut request, event)?;
        Ok(self.answer(&request).await.to_json())
    }
}

/// `headers` holds the last of those that the client sent under one name; all of them stand in `multiValueHeaders`. Two that
/// differ must be seen to be two.
fn add_repeated_headers<'a>(request: &mut ProxyEvent<'a>, event: &'a [u8]) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Multi<'a> {
        #[serde(rename = "multiValueHeaders", borrow)]
        headers: Option<BTreeMap<Text<'a>, Option<Vec<Text<'a>>>>>,
    }
    let multi: Multi<'a> = serde_json::from_slice(event).map_err(|_| UNKNOWN_EVENT)?;
    for (name, values) in multi.headers.unwrap_or_default() {
        for value in values.unwrap_or_default().into_iter().skip(1) {
            request.headers.0.push((Cow::Owned(name.0.clone().into_owned()), value.0));
        }
    }
    Ok(())
}

const UNKNOWN_EVENT: Failure = Failure { kind: "UnknownEvent", message: "the event is not an API request" };
