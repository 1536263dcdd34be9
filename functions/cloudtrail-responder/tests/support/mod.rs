//! The function over a simulated account, with everything that can go wrong.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: what is not as expected fails the test"
)]

mod history;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use cloudtrail_responder_function::{AuditSettings, CloudTrailResponder, Parts, Ports};
use futures_util::future::FutureExt;
use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_detection::{
    Context, CorrelationState, Detector, MemoryState, Observation, RuleSet, SHIPPED, Series, StateError,
};
use portcullis_lambda::{Deadline, Failure, Handler, IncidentDesk, Invocation, Metrics, ResponsePorts, Rest};
use portcullis_response::simulation::{
    Fault, Faults, Faulty, Inbox, NoWait, SimulatedAccount, SimulatedUser, World,
};
use portcullis_response::{
    Incident, IncidentStore, MemoryDesk, PLAYBOOKS, Playbooks, Responder, SAFETY, Safety,
};
use serde_json::{Value, json};

pub(crate) use history::{History, Progress};

pub(crate) struct Memory;

impl ResponsePorts for Memory {
    type Account = SimulatedAccount;
    type Store = Faulty<MemoryDesk>;
    type Notifier = Faulty<Inbox>;
    type Audit = Arc<MemoryAudit>;
    type Clock = Arc<ManualClock>;
    type Wait = NoWait;
}

impl Ports for Memory {
    type Correlation = Correlation;
    type History = History;
    type Progress = Progress;
    type Rest = Resting;
}

/// The function and handles on everything under it.
pub(crate) struct Bench {
    pub(crate) function: CloudTrailResponder<Memory>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Arc<Mutex<Vec<String>>>,
}

/// Correlation in memory, which can be made to fail.
#[derive(Debug, Default)]
pub(crate) struct Correlation {
    state: MemoryState,
    down: Mutex<bool>,
}

/// Moves the clock instead of waiting.
pub(crate) struct Resting(Arc<ManualClock>);

pub(crate) fn start() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// Ana's account: she has two active keys.
pub(crate) fn bench() -> Bench {
    bench_in(&["eu-west-1"])
}

pub(crate) fn bench_in(regions: &[&str]) -> Bench {
    let (faults, clock) = (Arc::new(Faults::default()), Arc::new(ManualClock::at(start())));
    let audit = Arc::new(MemoryAudit::default());
    let (metrics, lines) = Metrics::memory("cloudtrail-responder");
    let responder = Responder {
        account: SimulatedAccount::new(world(), Arc::clone(&faults)),
        store: Faulty::new(MemoryDesk::default(), Arc::clone(&faults)),
        notifier: Faulty::new(Inbox::default(), Arc::clone(&faults)),
        clock: Arc::clone(&clock),
        wait: NoWait::default(),
        playbooks: all_on(),
        safety: Safety::parse(SAFETY).unwrap(),
    };
    let auditor = Auditor::new(Arc::clone(&audit), Arc::clone(&clock), AuditorSettings::new("test"));
    let function = CloudTrailResponder::new(Parts {
        desk: IncidentDesk { responder, auditor, metrics },
        detector: Detector::new(rules(), Context::default()),
        correlation: Correlation::default(),
        history: History::new(Arc::clone(&clock)),
        progress: Progress::default(),
        rest: Resting(Arc::clone(&clock)),
        deadline: Deadline::default(),
        audit: AuditSettings {
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            lookback: Duration::from_secs(3600),
        },
    });
    Bench { function, faults, audit, clock, metrics: lines }
}

fn world() -> World {
    let keys = [("AKIA1".to_owned(), true), ("AKIA2".to_owned(), true)];
    let ana = SimulatedUser { keys: keys.into(), login: Some(false), ..SimulatedUser::default() };
    World { users: [("ana".to_owned(), ana)].into(), ..World::example() }
}

fn rules() -> RuleSet {
    RuleSet::load(SHIPPED).unwrap()
}

/// The shipped playbooks, each with every step turned on.
fn all_on() -> Playbooks {
    static ALL_ON: LazyLock<Playbooks> = LazyLock::new(|| {
        let on = |yaml: &str| {
            yaml.replace("dry_run: true", "dry_run: false")
                .replace("mode: approval", "mode: automatic")
                .replace("automatic_from: high", "automatic_from: low")
        };
        let books = Playbooks::load(PLAYBOOKS.map(|(name, yaml)| (name, on(yaml)))).unwrap();
        assert!(books.iter().all(|book| !book.dry_run));
        books
    });
    ALL_ON.clone()
}

impl Bench {
    /// An invocation that may take a minute; `None` where the process ended in it.
    pub(crate) fn try_invoke(&self, event: &[u8]) -> Option<Result<Value, Failure>> {
        self.invoke_for(event, 60)
    }

    pub(crate) fn invoke_for(&self, event: &[u8], seconds: i64) -> Option<Result<Value, Failure>> {
        use portcullis_base::Clock;
        let deadline = self.clock.now().checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        let invocation = Invocation { request_id: "r-1".to_owned(), deadline };
        let answer = self.function.handle(event, &invocation).now_or_never()?;
        Some(answer.map(|bytes| serde_json::from_slice(&bytes).unwrap()))
    }

    pub(crate) fn invoke(&self, event: &[u8]) -> Result<Value, Failure> {
        self.try_invoke(event).unwrap_or_else(|| panic!("the invocation does not end"))
    }

    /// Delivers a record as EventBridge does.
    pub(crate) fn deliver(&self, record: &Value) -> Result<Value, Failure> {
        self.invoke(&envelope(record))
    }

