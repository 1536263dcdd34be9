//! Where the TATs are.

use std::future::Future;

use crate::{Ask, Taken};

/// A store of TATs that all containers share: DynamoDB, Redis or Valkey, or memory.
pub trait LimitStore: Send + Sync {
    /// Answers an ask as [`Ask::answer`] does for the TAT under `key`, and keeps the new one, in one atomic step.
    ///
    /// A call is bounded in time by the adapter. One that failed may have taken the cells: they are lost, never given
    /// twice. A bucket that nobody asked before is full; one whose TAT has passed may be forgotten.
    fn take(&self, key: &str, ask: &Ask) -> impl Future<Output = Result<Taken, StoreError>> + Send;
}

impl<S: LimitStore> LimitStore for &S {
    fn take(&self, key: &str, ask: &Ask) -> impl Future<Output = Result<Taken, StoreError>> + Send {
        (**self).take(key, ask)
    }
}

/// Why a store did not answer. Never carries a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer in time, or with an error that may pass.
    #[error("limit store unavailable")]
    Unavailable,
    /// It answered, and its answer will not change by asking again: no permission, no such table.
    #[error("limit store refused the request")]
    Refused,
    /// What it holds is not a TAT.
    #[error("limit store holds something that is no limit")]
    Malformed,
    /// It can take no more keys.
    #[error("limit store is full")]
    Full,
}
