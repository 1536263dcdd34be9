//! Execution: consumes an approved plan, step by step, each resumable.

use jiff::SignedDuration;
use portcullis_base::{Clock, Timestamp};

use crate::approve::ApprovedPlan;
use crate::change::needed;
use crate::engine::{Way, achieved};
use crate::incident::{Incident, IncidentId, Step, StepStatus};
use crate::notification::Phase;
use crate::ports::{Account, Notifier, PortError, Wait};
use crate::respond::{RespondError, Responder};
use crate::state::State;
use crate::step::StepKind;
use crate::store::{CapStore, Holds, IncidentStore};
use crate::target::Target;

impl<A, S, N, C, W> Responder<A, S, N, C, W>
where
    A: Account,
    S: IncidentStore + Holds + CapStore,
    N: Notifier,
    C: Clock,
    W: Wait,
{
    /// Executes an approved plan: the only thing that consumes one, and the only way by which anything is contained.
    ///
    /// # Errors
    /// When the store fails or somebody else works on the incident: what was done so far is recorded, and calling again
    /// goes on from there. A step that fails is no error: the incident says so.
    pub async fn contain(&self, plan: ApprovedPlan, incident: &mut Incident) -> Result<(), RespondError> {
        let hours = plan.into_incident(incident).ok_or(RespondError::Conflict)?;
        incident.status = incident.standing();
        self.save(incident, true).await?;
        for index in 0..incident.steps.len() {
            self.run(incident, index, hours).await?;
        }
        self.conclude(incident).await
    }

    async fn run(&self, incident: &mut Incident, index: usize, hours: u16) -> Result<(), RespondError> {
        let Some(step) = incident.steps.get(index) else { return Ok(()) };
        if !matches!(step.status, StepStatus::Planned | StepStatus::Running) {
            return Ok(());
        }
        match step.kind {
            StepKind::Notify => self.run_notify(incident, index).await,
            StepKind::ArchiveFinding if !all_done_before(incident, index) => {
                let why = "not everything before it is done".to_owned();
                self.finish(incident, index, StepStatus::Refused, vec![], vec![], why).await
            }
            _ => self.run_change(incident, index, hours).await,
        }
    }

    async fn run_notify(&self, incident: &mut Incident, index: usize) -> Result<(), RespondError> {
        let phase = if incident.round == 0 { Phase::Opened } else { Phase::Changed };
        match self.tell(incident, phase).await {
            Ok(()) => self.finish(incident, index, StepStatus::Done, vec![], vec![], String::new()).await,
            Err(error) => {
                let failures = vec![format!("not notified: {error}")];
                self.finish(incident, index, StepStatus::Failed, vec![], failures, String::new()).await
            }
        }
    }

    async fn run_change(
        &self,
        incident: &mut Incident,
        index: usize,
        hours: u16,
    ) -> Result<(), RespondError> {
        let Some(step) = incident.steps.get(index).cloned() else { return Ok(()) };
        if step.kind.shares() {
            let resource = step.resource();
            self.retry(|| self.store.hold(&resource, &incident.id), PortError::may_pass).await?;
        }
        let outcome = self.reach(incident, index, hours, &step).await;
        let id = incident.id.clone();
        let Some(step) = incident.steps.get(index) else { return Ok(()) };
        match outcome? {
            Reached::Settled { current, failures } => {
                let changed = achieved(step, &id, &current);
                let status = if failures.is_empty() { StepStatus::Done } else { StepStatus::Failed };
                self.finish(incident, index, status, changed, failures, String::new()).await
            }
            Reached::Gone => {
                let why = "it no longer exists".to_owned();
                self.finish(incident, index, StepStatus::Done, vec![], vec![], why).await
            }
            Reached::Unreadable(error) => {
                let failures = vec![format!("{} not done: {error}", step.kind.says())];
                self.finish(incident, index, StepStatus::Failed, vec![], failures, String::new()).await
            }
        }
    }

    /// Records before the first change, and again before the first change of what appeared since.
    async fn reach(
        &self,
        incident: &mut Incident,
        index: usize,
        hours: u16,
        step: &Step,
    ) -> Result<Reached, RespondError> {
        let (kind, target, id) = (step.kind, step.target.clone(), incident.id.clone());
        for _ in 0..MAX_WIDENINGS {
            let current = match self.observe(kind, &target, &id).await {
                Ok(current) => current,
                Err(error) => return Ok(Reached::without(error, &target)),
            };
            let (started, recorded) = self.record(incident, index, &current, hours).await?;
            let way = Way::There(started, &recorded);
            let settled = match self.settle(kind, &target, &id, way, current).await {
                Ok(settled) => settled,
                Err(error) => return Ok(Reached::without(error, &target)),
            };
            if recorded.widened(&settled.current).is_none() {
                return Ok(Reached::Settled { current: settled.current, failures: settled.failures });
            }
        }
        Ok(Reached::Unreadable(PortError::Conflict))
    }

    /// The rollback record: written before anything is changed.
    async fn record(
        &self,
        incident: &mut Incident,
        index: usize,
        current: &State,
        hours: u16,
    ) -> Result<(Timestamp, State), RespondError> {
        let now = self.clock.now();
        let id = incident.id.clone();
        let Some(step) = incident.steps.get_mut(index) else { return Ok((now, current.recorded())) };
        let (kind, begun) = (step.kind, step.before.is_some());
        let started = match step.started_at {
            Some(started) if !is_late(step, &id, started, current) => started,
            _ => cut_off(kind, now),
        };
        let moved = step.started_at.replace(started) != Some(started);
        let record = match &step.before {
            None => current.recorded(),
            Some(before) => match before.widened(current) {
                Some(wider) => wider,
                None if moved => before.clone(),
                None => return Ok((started, before.clone())),
            },
        };
        step.before = Some(record.clone());
        step.status = StepStatus::Running;
        if kind == StepKind::BlockAddress && !begun {
            let until = now.saturating_add(SignedDuration::from_hours(hours.into()));
            incident.expires_at = Some(until.unwrap_or(Timestamp::MAX));
        }
        incident.status = incident.standing();
        self.save(incident, true).await?;
        Ok((started, record))
    }

    async fn finish(
        &self,
        incident: &mut Incident,
        index: usize,
        status: StepStatus,
        changed: Vec<String>,
        failures: Vec<String>,
        why: String,
    ) -> Result<(), RespondError> {
        let now = self.clock.now();
        let Some(step) = incident.steps.get_mut(index) else { return Ok(()) };
        (step.status, step.changed, step.failures) = (status, changed, failures);
        if !why.is_empty() {
            step.why = why;
        }
        let (contains, lines) = (step.kind.contains(), summary(step));
        if status == StepStatus::Done && contains {
            incident.times.contained.get_or_insert(now);
        }
        for line in lines {
            incident.log(now, line);
        }
        incident.status = incident.standing();
        self.save(incident, true).await
    }

    async fn conclude(&self, incident: &mut Incident) -> Result<(), RespondError> {
        incident.status = incident.standing();
        let notifies = incident.steps.iter().any(|step| step.kind == StepKind::Notify);
        let acted = incident.steps.iter().any(|step| step.kind.changes() && step.has_begun());
        // A new decision that runs nothing, such as a rise in severity of what waits for approval, is news too.
        let phase = if acted { Some(Phase::Outcome) } else { (incident.round > 0).then_some(Phase::Changed) };
        if let Some(phase) = phase.filter(|_| notifies)
            && let Err(error) = self.tell(incident, phase).await
        {
            incident.log_once(self.clock.now(), format!("{} not notified: {error}", phase.name()));
        }
        incident.status = incident.standing();
        self.save(incident, false).await
    }
}