    /// The scheduled audit.
    pub(crate) fn audit(&self) -> Result<Value, Failure> {
        self.invoke(SCHEDULE.as_bytes())
    }

    /// All incidents, by id.
    pub(crate) fn incidents(&self) -> Vec<Incident> {
        let store = self.function.parts().desk.responder.store.inner();
        let mut all = store.list(None, 10_000).now_or_never().unwrap().unwrap();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The rules that opened incidents, in order.
    pub(crate) fn rules(&self) -> Vec<String> {
        let mut rules: Vec<String> = self.incidents().iter().map(rule).collect();
        rules.sort();
        rules
    }

    pub(crate) fn effects(&self) -> Vec<String> {
        self.function.parts().desk.responder.account.effects()
    }

    /// Ids of the messages that were sent.
    pub(crate) fn messages(&self) -> Vec<String> {
        let inbox = self.function.parts().desk.responder.notifier.inner();
        inbox.messages().into_iter().map(|message| message.id).collect()
    }

    pub(crate) fn history(&self) -> &History {
        &self.function.parts().history
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.function.parts().progress
    }

    pub(crate) fn correlation(&self) -> &Correlation {
        &self.function.parts().correlation
    }

    /// The sum of a metric.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let lines = self.metrics.lock().unwrap();
        let values = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.filter_map(|line| line[name].as_f64()).sum()
    }

    /// Nothing had its effect twice.
    pub(crate) fn assert_nothing_twice(&self, case: &str) {
        let effects = self.effects();
        let distinct: BTreeSet<&String> = effects.iter().collect();
        assert_eq!(distinct.len(), effects.len(), "{case}: {effects:#?}");
    }

    /// Breaks call number `at` of an invocation, then delivers the event until it is answered, as EventBridge does:
    /// each time later than any lease. What was broken; `None` where there are not so many calls.
    pub(crate) fn broken_at(&self, at: usize, fault: Fault, event: &[u8]) -> Option<String> {
        self.faults.arm(at, fault);
        let first = self.try_invoke(event);
        let hit = self.faults.hit();
        self.faults.disarm();
        let hit = hit?;
        let mut answer = first;
        for _ in 0..2 {
            if matches!(answer, Some(Ok(_))) {
                break;
            }
            self.clock.advance(121_000);
            answer = self.try_invoke(event);
        }
        assert!(matches!(answer, Some(Ok(_))), "{fault:?} of {hit}: {answer:?}");
        Some(hit)
    }
}

pub(crate) fn rule(incident: &Incident) -> String {
    match &incident.signal.source {
        portcullis_response::Source::Hit { rule, .. } => rule.clone(),
        portcullis_response::Source::Finding { .. } => panic!("a finding"),
    }
}

impl Correlation {
    pub(crate) fn fail(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }

    fn check(&self) -> Result<(), StateError> {
        if *self.down.lock().unwrap() { Err(StateError("throttled".to_owned())) } else { Ok(()) }
    }
}

impl CorrelationState for Correlation {
    async fn observe(
        &self,
        series: &Series,
        observations: &[Observation],
        window: i64,
        expires_at: i64,
    ) -> Result<Vec<Observation>, StateError> {
        self.check()?;
        self.state.observe(series, observations, window, expires_at).await
    }

    async fn claim(
        &self,
        series: &Series,
        event_id: &str,
        at: i64,
        window: i64,
        expires_at: i64,
    ) -> Result<bool, StateError> {
        self.check()?;
        self.state.claim(series, event_id, at, window, expires_at).await
    }
}

impl Rest for Resting {
    async fn rest(&self, span: Duration) {
        self.0.advance(i64::try_from(span.as_millis()).unwrap());
    }
}

/// A record in the envelope of EventBridge.
pub(crate) fn envelope(record: &Value) -> Vec<u8> {
    let signin = record["eventType"] == "AwsConsoleSignIn";
    let kind = if signin { "AWS Console Signin via CloudTrail" } else { "AWS API Call via CloudTrail" };
    json!({
        "version": "0", "id": "e-1", "detail-type": kind, "source": "aws.iam", "account": "111122223333",
        "time": record["eventTime"], "region": record["awsRegion"], "resources": [], "detail": record,
    })
    .to_string()
    .into_bytes()
}

/// A call by Ana, so many seconds before the start.
pub(crate) fn call(id: &str, seconds_before: i64, source: &str, name: &str) -> Value {
    let at = start().checked_sub(jiff::SignedDuration::from_secs(seconds_before)).unwrap();
    json!({
        "eventVersion": "1.11", "eventID": id, "eventTime": at.to_string(), "eventType": "AwsApiCall",
        "eventSource": source, "eventName": name, "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
        "recipientAccountId": "111122223333", "eventCategory": "Management", "managementEvent": true,
        "userIdentity": {"type": "IAMUser", "userName": "ana", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/ana", "principalId": "AIDA", "accessKeyId": "AKIA1"},
        "requestParameters": {"userName": "backdoor"},
    })
}

/// Ana makes a key of another user: a way in that stays.
pub(crate) fn key_made(id: &str, seconds_before: i64) -> Value {
    call(id, seconds_before, "iam.amazonaws.com", "CreateAccessKey")
}

/// One of several: five within ten minutes are a burst.
pub(crate) fn login_failed(id: &str, seconds_before: i64) -> Value {
    let mut record = call(id, seconds_before, "signin.amazonaws.com", "ConsoleLogin");
    record["eventType"] = json!("AwsConsoleSignIn");
    record["requestParameters"] = Value::Null;
    record["errorMessage"] = json!("Failed authentication");
    record["responseElements"] = json!({"ConsoleLogin": "Failure"});
    record
}

pub(crate) const SCHEDULE: &str =
    r#"{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#;
