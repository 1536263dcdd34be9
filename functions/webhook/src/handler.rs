//! Proxy event -> verified batch -> queue -> answer.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_audit::{AuditSink, Auditor};
use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::{Failure, Handler, Invocation, Metrics, ProxyEvent, ProxyResponse};
use portcullis_secrets::{CachedSecrets, SecretError, SecretSource, SecretVersions};
use portcullis_webhook::json::Decoded;
use portcullis_webhook::{
    AppSecrets, ClaimCheck, ItemQueue, SignatureError, VerifiedWebhook, WebhookSecrets, route, verify,
    verify_decoded,
};

use crate::answer::{Answer, Refusal};
use crate::dispatch::{SendSettings, dispatch};
use crate::recorded::Recorded;
use crate::request::{Body, Request};
use crate::subject_dn::common_name_is;
use crate::tally::{self, Tally};

/// The adapters behind the function: one type for each port.
pub trait Ports: Send + Sync + 'static {
    /// Where the webhook's secret is kept.
    type Secrets: SecretSource + 'static;
    /// The two queues.
    type Queue: ItemQueue + 'static;
    /// The bucket for items over the queue's size limit.
    type Claims: ClaimCheck + 'static;
    /// Where security events are kept.
    type Audit: AuditSink + 'static;
    /// The time.
    type Clock: Clock + 'static;
}

/// What the function is made of.
pub struct Parts<P: Ports> {
    /// Where the webhook's secret is kept, with the cache in front.
    pub secrets: CachedSecrets<P::Secrets, P::Clock>,
    /// The two queues.
    pub queue: P::Queue,
    /// The bucket for items over the queue's size limit.
    pub claims: P::Claims,
    /// Records refusals, before they are told.
    pub auditor: Auditor<P::Audit, P::Clock>,
    /// The time.
    pub clock: P::Clock,
    /// Where metrics go.
    pub metrics: Metrics,
    /// What an operator may set.
    pub settings: HandlerSettings,
}

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerSettings {
    /// Name of the webhook's secret.
    pub secret_id: String,
    /// The path that Meta calls.
    pub path: String,
    /// Where mutual TLS is on: the common name that the client certificate must have.
    pub client_cn: Option<String>,
    /// How long the previous secret is taken after the current one came, where the backend can tell when that was.
    pub previous_for: Duration,
    /// How items are queued.
    pub send: SendSettings,
}

impl HandlerSettings {
    /// The defaults, with the name of the secret.
    pub fn new(secret_id: impl Into<String>) -> Self {
        Self {
            secret_id: secret_id.into(),
            path: "/webhook".to_owned(),
            client_cn: None,
            previous_for: PREVIOUS_FOR,
            send: SendSettings::default(),
        }
    }
}

/// The webhook's handler.
pub struct WebhookFunction<P: Ports> {
    parts: Parts<P>,
    /// The secret as last parsed, with the versions that it was parsed from.
    parsed: Mutex<Option<Known>>,
    recorded: Recorded,
}

#[derive(Clone)]
struct Known {
    versions: Arc<SecretVersions>,
    secrets: Arc<WebhookSecrets>,
    /// From when on the previous version among them is not taken any more.
    until: Option<Timestamp>,
    /// When the cache was last asked.
    asked: Timestamp,
}

impl<P: Ports> Handler for WebhookFunction<P> {
    async fn handle(&self, event: &[u8], invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        let request = Request::read(event).map_err(|_| NOT_A_PROXY_EVENT)?;
        Ok(self.respond(&request, invocation.deadline).await.to_json())
    }
}

impl<P: Ports> WebhookFunction<P> {
    /// A function over these parts.
    pub fn new(parts: Parts<P>) -> Self {
        Self { parts, parsed: Mutex::new(None), recorded: Recorded::default() }
    }

    /// Answers a request that was parsed already: for a server that speaks HTTP itself.
    pub async fn handle_request(&self, event: &ProxyEvent<'_>, deadline: Timestamp) -> ProxyResponse {
        self.respond(&Request::from(event), deadline).await.into()
    }