/// Whether a cut-off of sessions is from an earlier try that did not put it in place: it would let in everything that
/// began since.
fn is_late(step: &Step, id: &IncidentId, started: Timestamp, current: &State) -> bool {
    step.kind == StepKind::RevokeRoleSessions
        && !needed(step.kind, &step.target, id, started, current).is_empty()
}

/// When a step counts as begun. For sessions it is the cut-off, a little ahead: until IAM knows the policy everywhere,
/// sessions begin.
///
/// Source: IAM User Guide, "Troubleshoot IAM", changes are not always immediately visible.
fn cut_off(kind: StepKind, now: Timestamp) -> Timestamp {
    if kind != StepKind::RevokeRoleSessions {
        return now;
    }
    now.saturating_add(PROPAGATION).unwrap_or(Timestamp::MAX)
}

enum Reached {
    Settled { current: State, failures: Vec<String> },
    Gone,
    Unreadable(PortError),
}

impl Reached {
    /// What is gone needs no containment. An address is not gone when the WAF's list is: that is a fault of the set-up.
    fn without(error: PortError, target: &Target) -> Self {
        match (error, target) {
            (PortError::NotFound, target) if !matches!(target, Target::Address { .. }) => Self::Gone,
            (error, _) => Self::Unreadable(error),
        }
    }
}

/// A finding is archived only when its incident needs nobody any more.
fn all_done_before(incident: &Incident, index: usize) -> bool {
    let open = |step: &Step| {
        matches!(step.status, StepStatus::Failed | StepStatus::AwaitingApproval | StepStatus::DryRun)
    };
    !incident.steps.iter().take(index).any(open)
}

fn summary(step: &Step) -> Vec<String> {
    let head = format!("{} {}", step.kind, step.target);
    let mut lines: Vec<String> = step.changed.iter().map(|change| format!("{head}: {change}")).collect();
    lines.extend(step.failures.iter().map(|failure| format!("{head}: {failure}")));
    // That a message was taken is logged where it is sent.
    if lines.is_empty() && step.kind != StepKind::Notify {
        let what = match step.status {
            StepStatus::Done if step.why == "it no longer exists" => "it no longer exists",
            StepStatus::Done => "nothing was missing",
            _ => step.why.as_str(),
        };
        lines.push(format!("{head}: {what}"));
    }
    lines
}

/// How often new keys, interfaces or volumes may appear while a step runs.
const MAX_WIDENINGS: usize = 8;

/// How long a policy takes to be in force everywhere.
const PROPAGATION: SignedDuration = SignedDuration::from_secs(30);
