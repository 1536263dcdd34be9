//! The function over a simulated account, with everything that can go wrong.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: what is not as expected fails the test"
)]

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures_util::future::FutureExt;
use guardduty_responder_function::{GuardDutyResponder, IncidentRoles, Parts};
use portcullis_audit::{AuditError, AuditRecord, AuditSink, Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_lambda::{Deadline, Failure, Handler, IncidentDesk, Invocation, Metrics, ResponsePorts};
use portcullis_response::simulation::{Fault, Faults, Faulty, Inbox, NoWait, SimulatedAccount, World};
use portcullis_response::{
    FindingTypes, Incident, IncidentStore, MemoryDesk, PLAYBOOKS, Playbooks, Responder, SAFETY, Safety, TYPES,
};
use serde_json::{Value, json};

pub(crate) struct Memory;

impl ResponsePorts for Memory {
    type Account = SimulatedAccount;
    type Store = Faulty<MemoryDesk>;
    type Notifier = Faulty<Inbox>;
    type Audit = Arc<Trail>;
    type Clock = Arc<ManualClock>;
    type Wait = NoWait;
}

/// The audit trail; one of its calls may fail.
pub(crate) struct Trail {
    kept: MemoryAudit,
    /// Calls until the one that fails.
    left: AtomicUsize,
}

impl Trail {
    /// Lets the call fail that comes after so many.
    pub(crate) fn fails_after(&self, calls: usize) {
        self.left.store(calls, Ordering::SeqCst);
    }

    /// Whether no call failed since.
    pub(crate) fn still_fails(&self) -> bool {
        self.left.load(Ordering::SeqCst) < usize::MAX / 2
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self { kept: MemoryAudit::default(), left: AtomicUsize::new(usize::MAX) }
    }
}

impl Deref for Trail {
    type Target = MemoryAudit;

    fn deref(&self) -> &MemoryAudit {
        &self.kept
    }
}

impl AuditSink for Trail {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        // Below nought it wraps around, and no other call fails.
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(AuditError::Unavailable);
        }
        self.kept.append(records).await
    }
}

/// The function and handles on everything under it.
pub(crate) struct Bench {
    pub(crate) function: GuardDutyResponder<Memory>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) audit: Arc<Trail>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Arc<Mutex<Vec<String>>>,
}

/// An answer of the API: status, body, and the answer as a whole.
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) body: Value,
    pub(crate) whole: Value,
}

pub(crate) fn start() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// The example account, every step automatic.
pub(crate) fn bench() -> Bench {
    bench_on(World::example(), playbooks("automatic"))
}

/// The example account, every step that changes something on approval.
pub(crate) fn asking() -> Bench {
    bench_on(World::example(), playbooks("approval"))
}

pub(crate) fn bench_on(world: World, playbooks: Playbooks) -> Bench {
    let (faults, clock) = (Arc::new(Faults::default()), Arc::new(ManualClock::at(start())));
    let audit = Arc::new(Trail::default());
    let (metrics, lines) = Metrics::memory("guardduty-responder");
    let responder = Responder {
        account: SimulatedAccount::new(world, Arc::clone(&faults)),
        store: Faulty::new(MemoryDesk::default(), Arc::clone(&faults)),
        notifier: Faulty::new(Inbox::default(), Arc::clone(&faults)),
        clock: Arc::clone(&clock),
        wait: NoWait::default(),
        playbooks,
        safety: Safety::parse(SAFETY).unwrap(),
    };
    let auditor = Auditor::new(Arc::clone(&audit), Arc::clone(&clock), AuditorSettings::new("test"));
    let function = GuardDutyResponder::new(Parts {
        desk: IncidentDesk { responder, auditor, metrics },
        types: FindingTypes::parse(TYPES).unwrap(),
        roles: IncidentRoles::default(),
        deadline: Deadline::default(),
    });
    Bench { function, faults, audit, clock, metrics: lines }
}

/// The shipped playbooks, turned on, with every step that is not about telling in this mode.
pub(crate) fn playbooks(mode: &str) -> Playbooks {
    static AUTOMATIC: LazyLock<Playbooks> = LazyLock::new(|| in_mode("automatic"));
    static APPROVAL: LazyLock<Playbooks> = LazyLock::new(|| in_mode("approval"));
    if mode == "automatic" { AUTOMATIC.clone() } else { APPROVAL.clone() }
}

fn in_mode(mode: &str) -> Playbooks {
    let step = |line: &str| match line.trim_start().starts_with("- {step: notify") {
        true => line.to_owned(),
        false => line
            .replace("mode: approval", &format!("mode: {mode}"))
            .replace("mode: automatic", &format!("mode: {mode}"))
            .replace("dry_run: true", "dry_run: false")
            .replace("automatic_from: high", "automatic_from: low"),
    };
    let on = |yaml: &str| yaml.lines().map(step).collect::<Vec<_>>().join("\n");
    let books = Playbooks::load(PLAYBOOKS.map(|(name, yaml)| (name, on(yaml)))).unwrap();
    assert!(books.iter().all(|book| !book.dry_run));
    books
}