    async fn respond(&self, request: &Request<'_>, deadline: Timestamp) -> Answer {
        let started = self.parts.clock.now();
        match self.decide(request, started, deadline).await {
            Ok(answer) => answer,
            Err(refusal) => {
                let refusal = self.record(request, refusal, started).await;
                tally::refused(&self.parts.metrics, refusal.as_str(), started, self.parts.clock.now());
                tracing::info!(reason = refusal.as_str(), "request refused");
                Answer::Other(refusal.into())
            }
        }
    }

    /// What the refusal is told as, once it is on record.
    async fn record(&self, request: &Request<'_>, refusal: Refusal, now: Timestamp) -> Refusal {
        let Some(event) = self.recorded.event(refusal, request, now) else { return refusal };
        match self.parts.auditor.record(event).await {
            Ok(()) => refusal,
            Err(_) => {
                self.recorded.forget(refusal, request);
                Refusal::Audit
            }
        }
    }

    async fn decide(
        &self,
        request: &Request<'_>,
        started: Timestamp,
        deadline: Timestamp,
    ) -> Result<Answer, Refusal> {
        if request.path != self.parts.settings.path {
            return Err(Refusal::NoSuchPath);
        }
        self.check_client(request)?;
        match &*request.method {
            "GET" => self.shake_hands(request, started).await,
            "POST" => self.accept(request, started, deadline).await,
            _ => Err(Refusal::MethodNotAllowed),
        }
    }

    fn check_client(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let Some(expected) = &self.parts.settings.client_cn else { return Ok(()) };
        let known =
            request.client_subject.as_deref().is_some_and(|subject| common_name_is(subject, expected));
        if known { Ok(()) } else { Err(Refusal::ClientCertificate) }
    }

    async fn shake_hands(&self, request: &Request<'_>, started: Timestamp) -> Result<Answer, Refusal> {
        let handshake = request.handshake();
        let known = self.secrets(started).await?;
        let mut answered = handshake.answer(&known.secrets.tokens);
        if answered.is_err()
            && handshake.is_complete()
            && let Some(newer) = self.newer(&known).await
        {
            answered = handshake.answer(&newer.secrets.tokens);
        }
        answered.map(Answer::challenge).map_err(|_| Refusal::Handshake)
    }

    async fn accept(
        &self,
        request: &Request<'_>,
        started: Timestamp,
        deadline: Timestamp,
    ) -> Result<Answer, Refusal> {
        let Parts { queue, claims, settings, clock, metrics, .. } = &self.parts;
        let raw = Raw::of(request)?;
        let known = self.secrets(started).await?;
        let (webhook, known) = self.verify(&raw, request.signature.as_deref(), known).await?;
        if webhook.signed_with_previous() {
            tally::signed_with_previous(metrics, clock.now());
        }
        let items = route(&webhook, &known.secrets.conversations, started).map_err(|_| Refusal::NotJson)?;
        let tally = Tally::of(&items);
        let within = time_left(clock.now(), deadline).min(settings.send.budget);
        if let Err(error) = dispatch(&items, queue, claims, &settings.send, within, &tally).await {
            tracing::error!(%error, items = items.len(), retries = tally.retries(), "batch not queued");
            return Err(Refusal::Queue);
        }
        tally.accepted(metrics, started, clock.now());
        Ok(Answer::Queued(items.len()))
    }

