//! Going from what is there to what is wanted, one change at a time, and reading after each.
//!
//! The same loop contains and releases. It needs no memory of what it did: an answer that got lost, a crash, a repeat are
//! all settled by the next read. It is bounded in everything.

use std::future::Future;

use portcullis_base::{Clock, Timestamp};

use crate::change::{Change, back, needed};
use crate::incident::{Incident, IncidentId, Owed, Step, StepStatus};
use crate::notification::{Phase, message};
use crate::perform::perform;
use crate::ports::{Account, Notifier, PortError, PortResult, Wait};
use crate::read::read;
use crate::respond::{RespondError, Responder};
use crate::state::State;
use crate::step::StepKind;
use crate::store::{CapStore, Holds, IncidentStore, Saved};
use crate::target::Target;

/// Which way.
#[derive(Clone, Copy)]
pub(crate) enum Way<'s> {
    /// To what the step wants: since when, and what is recorded of it. Stops where something appears that is not
    /// recorded yet.
    There(Timestamp, &'s State),
    /// To what was recorded.
    Back(&'s State),
}

/// How the loop ended.
pub(crate) struct Settled {
    /// What was read last.
    pub(crate) current: State,
    /// What could not be done, and why; empty when everything is as wanted.
    pub(crate) failures: Vec<String>,
}

impl<A, S, N, C, W> Responder<A, S, N, C, W>
where
    A: Account,
    S: IncidentStore + Holds + CapStore,
    N: Notifier,
    C: Clock,
    W: Wait,
{
    /// Reads, bounded in tries. What is not found is asked for again: it may just have been made.
    pub(crate) async fn observe(
        &self,
        kind: StepKind,
        target: &Target,
        id: &IncidentId,
    ) -> PortResult<State> {
        self.retry(|| read(&self.account, kind, target, id), |e| e.may_pass() || *e == PortError::NotFound)
            .await
    }

    /// Makes what is missing, from `current` on, until nothing is or the rest cannot be done.
    pub(crate) async fn settle(
        &self,
        kind: StepKind,
        target: &Target,
        id: &IncidentId,
        way: Way<'_>,
        mut current: State,
    ) -> PortResult<Settled> {
        let mut tries = Tries::default();
        for _ in 0..MAX_ROUNDS {
            let wanted = match way {
                Way::There(_, recorded) if recorded.widened(&current).is_some() => {
                    return Ok(Settled { current, failures: Vec::new() });
                }
                Way::There(started, _) => needed(kind, target, id, started, &current),
                Way::Back(recorded) => back(kind, target, id, recorded, &current),
            };
            match tries.next(&wanted) {
                Next::Nothing => return Ok(Settled { current, failures: tries.failures(&wanted) }),
                Next::Look(attempt) => self.wait.pause(attempt).await,
                Next::Make(change) => {
                    let answer = perform(&self.account, &change, &current).await;
                    if let Some(attempt) = tries.answered(change, answer) {
                        self.wait.pause(attempt).await;
                    }
                }
            }
            current = self.observe(kind, target, id).await?;
        }
        let failures = vec![format!("not settled after {MAX_ROUNDS} changes")];
        Ok(Settled { current, failures })
    }

    /// Writes the incident, if nobody else did. An answer that got lost is settled by reading.
    pub(crate) async fn save(&self, incident: &mut Incident, keep_lease: bool) -> Result<(), RespondError> {
        let expected = incident.revision;
        incident.revision = expected.saturating_add(1);
        if keep_lease {
            incident.take_lease(self.clock.now());
        } else {
            incident.lease = None;
        }
        let mut last = PortError::Timeout;
        for attempt in 1..=MAX_TRIES {
            match self.store.save(incident, expected).await {
                Ok(Saved::Yes) => return Ok(()),
                Ok(Saved::Conflict) if attempt == 1 => return Err(RespondError::Conflict),
                Ok(Saved::Conflict) => {
                    let stored = self.retry(|| self.store.load(&incident.id), PortError::may_pass).await?;
                    let ours = stored.as_ref() == Some(&*incident);
                    return if ours { Ok(()) } else { Err(RespondError::Conflict) };
                }
                Err(error) if error.may_pass() => last = error,
                Err(error) => return Err(error.into()),
            }
            self.wait.pause(attempt).await;
        }
        Err(last.into())
    }

    /// Sends a message of this round, once. Whether it was taken; why not, otherwise.
    pub(crate) async fn tell(&self, incident: &mut Incident, phase: Phase) -> Result<(), PortError> {
        let key = (incident.round, phase);
        if incident.notified.contains(&key) {
            incident.owed.take_if(|owed| owed.phase == phase);
            return Ok(());
        }
        let message = message(incident, phase);
        let sent = self.retry(|| self.notifier.send(&message), PortError::may_pass).await;
        let now = self.clock.now();
        if let Err(error) = sent {
            let since = incident.owed.map_or(now, |owed| owed.since);
            incident.owed = Some(Owed { phase, since });
            return Err(error);
        }
        incident.notified.insert(key);
        // Every message tells of the incident as it stands: whoever took one knows what the lost ones said.
        incident.owed = None;
        for step in incident.steps.iter_mut().filter(|step| step.kind == StepKind::Notify) {
            if step.status == StepStatus::Failed {
                (step.status, step.failures) = (StepStatus::Done, Vec::new());
            }
        }
        incident.times.notified.get_or_insert(now);
        incident.log(now, format!("notified: {}", phase.name()));
        Ok(())
    }

    /// Calls again, bounded, while the error is one of those.
    pub(crate) async fn retry<T, F: Future<Output = PortResult<T>>>(
        &self,
        call: impl Fn() -> F,
        again: impl Fn(&PortError) -> bool,
    ) -> PortResult<T> {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if again(&error) && attempt < MAX_TRIES => {
                    self.wait.pause(attempt).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }
}

impl PortError {
    /// Whether the same call may succeed a little later.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled | Self::Timeout | Self::Conflict)
    }
}

/// What became of each change so far.
#[derive(Default)]
struct Tries(Vec<Try>);

struct Try {
    change: Change,
    /// Answers that may pass, or reads after an accepted answer that did not show it.
    attempts: u32,
    accepted: bool,
    /// How often to look before making it again: without an answer it may have had its effect, and be seen late.
    looks: u32,
    /// Why it is not tried again.
    given_up: Option<String>,
}

enum Next {
    /// Everything is done or given up.
    Nothing,
    /// The change was accepted and is not seen yet.
    Look(u32),
    /// Make this one.
    Make(Change),
}

impl Tries {
    fn next(&mut self, wanted: &[Change]) -> Next {
        for change in wanted {
            let Some(tried) = self.0.iter_mut().find(|tried| tried.change == *change) else {
                return Next::Make(change.clone());
            };
            if tried.given_up.is_some() {
                continue;
            }
            if !tried.accepted && tried.looks > 0 {
                tried.looks -= 1;
                return Next::Look(LOOKS_WITHOUT_ANSWER - tried.looks);
            }
            if !tried.accepted {
                return Next::Make(change.clone());
            }
            tried.attempts += 1;
            if tried.attempts < MAX_LOOKS {
                return Next::Look(tried.attempts);
            }
            tried.given_up = Some("accepted, but not seen when read again".to_owned());
        }
        Next::Nothing
    }

    /// Takes an answer in. How long to wait before the next read, where it makes sense to.
    fn answered(&mut self, change: Change, answer: PortResult<()>) -> Option<u32> {
        let position = self.0.iter().position(|tried| tried.change == change).unwrap_or(self.0.len());
        if position == self.0.len() {
            self.0.push(Try { change, attempts: 0, accepted: false, looks: 0, given_up: None });
        }
        let tried = self.0.get_mut(position)?;
        match answer {
            Ok(()) => {
                (tried.accepted, tried.attempts) = (true, 0);
                None
            }
            Err(error) if error.may_pass() => {
                tried.attempts += 1;
                tried.looks = if error == PortError::Timeout { LOOKS_WITHOUT_ANSWER } else { 0 };
                if tried.attempts >= MAX_TRIES {
                    tried.given_up = Some(error.to_string());
                }
                Some(tried.attempts)
            }
            Err(error) => {
                tried.given_up = Some(error.to_string());
                None
            }
        }
    }

    fn failures(&self, wanted: &[Change]) -> Vec<String> {
        let given_up =
            |change: &Change| self.0.iter().find(|tried| tried.change == *change)?.given_up.clone();
        wanted
            .iter()
            .filter_map(|change| given_up(change).map(|why| format!("not {change}: {why}")))
            .collect()
    }
}

/// What a step has changed, for people: from its record to what was read last.
pub(crate) fn achieved(step: &Step, id: &IncidentId, current: &State) -> Vec<String> {
    let (Some(before), Some(started)) = (&step.before, step.started_at) else { return Vec::new() };
    if let (
        State::Groups { interfaces, .. },
        State::Groups { interfaces: now, isolated: Some(isolated), .. },
    ) = (before, current)
    {
        let cut_off =
            |interface: &String| now.get(interface).is_some_and(|groups| *groups == [isolated.id.clone()]);
        return interfaces
            .iter()
            .filter(|(interface, was)| cut_off(interface) && **was != [isolated.id.clone()])
            .map(|(interface, _)| format!("isolated interface {interface} of {}", step.target))
            .collect();
    }
    let missing = needed(step.kind, &step.target, id, started, current);
    needed(step.kind, &step.target, id, started, before)
        .iter()
        .filter(|change| !missing.contains(change))
        .map(ToString::to_string)
        .collect()
}

/// How often a call is tried.
const MAX_TRIES: u32 = 5;

/// How often it is looked whether an accepted change is seen.
const MAX_LOOKS: u32 = 6;

/// How often it is looked for the effect of a call that gave no answer, before it is made again.
const LOOKS_WITHOUT_ANSWER: u32 = 3;

/// Reads of one step: more than any takes, with 32 interfaces and every call tried as often as it may be.
const MAX_ROUNDS: usize = 500;
