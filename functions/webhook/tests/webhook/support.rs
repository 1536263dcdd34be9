//! A function over memory adapters, and events to send to it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_lambda::{Handler, Invocation, Metrics};
use portcullis_local::memory::{Claims, Queue};
use portcullis_secrets::{CacheSettings, CachedSecrets, SecretError, SecretSource, SecretVersions};
use portcullis_webhook::sign;
use serde_json::{Value, json};
use webhook_function::{HandlerSettings, Parts, Ports, WebhookFunction};

pub(crate) const APP_SECRET: &str = "current-app-secret";
pub(crate) const PREVIOUS: &str = "previous-app-secret";
pub(crate) const TOKEN: &str = "current-token";
pub(crate) const NOW: i64 = 1_701_841_400_000;

/// A secret that a test may change or take away.
#[derive(Clone)]
pub(crate) struct Secret(
    pub(crate) Arc<Mutex<Result<(String, Option<String>), SecretError>>>,
    pub(crate) Arc<AtomicU32>,
);

impl SecretSource for Secret {
    async fn fetch(&self, _name: &str) -> Result<SecretVersions, SecretError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let (current, previous) = self.0.lock().unwrap().clone()?;
        let since = Timestamp::from_millisecond(NOW).ok();
        Ok(SecretVersions { current: current.into(), previous: previous.map(Into::into), since })
    }
}

pub(crate) struct Memory;

impl Ports for Memory {
    type Secrets = Secret;
    type Queue = Queue;
    type Claims = Claims;
    type Audit = Arc<MemoryAudit>;
    type Clock = Arc<ManualClock>;
}

pub(crate) struct Bench {
    pub(crate) function: WebhookFunction<Memory>,
    pub(crate) queue: Queue,
    pub(crate) claims: Claims,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) secret: Secret,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) metrics: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn secret_json(app: &str, token: &str) -> String {
    json!({"app_secret": app, "verify_token": token, "conversation_key": "k".repeat(32)}).to_string()
}

pub(crate) fn bench() -> Bench {
    bench_with(|_| {})
}

pub(crate) fn bench_with(adjust: impl FnOnce(&mut HandlerSettings)) -> Bench {
    bench_of(secret_json(APP_SECRET, TOKEN), Some(secret_json(PREVIOUS, "previous-token")), adjust)
}

pub(crate) fn bench_of(
    current: String,
    previous: Option<String>,
    adjust: impl FnOnce(&mut HandlerSettings),
) -> Bench {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millisecond(NOW).unwrap()));
    let secret = Secret(Arc::new(Mutex::new(Ok((current, previous)))), Arc::default());
    let (metrics, lines) = Metrics::memory("webhook");
    let (queue, claims) = (Queue::default(), Claims::default());
    let mut settings = HandlerSettings::new("portcullis/webhook");
    adjust(&mut settings);
    let audit = Arc::new(MemoryAudit::default());
    let function = WebhookFunction::new(Parts {
        secrets: CachedSecrets::new(secret.clone(), clock.clone(), CacheSettings::default()),
        queue: queue.clone(),
        claims: claims.clone(),
        auditor: Auditor::new(audit.clone(), clock.clone(), AuditorSettings::new("webhook")),
        clock: clock.clone(),
        metrics,
        settings,
    });
    Bench { function, queue, claims, clock, secret, audit, metrics: lines }
}

impl Bench {
    /// Invokes as Lambda does.
    pub(crate) async fn invoke(&self, event: &[u8]) -> Value {
        let deadline = Timestamp::from_millisecond(NOW + 10_000).unwrap();
        let invocation = Invocation { request_id: "r".into(), deadline };
        serde_json::from_slice(&self.function.handle(event, &invocation).await.unwrap()).unwrap()
    }

    pub(crate) async fn status(&self, event: &Value) -> u64 {
        self.invoke(&serde_json::to_vec(event).unwrap()).await["statusCode"].as_u64().unwrap()
    }
}

/// A signed POST.
pub(crate) fn post(body: &str) -> Value {
    post_with(body, &[("X-Hub-Signature-256", &sign(body.as_bytes(), APP_SECRET.as_bytes()))])
}

pub(crate) fn post_with(body: &str, headers: &[(&str, &str)]) -> Value {
    let headers: serde_json::Map<_, _> =
        headers.iter().map(|(n, v)| ((*n).to_owned(), Value::from(*v))).collect();
    json!({"httpMethod": "POST", "path": "/webhook", "headers": headers, "queryStringParameters": null,
           "requestContext": {"identity": {"sourceIp": "192.0.2.1"}}, "body": body, "isBase64Encoded": false})
}

pub(crate) fn get(query: &[(&str, &str)]) -> Value {
    let query: serde_json::Map<_, _> =
        query.iter().map(|(n, v)| ((*n).to_owned(), Value::from(*v))).collect();
    json!({"httpMethod": "GET", "path": "/webhook", "headers": {}, "queryStringParameters": query, "body": null})
}

/// A batch of messages, each `(sender, id, text)`.
pub(crate) fn batch(messages: &[(String, String, String)]) -> String {
    let messages: Vec<_> = messages
        .iter()
        .map(|(from, id, text)| json!({"from": from, "id": id, "timestamp": "1701841300", "type": "text", "text": {"body": text}}))
        .collect();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102", "changes": [{"field": "messages",
        "value": {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "106"}, "messages": messages}}]}]})
    .to_string()
}

pub(crate) fn one(text: &str) -> String {
    batch(&[("5511955501234".into(), "wamid.A".into(), text.into())])
}

pub(crate) const QUICK: Duration = Duration::from_millis(200);
