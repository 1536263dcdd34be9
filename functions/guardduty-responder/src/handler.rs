//! Event in, answer out.

use portcullis_base::Clock;
use portcullis_lambda::{Failure, Handler, Invocation, ProxyEvent, ProxyResponse, Reading, ResponsePorts};
use portcullis_response::{Band, Finding, Incident, Signal};
use serde_json::json;

use crate::event::Event;
use crate::schedule::{Upkeep, upkeep};
use crate::{Parts, api};

/// The GuardDuty responder over its adapters.
pub struct GuardDutyResponder<P: ResponsePorts>(Parts<P>);

impl<P: ResponsePorts> GuardDutyResponder<P> {
    /// The function, made of these parts.
    pub const fn new(parts: Parts<P>) -> Self {
        Self(parts)
    }

    /// What it is made of.
    pub const fn parts(&self) -> &Parts<P> {
        &self.0
    }

    /// Answers a finding: an EventBridge event, or its `detail` alone.
    ///
    /// # Errors
    /// When it cannot be read, or was not answered to its end: then it is to be delivered again.
    pub async fn receive(&self, event: &[u8]) -> Result<Incident, Failure> {
        let finding = Finding::parse(event).map_err(|error| {
            tracing::error!(bytes = event.len(), %error, "finding not read");
            UNREADABLE
        })?;
        self.emit(&[
            Reading::count("FindingsReceived", 1.0),
            Reading::count("SampleFindings", if finding.sample { 1.0 } else { 0.0 }),
        ]);
        if !finding.sample {
            self.count_severity(finding.band());
        }
        let signal = Signal::of_finding(&finding, &self.0.types, self.0.desk.responder.clock.now());
        let incident = self.0.desk.attend(&signal).await.map_err(|error| {
            tracing::error!(incident = signal.incident_id().as_str(), %error, "finding not answered to its end");
            UNANSWERED
        })?;
        tracing::info!(incident = incident.id.as_str(), status = %incident.status, "finding");
        Ok(incident)
    }

    /// Answers a request of the incident API.
    pub async fn answer(&self, event: &ProxyEvent<'_>) -> ProxyResponse {
        let answer = api::answer(&self.0, event).await;
        let status = answer.status.to_string();
        let now = self.0.desk.responder.clock.now();
        self.0.desk.metrics.emit(now, &[("Status", &status)], &[Reading::count("Requests", 1.0)]);
        answer
    }

    /// Lets blocks expire whose time is over, and carries on what a crash left.
    pub async fn upkeep(&self) -> Upkeep {
        upkeep(&self.0).await
    }

    fn count_severity(&self, band: Band) {
        let now = self.0.desk.responder.clock.now();
        self.0.desk.metrics.emit(
            now,
            &[("Severity", band.name())],
            &[Reading::count("FindingsBySeverity", 1.0)],
        );
    }

    fn emit(&self, readings: &[Reading]) {
        self.0.desk.metrics.emit(self.0.desk.responder.clock.now(), &[], readings);
    }
}

impl<P: ResponsePorts> Handler for GuardDutyResponder<P> {
    async fn handle(&self, event: &[u8], invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        self.0.deadline.set(invocation.deadline);
        match Event::parse(event) {
            Ok(Event::Request(request)) => Ok(self.answer(&request).await.to_json()),
            Ok(Event::Finding) => {
                let incident = self.receive(event).await?;
                Ok(json!({ "incident": incident.id, "status": incident.status }).to_string().into_bytes())
            }
            Ok(Event::Schedule) => {
                let done = self.upkeep().await;
                if done.failed > 0 { Err(UPKEEP) } else { Ok(json!(done).to_string().into_bytes()) }
            }
            Err(_) => {
                tracing::error!(bytes = event.len(), "event is no finding, schedule or request");
                Err(UNKNOWN_EVENT)
            }
        }
    }
}

const UNREADABLE: Failure =
    Failure { kind: "UnreadableFinding", message: "the event holds no GuardDuty finding that can be read" };
const UNANSWERED: Failure = Failure {
    kind: "ResponseIncomplete",
    message: "the finding was not answered to its end: it is to be delivered again",
};
const UPKEEP: Failure = Failure {
    kind: "UpkeepIncomplete",
    message: "not everything that is due could be done: it is tried again",
};
const UNKNOWN_EVENT: Failure =
    Failure { kind: "UnknownEvent", message: "the event is no finding, no schedule and no request" };
