//! The desk at which incidents are answered, for both responders: each answer with its metrics, and on record.

use portcullis_audit::{AuditSink, AuditUnavailable, Auditor, Kind, SecurityEvent};
use portcullis_base::Clock;
use portcullis_response::{
    Account, CapStore, Expired, Holds, Incident, IncidentId, IncidentStore, Notifier, PortError, PortResult,
    Released, RespondError, Responder, Saved, Signal, Source, Wait,
};

use crate::incidents::{Work, about, event};
use crate::{Caller, Metrics, Reading};

/// The adapters that a responder runs on.
pub trait ResponsePorts: Send + Sync + 'static {
    /// The account that is acted on.
    type Account: Account;
    /// Incidents, holds and the cap.
    type Store: IncidentStore + Holds + CapStore;
    /// Where people and systems are told.
    type Notifier: Notifier;
    /// Where security events are kept.
    type Audit: AuditSink;
    /// The time.
    type Clock: Clock;
    /// Waiting.
    type Wait: Wait;
}

/// A responder over these ports.
pub type ResponderOf<P> = Responder<
    <P as ResponsePorts>::Account,
    <P as ResponsePorts>::Store,
    <P as ResponsePorts>::Notifier,
    <P as ResponsePorts>::Clock,
    <P as ResponsePorts>::Wait,
>;

/// Answers signals, and does what operators ask. What is opened, approved, and to be released is on record before it is
/// done; what became of it, before it is answered. What could not be recorded fails the answer, and is recorded when the
/// signal or the request comes again, or on schedule: the incident itself says what the trail has of it. A record whose
/// mark got lost is there twice.
pub struct IncidentDesk<P: ResponsePorts> {
    /// Decides and acts.
    pub responder: ResponderOf<P>,
    /// Keeps the trail.
    pub auditor: Auditor<P::Audit, P::Clock>,
    /// Where metrics go.
    pub metrics: Metrics,
}

/// Who asks, and from where: for the trail.
#[derive(Debug, Clone, Copy)]
pub struct Requester<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The address that connected; empty where there is none.
    pub address: &'a str,
    /// The id of the request; empty where there is none.
    pub request_id: &'a str,
    /// `POST /incidents/{id}/approve`, or the command.
    pub operation: &'a str,
}

/// Why an incident was not answered to its end: the signal, or the request, is to come again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttendError {
    /// The response did not come to its end.
    #[error(transparent)]
    Respond(#[from] RespondError),
    /// It could not be recorded.
    #[error("not recorded in the audit trail")]
    Unrecorded,
}

impl AttendError {
    /// Whether it fails in the same way each time, until an operator has seen to what is kept of the incident.
    pub const fn is_for_an_operator(&self) -> bool {
        matches!(self, Self::Respond(RespondError::Store(PortError::Unreadable)))
    }
}

impl From<AuditUnavailable> for AttendError {
    fn from(_: AuditUnavailable) -> Self {
        Self::Unrecorded
    }
}

impl<P: ResponsePorts> IncidentDesk<P> {
    /// Answers a signal. A finding that comes again is counted; a hit that comes again is the same event, whoever
    /// delivers it, and is no news: only what a crash left is carried on.
    ///
    /// # Errors
    /// See [`AttendError`]. The signal is to be delivered again.
    pub async fn attend(&self, signal: &Signal) -> Result<Incident, AttendError> {
        let before = self.incident(&signal.incident_id()).await?;
        if before.is_none() {
            self.auditor.record(about(Kind::IncidentOpened, signal)).await?;
        }
        let after = match (&before, &signal.source) {
            (Some(known), Source::Hit { .. }) => self.responder.resume(&known.id).await,
            _ => self.responder.respond(signal).await,
        };
        self.conclude(before.as_ref(), after, None).await
    }

