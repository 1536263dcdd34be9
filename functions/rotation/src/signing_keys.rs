//! What the schedule does for the signing keys.

use portcullis_audit::{AuditUnavailable, Kind, SecurityEvent};
use portcullis_lambda::Invocation;
use portcullis_token::{KeeperError, RingChange};

use crate::{Parts, Ports};

/// Publishes and destroys what is due, and tells what was done.
pub(crate) async fn advance<P: Ports>(parts: &Parts<P>) -> Result<Vec<RingChange>, KeeperError> {
    parts.keeper.advance().await
}

/// Records what the ring owes to the audit trail: what was done now, and what was done before and is not on record, as the
/// first keys, which a request makes. What is recorded and cannot be told to the ring is recorded again the next time.
pub(crate) async fn record<P: Ports>(
    parts: &Parts<P>,
    done: &[RingChange],
    invocation: &Invocation,
) -> Result<(), RecordError> {
    let owed = parts.keeper.unrecorded().await?;
    let events: Vec<_> =
        events(&owed, done).into_iter().map(|event| event.request_id(&invocation.request_id)).collect();
    if !events.is_empty() {
        parts.auditor.record_all(&events).await?;
        parts.keeper.recorded(&owed).await?;
    }
    Ok(())
}

/// The events of these changes: a rotation, if a key was published, and each key's own.
fn events(changes: &[RingChange], done: &[RingChange]) -> Vec<SecurityEvent> {
    let is_published = |change: &&RingChange| matches!(change, RingChange::Published { .. });
    let rotated = changes.iter().find(is_published).map(|change| event(Kind::KeysRotated, change, done));
    let of_change = |change: &RingChange| match change {
        RingChange::Published { kid, algorithm, .. } => event(Kind::KeyPublished, change, done)
            .resource("signing-key", kid)
            .detail("algorithm", algorithm.as_str()),
        RingChange::Destroyed { kid } | RingChange::Compromised { kid } => {
            event(Kind::KeyRetired, change, done).resource("signing-key", kid)
        }
    };
    rotated.into_iter().chain(changes.iter().map(of_change)).collect()
}

/// Who made a change that is found in the ring later is not known any more.
fn event(kind: Kind, change: &RingChange, done: &[RingChange]) -> SecurityEvent {
    if done.contains(change) {
        SecurityEvent::new(kind, "schedule").reason("scheduled")
    } else {
        SecurityEvent::new(kind, "").reason("found-unrecorded")
    }
}

/// Why changes are not on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// The ring.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
}
