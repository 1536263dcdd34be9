//! The client: every request with a token, over the right certificate, retried where that does no harm.

mod connections;
mod request;
mod response;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use portcullis_base::Clock;
use url::{Origin, Url};

pub use connections::CertificateFolder;
pub(crate) use connections::{Connections, ConnectionsError, Via};
pub use request::Request;
pub use response::Response;
pub use retry::RetryPolicy;

use crate::config::{ClientSettings, SettingsError};
use crate::endpoint;
use crate::error::ClientError;
use crate::pacing::{Pacing, SystemClock, SystemPacing};
use crate::tokens::{StsEndpoint, TokenCache};

/// A client for calls between services. Cheap to clone; clones share tokens and connections.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let client = portcullis_client::Client::from_env()?;
/// let plans: Vec<String> = client.get("https://enterprise.internal:8443/plans").send().await?.json().await?;
/// # Ok(()) }
/// ```
pub struct Client<C = SystemClock, P = SystemPacing> {
    shared: Arc<Shared<C, P>>,
}

struct Shared<C, P> {
    connections: Connections<C>,
    tokens: TokenCache<StsEndpoint<C>, C, P>,
    origins: Vec<Origin>,
    retry: RetryPolicy,
    timeout: Duration,
    max_body: usize,
    clock: C,
    pacing: P,
}

impl Client {
    /// A client from the environment: see [`ClientSettings::from_env`] for the names.
    ///
    /// # Errors
    /// Everything that is wrong with the settings, at once.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::new(ClientSettings::from_env()?)
    }

    /// A client from settings.
    ///
    /// # Errors
    /// When a certificate file cannot be read or used.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        Self::with_parts(settings, SystemClock, SystemPacing)
    }
}

impl<C: Clock + Clone, P: Pacing + Clone> Client<C, P> {
    /// The same with a clock and a pacing of one's own, for tests.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_parts(settings: ClientSettings, clock: C, pacing: P) -> Result<Self, SettingsError> {
        let connections = Connections::new(settings.transport, settings.certificates, clock.clone())?;
        let sts = StsEndpoint::new(settings.sts, settings.credential, settings.scope, clock.clone());
        let shared = Shared {
            connections,
            tokens: TokenCache::new(sts, clock.clone(), pacing.clone(), settings.timeout),
            origins: settings.origins,
            retry: settings.retry,
            timeout: settings.timeout,
            max_body: settings.max_body,
            clock,
            pacing,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl<C: Clock, P: Pacing> Client<C, P> {
    /// A `GET` request.
    pub fn get(&self, url: &str) -> Request<'_, C, P> {
        self.request(Method::GET, url)
    }

    /// A `POST` request.
    pub fn post(&self, url: &str) -> Request<'_, C, P> {
        self.request(Method::POST, url)
    }

    /// A request of any method. Whatever is wrong with the URL is told by [`Request::send`].
    pub fn request(&self, method: Method, url: &str) -> Request<'_, C, P> {
        Request::new(self, method, self.shared.allowed(url))
    }

    async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let whole = self.shared.send(call);
        tokio::time::timeout(self.shared.timeout, whole).await.map_err(|_| ClientError::Timeout)?
    }
}

impl<C, P> Clone for Client<C, P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C, P> std::fmt::Debug for Client<C, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("timeout", &self.shared.timeout).finish_non_exhaustive()
    }
}

/// A request, to be sent as often as it takes.
struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    idempotent: bool,
}

impl<C: Clock, P: Pacing> Shared<C, P> {
    /// The token goes nowhere but where it was meant to go, whatever URLs the caller was handed.
    fn allowed(&self, url: &str) -> Result<Url, ClientError> {
        let url = endpoint::parse(url)?;
        if self.origins.contains(&url.origin()) { Ok(url) } else { Err(ClientError::Origin) }
    }

    /// Sends, and once more with a new token if the service refuses the one it got. A service that answers 401 has done
    /// nothing, so that this is safe for every method.
    async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let via = self.connections.current();
        let token = self.tokens.current(&via).await?;
        let answer = self.persist(call, &via, &token).await?;
        if answer.status() != http::StatusCode::UNAUTHORIZED {
            return Ok(Response::new(answer, self.max_body));
        }
        let answer = match self.tokens.instead_of(&token, &via).await {
            None => answer,
            Some(fresh) => self.persist(call, &via, &fresh).await?,
        };
        Ok(Response::new(answer, self.max_body))
    }

    async fn persist(
        &self,
        call: &Call,
        via: &Via,
        token: &crate::tokens::AccessToken,
    ) -> Result<reqwest::Response, ClientError> {
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(call, via, token).await;
            let pause = self.retry.pause(attempt, call.idempotent, &outcome, self.clock.now(), &self.pacing);
            let Some(pause) = pause else { return outcome };
            self.pacing.pause(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        via: &Via,
        token: &crate::tokens::AccessToken,
    ) -> Result<reqwest::Response, ClientError> {
        let mut headers = call.headers.clone();
        headers.insert(http::header::AUTHORIZATION, token.header()?);
        let mut request = via.http.request(call.method.clone(), call.url.clone()).headers(headers);
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        Ok(request.send().await?)
    }
}
