//! The way back: everything exactly as it was recorded, or what could not be and why.

use portcullis_base::Clock;
use serde::Serialize;

use crate::engine::Way;
use crate::incident::{Incident, IncidentId, Status, StepStatus};
use crate::notification::Phase;
use crate::ports::{Account, Notifier, PortError, Wait};
use crate::respond::{RespondError, Responder, named};
use crate::step::StepKind;
use crate::store::{CapStore, Dropped, Holds, IncidentStore};
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
    /// again what could not be undone.
    ///
    /// # Errors
    /// When the store fails or somebody else works on the incident. What cannot be restored is no error: it is reported.
    pub async fn release(&self, id: &IncidentId, by: &str) -> Result<Released, RespondError> {
        let by = named(by)?;
        let mut incident = self.take(id).await?;
        if incident.times.released.is_some() {
            return Ok(report(incident));
        }
        incident.log(self.clock.now(), format!("release by {by}"));
        incident.round = incident.round.saturating_add(1);
        self.call_off(&mut incident).await?;
        self.save(&mut incident, true).await?;
        self.undo(&mut incident, |_| true).await?;
        let now = self.clock.now();
        if !incident.steps.iter().any(is_open) {
            (incident.status, incident.times.released) = (Status::Released, Some(now));
            incident.expires_at = None;
        }
        if let Err(error) = self.tell(&mut incident, Phase::Released).await {
            incident.log(self.clock.now(), format!("release not notified: {error}"));
        }
        self.save(&mut incident, false).await?;
        Ok(report(incident))
    }

    /// Lets in again the addresses whose time is over, at most `limit` incidents at once. Which incidents these were.
    ///
    /// # Errors
    /// When the store fails. An incident on which somebody works is left for the next time.
    pub async fn expire(&self, limit: usize) -> Result<Vec<IncidentId>, RespondError> {
        let now = self.clock.now();
        let due = self.retry(|| self.store.expired(now, limit), PortError::may_pass).await?;
        let mut done = Vec::new();
        for id in due {
            match self.expire_one(&id).await {
                Ok(true) => done.push(id),
                Ok(false) | Err(RespondError::Busy | RespondError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn expire_one(&self, id: &IncidentId) -> Result<bool, RespondError> {
        let mut incident = self.take(id).await?;
        incident.log(self.clock.now(), "the time of its blocks is over");
        self.save(&mut incident, true).await?;
        self.undo(&mut incident, |kind| kind == StepKind::BlockAddress).await?;
        let left = incident.steps.iter().any(|step| step.kind == StepKind::BlockAddress && is_open(step));
        for step in incident.steps.iter_mut().filter(|step| step.kind == StepKind::BlockAddress) {
            if step.status == StepStatus::Released {
                (step.status, step.why) = (StepStatus::Expired, "its time was over".to_owned());
            }
        }
        if !left {
            incident.expires_at = None;
        }
        incident.status = incident.standing();
        self.save(&mut incident, false).await?;
        Ok(!left)
    }

    /// Steps that did not begin do not run any more, and hold nothing.
    async fn call_off(&self, incident: &mut Incident) -> Result<(), RespondError> {
        for step in &mut incident.steps {
            if !matches!(step.status, StepStatus::AwaitingApproval | StepStatus::Planned) {
                continue;
            }
            if step.kind.shares() {
                let resource = step.resource();
                self.retry(|| self.store.forget_hold(&resource, &incident.id), PortError::may_pass).await?;
            }
            (step.status, step.why) = (StepStatus::Refused, "released before it ran".to_owned());
        }
        Ok(())
    }

    async fn undo(
        &self,
        incident: &mut Incident,
        which: impl Fn(StepKind) -> bool,
    ) -> Result<(), RespondError> {
        for index in (0..incident.steps.len()).rev() {
            if incident.steps.get(index).is_some_and(|step| which(step.kind) && is_open(step)) {
                self.undo_step(incident, index).await?;
            }
        }
        incident.status = incident.standing();
        Ok(())
    }

    async fn undo_step(&self, incident: &mut Incident, index: usize) -> Result<(), RespondError> {
        let Some(step) = incident.steps.get(index).cloned() else { return Ok(()) };
        let (kind, target, id) = (step.kind, step.target.clone(), incident.id.clone());
        let Some(recorded) = step.before.clone() else {
            let resource = step.resource();
            self.retry(|| self.store.forget_hold(&resource, &id), PortError::may_pass).await?;
            return self.undone(incident, index, vec![]).await;
        };
        if kind.shares() {
            let resource = step.resource();
            let dropped = self.retry(|| self.store.drop_hold(&resource, &id), PortError::may_pass).await?;
            if let Dropped::NeededBy(others) = dropped {
                let names: Vec<&str> = others.iter().map(IncidentId::as_str).collect();
                let why = format!("held by later incidents, release them first: {}", names.join(", "));
                return self.undone(incident, index, vec![why]).await;
            }
        }
        let current = match self.observe(kind, &target, &id).await {
            Ok(current) => current,
            // What is gone needs no restoring, as long as it is the target that is gone and not the WAF's list.
            Err(PortError::NotFound) if !matches!(target, Target::Address { .. }) => {
                return self.undone(incident, index, vec![]).await;
            }
            Err(error) => return self.undone(incident, index, vec![format!("not read: {error}")]).await,
        };
        if let Some(step) = incident.steps.get_mut(index)
            && step.status != StepStatus::Releasing
        {
            (step.status, step.failures) = (StepStatus::Releasing, recorded.lost(&current));
            self.save(incident, true).await?;
        }
        let failures = match self.settle(kind, &target, &id, Way::Back(&recorded), current).await {
            Ok(settled) => settled.failures,
            Err(PortError::NotFound) if !matches!(target, Target::Address { .. }) => vec![],
            Err(error) => vec![format!("not read: {error}")],
        };
        self.undone(incident, index, failures).await
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
        incident.log(now, line);
        self.save(incident, true).await
    }
}

/// Whether a step has changed something that is not undone.
fn is_open(step: &crate::incident::Step) -> bool {
    step.kind.changes()
        && matches!(
            step.status,
            StepStatus::Running | StepStatus::Done | StepStatus::Failed | StepStatus::Releasing
        )
}

fn report(incident: Incident) -> Released {
    let open = incident.steps.iter().filter(|step| is_open(step));
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
