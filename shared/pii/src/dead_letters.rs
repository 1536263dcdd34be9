//! The dead-letter queues' port.

use std::future::Future;

/// Where items go that can never be processed, with the reason.
pub trait DeadLetters: Send + Sync {
    /// Puts an item aside. When this returns, the item is durable there and may be acknowledged at its source.
    fn put(&self, item: &DeadLetter<'_>) -> impl Future<Output = Result<(), DeadLetterError>> + Send;
}

/// A poison item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// The queue that it came from: `text` or `media`.
    pub lane: &'a str,
    /// Its group there.
    pub group: &'a str,
    /// Its deduplication id there.
    pub dedup_id: &'a str,
    /// The message, unchanged.
    pub body: &'a str,
    /// Why it cannot be processed: a stable word such as `malformed-message`.
    pub reason: &'a str,
}

/// Why an item could not be put aside: it stays at its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("dead-letter queue unavailable")]
pub struct DeadLetterError;
