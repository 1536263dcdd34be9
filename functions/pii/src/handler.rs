//! Event in, answer out: a batch of queue messages, or a request to one of the endpoints.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_base::{Clock, Problem, Timestamp};
use portcullis_lambda::{Failure, Handler, Invocation, ProxyEvent, ProxyResponse, Reading};
use portcullis_webhook::Lane;

use crate::audit::{Done, Origin, outcome_to_record};
use crate::consumer::{Arrived, Consumed, consume};
use crate::sqs_event::{BatchAnswer, BatchItemFailure, SqsEvent, SqsRecord};
use crate::{Caller, Parts, Ports, conversations, endpoints, problems};

/// The PII function over its adapters.
pub struct PiiFunction<P: Ports>(Parts<P>);

impl<P: Ports> PiiFunction<P> {
    /// The function, made of these parts.
    pub const fn new(parts: Parts<P>) -> Self {
        Self(parts)
    }

    /// Consumes a batch from a queue, however long it takes.
    pub async fn consume(&self, items: &[Arrived<'_>]) -> Consumed {
        consume(&self.0, items, Timestamp::MAX).await
    }

    /// Answers a request of the HTTP API.
    pub async fn answer(&self, event: &ProxyEvent<'_>) -> ProxyResponse {
        let caller = Caller::of(&event.context);
        let outcome = self.route(caller.as_ref(), event).await;
        let answer =
            self.recorded(caller.as_ref(), &Origin::of(event), outcome).await.unwrap_or_else(|problem| {
                tracing::info!(status = problem.status(), problem = problem.slug(), "request refused");
                ProxyResponse::problem(&problem)
            });
        let status = answer.status.to_string();
        self.0.metrics.emit(self.0.clock.now(), &[("Status", &status)], &[Reading::count("Requests", 1.0)]);
        answer
    }

    /// `POST /pii/encrypt` for `caller`, its body in and its answer out.
    pub async fn encrypt(&self, caller: &Caller, body: &[u8]) -> ProxyResponse {
        let outcome = endpoints::encrypt(&self.0, body).await;
        let answer = self.recorded(Some(caller), &Origin::encrypt(), outcome).await;
        answer.unwrap_or_else(|p| ProxyResponse::problem(&p))
    }

    /// `POST /pii/decrypt` for `caller`, its body in and its answer out.
    pub async fn decrypt(&self, caller: &Caller, body: &[u8]) -> ProxyResponse {
        let outcome = endpoints::decrypt(&self.0, caller, body).await;
        let answer = self.recorded(Some(caller), &Origin::decrypt(), outcome).await;
        answer.unwrap_or_else(|p| ProxyResponse::problem(&p))
    }

    /// As [`PiiFunction::encrypt`], and nothing tells that it happened: for the benchmark of the encryption alone.
    pub async fn encrypt_unrecorded(&self, body: &[u8]) -> ProxyResponse {
        let outcome = endpoints::encrypt(&self.0, body).await;
        outcome.map_or_else(|p| ProxyResponse::problem(&p), |done| done.answer)
    }

    /// As [`PiiFunction::decrypt`], and nothing tells that it happened: for the benchmark of the decryption alone.
    pub async fn decrypt_unrecorded(&self, caller: &Caller, body: &[u8]) -> ProxyResponse {
        let outcome = endpoints::decrypt(&self.0, caller, body).await;
        outcome.map_or_else(|p| ProxyResponse::problem(&p), |done| done.answer)
    }

    /// The answer, once what it shows or refuses is on record.
    async fn recorded(
        &self,
        caller: Option<&Caller>,
        origin: &Origin<'_>,
        outcome: Result<Done, Problem>,
    ) -> Result<ProxyResponse, Problem> {
        let (seen, answer) = outcome_to_record(outcome);
        for seen in seen {
            let event = seen.into_event(caller, origin);
            self.0.auditor.record(event).await.map_err(|_| problems::UNAVAILABLE)?;
        }
        answer
    }

    async fn route(&self, caller: Option<&Caller>, event: &ProxyEvent<'_>) -> Result<Done, Problem> {
        let parts = &self.0;
        let caller = caller.ok_or(problems::UNAUTHENTICATED)?;
        match (event.path.as_ref(), event.method.as_ref()) {
            ("/pii/encrypt", "POST") => endpoints::encrypt(parts, &body(event)?).await,
            ("/pii/decrypt", "POST") => endpoints::decrypt(parts, caller, &body(event)?).await,
            ("/pii/classify", "POST") => endpoints::classify(parts, &body(event)?).map(Done::from),
            ("/conversations/search", "POST") => conversations::search(parts, caller, &body(event)?).await,
            ("/pii/encrypt" | "/pii/decrypt" | "/pii/classify" | "/conversations/search", _) => {
                Ok(problems::method_not_allowed("POST").into())
            }
            (path, method) => match path.strip_prefix("/conversations/") {
                Some(id) if method == "GET" => conversations::read(parts, caller, id, event).await,
                Some(_) => Ok(problems::method_not_allowed("GET").into()),
                None => Err(problems::NOT_FOUND),
            },
        }
    }

    async fn batch(&self, event: &SqsEvent<'_>, deadline: Timestamp) -> Result<Vec<u8>, Failure> {
        let items: Vec<_> = event.records.iter().map(|record| self.arrived(record)).collect();
        let done = consume(&self.0, &items, deadline.checked_sub(TIME_OF_AN_ITEM).unwrap_or(deadline)).await;
        let failures = done.failed.iter().filter_map(|i| event.records.get(*i));
        let answer = BatchAnswer {
            batch_item_failures: failures
                .map(|record| BatchItemFailure { item_identifier: &record.message_id.0 })
                .collect(),
        };
        serde_json::to_vec(&answer).map_err(|_| UNKNOWN_EVENT)
    }

    fn arrived<'a>(&self, record: &'a SqsRecord<'_>) -> Arrived<'a> {
        let queue = record.source.0.rsplit(':').next().unwrap_or_default();
        let text = |t: &'a Option<portcullis_lambda::Text<'_>>| t.as_ref().map_or("", |t| t.0.as_ref());
        Arrived {
            lane: if queue == self.0.media_queue { Lane::Media } else { Lane::Text },
            group: text(&record.attributes.message_group_id),
            dedup_id: text(&record.attributes.message_deduplication_id),
            sequence: text(&record.attributes.sequence_number),
            body: &record.body.0,
        }
    }
}

impl<P: Ports> Handler for PiiFunction<P> {
    async fn handle(&self, event: &[u8], invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        if let Ok(request) = ProxyEvent::parse(event) {
            return Ok(self.answer(&request).await.to_json());
        }
        match serde_json::from_slice(event) {
            Ok(batch) => self.batch(&batch, invocation.deadline).await,
            Err(_) => {
                tracing::error!(bytes = event.len(), "event is neither a queue batch nor a request");
                Err(UNKNOWN_EVENT)
            }
        }
    }
}

/// The body's bytes, within their limit.
fn body<'a>(event: &'a ProxyEvent<'_>) -> Result<std::borrow::Cow<'a, [u8]>, Problem> {
    let text = event.body.as_deref().unwrap_or_default();
    // Four characters of base64 are three bytes: the larger limit saves decoding what is too large anyway.
    if text.len() > if event.is_base64 { MAX_BODY / 3 * 4 + 4 } else { MAX_BODY } {
        return Err(problems::TOO_LARGE);
    }
    if !event.is_base64 {
        return Ok(text.as_bytes().into());
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| problems::BAD_REQUEST)?;
    if bytes.len() > MAX_BODY { Err(problems::TOO_LARGE) } else { Ok(bytes.into()) }
}

const MAX_BODY: usize = 1024 * 1024;

/// What Lambda kills counts as failed, item by item, and what was stored of it too: rather fewer items than that. An item
/// makes a few calls, each of which the SDK gives up after eight seconds.
const TIME_OF_AN_ITEM: Duration = Duration::from_secs(10);

const UNKNOWN_EVENT: Failure =
    Failure { kind: "UnknownEvent", message: "the event is neither a queue batch nor an API request" };
