//! One resource, several incidents: what one of them lets go stays contained for the others, and what it recorded goes to
//! one of them. So the last one that is released restores what was there before the first, in whatever order they are.

use portcullis_base::Clock;

use crate::incident::{Incident, IncidentId, Step, StepStatus};
use crate::ports::{Account, Notifier, PortError, Wait};
use crate::respond::{RespondError, Responder};
use crate::state::State;
use crate::store::{CapStore, Holds, IncidentStore, Saved};

/// Another incident at the resource of a step.
pub(crate) enum Fellow {
    /// There is none.
    None,
    /// This one is being worked on: what it has on record may change this moment.
    Busy(IncidentId),
    /// This one has something on record that is not undone.
    Holds(IncidentId),
}

/// What is handed over to a fellow.
pub(crate) struct Legacy<'a> {
    /// The step that lets go, of this incident.
    pub(crate) of: (&'a IncidentId, &'a Step),
    /// What is there now.
    pub(crate) current: &'a State,
    /// Whether something may have been restored already, so that the fellow has to look again.
    pub(crate) disturbed: bool,
}

impl<A, S, N, C, W> Responder<A, S, N, C, W>
where
    A: Account,
    S: IncidentStore + Holds + CapStore,
    N: Notifier,
    C: Clock,
    W: Wait,
{
    /// Another incident that holds what the step holds: the nearest before it, else after it. One that took hold and has
    /// nothing on record, or has undone it, does not count: a crash, or a later decision, left that.
    pub(crate) async fn fellow(&self, step: &Step, id: &IncidentId) -> Result<Fellow, RespondError> {
        let resource = step.resource();
        let holders = self.retry(|| self.store.holders(&resource), PortError::may_pass).await?;
        let own = holders.iter().position(|holder| holder == id).unwrap_or(holders.len());
        let (before, after) = (holders.iter().take(own).rev(), holders.iter().skip(own.saturating_add(1)));
        for other in before.chain(after) {
            let found = self.retry(|| self.store.load(other), PortError::may_pass).await?;
            let Some(incident) = found else { continue };
            let Some(theirs) = same(&incident, step) else { continue };
            let recorded = theirs.is_open() && theirs.before.is_some();
            if incident.is_leased(self.clock.now()) && (recorded || theirs.status == StepStatus::Planned) {
                return Ok(Fellow::Busy(other.clone()));
            }
            if recorded {
                return Ok(Fellow::Holds(other.clone()));
            }
        }
        Ok(Fellow::None)
    }

    /// Puts what the step recorded into the fellow's record. Whether it is there: not while somebody works on it. Doing
    /// it again changes nothing, so an answer that got lost, or a crash, is settled by doing it again.
    pub(crate) async fn hand_over(
        &self,
        legacy: &Legacy<'_>,
        fellow: &IncidentId,
    ) -> Result<bool, RespondError> {
        for attempt in 1..=MAX_TRIES {
            let found = self.retry(|| self.store.load(fellow), PortError::may_pass).await?;
            let Some(stored) = found else { return Ok(false) };
            if stored.is_leased(self.clock.now()) {
                return Ok(false);
            }
            let mut changed = stored.clone();
            if !legacy.put_into(&mut changed) {
                return Ok(false);
            }
            if changed == stored {
                return Ok(true);
            }
            let (id, step) = legacy.of;
            let now = self.clock.now();
            changed.log(now, format!("{} {}: took over what {id} recorded", step.kind, step.target));
            changed.status = changed.standing();
            changed.revision = stored.revision.saturating_add(1);
            match self.store.save(&changed, stored.revision).await {
                Ok(Saved::Yes) => return Ok(true),
                Ok(Saved::Conflict) => {}
                Err(error) if error.may_pass() => {}
                Err(error) => return Err(error.into()),
            }
            self.wait.pause(attempt).await;
        }
        Ok(false)
    }
}

impl Legacy<'_> {
    /// Whether the incident has a record that it can be put into.
    fn put_into(&self, incident: &mut Incident) -> bool {
        let (_, step) = self.of;
        let Some(theirs) = incident.steps.iter_mut().find(|theirs| is_same(theirs, step) && theirs.is_open())
        else {
            return false;
        };
        let (Some(mine), Some(recorded)) = (&step.before, &theirs.before) else { return false };
        let ours_first = step.started_at <= theirs.started_at;
        let (earlier, later) = if ours_first { (mine, recorded) } else { (recorded, mine) };
        let joined = earlier.joined(later, self.current);
        theirs.before = Some(recorded.with_shared(&joined));
        if self.disturbed && theirs.status == StepStatus::Done {
            theirs.status = StepStatus::Running;
        }
        true
    }
}

fn same<'a>(incident: &'a Incident, step: &Step) -> Option<&'a Step> {
    incident.steps.iter().find(|theirs| is_same(theirs, step))
}

fn is_same(one: &Step, other: &Step) -> bool {
    one.kind == other.kind && one.target == other.target
}

/// How often a write that somebody else was faster at is tried.
const MAX_TRIES: u32 = 5;
