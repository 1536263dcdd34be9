//! Ports of this room that remember: what was used once, and how a store can fail.

use std::future::Future;

use portcullis_base::Timestamp;

/// Remembers what may be used once: the `jti` of assertions and DPoP proofs, approval tokens.
pub trait ReplayWindow: Send + Sync {
    /// Takes note of `id` within `scope` until `until`. `false`: it was noted before. One conditional put.
    fn first_use(
        &self,
        scope: &str,
        id: &str,
        until: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// How much longer than needed by one clock a use is remembered: the container that looks next may lag behind the one whose
/// clock told when it ends, and tables expire by clocks of their own.
pub(crate) const REPLAY_MARGIN_MILLIS: i64 = 60_000;

/// Why a store did not do its work. Callers refuse the request: what cannot be checked is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Throttled, timed out or unreachable: may pass.
    #[error("token store unavailable")]
    Unavailable,
    /// Refused: permissions.
    #[error("token store refused")]
    Refused,
    /// What it holds does not have the expected form.
    #[error("token store holds malformed data")]
    Malformed,
}
