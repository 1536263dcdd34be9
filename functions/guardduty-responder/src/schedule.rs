//! What is done on schedule: blocks end when their time is over, and what a crash left is carried on.

use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::{AttendError, ResponsePorts};
use portcullis_response::{Incident, IncidentStore, RespondError};
use serde::Serialize;

use crate::Parts;

/// What was done on schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Upkeep {
    /// Incidents whose blocked addresses were let in again.
    pub expired: usize,
    /// Incidents that were carried on.
    pub resumed: usize,
    /// What failed: it is tried again the next time.
    pub failed: usize,
}

/// Lets blocks expire, then carries on what is unfinished, while there is time.
pub(crate) async fn upkeep<P: ResponsePorts>(parts: &Parts<P>) -> Upkeep {
    let mut done = Upkeep::default();
    let clock = &parts.desk.responder.clock;
    match parts.desk.expire(MAX_EXPIRED, || parts.deadline.left(clock.now()) >= MARGIN).await {
        Ok(expired) => {
            done.expired = expired.done.len();
            done.failed += expired.failed.len();
        }
        Err(error) => done.fail("expire", &error),
    }
    match parts.desk.responder.store.left(clock.now(), MAX_LEFT).await {
        Ok(incidents) => resume_all(parts, &incidents, &mut done).await,
        Err(error) => done.fail("left", &AttendError::Respond(RespondError::Store(error))),
    }
    done
}

async fn resume_all<P: ResponsePorts>(parts: &Parts<P>, incidents: &[Incident], done: &mut Upkeep) {
    let clock = &parts.desk.responder.clock;
    for incident in incidents.iter().filter(|incident| is_left(incident, clock.now())) {
        if incident.is_leased(clock.now()) || parts.deadline.left(clock.now()) < MARGIN {
            continue;
        }
        match parts.desk.resume(incident).await {
            Ok(_) => done.resumed += 1,
            // Somebody else was first.
            Err(AttendError::Respond(
                RespondError::Busy | RespondError::Conflict | RespondError::Released,
            )) => {}
            Err(error) => done.fail("resume", &error),
        }
    }
}

/// Whether whoever worked on it last did not come to the end, or its end is not on record.
fn is_left(incident: &Incident, now: Timestamp) -> bool {
    incident.is_unfinished(now) || !incident.is_recorded()
}

impl Upkeep {
    fn fail(&mut self, what: &'static str, error: &AttendError) {
        tracing::error!(what, %error, "not done on schedule");
        self.failed += 1;
    }
}

/// Lambda's own repetitions come before the schedule: few are left. Those that fail again and again stand last.
const MAX_LEFT: usize = 500;

const MAX_EXPIRED: usize = 100;

/// What carrying on an incident may take.
const MARGIN: std::time::Duration = std::time::Duration::from_secs(10);
