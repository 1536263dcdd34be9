//! The conversations table's port.

use std::collections::BTreeMap;
use std::future::Future;

/// A message as it rests in the conversations table: everything personal in it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Partition key: the conversation's pseudonym.
    pub conversation: String,
    /// Digest of the item's exactly-once key. The place of a record is (`conversation`, `item`): the same item has the
    /// same place however late it comes again. DynamoDB: the table's sort key.
    pub item: String,
    /// Where the record stands in the conversation: acceptance time, then the queue's sequence number. Listings are in
    /// this order. DynamoDB: the sort key of the local secondary index `by-position` (all attributes projected), which
    /// can be read consistently. Unique within a conversation for all practical purposes, not by constraint.
    pub position: String,
    /// Blind index of the data subject, for search by phone number; absent where no person is concerned.
    pub subject: Option<String>,
    /// The kind of item: `text`, `image`, `status`, ….
    pub kind: String,
    /// Name of the classification (`PII`, `SENSITIVE`, `INTERNAL`, `PUBLIC`).
    pub class: String,
    /// When the validator accepted it, milliseconds since the Unix epoch.
    pub received_at: i64,
    /// Time to live: seconds since the Unix epoch after which the table drops the record.
    pub expires_at: i64,
    /// The envelope's header, shared by all fields of the record.
    pub header: Vec<u8>,
    /// Sealed fields by name.
    pub fields: BTreeMap<String, Vec<u8>>,
}

/// What a conditional put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// Stored now.
    Stored,
    /// A record was already in that place: nothing changed.
    AlreadyThere,
}

/// Which part of a listing is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many records.
    pub limit: usize,
    /// Only records after this position.
    pub after: Option<String>,
}

/// A part of a listing, in order of position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Position to go on after; `None` at the end.
    pub next: Option<String>,
}

/// The conversations table.
pub trait Records: Send + Sync {
    /// Stores a record unless its place (`conversation`, `item`) is taken: the effect of an item is exactly-once.
    fn put_if_absent(
        &self,
        record: &StoredRecord,
    ) -> impl Future<Output = Result<PutOutcome, RecordError>> + Send;

    /// A conversation's records in order. An unknown conversation is an empty page.
    fn conversation(
        &self,
        conversation: &str,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page, RecordError>> + Send;

    /// The conversations in which a subject (by blind index) takes part, at most `limit`, without repeats.
    fn conversations_of(
        &self,
        subject: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<String>, RecordError>> + Send;
}

/// Why the table could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Throttled, timed out or unreachable: may pass.
    #[error("conversations table unavailable")]
    Unavailable,
    /// Refused: permissions, missing table, invalid request.
    #[error("conversations table refused the request")]
    Refused,
    /// What the table holds is not a record of ours.
    #[error("stored record is malformed")]
    Malformed,
}
