//! The signed outgoing webhook: tells chat and ticketing what happens with an incident.
//!
//! One POST a message, signed as [Standard Webhooks](https://www.standardwebhooks.com) does, so that receivers verify
//! with a library that exists. `docs/INCIDENTS.md` says what they get.

use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use portcullis_base::Clock;
use portcullis_response::{Message, Notifier, PortError, PortResult, SignedHeaders, WebhookSigner};
use portcullis_secrets::{CacheSettings, CachedSecrets, SecretError, SecretSource, SecretVersions};
use reqwest::{Client, Response};
use url::Url;

use crate::body;
use crate::endpoint::{self, UrlError};
use crate::transport::Transport;

/// [`Notifier`] over a signed webhook: bounded in time and size, no redirect followed, nothing tried again here.
pub struct WebhookNotifier<S, C> {
    url: Url,
    secret: String,
    secrets: CachedSecrets<S, C>,
    clock: C,
    transport: Transport,
    http: OnceLock<Client>,
}

impl<S: SecretSource, C: Clock + Clone> WebhookNotifier<S, C> {
    /// Posts to `url`, signed with the secret of the name `secret`: with its current version, and while it is being
    /// rotated with the previous one too. Calls nothing yet, and makes no connection before the first message.
    ///
    /// # Errors
    /// When the URL is neither `https` nor on a loopback address.
    pub fn new(url: &str, secret: impl Into<String>, source: S, clock: C) -> Result<Self, UrlError> {
        Ok(Self {
            url: endpoint::parse(url)?,
            secret: secret.into(),
            secrets: CachedSecrets::new(source, clock.clone(), CacheSettings::default()),
            clock,
            transport: Transport::default().with_timeout(TIMEOUT),
            http: OnceLock::new(),
        })
    }

    /// Other connections: the receiver's own CA, another time for a message.
    #[must_use]
    pub fn with_transport(self, transport: Transport) -> Self {
        Self { transport, http: OnceLock::new(), ..self }
    }

    async fn signed(&self, message: &Message) -> PortResult<SignedHeaders> {
        let versions = self.secrets.get(&self.secret).await.map_err(|e| secret_error(&e))?;
        Ok(signer(&versions)?.sign(&message.id, self.clock.now(), message.json.as_bytes()))
    }

    async fn post(&self, signed: SignedHeaders, message: &Message) -> PortResult<Response> {
        let mut request = self
            .client()?
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, JSON)
            .header(header::USER_AGENT, AGENT);
        for (name, text) in [(ID, signed.id), (TIMESTAMP, signed.timestamp), (SIGNATURE, signed.signature)] {
            let value = HeaderValue::try_from(text)
                .map_err(|_| PortError::Refused("the message's id is no header".to_owned()))?;
            request = request.header(name, value);
        }
        // Whatever broke, the receiver may have the message. The error itself names the URL, which may be a secret.
        request.body(message.json.clone()).send().await.map_err(|_| PortError::Timeout)
    }

    /// Made at the first message: most invocations send none.
    fn client(&self) -> PortResult<&Client> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = self.transport.build().map_err(|e| PortError::Refused(e.to_string()))?;
        Ok(self.http.get_or_init(|| client))
    }
}

impl<S: SecretSource, C: Clock + Clone> Notifier for WebhookNotifier<S, C> {
    async fn send(&self, message: &Message) -> PortResult<()> {
        let answer = self.post(self.signed(message).await?, message).await?;
        let outcome = outcome(answer.status());
        // Read to its end the connection serves again; what stands in it changes nothing.
        let _ = body::read(answer, MAX_ANSWER).await;
        if let Err(error) = &outcome {
            tracing::warn!(id = message.id, %error, "the webhook did not take a message");
        }
        outcome
    }
}

impl<S, C> std::fmt::Debug for WebhookNotifier<S, C> {
    /// Without the path: for some receivers it is the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookNotifier")
            .field("origin", &self.url.origin().ascii_serialization())
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// What an answer means to the engine. A redirect is none: the message stays with whom the operator named.
fn outcome(status: StatusCode) -> PortResult<()> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(PortError::Throttled),
        status if status.is_server_error() => Err(PortError::Timeout),
        status => Err(PortError::Refused(format!("the webhook answers {}", status.as_u16()))),
    }
}

/// A previous version that is no such secret signs nothing: it may stem from before this use of the name.
fn signer(versions: &SecretVersions) -> PortResult<WebhookSigner> {
    let both = WebhookSigner::new(&versions.current, versions.previous.as_ref());
    let signer = both.or_else(|_| WebhookSigner::new(&versions.current, None));
    signer.map_err(|e| PortError::Refused(e.to_string()))
}

fn secret_error(error: &SecretError) -> PortError {
    match error {
        SecretError::Unavailable => PortError::Timeout,
        _ => PortError::Refused(format!("the webhook's secret: {error}")),
    }
}

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue = HeaderValue::from_static("portcullis");

/// For connecting, sending and the answer together: several messages go out within one invocation.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_to_try_again() {
        let refused = |status: u16| Err(PortError::Refused(format!("the webhook answers {status}")));
        for (status, expected) in [
            (200, Ok(())),
            (202, Ok(())),
            (204, Ok(())),
            (301, refused(301)),
            (304, refused(304)),
            (307, refused(307)),
            (400, refused(400)),
            (401, refused(401)),
            (408, refused(408)),
            (410, refused(410)),
            (429, Err(PortError::Throttled)),
            (500, Err(PortError::Timeout)),
            (502, Err(PortError::Timeout)),
            (503, Err(PortError::Throttled)),
            (504, Err(PortError::Timeout)),
        ] {
            assert_eq!(outcome(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }
}