impl Bench {
    /// An invocation of a minute; `None` where the process ended in it.
    pub(crate) fn try_invoke(&self, event: &[u8]) -> Option<Result<Value, Failure>> {
        let deadline = self.clock.now().checked_add(Duration::from_secs(60)).unwrap();
        let invocation = Invocation { request_id: "r-1".to_owned(), deadline };
        let answer = self.function.handle(event, &invocation).now_or_never()?;
        Some(answer.map(|bytes| serde_json::from_slice(&bytes).unwrap()))
    }

    pub(crate) fn invoke(&self, event: &[u8]) -> Result<Value, Failure> {
        self.try_invoke(event).unwrap_or_else(|| panic!("the invocation does not end"))
    }

    pub(crate) fn deliver(&self, event: &Value) -> Result<Value, Failure> {
        self.invoke(event.to_string().as_bytes())
    }

    pub(crate) fn schedule(&self) -> Result<Value, Failure> {
        self.invoke(SCHEDULE.as_bytes())
    }

    /// A request by a caller with these roles; `None` for one that no authorizer let through.
    pub(crate) fn request(&self, roles: Option<&str>, method: &str, target: &str) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: serde_json::Map<String, Value> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, v)| (n.to_owned(), json!(v)))
            .collect();
        let mut context = json!({"requestId": "r-2", "identity": {"sourceIp": "192.0.2.1"}});
        if let Some(roles) = roles {
            context["authorizer"] = json!({"principalId": "ops@portcullis.example", "roles": roles});
        }
        let event = json!({
            "httpMethod": method, "path": path, "headers": {}, "queryStringParameters": query,
            "requestContext": context, "body": null, "isBase64Encoded": false,
        });
        let whole = self.deliver(&event).unwrap();
        let body = serde_json::from_str(whole["body"].as_str().unwrap()).unwrap();
        Answer { status: whole["statusCode"].as_u64().unwrap(), body, whole }
    }

    /// All incidents, by id.
    pub(crate) fn incidents(&self) -> Vec<Incident> {
        let store = self.function.parts().desk.responder.store.inner();
        let mut all = store.list(None, 10_000).now_or_never().unwrap().unwrap();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    pub(crate) fn incident(&self) -> Incident {
        let mut all = self.incidents();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    pub(crate) fn account(&self) -> &SimulatedAccount {
        &self.function.parts().desk.responder.account
    }

    /// Ids of the messages that were sent.
    pub(crate) fn messages(&self) -> Vec<String> {
        let inbox = self.function.parts().desk.responder.notifier.inner();
        inbox.messages().into_iter().map(|message| message.id).collect()
    }

    /// The sum of a metric.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let lines = self.metrics.lock().unwrap();
        let values = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.filter_map(|line| line[name].as_f64()).sum()
    }

    pub(crate) fn assert_metrics(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            assert!((self.metric(name) - value).abs() < f64::EPSILON, "{name}: {}", self.metric(name));
        }
    }

    /// Nothing had its effect twice.
    pub(crate) fn assert_nothing_twice(&self, case: &str) {
        let effects = self.account().effects();
        let distinct: BTreeSet<&String> = effects.iter().collect();
        assert_eq!(distinct.len(), effects.len(), "{case}: {effects:#?}");
    }

    /// Longer than any lease.
    pub(crate) fn later(&self) {
        self.clock.advance(121_000);
    }

    /// Breaks call number `at` of an invocation. What was broken, and whether the process lived; `None` where there are
    /// not so many calls.
    pub(crate) fn broken_at(&self, at: usize, fault: Fault, event: &[u8]) -> Option<(String, bool)> {
        self.faults.arm(at, fault);
        let answer = self.try_invoke(event);
        let hit = self.faults.hit();
        self.faults.disarm();
        Some((hit?, matches!(answer, Some(Ok(_)))))
    }
}

/// A finding about Ana's key in its envelope.
pub(crate) fn finding(id: &str) -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "GuardDuty Finding", "source": "aws.guardduty",
        "account": "111122223333", "region": "eu-west-1", "time": "2026-11-22T10:00:00Z", "resources": [],
        "detail": {
            "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "partition": "aws",
            "id": id, "type": "UnauthorizedAccess:IAMUser/TorIPCaller", "severity": 8.0,
            "title": "Credentials were used from a Tor exit node", "description": "d",
            "createdAt": "2026-11-22T09:55:00Z", "updatedAt": "2026-11-22T09:58:00Z",
            "resource": {"resourceType": "AccessKey", "accessKeyDetails": {
                "accessKeyId": "AKIA1", "userType": "IAMUser", "userName": "ana", "principalId": "AIDA"}},
            "service": {
                "serviceName": "guardduty", "detectorId": "d-1", "count": 1, "archived": false,
                "eventFirstSeen": "2026-11-22T09:50:00Z", "eventLastSeen": "2026-11-22T09:58:00Z",
                "action": {"actionType": "AWS_API_CALL", "awsApiCallAction": {
                    "api": "ListUsers", "remoteIpDetails": {"ipAddressV4": "198.51.100.7"}}},
                "additionalInfo": {"type": "default", "value": "{}"},
            },
        },
    })
}

/// The finding that the example account knows, about its user.
pub(crate) fn known_finding() -> Value {
    finding("finding")
}

pub(crate) const SCHEDULE: &str =
    r#"{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#;
