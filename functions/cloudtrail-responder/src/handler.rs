//! Event in, answer out.

use portcullis_base::Clock;
use portcullis_detection::records;
use portcullis_lambda::{Failure, Handler, Invocation, Reading};
use portcullis_response::Incident;
use serde_json::{Value, json};

use crate::audit::{self, Audited};
use crate::event::is_schedule;
use crate::judge::{self, Received};
use crate::{Parts, Ports};

/// The CloudTrail responder over its adapters.
pub struct CloudTrailResponder<P: Ports>(Parts<P>);

impl<P: Ports> CloudTrailResponder<P> {
    /// The function, made of these parts.
    pub const fn new(parts: Parts<P>) -> Self {
        Self(parts)
    }

    /// What it is made of.
    pub const fn parts(&self) -> &Parts<P> {
        &self.0
    }

    /// Judges what `input` holds (an EventBridge envelope, a log file, an array or lines of records) and answers every
    /// hit. Input of more than 32 MB counts as one record that cannot be read.
    pub async fn receive(&self, input: &[u8]) -> Received {
        let received = if input.len() > MAX_INPUT {
            tracing::warn!(bytes = input.len(), "input too large");
            Received { unreadable: 1, ..Received::default() }
        } else {
            judge::receive(&self.0, records(input)).await
        };
        self.emit(&readings(&received));
        received
    }

    /// Reads what CloudTrail's history has of each region since the last time, and treats it as if it had been
    /// delivered. Stops before the invocation ends, and goes on from there the next time.
    pub async fn audit(&self) -> Audited {
        let audited = audit::audit(&self.0).await;
        let mut all = readings(&audited.received);
        all.push(Reading::count(
            "AuditEventsRead",
            count(audited.received.judged + audited.received.unreadable),
        ));
        if let Some(lag) = audited.regions.iter().map(|region| region.behind.as_secs()).max() {
            all.push(Reading::seconds("AuditLag", count(usize::try_from(lag).unwrap_or(usize::MAX))));
        }
        self.emit(&all);
        audited
    }

    fn emit(&self, readings: &[Reading]) {
        self.0.desk.metrics.emit(self.0.desk.responder.clock.now(), &[], readings);
    }
}

impl<P: Ports> Handler for CloudTrailResponder<P> {
    async fn handle(&self, event: &[u8], invocation: &Invocation) -> Result<Vec<u8>, Failure> {
        self.0.deadline.set(invocation.deadline);
        if is_schedule(event) {
            let audited = self.audit().await;
            return if audited.is_complete() { Ok(audit_answer(&audited)) } else { Err(AUDIT) };
        }
        let received = self.receive(event).await;
        if received.unanswered + received.damaged > 0 {
            Err(UNANSWERED)
        } else if received.judged == 0 {
            // It stands in no log: after two more tries it is in the queue of the undelivered, where it can be looked at.
            Err(UNREADABLE)
        } else {
            Ok(to_bytes(&answer(&received)))
        }
    }
}

fn readings(received: &Received) -> Vec<Reading> {
    vec![
        Reading::count("EventsJudged", count(received.judged)),
        Reading::count("DetectionHits", count(received.hits)),
        Reading::count("UnreadableRecords", count(received.unreadable)),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts of one invocation")]
const fn count(n: usize) -> f64 {
    n as f64
}

fn answer(received: &Received) -> Value {
    json!({
        "judged": received.judged,
        "hits": received.hits,
        "unreadable": received.unreadable,
        "incidents": received.incidents.iter().take(MAX_LISTED).map(summary).collect::<Vec<_>>(),
    })
}

fn summary(incident: &Incident) -> Value {
    json!({ "id": incident.id, "status": incident.status, "title": incident.signal.title })
}

fn audit_answer(audited: &Audited) -> Vec<u8> {
    let mut answer = answer(&audited.received);
    let regions = audited.regions.iter().map(|region| {
        json!({ "region": region.region, "pages": region.pages, "behind_seconds": region.behind.as_secs() })
    });
    if let Some(members) = answer.as_object_mut() {
        members.insert("regions".to_owned(), regions.collect());
    }
    to_bytes(&answer)
}

fn to_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// EventBridge delivers at most 256 KB; the local stack takes whole log files.
const MAX_INPUT: usize = 32 * 1024 * 1024;

/// Incidents in an answer: nobody reads it but tests and the local stack.
const MAX_LISTED: usize = 100;

const UNANSWERED: Failure = Failure {
    kind: "ResponseIncomplete",
    message: "a hit was not answered to its end: the event is to be delivered again",
};
const UNREADABLE: Failure =
    Failure { kind: "UnreadableEvent", message: "the event holds no CloudTrail record that can be read" };
const AUDIT: Failure = Failure {
    kind: "AuditIncomplete",
    message: "the history of a region could not be read or answered: the next audit goes on from there",
};
