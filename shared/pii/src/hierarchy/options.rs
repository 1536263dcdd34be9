//! What a user may set about the key hierarchy.

use std::time::Duration;

/// Settings of the [`KeyHierarchy`](super::KeyHierarchy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchyOptions {
    /// Name of the subject-keys table. Part of every encryption context: a wrapped key copied to another table does not
    /// unwrap.
    pub table: String,
    /// How long a branch key is used before it is unwrapped anew, so that disabling the KMS key takes effect. Default
    /// five minutes.
    pub branch_ttl: Duration,
    /// How many branch keys of a purpose are kept. Default 16.
    pub branch_capacity: usize,
    /// How long a subject's key is used before it is read anew. An erasure takes effect everywhere within this time.
    /// Default one minute.
    pub subject_ttl: Duration,
    /// How many subjects' keys of a purpose are kept. Default 10 000.
    pub subject_capacity: usize,
    /// Age from which the newest branch key no longer wraps new subject keys: a next version is made. Older versions
    /// still unwrap. Default 90 days.
    pub rotate_after: Duration,
}

impl HierarchyOptions {
    /// The defaults, for the subject-keys table of this name.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            branch_ttl: Duration::from_secs(5 * 60),
            branch_capacity: 16,
            subject_ttl: Duration::from_secs(60),
            subject_capacity: 10_000,
            rotate_after: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}
