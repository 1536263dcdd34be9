//! Any bytes, to both responders: an invocation ends in an answer or in one of the failures that there are, a sample
//! changes nothing, and what comes again changes nothing again.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use cloudtrail_responder_function as cloudtrail;
use futures_util::future::FutureExt;
use guardduty_responder_function as guardduty;
use libfuzzer_sys::fuzz_target;
use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_detection::{
    AuditProgress, Context, Detector, EventHistory, HistoryError, HistoryPage, MemoryState, ProgressStore,
    RuleSet, SHIPPED,
};
use portcullis_lambda::{Deadline, Handler, IncidentDesk, Invocation, Metrics, ResponsePorts, Rest};
use portcullis_response::simulation::{Faults, Inbox, NoWait, SimulatedAccount, World};
use portcullis_response::{
    FindingTypes, IncidentStore, MemoryDesk, PLAYBOOKS, Playbooks, Responder, SAFETY, Safety, TYPES,
};

struct Memory;

impl ResponsePorts for Memory {
    type Account = SimulatedAccount;
    type Store = MemoryDesk;
    type Notifier = Inbox;
    type Audit = MemoryAudit;
    type Clock = Arc<ManualClock>;
    type Wait = NoWait;
}

impl cloudtrail::Ports for Memory {
    type Correlation = MemoryState;
    type History = Nothing;
    type Progress = Progress;
    type Rest = Nothing;
}

/// A history without events.
struct Nothing;

impl EventHistory for Nothing {
    async fn lookup(
        &self,
        _region: &str,
        _from: Timestamp,
        _to: Timestamp,
        _page: Option<&str>,
    ) -> Result<HistoryPage, HistoryError> {
        Ok(HistoryPage::default())
    }
}

impl Rest for Nothing {
    async fn rest(&self, _span: Duration) {}
}

#[derive(Default)]
struct Progress(Mutex<BTreeMap<String, AuditProgress>>);

impl ProgressStore for Progress {
    async fn progress(&self, region: &str) -> Result<Option<AuditProgress>, HistoryError> {
        Ok(self.0.lock().unwrap().get(region).cloned())
    }

    async fn save_progress(&self, region: &str, progress: &AuditProgress) -> Result<(), HistoryError> {
        self.0.lock().unwrap().insert(region.to_owned(), progress.clone());
        Ok(())
    }
}

/// The responder whose rules take long to load, and how many inputs it had: its memory grows with every hit.
static RULES: LazyLock<Mutex<(u32, cloudtrail::CloudTrailResponder<Memory>)>> =
    LazyLock::new(|| Mutex::new((0, rules())));

const INPUTS: u32 = 5_000;

fn rules() -> cloudtrail::CloudTrailResponder<Memory> {
    cloudtrail::CloudTrailResponder::new(cloudtrail::Parts {
        desk: desk(),
        detector: Detector::new(RuleSet::load(SHIPPED).unwrap(), Context::default()),
        correlation: MemoryState::default(),
        history: Nothing,
        progress: Progress::default(),
        rest: Nothing,
        deadline: Deadline::default(),
        audit: cloudtrail::AuditSettings {
            regions: vec!["eu-west-1".to_owned()],
            lookback: Duration::from_secs(3600),
        },
    })
}

static BOOKS: LazyLock<Playbooks> = LazyLock::new(|| {
    let on = |yaml: &str| {
        yaml.replace("dry_run: true", "dry_run: false").replace("automatic_from: high", "automatic_from: low")
    };
    Playbooks::load(PLAYBOOKS.map(|(name, yaml)| (name, on(yaml)))).unwrap()
});

static SAFETY_FILE: LazyLock<Safety> = LazyLock::new(|| Safety::parse(SAFETY).unwrap());
static TYPES_FILE: LazyLock<FindingTypes> = LazyLock::new(|| FindingTypes::parse(TYPES).unwrap());

fn desk() -> IncidentDesk<Memory> {
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    IncidentDesk {
        responder: Responder {
            account: SimulatedAccount::new(World::example(), Arc::new(Faults::default())),
            store: MemoryDesk::default(),
            notifier: Inbox::default(),
            clock: Arc::clone(&clock),
            wait: NoWait::default(),
            playbooks: BOOKS.clone(),
            safety: SAFETY_FILE.clone(),
        },
        auditor: Auditor::new(MemoryAudit::new(usize::MAX), clock, AuditorSettings::new("fuzz")),
        metrics: Metrics::off("fuzz"),
    }
}

fn findings() -> guardduty::GuardDutyResponder<Memory> {
    guardduty::GuardDutyResponder::new(guardduty::Parts {
        desk: desk(),
        types: TYPES_FILE.clone(),
        roles: guardduty::IncidentRoles::default(),
        deadline: Deadline::default(),
    })
}

/// Whether there was an answer.
fn invoke(handler: &impl Handler, event: &[u8]) -> bool {
    let invocation = Invocation { request_id: String::new(), deadline: Timestamp::MAX };
    let answer = handler.handle(event, &invocation).now_or_never().expect("nothing is waited for");
    match answer {
        Ok(json) => {
            serde_json::from_slice::<serde_json::Value>(&json).expect("an answer is JSON");
            true
        }
        Err(failure) => {
            assert!(["UnknownEvent", "UnreadableFinding", "UnreadableEvent"].contains(&failure.kind));
            false
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut rules = RULES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    rules.0 += 1;
    if rules.0 > INPUTS {
        *rules = (0, self::rules());
    }
    invoke(&rules.1, bytes);
    let findings = findings();
    if !invoke(&findings, bytes) {
        return;
    }
    let desk = &findings.parts().desk.responder;
    let effects = desk.account.effects();
    let incidents = desk.store.list(None, 10).now_or_never().unwrap().unwrap();
    assert!(incidents.len() <= 1);
    assert!(effects.is_empty() || incidents.iter().all(|incident| !incident.signal.sample));
    assert!(invoke(&findings, bytes));
    assert_eq!(desk.account.effects(), effects);
    assert_eq!(desk.store.list(None, 10).now_or_never().unwrap().unwrap(), incidents);
});
