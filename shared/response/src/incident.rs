//! An incident: what was seen, what was planned and done about it, and when.

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::digest;
use jiff::SignedDuration;
use portcullis_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::notification::Phase;
use crate::signal::Signal;
use crate::state::State;
use crate::step::StepKind;
use crate::target::Target;

/// Names an incident: the same for every repeat of the same signal. Fit for names of policies and for tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(String);

/// One incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// What was seen, with the highest severity and count so far.
    pub signal: Signal,
    /// Where it stands.
    pub status: Status,
    /// What is planned and done, in the playbook's order.
    pub steps: Vec<Step>,
    /// What no step can do, for people.
    pub notes: Vec<String>,
    /// What people do next, from the playbook.
    pub advice: Vec<String>,
    /// Who approved, if somebody did.
    pub approval: Option<Approval>,
    /// Who asked for its release, if somebody did: from then on nothing is contained any more, and whoever carries the
    /// incident on carries the release on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_asked: Option<Asked>,
    /// The message that nobody took yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// When what happened.
    pub times: Times,
    /// When its blocked addresses are let in again.
    pub expires_at: Option<Timestamp>,
    /// Which messages were sent: round and phase.
    pub notified: BTreeSet<(u32, Phase)>,
    /// How often it was decided about: rises with approval and with severity.
    pub round: u32,
    /// What happened, in order.
    pub timeline: Vec<Entry>,
    /// What of it is in the audit trail, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// Rises with every write.
    pub revision: u64,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Seen; nothing is contained, and nothing waits.
    Detected,
    /// Steps wait for somebody to approve.
    AwaitingApproval,
    /// Steps run.
    Containing,
    /// Every planned step is done.
    Contained,
    /// Something could not be done: the steps say what and why.
    Partial,
    /// Everything that could be restored is.
    Released,
}

/// One step on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What.
    pub kind: StepKind,
    /// On what.
    pub target: Target,
    /// How far.
    pub status: StepStatus,
    /// Why it is so, for people.
    pub why: String,
    /// The rollback record: what was there before the first change.
    pub before: Option<State>,
    /// When the record was written; of revoked sessions, the time before which they are refused.
    pub started_at: Option<Timestamp>,
    /// What was changed, for people.
    pub changed: Vec<String>,
    /// What could not be done or restored, and why.
    pub failures: Vec<String>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It will run.
    Planned,
    /// It waits for approval.
    AwaitingApproval,
    /// It would run.
    DryRun,
    /// It never runs on this.
    Refused,
    /// Its record is written; changes may have been made.
    Running,
    /// What it wanted was read back.
    Done,
    /// Not all of it could be done.
    Failed,
    /// It is being undone.
    Releasing,
    /// It is undone.
    Released,
    /// Its time was over and it is undone; if what it was against comes back, it is decided about anew.
    Expired,
}

/// Somebody's word that the steps that waited then may run. It covers nothing that comes later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What it covers.
    pub steps: Vec<(StepKind, Target)>,
    /// What of it waited because the target's tags could not be read, and may be done without knowing them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<(StepKind, Target)>,
    /// The revision that was shown to whoever approved, where they named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Somebody's word that an incident is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A message that was to be sent, and was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// Which.
    pub phase: Phase,
    /// Since when nobody could be told.
    pub since: Timestamp,
}

/// When what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// The activity itself.
    pub happened: Timestamp,
    /// The incident was opened.
    pub detected: Timestamp,
    /// The first message was taken.
    pub notified: Option<Timestamp>,
    /// It was contained, entirely or in part.
    pub contained: Option<Timestamp>,
    /// It was released.
    pub released: Option<Timestamp>,
}

/// What the audit trail has of an incident. What it lacks is recorded by whoever carries the incident on: a record that
/// failed after the last save would be lost otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Where it stood.
    pub status: Status,
    /// How many of its blocks had ended.
    pub ended: usize,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// Keeps two containers from working on one incident at once. It ends by itself, since its holder may have crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Until when.
    pub until: Timestamp,
}

