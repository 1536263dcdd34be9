//! The way back: everything exactly as it was recorded, or what could not be and why.

use jiff::SignedDuration;
use portcullis_base::{Clock, Timestamp};
use serde::Serialize;

use crate::engine::Way;
use crate::handover::{Fellow, Legacy};
use crate::incident::{Asked, Incident, IncidentId, Status, Step, StepStatus};
use crate::notification::Phase;
use crate::ports::{Account, Notifier, PortError, Wait};
use crate::respond::{RespondError, Responder, named};
use crate::state::State;
use crate::step::StepKind;
use crate::store::{CapStore, Holds, IncidentStore};
use crate::target::Target;

/// What a release did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Released {
    /// The incident as it stands now.
    pub incident: Incident,
    /// What could not be restored.
    pub not_released: Vec<NotReleased>,
    /// What is restored, but not entirely: for people.
    pub remarks: Vec<String>,
}

/// Which blocks ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Incidents whose addresses are let in again, or left to another incident that blocks them too.
    pub done: Vec<IncidentId>,
    /// Incidents whose work did not come to its end, and why: they are still due.
    pub failed: Vec<(IncidentId, RespondError)>,
}

/// A step that could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotReleased {
    /// Which.
    pub kind: StepKind,
    /// On what.
    pub target: Target,
    /// Why.
    pub why: Vec<String>,
}

