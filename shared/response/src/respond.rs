//! From a signal to a contained incident: opens or finds it, decides, checks, executes.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use portcullis_base::Clock;

use crate::approve::approve;
use crate::decide::{Disposition, Facts, Plan, Tags, UNTOLD, decide, has_tags};
use crate::incident::{Approval, Incident, IncidentId, Owed, Step, StepStatus};
use crate::notification::Phase;
use crate::playbook::Playbooks;
use crate::ports::{Account, Notifier, PortError, Wait};
use crate::safety::Safety;
use crate::signal::Signal;
use crate::store::{CapStore, Created, Holds, IncidentStore, Slot};
use crate::target::Target;

/// Answers incidents, over ports.
#[derive(Debug)]
pub struct Responder<A, S, N, C, W> {
    /// The account.
    pub account: A,
    /// Incidents, holds and the cap.
    pub store: S,
    /// Where people and systems are told.
    pub notifier: N,
    /// The time.
    pub clock: C,
    /// Waiting.
    pub wait: W,
    /// What is done.
    pub playbooks: Playbooks,
    /// What is never done.
    pub safety: Safety,
}

/// Why a response did not come to its end. What it did so far is recorded; calling again goes on from there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// Somebody else works on the incident now.
    #[error("somebody else works on the incident: try again in two minutes")]
    Busy,
    /// Somebody else changed the incident.
    #[error("somebody else changed the incident: try again")]
    Conflict,
    /// It is no longer as it was when it was shown to whoever approves.
    #[error("the incident is not as it was when it was shown: look at it again")]
    Changed,
    /// There is no such incident.
    #[error("no such incident")]
    Unknown,
    /// It was released: nothing more is done about it.
    #[error("the incident was released")]
    Released,
    /// Who approves or releases has to be named, in 1 to 200 bytes.
    #[error("who does this has to be named, in 1 to 200 bytes")]
    Unnamed,
    /// The store failed.
    #[error("incident store: {0}")]
    Store(#[from] PortError),
}