impl IncidentId {
    /// The id of what a source calls `name`.
    pub fn of(name: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, name.as_bytes());
        let short = digest.as_ref().get(..10).unwrap_or_default();
        Self(format!("{PREFIX}{}", hex::encode(short)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for IncidentId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotAnId)?;
        let hex =
            digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex { Ok(Self(text)) } else { Err(NotAnId) }
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> Self {
        id.0
    }
}

/// Not the id of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of an incident: `inc-` and 20 digits of hexadecimal")]
pub struct NotAnId;

impl Incident {
    /// A new incident.
    pub fn open(signal: Signal, now: Timestamp) -> Self {
        let times = Times {
            happened: signal.happened_at,
            detected: now,
            notified: None,
            contained: None,
            released: None,
        };
        let mut incident = Self {
            id: signal.incident_id(),
            status: Status::Detected,
            steps: Vec::new(),
            notes: Vec::new(),
            advice: Vec::new(),
            approval: None,
            release_asked: None,
            owed: None,
            times,
            expires_at: None,
            notified: BTreeSet::new(),
            round: 0,
            timeline: Vec::new(),
            recorded: None,
            lease: None,
            revision: 0,
            signal,
        };
        incident.log(now, format!("detected: {}", incident.signal.title));
        incident
    }

    /// Adds a line to the timeline. The first and the last lines are kept where there are too many.
    pub fn log(&mut self, at: Timestamp, what: impl Into<String>) {
        if self.timeline.len() >= MAX_TIMELINE {
            self.timeline.remove(MAX_TIMELINE / 2);
        }
        self.timeline.push(Entry { at, what: what.into() });
    }

    /// Adds a line unless it stands among the latest ones: for what is tried again on schedule.
    pub(crate) fn log_once(&mut self, at: Timestamp, what: impl Into<String>) {
        let what = what.into();
        if !self.timeline.iter().rev().take(LATEST).any(|entry| entry.what == what) {
            self.log(at, what);
        }
    }

    /// Whether nothing may be contained any more: it was released, or is to be.
    pub const fn is_given_back(&self) -> bool {
        self.times.released.is_some() || self.release_asked.is_some()
    }

    /// Whether there is something to carry on: whoever worked on it last did not come to the end, its release is not
    /// complete, or a message was not taken. What fails again and again is given up after a day.
    pub fn is_unfinished(&self, now: Timestamp) -> bool {
        let recent = |at: Timestamp| at.duration_until(now) < PATIENCE;
        let running = |status| matches!(status, StepStatus::Planned | StepStatus::Running);
        let runs = !self.is_given_back() && self.steps.iter().any(|step| running(step.status));
        let releases = self.times.released.is_none()
            && self.release_asked.as_ref().is_some_and(|asked| recent(asked.at));
        let owes = self.owed.is_some_and(|owed| recent(owed.since));
        self.lease.is_some() || runs || releases || owes
    }

    /// Whether somebody works on it now.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|lease| lease.until > now)
    }

    /// Since when somebody is to look after it, because whoever worked on it last did not come to the end, or the end is
    /// not on record: stores keep an index by it. In the future while somebody works on it.
    pub fn left_at(&self) -> Option<Timestamp> {
        if let Some(lease) = self.lease {
            return Some(lease.until);
        }
        let running = |step: &Step| matches!(step.status, StepStatus::Planned | StepStatus::Running);
        let runs = !self.is_given_back() && self.steps.iter().any(running);
        let asked = self.release_asked.as_ref().filter(|_| self.times.released.is_none());
        let open = (runs || !self.is_recorded()).then_some(self.times.detected);
        [open, asked.map(|asked| asked.at), self.owed.map(|owed| owed.since)].into_iter().flatten().max()
    }

    /// Takes or prolongs the lease.
    pub fn take_lease(&mut self, now: Timestamp) {
        self.lease = Some(Lease { until: now.saturating_add(LEASE).unwrap_or(Timestamp::MAX) });
    }

