//! Incidents as the API shows them.

use portcullis_base::Timestamp;
use portcullis_detection::IncidentType;
use portcullis_response::{
    Band, Durations, Incident, IncidentId, NotReleased, Released, Status, actions_taken, durations,
    next_steps,
};
use serde::Serialize;

/// An incident in a list.
#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    id: &'a IncidentId,
    status: Status,
    incident_type: IncidentType,
    severity: Band,
    title: &'a str,
    account: &'a str,
    region: &'a str,
    count: u64,
    sample: bool,
    happened_at: Timestamp,
    detected_at: Timestamp,
}

/// A list of incidents.
#[derive(Serialize)]
pub(crate) struct Incidents<'a> {
    incidents: Vec<Summary<'a>>,
}

/// An incident, as it is kept, with what it says of itself.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    incident: &'a Incident,
    durations: Durations,
    actions_taken: Vec<String>,
    next_steps: Vec<String>,
}

/// What a release did.
#[derive(Serialize)]
pub(crate) struct ShownReleased<'a> {
    incident: Shown<'a>,
    not_released: &'a [NotReleased],
    remarks: &'a [String],
}

impl<'a> Incidents<'a> {
    pub(crate) fn of(incidents: &'a [Incident]) -> Self {
        Self { incidents: incidents.iter().map(Summary::of).collect() }
    }
}

impl<'a> Summary<'a> {
    pub(crate) fn of(incident: &'a Incident) -> Self {
        let signal = &incident.signal;
        Self {
            id: &incident.id,
            status: incident.status,
            incident_type: signal.incident_type,
            severity: signal.severity,
            title: &signal.title,
            account: &signal.account,
            region: &signal.region,
            count: signal.count,
            sample: signal.sample,
            happened_at: incident.times.happened,
            detected_at: incident.times.detected,
        }
    }
}

impl<'a> Shown<'a> {
    pub(crate) fn of(incident: &'a Incident) -> Self {
        Self {
            durations: durations(incident),
            actions_taken: actions_taken(incident),
            next_steps: next_steps(incident),
            incident,
        }
    }
}

impl<'a> ShownReleased<'a> {
    pub(crate) fn of(released: &'a Released) -> Self {
        Self {
            incident: Shown::of(&released.incident),
            not_released: &released.not_released,
            remarks: &released.remarks,
        }
    }
}
