//! The audit trail of a Lambda: the table, and where there is one the bus.

use std::time::Duration;

use aws_config::SdkConfig;
use portcullis_audit::{Mirrored, TrailSettings};

use crate::{DynamoAudit, EventBridgeAudit};

/// The table, which decides whether an event is recorded, and a bus that follows it.
pub type AwsAudit = Mirrored<DynamoAudit, EventBridgeAudit>;

/// The sink under these settings. Each of the two takes at most two seconds: a request is waiting.
pub fn audit_sink(config: &SdkConfig, trail: TrailSettings) -> AwsAudit {
    let table = DynamoAudit::new(config, trail.table, TIMEOUT).with_retention(trail.retention);
    let bus = trail.bus.map(|bus| EventBridgeAudit::new(config, bus, TIMEOUT));
    Mirrored::new(table, bus, trail.on_bus_failure)
}

const TIMEOUT: Duration = Duration::from_secs(2);