    /// Verifies under the secrets in memory and, where they do not fit, once more under what the backend has now: a
    /// secret that was rotated a moment ago loses no message. How often the backend is asked is the cache's to bound.
    async fn verify<'b>(
        &self,
        raw: &'b Raw<'_>,
        header: Option<&str>,
        known: Known,
    ) -> Result<(VerifiedWebhook<'b>, Known), Refusal> {
        let mismatch = match raw.verify(header, &known.secrets.app) {
            Ok(webhook) => return Ok((webhook, known)),
            Err(mismatch @ SignatureError::Mismatch) => mismatch,
            Err(other) => return Err(Refusal::Signature(other.as_str())),
        };
        let newer = self.newer(&known).await.ok_or(Refusal::Signature(mismatch.as_str()))?;
        match raw.verify(header, &newer.secrets.app) {
            Ok(webhook) => Ok((webhook, newer)),
            Err(error) => Err(Refusal::Signature(error.as_str())),
        }
    }

    /// The secrets in use. The cache is asked once a second, not once a request.
    async fn secrets(&self, now: Timestamp) -> Result<Known, Refusal> {
        if let Some(known) = &*self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
            && (0..1_000).contains(&(now.as_millisecond() - known.asked.as_millisecond()))
        {
            return Ok(known.clone());
        }
        let versions = self.parts.secrets.get(&self.parts.settings.secret_id).await.map_err(unavailable)?;
        self.parse(versions, now)
    }

    /// Other secrets than `known`, if the backend has them by now.
    async fn newer(&self, known: &Known) -> Option<Known> {
        let answer = self.parts.secrets.refresh(&self.parts.settings.secret_id, &known.versions).await;
        self.parse(answer.ok()??, known.asked).ok()
    }

    /// Parses a secret once, not once a request; and once more when its previous version has had its time.
    fn parse(&self, versions: Arc<SecretVersions>, asked: Timestamp) -> Result<Known, Refusal> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |known: &&mut Known| {
            Arc::ptr_eq(&known.versions, &versions) && known.until.is_none_or(|until| asked < until)
        };
        if let Some(known) = parsed.as_mut().filter(holds) {
            known.asked = asked;
            return Ok(known.clone());
        }
        let ends = versions.since.and_then(|since| since.checked_add(self.parts.settings.previous_for).ok());
        let until = ends.filter(|ends| asked < *ends);
        let previous = versions.previous.as_ref().filter(|_| ends.is_none() || until.is_some());
        let secrets = WebhookSecrets::parse(&versions.current, previous).map_err(|error| {
            tracing::error!(%error, "webhook secret unusable");
            Refusal::Secrets
        })?;
        let known = Known { versions, secrets: Arc::new(secrets), until, asked };
        *parsed = Some(known.clone());
        Ok(known)
    }
}

/// The bytes that were signed.
enum Raw<'r> {
    Bytes(Cow<'r, [u8]>),
    Decoded(&'r Decoded),
}

impl Raw<'_> {
    /// Lengths are checked before anything is decoded or hashed.
    fn of<'r>(request: &'r Request<'_>) -> Result<Raw<'r>, Refusal> {
        let body = request.body.bytes();
        let limit = if request.is_base64 { MAX_BODY.div_ceil(3) * 4 } else { MAX_BODY };
        if body.len() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        if request.is_base64 {
            let raw = STANDARD.decode(body).map_err(|_| Refusal::Signature("body-not-base64"))?;
            return if raw.len() > MAX_BODY {
                Err(Refusal::BodyTooLarge)
            } else {
                Ok(Raw::Bytes(Cow::Owned(raw)))
            };
        }
        Ok(match &request.body {
            Body::Plain(text) => Raw::Bytes(Cow::Borrowed(text.as_bytes())),
            Body::Decoded(decoded) => Raw::Decoded(decoded),
        })
    }

    fn verify(
        &self,
        header: Option<&str>,
        secrets: &AppSecrets,
    ) -> Result<VerifiedWebhook<'_>, SignatureError> {
        match self {
            Self::Bytes(bytes) => verify(bytes, header, secrets),
            Self::Decoded(decoded) => verify_decoded(decoded, header, secrets),
        }
    }
}

fn unavailable(error: SecretError) -> Refusal {
    tracing::error!(%error, "webhook secret not read");
    Refusal::Secrets
}

/// What Lambda leaves, less what the answer itself takes.
fn time_left(now: Timestamp, deadline: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(now)).unwrap_or_default().saturating_sub(ANSWER_TIME)
}

const NOT_A_PROXY_EVENT: Failure =
    Failure { kind: "NotAProxyEvent", message: "the event is not an API Gateway proxy event" };

// Meta's limit for a notification.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// Backends keep the version before until the next rotation, which may be years: a leaked app secret would sign as long. A
/// day is enough to change it at Meta, whose tries of a refused webhook go on for seven.
const PREVIOUS_FOR: Duration = Duration::from_secs(24 * 60 * 60);

const ANSWER_TIME: Duration = Duration::from_millis(250);
