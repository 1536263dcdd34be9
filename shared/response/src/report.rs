//! What an incident says of itself: what was done, what comes next, and how long each took.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::incident::{Incident, Status, StepStatus};

/// How long it took, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Durations {
    /// From the activity to the incident.
    pub to_detect: i64,
    /// From the incident to the first message.
    pub to_notify: Option<i64>,
    /// From the incident to the first containment.
    pub to_contain: Option<i64>,
    /// From the incident to its release.
    pub to_recover: Option<i64>,
}

/// How long it took.
pub fn durations(incident: &Incident) -> Durations {
    let times = &incident.times;
    let since = |at: Option<_>| at.map(|at| seconds(times.detected.duration_until(at)));
    Durations {
        to_detect: seconds(times.happened.duration_until(times.detected)),
        to_notify: since(times.notified),
        to_contain: since(times.contained),
        to_recover: since(times.released),
    }
}

/// What was done.
pub fn actions_taken(incident: &Incident) -> Vec<String> {
    let done = incident.steps.iter().flat_map(|step| step.changed.iter().cloned());
    let released = incident.steps.iter().filter(|step| step.status == StepStatus::Released);
    let undone = released.map(|step| format!("released {}: {}", step.target, step.kind.undone_by()));
    done.chain(undone).collect()
}

/// What people do next: what waits for them, what could not be done, and the playbook's advice.
pub fn next_steps(incident: &Incident) -> Vec<String> {
    let mut next = Vec::new();
    for step in &incident.steps {
        let what = step.kind.says();
        match step.status {
            StepStatus::AwaitingApproval => {
                next.push(format!("approve or decline: {what} ({}): {}", step.target, step.why));
            }
            StepStatus::Failed => {
                let why = step.failures.join("; ");
                next.push(format!("do by hand: {what} ({}): {why}", step.target));
            }
            StepStatus::Releasing => next.push(format!("restore by hand: {} ({})", step.target, step.why)),
            StepStatus::Refused if step.kind.contains() && !incident.signal.sample => {
                next.push(format!("not done: {what} ({}): {}", step.target, step.why));
            }
            _ => {}
        }
    }
    next.extend(incident.notes.iter().cloned());
    if incident.status != Status::Released && !incident.signal.sample {
        next.extend(incident.advice.iter().cloned());
    }
    next
}

/// A clock that stands a little behind another is no time before.
fn seconds(duration: SignedDuration) -> i64 {
    duration.as_secs().max(0)
}
