//! The function over adapters in memory.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::{Arc, Mutex};

use pii_function::{Arrived, Caller, Parts, PiiFunction, Ports};
use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_lambda::{Authorizer, Identity, Metrics, ProxyEvent, ProxyResponse, RequestContext, TextMap};
use portcullis_local::memory::{Claims, DeadLetterBox, Keys, RecordTable};
use portcullis_local::{LocalKeyWrapper, RootKey};
use portcullis_pii::{ClassificationPolicy, Detector, HierarchyOptions, KeyHierarchy};
use portcullis_webhook::Lane;
use serde_json::{Value, json};

pub(crate) struct Memory;

impl Ports for Memory {
    type Wrapper = LocalKeyWrapper;
    type Keys = Keys;
    type Records = RecordTable;
    type Claims = Claims;
    type Objects = Claims;
    type DeadLetters = DeadLetterBox;
    type Audit = Arc<MemoryAudit>;
    type Clock = Arc<ManualClock>;
}

/// The function and handles on everything under it.
pub(crate) struct Bench {
    pub(crate) function: PiiFunction<Memory>,
    pub(crate) wrapper: LocalKeyWrapper,
    pub(crate) keys: Keys,
    pub(crate) records: RecordTable,
    pub(crate) claims: Claims,
    pub(crate) dead: DeadLetterBox,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Arc<Mutex<Vec<String>>>,
}

pub(crate) const NOW: i64 = 1_750_000_000_000;

pub(crate) fn bench() -> Bench {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millisecond(NOW).unwrap()));
    let wrapper = LocalKeyWrapper::new(&RootKey::random().unwrap());
    let (keys, records, claims, dead) =
        (Keys::default(), RecordTable::default(), Claims::default(), DeadLetterBox::default());
    let audit = Arc::new(MemoryAudit::default());
    let (metrics, lines) = Metrics::memory("pii");
    let function = PiiFunction::new(Parts {
        keys: KeyHierarchy::new(
            wrapper.clone(),
            keys.clone(),
            Arc::clone(&clock),
            HierarchyOptions::new("keys"),
        ),
        records: records.clone(),
        claims: claims.clone(),
        objects: claims.clone(),
        dead_letters: dead.clone(),
        auditor: Auditor::new(Arc::clone(&audit), Arc::clone(&clock), AuditorSettings::new("pii")),
        clock: Arc::clone(&clock),
        detector: Detector::new(),
        policy: ClassificationPolicy::default(),
        metrics,
        media_queue: "media.fifo".to_owned(),
        table: "conversations".to_owned(),
    });
    Bench { function, wrapper, keys, records, claims, dead, audit, clock, metrics: lines }
}

pub(crate) fn caller(roles: &str) -> Caller {
    Caller { id: "test".to_owned(), roles: roles.split_whitespace().map(str::to_owned).collect() }
}

impl Bench {
    /// The values of a metric, each with that of its only dimension beside the function; empty where there is none.
    pub(crate) fn metric(&self, name: &str, dimension: &str) -> Vec<(String, f64)> {
        let lines = self.metrics.lock().unwrap();
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter_map(|line| {
                Some((line[dimension].as_str().unwrap_or_default().to_owned(), line[name].as_f64()?))
            })
            .collect()
    }

    /// A request by a caller with these roles; `None` for one that no authorizer let through.
    pub(crate) async fn request(
        &self,
        roles: Option<&str>,
        method: &str,
        target: &str,
        body: &str,
    ) -> ProxyResponse {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query =
            query.split('&').filter_map(|p| p.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect();
        let authorizer = roles.map(|r| {
            Authorizer(TextMap(vec![("principalId".into(), "test".into()), ("roles".into(), r.into())]))
        });
        let event = ProxyEvent {
            method: method.into(),
            path: path.into(),
            query: TextMap(query),
            context: RequestContext {
                authorizer,
                request_id: Some("r-1".into()),
                identity: Identity { source_ip: Some("192.0.2.9".into()), ..Identity::default() },
            },
            body: Some(body.into()),
            ..ProxyEvent::default()
        };
        self.function.answer(&event).await
    }

    /// The JSON of a request that must succeed.
    pub(crate) async fn json(&self, roles: &str, method: &str, target: &str, body: &str) -> Value {
        let answer = self.request(Some(roles), method, target, body).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

/// A text message on the queue.
pub(crate) fn message(conversation: &str, id: &str, subject: Option<&str>, text: &str) -> String {
    json!({
        "v": 1, "kind": "text", "id": id, "dedup_id": id, "conversation": conversation, "lane": "text",
        "received_at": NOW, "place": 0, "body": {"inline": {
            "subject": subject, "timestamp": NOW / 1_000, "account": "1", "phone_number_id": "2", "field": "messages",
            "contact": subject.map(|s| json!({"profile": {"name": "Ana Souza"}, "wa_id": s})),
            "item": {"id": id, "from": subject, "type": "text", "text": {"body": text}},
        }},
    })
    .to_string()
}

pub(crate) fn arrived<'a>(group: &'a str, sequence: &'a str, body: &'a str) -> Arrived<'a> {
    Arrived { lane: Lane::Text, group, dedup_id: sequence, sequence, body }
}
