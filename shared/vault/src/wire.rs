//! Requests and answers: bounded in time and size, without redirects, wiped after use.

use std::time::Duration;

use portcullis_base::{ExposeSecret, SecretString};
use portcullis_secrets::SecretError;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use zeroize::Zeroizing;

use crate::{VaultError, VaultSettings};

/// The body of a successful answer.
pub(crate) type Body = Zeroizing<Vec<u8>>;

/// The HTTP client.
#[derive(Debug)]
pub(crate) struct Wire {
    client: Client,
    address: Url,
}

impl Wire {
    /// Makes the client; connects to nothing yet.
    pub(crate) fn new(settings: &VaultSettings) -> Result<Self, VaultError> {
        let builder = Client::builder()
            .default_headers(headers(settings)?)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(settings.timeout.min(CONNECT))
            .timeout(settings.timeout);
        let builder = match &settings.ca_pem {
            None => builder,
            Some(pem) => builder.tls_certs_only(certificates(pem)?),
        };
        let client = builder.build().map_err(|_| VaultError::Client)?;
        Ok(Self { client, address: settings.address.clone() })
    }

    /// `GET /v1/<path>`, with `version` as query.
    pub(crate) async fn get(
        &self,
        token: &SecretString,
        path: &[&str],
        version: Option<u64>,
    ) -> Result<Body, SecretError> {
        let mut url = self.url(path)?;
        if let Some(version) = version {
            url.set_query(Some(&format!("version={version}")));
        }
        send("read", self.client.get(url).header(TOKEN, sensitive(token)?)).await
    }

    /// `POST /v1/<path>` with a JSON body.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        token: Option<&SecretString>,
        path: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<Body, SecretError> {
        let request = self.client.post(self.url(path)?).json(body);
        let request = match token {
            None => request,
            Some(token) => request.header(TOKEN, sensitive(token)?),
        };
        send(operation, request).await
    }

    /// [`Wire::post`] that tells a request which the engine did not take from a caller whom it did not let in.
    pub(crate) async fn ask(
        &self,
        operation: &'static str,
        token: &SecretString,
        path: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<Body, Refusal> {
        let request = self.client.post(self.url(path)?).header(TOKEN, sensitive(token)?).json(body);
        match send_for_status(operation, request).await? {
            Ok(body) => Ok(body),
            Err(StatusCode::BAD_REQUEST) => Err(Refusal::Request),
            Err(status) => Err(Refusal::Other(error_of(status))),
        }
    }

    fn url(&self, path: &[&str]) -> Result<Url, SecretError> {
        let mut url = self.address.clone();
        url.path_segments_mut().map_err(|()| SecretError::Malformed)?.pop_if_empty().push("v1").extend(path);
        Ok(url)
    }
}

/// Why an engine did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The request makes no sense to it (400): a key or ciphertext that it does not know.
    Request,
    /// Anything else.
    Other(SecretError),
}

async fn send(operation: &'static str, request: RequestBuilder) -> Result<Body, SecretError> {
    send_for_status(operation, request).await?.map_err(error_of)
}

/// The body of a success, or the status of a refusal.
async fn send_for_status(
    operation: &'static str,
    request: RequestBuilder,
) -> Result<Result<Body, StatusCode>, SecretError> {
    let answer = request.send().await.map_err(|error| {
        // The kind only: the error's text holds the URL.
        let timeout = error.is_timeout();
        tracing::warn!(service = "vault", operation, timeout, "vault did not answer");
        SecretError::Unavailable
    })?;
    let status = answer.status();
    if status.is_success() {
        return read_bounded(answer).await.map(Ok);
    }
    if error_of(status) != SecretError::NotFound {
        tracing::warn!(service = "vault", operation, status = status.as_u16(), "vault refused");
    }
    Ok(Err(status))
}

/// What a status means ([API](https://openbao.org/api-docs/#http-status-codes)).
fn error_of(status: StatusCode) -> SecretError {
    match status.as_u16() {
        // 400 is also what a login with a wrong secret id gets.
        400 | 401 | 403 => SecretError::Denied,
        404 => SecretError::NotFound,
        // A standby (3xx, 412, 472, 473), throttling (429), sealed or failing (5xx).
        300..=399 | 412 | 429 | 472 | 473 | 500..=599 => SecretError::Unavailable,
        _ => SecretError::Malformed,
    }
}

async fn read_bounded(mut answer: Response) -> Result<Body, SecretError> {
    let mut body = Zeroizing::new(Vec::with_capacity(INITIAL));
    while let Some(chunk) = answer.chunk().await.map_err(|_| SecretError::Unavailable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(SecretError::Malformed);
        }
        grow(&mut body, chunk.len());
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Makes room for `more` bytes by hand: a vector that grows by itself leaves its old bytes behind unwiped.
fn grow(body: &mut Body, more: usize) {
    let needed = body.len() + more;
    if needed > body.capacity() {
        let mut bigger = Zeroizing::new(Vec::with_capacity(needed * 2));
        bigger.extend_from_slice(body);
        *body = bigger;
    }
}

fn headers(settings: &VaultSettings) -> Result<HeaderMap, VaultError> {
    // Vault can be told to refuse requests without it: protection against request forgery through a proxy.
    let mut headers = HeaderMap::from_iter([(REQUEST, HeaderValue::from_static("true"))]);
    if let Some(namespace) = &settings.namespace {
        let value = HeaderValue::from_str(namespace).map_err(|_| VaultError::Client)?;
        headers.insert(NAMESPACE, value);
    }
    Ok(headers)
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, VaultError> {
    let certificates = Certificate::from_pem_bundle(pem).map_err(|_| VaultError::Certificates)?;
    // None would mean that nothing is trusted, and look like an outage.
    if certificates.is_empty() { Err(VaultError::Certificates) } else { Ok(certificates) }
}

fn sensitive(token: &SecretString) -> Result<HeaderValue, SecretError> {
    let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| SecretError::Denied)?;
    value.set_sensitive(true);
    Ok(value)
}

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const CONNECT: Duration = Duration::from_secs(1);
/// Bytes of an answer at most: Vault's own limit for a request is 32 MB, a secret of ours has a few hundred bytes.
const MAX_ANSWER: usize = 256 * 1024;
const INITIAL: usize = 4 * 1024;
