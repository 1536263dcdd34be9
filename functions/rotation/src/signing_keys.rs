//! What the schedule does for the signing keys.

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_token::{KeeperError, RingChange};

use crate::{Parts, Ports};

/// Publishes and destroys what is due, and tells what was done.
pub(crate) async fn advance<P: Ports>(parts: &Parts<P>) -> Result<Vec<RingChange>, KeeperError> {
    parts.keeper.advance().await
}

/// The events of these changes: a rotation, if a key was published, and each key's own.
pub(crate) fn events(changes: &[RingChange]) -> Vec<SecurityEvent> {
    let is_published = |change: &RingChange| matches!(change, RingChange::Published { .. });
    let rotated = changes.iter().any(is_published).then(|| event(Kind::KeysRotated));
    let of_change = |change: &RingChange| match change {
        RingChange::Published { kid, algorithm, .. } => {
            event(Kind::KeyPublished).resource("signing-key", kid).detail("algorithm", algorithm.as_str())
        }
        RingChange::Destroyed { kid } | RingChange::Compromised { kid } => {
            event(Kind::KeyRetired).resource("signing-key", kid)
        }
    };
    rotated.into_iter().chain(changes.iter().map(of_change)).collect()
}

fn event(kind: Kind) -> SecurityEvent {
    SecurityEvent::new(kind, "schedule").reason("scheduled")
}