impl<A, S, N, C, W> Responder<A, S, N, C, W>
where
    A: Account,
    S: IncidentStore + Holds + CapStore,
    N: Notifier,
    C: Clock,
    W: Wait,
{
    /// Answers a signal. A repeat of one is the same incident: it is counted, a rise in severity is decided about anew,
    /// and what a crash left is carried on.
    ///
    /// # Errors
    /// See [`RespondError`]. The caller delivers the signal again.
    pub async fn respond(&self, signal: &Signal) -> Result<Incident, RespondError> {
        let now = self.clock.now();
        let mut fresh = Incident::open(signal.clone(), now);
        fresh.take_lease(now);
        match self.retry(|| self.store.create(&fresh), PortError::may_pass).await? {
            Created::New => self.proceed(fresh).await,
            Created::Exists(incident) if *incident == fresh => self.proceed(fresh).await,
            Created::Exists(incident) => self.repeat(*incident, signal).await,
        }
    }

    /// What would be done about a signal. Reads tags; changes nothing and keeps nothing.
    pub async fn plan(&self, signal: &Signal) -> Plan {
        self.decide(&Incident::open(signal.clone(), self.clock.now())).await
    }

    /// Lets the waiting steps run, and failed ones again, on somebody's word. `seen` is the revision that was shown to
    /// them: what changed since is not approved unseen. The same word again, after an answer that got lost, is no new
    /// one.
    ///
    /// # Errors
    /// See [`RespondError`].
    pub async fn approve(
        &self,
        id: &IncidentId,
        by: &str,
        seen: Option<u64>,
    ) -> Result<Incident, RespondError> {
        let by = named(by)?;
        let mut incident = self.take(id).await?;
        if incident.is_given_back() {
            return Err(RespondError::Released);
        }
        if seen.is_some_and(|seen| seen != incident.revision) {
            let same = |earlier: &Approval| earlier.seen == seen && earlier.by == by;
            let again = incident.approval.as_ref().is_some_and(same);
            return match (again, incident.is_unfinished(self.clock.now())) {
                (true, true) => self.carry_on(incident).await,
                (true, false) => Ok(incident),
                (false, _) => Err(RespondError::Changed),
            };
        }
        let now = self.clock.now();
        let waits = |status| {
            matches!(status, StepStatus::AwaitingApproval | StepStatus::Failed | StepStatus::Planned)
        };
        let waiting: Vec<&Step> = incident.steps.iter().filter(|step| waits(step.status)).collect();
        let pair = |step: &&Step| (step.kind, step.target.clone());
        let mut steps: Vec<_> = waiting.iter().map(pair).collect();
        let untold = |step: &&&Step| step.status == StepStatus::AwaitingApproval && step.why == UNTOLD;
        let untold: Vec<_> = waiting.iter().filter(untold).map(pair).collect();
        // An earlier word covers no protection that could be read then.
        steps.extend(incident.approval.take().into_iter().flat_map(|earlier| earlier.steps));
        incident.approval = Some(Approval { steps, untold, seen, by: by.to_owned(), at: now });
        incident.round = incident.round.saturating_add(1);
        incident.log(now, format!("approved by {by}"));
        self.save(&mut incident, true).await?;
        self.proceed(incident).await
    }

    /// Carries on what a crash left, a release that is not complete, and a message that was not taken. Does nothing to
    /// an incident that nobody left open: [`Incident::is_unfinished`].
    ///
    /// # Errors
    /// See [`RespondError`].
    pub async fn resume(&self, id: &IncidentId) -> Result<Incident, RespondError> {
        let incident = self.take(id).await?;
        if !incident.is_unfinished(self.clock.now()) {
            return Ok(incident);
        }
        self.carry_on(incident).await
    }

    /// From where whoever worked on it last left it.
    async fn carry_on(&self, mut incident: Incident) -> Result<Incident, RespondError> {
        let cut_short = incident.lease.is_some();
        self.save(&mut incident, true).await?;
        if incident.times.released.is_none() && incident.release_asked.is_some() {
            return self.carry_release(incident).await;
        }
        let running = |step: &Step| matches!(step.status, StepStatus::Planned | StepStatus::Running);
        if !incident.is_given_back() && (cut_short || incident.steps.iter().any(running)) {
            return self.proceed(incident).await;
        }
        if let Some(owed) = incident.owed
            && let Err(error) = self.tell(&mut incident, owed.phase).await
        {
            incident.log_once(self.clock.now(), format!("{} not notified: {error}", owed.phase.name()));
        }
        incident.status = incident.standing();
        self.save(&mut incident, false).await?;
        Ok(incident)
    }

    async fn repeat(&self, mut incident: Incident, signal: &Signal) -> Result<Incident, RespondError> {
        let now = self.clock.now();
        if incident.is_leased(now) {
            return Err(RespondError::Busy);
        }
        let (count, targets) = (incident.signal.count, incident.signal.targets.len());
        let rose = incident.signal.absorb(signal);
        let news = rose || incident.signal.count > count || incident.signal.targets.len() > targets;
        if incident.is_given_back() {
            if news {
                incident.log(now, "seen again after its release");
                incident.round = incident.round.saturating_add(1);
                incident.owed = Some(Owed { phase: Phase::SeenAgain, since: now });
            }
            return if incident.is_unfinished(now) { self.carry_on(incident).await } else { Ok(incident) };
        }
        if rose {
            incident.log(now, format!("severity rose to {}", incident.signal.severity));
        }
        let grew = incident.signal.targets.len() > targets;
        if grew {
            incident.log(now, format!("now about {} things", incident.signal.targets.len()));
        }
        // Whoever comes back after a block was over is blocked again: as if for the first time.
        let back = news && incident.steps.iter().any(|step| step.status == StepStatus::Expired);
        if back {
            incident.log(now, "back after the time of its blocks was over");
            incident.steps.retain(|step| step.status != StepStatus::Expired);
        }
        if rose || grew || back {
            incident.round = incident.round.saturating_add(1);
            self.save(&mut incident, true).await?;
            return self.proceed(incident).await;
        }
        if incident.is_unfinished(now) {
            return self.carry_on(incident).await;
        }
        if news {
            incident.log(now, format!("seen again: {} times", incident.signal.count));
            self.save(&mut incident, false).await?;
        }
        Ok(incident)
    }

    async fn proceed(&self, mut incident: Incident) -> Result<Incident, RespondError> {
        let plan = self.decide(&incident).await;
        let slot = if plan.needs_slot() { self.slot(&incident.id).await } else { Slot::NotNeeded };
        let plan = approve(plan, &incident, slot).ok_or(RespondError::Released)?;
        self.contain(plan, &mut incident).await?;
        Ok(incident)
    }

    async fn decide(&self, incident: &Incident) -> Plan {
        let book = self.playbooks.of(incident.signal.incident_type);
        let now = self.clock.now();
        let first = decide(incident, book, &self.safety, &Facts::default(), now);
        let facts = self.facts(&first).await;
        decide(incident, book, &self.safety, &facts, now)
    }

    /// Reads the tags of what the plan would change.
    async fn facts(&self, plan: &Plan) -> Facts {
        let mut read: Vec<(Target, Tags)> = Vec::new();
        for step in &plan.steps {
            let acts = step.kind.changes()
                && matches!(step.disposition, Disposition::Run | Disposition::Approved | Disposition::Ask);
            let wanted = self.safety.protected_tag.is_some() && acts && has_tags(&step.target);
            if wanted && !read.iter().any(|(target, _)| *target == step.target) {
                read.push((step.target.clone(), self.tags(&step.target).await));
            }
        }
        Facts::of(read)
    }

    async fn tags(&self, target: &Target) -> Tags {
        let account = &self.account;
        let tags = match target {
            Target::User { name } => self.retry(|| account.user_tags(name), PortError::may_pass).await,
            Target::Role { name, .. } => self.retry(|| account.role_tags(name), PortError::may_pass).await,
            Target::Instance { id } => {
                self.retry(|| account.instance(id), PortError::may_pass).await.map(|found| found.tags)
            }
            Target::Function { name } => {
                self.retry(|| account.function_tags(name), PortError::may_pass).await
            }
            Target::Bucket { name } => self.retry(|| account.bucket_tags(name), PortError::may_pass).await,
            _ => return Tags::Unknown,
        };
        match tags {
            Ok(tags) => Tags::Known(tags),
            // What is not there is not protected, and the step will find that it is not there.
            Err(PortError::NotFound) => Tags::Known(BTreeMap::new()),
            Err(_) => Tags::Unknown,
        }
    }

    /// Without an answer there is no slot: containment asks.
    async fn slot(&self, id: &IncidentId) -> Slot {
        let (now, cap) = (self.clock.now(), self.safety.containments_per_hour);
        let asked = self.retry(|| self.store.reserve(id, now, CAP_WINDOW, cap), PortError::may_pass).await;
        asked.unwrap_or(Slot::Full)
    }

    /// Loads an incident that nobody works on.
    pub(crate) async fn take(&self, id: &IncidentId) -> Result<Incident, RespondError> {
        let found = self.retry(|| self.store.load(id), PortError::may_pass).await?;
        let incident = found.ok_or(RespondError::Unknown)?;
        if incident.is_leased(self.clock.now()) { Err(RespondError::Busy) } else { Ok(incident) }
    }
}

/// The name of a person, for the record.
pub(crate) fn named(by: &str) -> Result<&str, RespondError> {
    if by.is_empty() || by.len() > MAX_NAME { Err(RespondError::Unnamed) } else { Ok(by) }
}

/// What the cap counts in: the hour that ends now.
const CAP_WINDOW: SignedDuration = SignedDuration::from_hours(1);

const MAX_NAME: usize = 200;