impl<A, S, N, C, W> Responder<A, S, N, C, W>
where
    A: Account,
    S: IncidentStore + Holds + CapStore,
    N: Notifier,
    C: Clock,
    W: Wait,
{
    /// Undoes what the incident's steps did, last step first. Calling again goes on from where it was left, and tries
    /// again what could not be undone; [`Responder::resume`] does as well. What another incident holds too stays as it
    /// is until the last of them is released, and that one restores it.
    ///
    /// # Errors
    /// When the store fails or somebody else works on the incident. What cannot be restored is no error: it is reported.
    pub async fn release(&self, id: &IncidentId, by: &str) -> Result<Released, RespondError> {
        let by = named(by)?;
        let mut incident = self.take(id).await?;
        if incident.times.released.is_some() {
            return Ok(report(incident));
        }
        let now = self.clock.now();
        incident.log(now, format!("release by {by}"));
        incident.round = incident.round.saturating_add(1);
        incident.release_asked = Some(Asked { by: by.to_owned(), at: now });
        call_off(&mut incident);
        self.save(&mut incident, true).await?;
        self.carry_release(incident).await.map(report)
    }

    /// Does what is left of a release that somebody asked for. The caller has the lease.
    pub(crate) async fn carry_release(&self, mut incident: Incident) -> Result<Incident, RespondError> {
        self.undo(&mut incident, |_| true).await?;
        self.let_go(&incident, |_| true).await?;
        let now = self.clock.now();
        if incident.steps.iter().any(Step::is_open) {
            put_off(&mut incident, now);
        } else {
            (incident.status, incident.times.released) = (Status::Released, Some(now));
            incident.expires_at = None;
            // Whoever was told that something is left is told that nothing is any more.
            if incident.notified.contains(&(incident.round, Phase::Released)) {
                incident.round = incident.round.saturating_add(1);
            }
        }
        if let Err(error) = self.tell(&mut incident, Phase::Released).await {
            incident.log_once(self.clock.now(), format!("release not notified: {error}"));
        }
        self.save(&mut incident, false).await?;
        Ok(incident)
    }

    /// Lets in again the addresses whose time is over, at most `limit` incidents at once. Which incidents these were.
    ///
    /// # Errors
    /// When the store fails and nothing could be done; see [`Responder::expire_while`].
    pub async fn expire(&self, limit: usize) -> Result<Vec<IncidentId>, RespondError> {
        let Expired { done, failed } = self.expire_while(limit, || true).await?;
        match failed.into_iter().next() {
            Some((_, error)) if done.is_empty() => Err(error),
            _ => Ok(done),
        }
    }

    /// Lets in again the addresses whose time is over, at most `limit` incidents at once, and while `go_on` says so: an
    /// incident that was begun is finished. One that fails holds up no other.
    ///
    /// # Errors
    /// When the store does not say which incidents are due.
    pub async fn expire_while(
        &self,
        limit: usize,
        go_on: impl Fn() -> bool + Send,
    ) -> Result<Expired, RespondError> {
        let now = self.clock.now();
        let due = self.retry(|| self.store.expired(now, limit), PortError::may_pass).await?;
        let mut expired = Expired::default();
        for id in due {
            if !go_on() {
                break;
            }
            match self.expire_one(&id).await {
                Ok(true) => expired.done.push(id),
                Ok(false) | Err(RespondError::Busy | RespondError::Conflict) => {}
                Err(error) => expired.failed.push((id, error)),
            }
        }
        Ok(expired)
    }

    async fn expire_one(&self, id: &IncidentId) -> Result<bool, RespondError> {
        let mut incident = self.take(id).await?;
        if incident.is_given_back() {
            self.save(&mut incident, true).await?;
            return Ok(self.carry_release(incident).await?.times.released.is_some());
        }
        incident.log_once(self.clock.now(), "the time of its blocks is over");
        self.save(&mut incident, true).await?;
        let blocks = |kind| kind == StepKind::BlockAddress;
        self.undo(&mut incident, blocks).await?;
        self.let_go(&incident, blocks).await?;
        let left = incident.steps.iter().any(|step| blocks(step.kind) && step.is_open());
        for step in incident.steps.iter_mut().filter(|step| blocks(step.kind)) {
            if step.status == StepStatus::Released {
                (step.status, step.why) = (StepStatus::Expired, "its time was over".to_owned());
                // Somebody's word was for this block, and not for the next one.
                if let Some(approval) = &mut incident.approval {
                    approval.forget(step.kind, &step.target);
                }
            }
        }
        if left {
            put_off(&mut incident, self.clock.now());
        } else {
            incident.expires_at = None;
        }
        incident.status = incident.standing();
        self.save(&mut incident, false).await?;
        Ok(!left)
    }

    /// Forgets that the incident holds what is undone, or never was changed: also what a step took hold of that was
    /// decided away before it ran.
    async fn let_go(
        &self,
        incident: &Incident,
        which: impl Fn(StepKind) -> bool,
    ) -> Result<(), RespondError> {
        for step in incident.steps.iter().filter(|step| which(step.kind) && step.kind.shares()) {
            if !step.is_open() {
                let resource = step.resource();
                self.retry(|| self.store.forget_hold(&resource, &incident.id), PortError::may_pass).await?;
            }
        }
        Ok(())
    }

    async fn undo(
        &self,
        incident: &mut Incident,
        which: impl Fn(StepKind) -> bool,
    ) -> Result<(), RespondError> {
        for index in (0..incident.steps.len()).rev() {
            if incident.steps.get(index).is_some_and(|step| which(step.kind) && step.is_open()) {
                self.undo_step(incident, index).await?;
            }
        }
        incident.status = incident.standing();
        Ok(())
    }

    async fn undo_step(&self, incident: &mut Incident, index: usize) -> Result<(), RespondError> {
        let Some(step) = incident.steps.get(index).cloned() else { return Ok(()) };
        let (kind, target, id) = (step.kind, step.target.clone(), incident.id.clone());
        let Some(recorded) = step.before.clone() else { return self.undone(incident, index, vec![]).await };
        let current = match self.observe(kind, &target, &id).await {
            Ok(current) => current,
            // What is gone needs no restoring, as long as it is the target that is gone and not the WAF's list.
            Err(PortError::NotFound) if !matches!(target, Target::Address { .. }) => {
                return self.undone(incident, index, vec![]).await;
            }
            Err(error) => return self.undone(incident, index, vec![format!("not read: {error}")]).await,
        };
        let disturbed = step.status == StepStatus::Releasing;
        let fellow = match self.pass_on(&step, &id, &current, disturbed).await? {
            Passed::Waits(why) => return self.wait_for(incident, index, why).await,
            Passed::On(fellow) => Some(fellow),
            Passed::Nobody => None,
        };
        let goal = if fellow.is_some() { recorded.own_part(&current) } else { recorded };
        if let Some(step) = incident.steps.get_mut(index)
            && step.status != StepStatus::Releasing
        {
            (step.status, step.failures) = (StepStatus::Releasing, goal.lost(&current));
            self.save(incident, true).await?;
        }
        let mut failures = match self.settle(kind, &target, &id, Way::Back(&goal), current.clone()).await {
            Ok(settled) => settled.failures,
            Err(PortError::NotFound) if !matches!(target, Target::Address { .. }) => vec![],
            Err(error) => vec![format!("not read: {error}")],
        };
        // Whoever took hold while this was restored has seen half of it: it gets the record, and looks again.
        if failures.is_empty()
            && fellow.is_none()
            && let Passed::Waits(why) = self.pass_on(&step, &id, &current, true).await?
        {
            failures.push(why);
        }
        if let (true, Some(fellow), Some(step)) =
            (failures.is_empty(), &fellow, incident.steps.get_mut(index))
        {
            step.failures.push(format!("{target} stays as it is: {fellow} holds it too"));
        }
        self.undone(incident, index, failures).await
    }

    /// Hands the record of a step over to another incident that holds the same, if there is one.
    async fn pass_on(
        &self,
        step: &Step,
        id: &IncidentId,
        current: &State,
        disturbed: bool,
    ) -> Result<Passed, RespondError> {
        if !step.kind.shares() {
            return Ok(Passed::Nobody);
        }
        let waits = |other: &IncidentId| {
            Passed::Waits(format!("{other} holds it too, and is being worked on: try again"))
        };
        match self.fellow(step, id).await? {
            Fellow::None => Ok(Passed::Nobody),
            Fellow::Busy(other) => Ok(waits(&other)),
            Fellow::Holds(other) => {
                let legacy = Legacy { of: (id, step), current, disturbed };
                let over = self.hand_over(&legacy, &other).await?;
                Ok(if over { Passed::On(other) } else { waits(&other) })
            }
        }
    }

    /// Nothing was restored yet: the step is as contained as it was.
    async fn wait_for(&self, incident: &mut Incident, index: usize, why: String) -> Result<(), RespondError> {
        let now = self.clock.now();
        let Some(step) = incident.steps.get_mut(index) else { return Ok(()) };
        let line = format!("{} {} not released: {why}", step.kind, step.target);
        step.why = why;
        incident.log_once(now, line);
        self.save(incident, true).await
    }

    async fn undone(
        &self,
        incident: &mut Incident,
        index: usize,
        failures: Vec<String>,
    ) -> Result<(), RespondError> {
        let now = self.clock.now();
        let Some(step) = incident.steps.get_mut(index) else { return Ok(()) };
        let line = if failures.is_empty() {
            step.status = StepStatus::Released;
            format!("{} {} released: {}", step.kind, step.target, step.kind.undone_by())
        } else {
            step.why = failures.join("; ");
            format!("{} {} not released: {}", step.kind, step.target, step.why)
        };
        if !failures.is_empty() {
            step.status = StepStatus::Releasing;
        }
        incident.log_once(now, line);
        self.save(incident, true).await
    }
}

