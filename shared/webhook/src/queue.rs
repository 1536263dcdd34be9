//! The ports through which routed items leave the validator.

use std::future::Future;

/// Which of the two queues an item belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Text-like kinds, statuses, updates and everything unknown.
    Text,
    /// Image, audio, voice, video, document and sticker.
    Media,
}

impl Lane {
    /// The name in configuration, metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Media => "media",
        }
    }
}

/// One message for a FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// `MessageGroupId`: the conversation's pseudonym. Order holds within a group.
    pub group: String,
    /// `MessageDeduplicationId`: the same item sent twice within five minutes is queued once.
    pub dedup_id: String,
    /// The message: a [`crate::QueueMessage`] as JSON.
    pub body: String,
}

/// A FIFO queue per [`Lane`].
pub trait ItemQueue: Send + Sync {
    /// Sends up to ten messages in one call, in order. An entry that was not accepted is named in the answer by its
    /// index in `items`; every other entry is durable when the call returns.
    ///
    /// # Errors
    /// When the whole call failed: then no entry may be taken as sent.
    fn send_batch(
        &self,
        lane: Lane,
        items: &[Outgoing],
    ) -> impl Future<Output = Result<Vec<SendFailure>, QueueError>> + Send;
}

/// An entry of a batch that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendFailure {
    /// Index into the batch.
    pub index: usize,
    /// Whether sending it again may succeed.
    pub retryable: bool,
}

/// Why a whole send failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Throttled, timed out or unreachable: may pass.
    #[error("queue unavailable")]
    Unavailable,
    /// Refused: permissions, missing queue, invalid request.
    #[error("queue refused the message")]
    Refused,
}

/// The bucket for items over the queue's size limit.
pub trait ClaimCheck: Send + Sync {
    /// Stores `body` under `key`; storing the same key again is harmless.
    fn put(&self, key: &str, body: &[u8]) -> impl Future<Output = Result<(), ClaimCheckError>> + Send;

    /// Reads what [`ClaimCheck::put`] stored, refusing more than `max_bytes`.
    fn get(
        &self,
        key: &str,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<u8>, ClaimCheckError>> + Send;
}

/// Why a claim check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimCheckError {
    /// Nothing is stored under that key.
    #[error("claim check not found")]
    NotFound,
    /// Larger than the caller takes.
    #[error("claim check too large")]
    TooLarge,
    /// Refused: permissions, missing bucket.
    #[error("claim check refused")]
    Refused,
    /// May pass.
    #[error("claim check unavailable")]
    Unavailable,
}
