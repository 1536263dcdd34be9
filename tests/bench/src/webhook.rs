//! A proxy event's bytes in, the answer's bytes out, the items queued in memory: the webhook function as it is.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::Timestamp;
use portcullis_lambda::{Handler, Invocation, Metrics, SystemClock};
use portcullis_local::EnvSecrets;
use portcullis_local::memory::Claims;
use portcullis_secrets::{CacheSettings, CachedSecrets};
use portcullis_webhook::{ItemQueue, Lane, Outgoing, QueueError, QueueMessage, SendFailure};
use serde_json::{Value, json};
use webhook_function::{HandlerSettings, Parts, Ports, WebhookFunction};

use crate::measure::Job;

struct Memory;

impl Ports for Memory {
    type Secrets = EnvSecrets;
    type Queue = &'static Last;
    type Claims = Claims;
    type Audit = MemoryAudit;
    type Clock = SystemClock;
}

/// What a queue's adapter would be handed: looked at in the pass that is checked, let go in the timed ones.
#[derive(Default)]
struct Last {
    batch: Mutex<Vec<Outgoing>>,
    timed: AtomicBool,
}

impl ItemQueue for &'static Last {
    async fn send_batch(&self, _: Lane, items: &[Outgoing]) -> Result<Vec<SendFailure>, QueueError> {
        if self.timed.load(Ordering::Relaxed) {
            black_box(items);
        } else {
            *self.batch.lock().expect("one thread") = items.to_vec();
        }
        Ok(Vec::new())
    }
}

pub(crate) fn run(job: &Job) {
    let queue: &'static Last = Box::leak(Box::default());
    let function = function(job, queue);
    let events = job.lines(&format!("{}.jsonl", job.task));
    let invocation = Invocation { request_id: "bench".to_owned(), deadline: Timestamp::MAX };
    job.run(
        &events,
        Vec::len,
        |event| {
            // Over adapters in memory nothing ever waits.
            let answer = function.handle(event, &invocation).now_or_never().expect("an answer at once");
            answer.expect("an answer")
        },
        |answers| {
            let (mut text, mut media, mut other, mut rejected) = (0, 0, 0, 0);
            for answer in answers {
                let answer: Value = serde_json::from_slice(&answer).expect("JSON");
                if answer["statusCode"] != 200 {
                    rejected += 1;
                    continue;
                }
                let queue = queue.batch.lock().expect("one thread");
                let message: QueueMessage<'_> =
                    serde_json::from_str(&queue.first().expect("a message").body).expect("a message");
                match (message.kind.as_ref(), message.lane) {
                    ("text", _) => text += 1,
                    (_, Lane::Media) => media += 1,
                    (_, Lane::Text) => other += 1,
                }
            }
            queue.timed.store(true, Ordering::Relaxed);
            json!({"text": text, "media": media, "other": other, "rejected": rejected})
        },
    );
}

fn function(job: &Job, queue: &'static Last) -> WebhookFunction<Memory> {
    let secret = json!({
        "app_secret": String::from_utf8(job.read("webhook.secret")).expect("text"),
        "verify_token": "bench",
        "conversation_key": "0123456789abcdef0123456789abcdef",
    });
    let pairs = [("S_WEBHOOK".to_owned(), secret.to_string())];
    WebhookFunction::new(Parts {
        secrets: CachedSecrets::new(
            EnvSecrets::from_pairs("S_", pairs),
            SystemClock,
            CacheSettings::default(),
        ),
        queue,
        claims: Claims::default(),
        auditor: Auditor::new(MemoryAudit::default(), SystemClock, AuditorSettings::new("webhook")),
        clock: SystemClock,
        metrics: Metrics::off("webhook"),
        settings: HandlerSettings::new("webhook"),
    })
}
