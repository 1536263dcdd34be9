//! Where an audit trail leads, as settings.

use std::time::Duration;

use crate::MirrorFailure;

/// A table that decides whether an event is recorded, and a bus that may follow it.
#[derive(Debug, Clone)]
pub struct TrailSettings {
    /// Name or ARN of the table.
    pub table: String,
    /// How long its records are kept; for ever where absent.
    pub retention: Option<Duration>,
    /// Name or ARN of the bus.
    pub bus: Option<String>,
    /// What happens when the bus alone fails.
    pub on_bus_failure: MirrorFailure,
}