/// Where the record of a step went.
enum Passed {
    /// Nobody else holds what it holds.
    Nobody,
    /// To this incident.
    On(IncidentId),
    /// Somebody works on the other incident: it goes there later.
    Waits(String),
}

/// Steps that did not begin do not run any more.
fn call_off(incident: &mut Incident) {
    for step in &mut incident.steps {
        if matches!(step.status, StepStatus::AwaitingApproval | StepStatus::Planned) {
            (step.status, step.why) = (StepStatus::Refused, "released before it ran".to_owned());
        }
    }
}

/// What could not be let in again is not the first to be tried the next time: others would never be.
fn put_off(incident: &mut Incident, now: Timestamp) {
    let later = now.saturating_add(TRIED_AGAIN_AFTER).unwrap_or(Timestamp::MAX);
    incident.expires_at = incident.expires_at.map(|at| at.max(later));
}

fn report(incident: Incident) -> Released {
    let open = incident.steps.iter().filter(|step| step.is_open());
    let not_released = open
        .map(|step| NotReleased { kind: step.kind, target: step.target.clone(), why: vec![step.why.clone()] })
        .collect();
    let released = incident.steps.iter().filter(|step| step.status == StepStatus::Released);
    let mut remarks: Vec<String> = released.clone().flat_map(|step| step.failures.clone()).collect();
    if released.clone().any(|step| step.kind == StepKind::CollectEvidence) {
        remarks.push("snapshots taken as evidence are kept".to_owned());
    }
    if released.clone().any(|step| step.kind == StepKind::IsolateInstance) {
        remarks.push("the groups that isolated are kept: nothing uses them now".to_owned());
    }
    Released { incident, not_released, remarks }
}

/// When a block that could not be ended is tried again.
const TRIED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);