    /// What the audit trail is to have of it as it stands now.
    pub fn to_record(&self) -> Recorded {
        let ended = self.steps.iter().filter(|step| step.status == StepStatus::Expired).count();
        Recorded { status: self.status, ended }
    }

    /// Whether the audit trail has what it is to have.
    pub fn is_recorded(&self) -> bool {
        let now = self.to_record();
        let silent = matches!(now.status, Status::Detected | Status::AwaitingApproval | Status::Containing);
        self.recorded.map_or(silent && now.ended == 0, |recorded| recorded == now)
    }

    /// Where its steps say that it stands. A released incident stays released.
    pub fn standing(&self) -> Status {
        if self.times.released.is_some() {
            return Status::Released;
        }
        let any = |test: &dyn Fn(&Step) -> bool| self.steps.iter().any(test);
        let contained = any(&|s| s.kind.contains() && s.status == StepStatus::Done);
        let refused = any(&|s| s.kind.contains() && s.status == StepStatus::Refused);
        if any(&|s| matches!(s.status, StepStatus::Planned | StepStatus::Running)) {
            Status::Containing
        } else if any(&|s| s.status == StepStatus::AwaitingApproval) {
            Status::AwaitingApproval
        } else if any(&|s| matches!(s.status, StepStatus::Failed | StepStatus::Releasing))
            || (contained && refused)
        {
            Status::Partial
        } else if contained {
            Status::Contained
        } else if any(&|s| matches!(s.status, StepStatus::Released | StepStatus::Expired)) {
            Status::Released
        } else {
            Status::Detected
        }
    }
}

impl Approval {
    /// Whether it covers a step.
    pub fn covers(&self, kind: StepKind, target: &Target) -> bool {
        self.steps.iter().any(|(covered, on)| *covered == kind && on == target)
    }

    /// Whether it covers a step on a target that may be protected, for all that can be read.
    pub fn covers_untold(&self, kind: StepKind, target: &Target) -> bool {
        self.untold.iter().any(|(covered, on)| *covered == kind && on == target)
    }

    /// Takes back what it says of a step.
    pub(crate) fn forget(&mut self, kind: StepKind, target: &Target) {
        let other = |covered: &(StepKind, Target)| covered.0 != kind || covered.1 != *target;
        self.steps.retain(other);
        self.untold.retain(other);
    }
}

impl Step {
    /// A step that has not begun.
    pub fn new(kind: StepKind, target: Target, status: StepStatus, why: impl Into<String>) -> Self {
        Self {
            kind,
            target,
            status,
            why: why.into(),
            before: None,
            started_at: None,
            changed: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// What it holds against other incidents.
    pub fn resource(&self) -> String {
        format!("{}/{}", self.kind, self.target)
    }

    /// Whether it has changed something that is not undone.
    pub(crate) const fn is_open(&self) -> bool {
        self.kind.changes()
            && matches!(
                self.status,
                StepStatus::Running | StepStatus::Done | StepStatus::Failed | StepStatus::Releasing
            )
    }

    /// Whether its record is written, so that it goes on from there whatever a plan says now.
    pub const fn has_begun(&self) -> bool {
        matches!(
            self.status,
            StepStatus::Running
                | StepStatus::Done
                | StepStatus::Failed
                | StepStatus::Releasing
                | StepStatus::Released
                | StepStatus::Expired
        )
    }
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Detected,
        Self::AwaitingApproval,
        Self::Containing,
        Self::Contained,
        Self::Partial,
        Self::Released,
    ];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detected => "DETECTED",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Containing => "CONTAINING",
            Self::Contained => "CONTAINED",
            Self::Partial => "PARTIAL",
            Self::Released => "RELEASED",
        })
    }
}

const PREFIX: &str = "inc-";

/// Longer than any single step takes; prolonged by every write.
const LEASE: SignedDuration = SignedDuration::from_secs(120);