    /// An incident; `None` where there is none of that id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn incident(&self, id: &IncidentId) -> Result<Option<Incident>, AttendError> {
        let mut attempt = 1;
        loop {
            match self.responder.store.load(id).await {
                Err(error) if may_pass(&error) && attempt < MAX_TRIES => {
                    self.responder.wait.pause(attempt).await;
                    attempt += 1;
                }
                answer => return Ok(failed(answer).inspect_err(|error| self.failure(error))?),
            }
        }
    }

    /// Lets what waits run, on somebody's word. `seen` is the revision that was shown to them, where they named it.
    ///
    /// # Errors
    /// See [`AttendError`].
    pub async fn approve(
        &self,
        id: &IncidentId,
        by: &Requester<'_>,
        seen: Option<u64>,
    ) -> Result<Incident, AttendError> {
        let before = self.known(id).await?;
        self.auditor.record(by.on(event(Kind::IncidentApproved, &before))).await?;
        let after = self.responder.approve(id, &by.caller.id, seen).await;
        self.conclude(Some(&before), after, Some(by)).await
    }

    /// Undoes what was done, on somebody's word.
    ///
    /// # Errors
    /// See [`AttendError`]. What cannot be restored is no error: the answer says so.
    pub async fn release(&self, id: &IncidentId, by: &Requester<'_>) -> Result<Released, AttendError> {
        let before = self.known(id).await?;
        self.auditor.record(by.on(event(Kind::IncidentReleaseAsked, &before))).await?;
        match self.responder.release(id, &by.caller.id).await {
            Ok(released) => {
                let incident = self.conclude(Some(&before), Ok(released.incident), Some(by)).await?;
                Ok(Released { incident, ..released })
            }
            Err(error) => {
                self.failure(&error);
                Err(error.into())
            }
        }
    }

    /// Lets in again the addresses whose time is over: of at most `limit` incidents, and while `go_on` says so. What of
    /// it could not be recorded is when the incident is carried on.
    ///
    /// # Errors
    /// When the store does not say which incidents are due, or something could not be recorded.
    pub async fn expire(
        &self,
        limit: usize,
        go_on: impl Fn() -> bool + Send,
    ) -> Result<Expired, AttendError> {
        let expired = self.responder.expire_while(limit, go_on).await;
        let expired = expired.inspect_err(|error| self.failure(error))?;
        expired.failed.iter().for_each(|(_, error)| self.failure(error));
        let mut recorded = Ok(());
        for id in &expired.done {
            if let Some(incident) = self.incident(id).await? {
                recorded =
                    recorded.and(self.conclude(Some(&incident), Ok(incident.clone()), None).await.map(drop));
            }
        }
        recorded.map(|()| expired)
    }

    /// Carries on what a crash left.
    ///
    /// # Errors
    /// See [`AttendError`].
    pub async fn resume(&self, before: &Incident) -> Result<Incident, AttendError> {
        let after = self.responder.resume(&before.id).await;
        self.conclude(Some(before), after, None).await
    }

    async fn known(&self, id: &IncidentId) -> Result<Incident, AttendError> {
        self.incident(id).await?.ok_or(AttendError::Respond(RespondError::Unknown))
    }

    /// Tells what became of it.
    async fn conclude(
        &self,
        before: Option<&Incident>,
        after: Result<Incident, RespondError>,
        by: Option<&Requester<'_>>,
    ) -> Result<Incident, AttendError> {
        let after = after.inspect_err(|error| self.failure(error))?;
        let work = Work::new(before, &after);
        self.metrics.emit(self.responder.clock.now(), &[], &work.readings());
        let of = |event: SecurityEvent| match by {
            Some(by) => by.on(event),
            None => event,
        };
        let events: Vec<SecurityEvent> = work.events().into_iter().map(of).collect();
        if !events.is_empty() {
            self.auditor.record_all(&events).await?;
        }
        Ok(self.mark(after).await)
    }

    /// Says in the incident what the trail has of it. Where that fails it is recorded once more.
    async fn mark(&self, incident: Incident) -> Incident {
        if incident.is_recorded() || incident.lease.is_some() {
            return incident;
        }
        let revision = incident.revision.saturating_add(1);
        let marked = Incident { recorded: Some(incident.to_record()), revision, ..incident.clone() };
        match self.responder.store.save(&marked, incident.revision).await {
            Ok(Saved::Yes) => marked,
            Ok(Saved::Conflict) | Err(_) => incident,
        }
    }

    /// That somebody else is at it, or that there is no such incident, is no failure of ours.
    fn failure(&self, error: &RespondError) {
        tracing::warn!(%error, "response not at its end");
        if matches!(error, RespondError::Store(_)) {
            self.metrics.emit(self.responder.clock.now(), &[], &[Reading::count("ResponseFailures", 1.0)]);
        }
    }
}

impl Requester<'_> {
    /// An event that came about at its request.
    pub fn on(&self, event: SecurityEvent) -> SecurityEvent {
        event
            .actor(&self.caller.id)
            .roles(&self.caller.roles)
            .source(self.address)
            .request_id(self.request_id)
            .operation(self.operation)
    }
}

fn failed<T>(answer: PortResult<T>) -> Result<T, RespondError> {
    answer.map_err(RespondError::Store)
}

const fn may_pass(error: &PortError) -> bool {
    matches!(error, PortError::Throttled | PortError::Timeout | PortError::Conflict)
}

const MAX_TRIES: u32 = 5;
