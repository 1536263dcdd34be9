//! From records to incidents.

use portcullis_base::Clock;
use portcullis_detection::{Hit, JudgeError, Record, RecordError, StateError, Unreadable, Verdict};
use portcullis_response::{Incident, Signal};

use crate::{Parts, Ports};

/// What became of records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Received {
    /// How many records were judged.
    pub judged: usize,
    /// How many could not be read: each may hide something, and is logged without its content.
    pub unreadable: usize,
    /// How many hits there were.
    pub hits: usize,
    /// The incidents of the hits that were answered.
    pub incidents: Vec<Incident>,
    /// What was not answered to its end and is to come again: hits, and records whose correlation is not known.
    pub unanswered: usize,
    /// Hits whose incident is kept, and cannot be read: coming again does not help them, an operator does.
    pub damaged: usize,
}

impl Received {
    /// Counts what was received besides.
    pub(crate) fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.unreadable += other.unreadable;
        self.hits += other.hits;
        self.incidents.extend(other.incidents);
        self.unanswered += other.unanswered;
        self.damaged += other.damaged;
    }
}

/// Judges records and answers every hit. One that fails stops none of the others.
pub(crate) async fn receive<'r, P: Ports>(
    parts: &Parts<P>,
    records: impl Iterator<Item = Result<Record<'r>, Unreadable>> + Send,
) -> Received {
    let mut received = Received::default();
    for record in records {
        // A record is not shared between threads: it is done with before anything is waited for.
        let verdict = match record {
            Ok(record) => verdict(parts, &record),
            Err(unreadable) => {
                tracing::warn!(at = unreadable.at, reason = word(&unreadable.reason), "record not read");
                None
            }
        };
        match verdict {
            Some(verdict) => {
                received.judged += 1;
                answer(parts, verdict, &mut received).await;
            }
            None => received.unreadable += 1,
        }
    }
    received
}

/// `None` where the record cannot be judged.
fn verdict<P: Ports>(parts: &Parts<P>, record: &Record<'_>) -> Option<Verdict> {
    match parts.detector.judge(record, parts.desk.responder.clock.now()) {
        Ok(verdict) => Some(verdict),
        Err(JudgeError::Unreadable { event_id, .. }) => {
            let event_id: String = event_id.chars().filter(char::is_ascii_graphic).take(MAX_ID).collect();
            tracing::warn!(event_id, reason = "an inner part is no JSON", "record not judged");
            None
        }
        Err(JudgeError::State(_)) => None,
    }
}

/// What is seen in the record alone is answered even where correlation cannot remember.
async fn answer<P: Ports>(parts: &Parts<P>, verdict: Verdict, received: &mut Received) {
    for hit in verdict.hits {
        answer_hit(parts, &hit, received).await;
    }
    match parts.detector.correlate(verdict.pending, &parts.correlation).await {
        Ok(hits) => {
            for hit in hits {
                answer_hit(parts, &hit, received).await;
            }
        }
        Err(StateError(reason)) => {
            tracing::error!(reason, "correlation cannot remember");
            received.unanswered += 1;
        }
    }
}

async fn answer_hit<P: Ports>(parts: &Parts<P>, hit: &Hit, received: &mut Received) {
    received.hits += 1;
    let signal = Signal::of_hit(hit);
    match parts.desk.attend(&signal).await {
        Ok(incident) => {
            tracing::info!(rule = hit.rule, incident = incident.id.as_str(), status = %incident.status, "hit");
            received.incidents.push(incident);
        }
        Err(error) => {
            let incident = signal.incident_id();
            tracing::error!(rule = hit.rule, incident = incident.as_str(), %error, "hit not answered to its end");
            if error.is_for_an_operator() {
                received.damaged += 1;
            } else {
                received.unanswered += 1;
            }
        }
    }
}

/// Why, in fixed words: what a parser says may hold what it read.
const fn word(reason: &RecordError) -> &'static str {
    match reason {
        RecordError::Malformed(_) => "no CloudTrail record",
        RecordError::Missing(member) => member,
        RecordError::Time => "eventTime is no time",
        RecordError::TooLarge => "too large",
        RecordError::OtherEvent(_) => "an event of another kind",
    }
}

/// An event's id is a UUID.
const MAX_ID: usize = 64;