/// How long what failed is tried again on schedule.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

const MAX_TIMELINE: usize = 200;

/// Lines of the timeline among which none is repeated: more than one pass of the schedule writes.
const LATEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::example_signal;

    fn with(steps: &[(StepKind, StepStatus)]) -> Incident {
        let mut incident = Incident::open(example_signal("f"), Timestamp::UNIX_EPOCH);
        incident.steps =
            steps.iter().map(|(kind, status)| Step::new(*kind, Target::Incident, *status, "")).collect();
        incident
    }

    #[test]
    fn the_steps_say_where_an_incident_stands() {
        use StepKind::{CollectEvidence, DenyUser, IsolateInstance, Notify};
        use StepStatus::{
            AwaitingApproval, Done, DryRun, Failed, Planned, Refused, Released, Releasing, Running,
        };
        for (case, steps, expected) in [
            ("nothing", vec![], Status::Detected),
            ("told only", vec![(Notify, Done)], Status::Detected),
            ("dry run", vec![(Notify, Done), (DenyUser, DryRun)], Status::Detected),
            ("refused", vec![(Notify, Done), (DenyUser, Refused)], Status::Detected),
            ("evidence contains nothing", vec![(CollectEvidence, Done)], Status::Detected),
            (
                "waits",
                vec![(CollectEvidence, Done), (IsolateInstance, AwaitingApproval)],
                Status::AwaitingApproval,
            ),
            (
                "waits with a failure",
                vec![(CollectEvidence, Failed), (IsolateInstance, AwaitingApproval)],
                Status::AwaitingApproval,
            ),
            ("to run", vec![(DenyUser, Planned)], Status::Containing),
            ("runs", vec![(DenyUser, Done), (IsolateInstance, Running)], Status::Containing),
            ("done", vec![(Notify, Done), (DenyUser, Done)], Status::Contained),
            ("done and refused", vec![(DenyUser, Done), (IsolateInstance, Refused)], Status::Partial),
            ("failed", vec![(DenyUser, Done), (IsolateInstance, Failed)], Status::Partial),
            ("message failed", vec![(Notify, Failed), (DenyUser, Done)], Status::Partial),
            ("being undone", vec![(DenyUser, Released), (IsolateInstance, Releasing)], Status::Partial),
            ("undone", vec![(Notify, Done), (DenyUser, Released)], Status::Released),
        ] {
            assert_eq!(with(&steps).standing(), expected, "{case}");
        }
    }

    #[test]
    fn ids_are_stable_short_and_checked() {
        assert_eq!(IncidentId::of("a"), IncidentId::of("a"));
        assert_ne!(IncidentId::of("a"), IncidentId::of("b"));
        assert_eq!(IncidentId::of("a").as_str().len(), 24);
        for text in
            ["inc-", "pc-ca978112ca1bbdcafac2", "inc-CA978112ca1bbdcafac2", "inc-ca978112ca1bbdcafac2/"]
        {
            assert!(IncidentId::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(IncidentId::try_from(IncidentId::of("x").as_str().to_owned()).is_ok());
    }

    #[test]
    fn a_timeline_is_bounded_and_keeps_both_ends() {
        let mut incident = with(&[]);
        for i in 0..1000 {
            incident.log(Timestamp::UNIX_EPOCH, i.to_string());
        }
        assert_eq!(incident.timeline.len(), MAX_TIMELINE);
        assert!(incident.timeline[0].what.starts_with("detected"));
        assert_eq!(incident.timeline[MAX_TIMELINE - 1].what, "999");
    }

    #[test]
    fn a_lease_ends_by_itself() {
        let mut incident = with(&[]);
        let now = Timestamp::UNIX_EPOCH;
        assert!(!incident.is_leased(now));
        incident.take_lease(now);
        assert!(incident.is_leased(now));
        assert!(!incident.is_leased(now.saturating_add(LEASE).unwrap()));
    }
}
