//! What was done to the ring, and what of it is on record.

use portcullis_base::Timestamp;

use super::KeyRing;
use crate::Algorithm;

/// What was done to the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingChange {
    /// A key was made and published; it signs from `active_from` on.
    Published {
        /// Its name.
        kid: String,
        /// What it signs with.
        algorithm: Algorithm,
        /// From when on.
        active_from: Timestamp,
    },
    /// A key is in nobody's use any more, and its private half is destroyed.
    Destroyed {
        /// Its name.
        kid: String,
    },
    /// A key was taken out at once.
    Compromised {
        /// Its name.
        kid: String,
    },
}

/// A change is stored with the ring that it made, until it is on record: whoever made it may crash before it records it, or
/// be one that records nothing.
impl KeyRing {
    /// Changes that are not on record yet, the oldest first.
    pub fn unrecorded(&self) -> &[RingChange] {
        &self.unrecorded
    }

    /// Keeps changes until they are on record.
    pub fn owe_record(&mut self, changes: &[RingChange]) {
        self.unrecorded.extend_from_slice(changes);
    }

    /// Forgets changes that are on record now. Whether there was one of them.
    pub fn forget_recorded(&mut self, changes: &[RingChange]) -> bool {
        let before = self.unrecorded.len();
        self.unrecorded.retain(|change| !changes.contains(change));
        self.unrecorded.len() < before
    }
}
