//! What the function is made of.

use std::time::Duration;

use portcullis_detection::{CorrelationState, Detector, EventHistory, ProgressStore};
use portcullis_lambda::{Deadline, IncidentDesk, ResponsePorts, Rest};

/// The adapters that the function runs on, beside those of every responder.
pub trait Ports: ResponsePorts {
    /// What correlation rules remember.
    type Correlation: CorrelationState;
    /// CloudTrail's own history.
    type History: EventHistory;
    /// How far the audit came.
    type Progress: ProgressStore;
    /// Pauses between requests to CloudTrail.
    type Rest: Rest;
}

/// The function's parts, wired.
pub struct Parts<P: Ports> {
    /// Answers incidents.
    pub desk: IncidentDesk<P>,
    /// Rules and context.
    pub detector: Detector,
    /// What correlation rules remember.
    pub correlation: P::Correlation,
    /// CloudTrail's own history.
    pub history: P::History,
    /// How far the audit came.
    pub progress: P::Progress,
    /// Pauses between requests to CloudTrail.
    pub rest: P::Rest,
    /// When the invocation ends: the same that [`Ports::Rest`] and the responder's waiting go by.
    pub deadline: Deadline,
    /// What the audit reads.
    pub audit: AuditSettings,
}

/// What the scheduled audit reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The regions whose history is read.
    pub regions: Vec<String>,
    /// How far back the first audit of a region begins.
    pub lookback: Duration,
}
