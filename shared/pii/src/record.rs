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
    /// Sealed fields that the table has no room for, by name: where they are.
    pub outside: BTreeMap<String, Outside>,
}

/// A sealed field that rests in [`RecordObjects`] instead of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The name that [`RecordObjects::put_object`] gave.
    pub object: String,
    /// How long the sealed field is.
    pub bytes: u64,
    /// SHA-256 of the sealed field, in hexadecimal digits.
    pub sha256: String,
}

impl StoredRecord {
    /// How many bytes of the table's limit the record takes, names of attributes included: not less than DynamoDB
    /// counts. [`MAX_RECORD_BYTES`] at most.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub fn size(&self) -> usize {
        let texts = [&self.conversation, &self.item, &self.position, &self.kind, &self.class];
        let texts: usize = texts.into_iter().chain(&self.subject).map(String::len).sum();
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len() + ELEMENT).sum();
        let of_outside =
            |(name, o): (&String, &Outside)| name.len() + o.object.len() + o.sha256.len() + OUTSIDE;
        let outside: usize = self.outside.iter().map(of_outside).sum();
        texts + self.header.len() + fields + outside + ATTRIBUTES
    }
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
    /// A record over [`MAX_RECORD_BYTES`] is [`RecordError::NotTaken`].
    fn put_if_absent(
        &self,
        record: &StoredRecord,
    ) -> impl Future<Output = Result<PutOutcome, RecordError>> + Send;

    /// A conversation's records in order. An unknown conversation is an empty page. A record whose time to live is over may
    /// still be among them: DynamoDB deletes it within a few days.
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

/// Where sealed fields rest that the table has no room for. What is there was sealed as any field, so that it opens for
/// nobody once the subject's key is destroyed, or the record with its header is gone.
pub trait RecordObjects: Send + Sync {
    /// Stores `body` for `days` days at least, and gives the name to read it by. `name` tells it from all others: its
    /// SHA-256, in hexadecimal digits.
    fn put_object(
        &self,
        name: &str,
        body: &[u8],
        days: u32,
    ) -> impl Future<Output = Result<String, ObjectError>> + Send;

    /// Reads what [`RecordObjects::put_object`] stored, refusing more than `max_bytes`.
    fn object(
        &self,
        object: &str,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<u8>, ObjectError>> + Send;
}

/// Why an object could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Nothing is stored under that name.
    #[error("record object not found")]
    NotFound,
    /// Larger than the caller takes.
    #[error("record object too large")]
    TooLarge,
    /// What is stored under that name is not what was put there.
    #[error("record object altered")]
    Altered,
    /// Refused: permissions, missing bucket, disabled key.
    #[error("record object refused")]
    Refused,
    /// May pass.
    #[error("record objects unavailable")]
    Unavailable,
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
    /// The table takes this record neither now nor later: too large, or not valid.
    #[error("conversations table does not take the record")]
    NotTaken,
    /// What the table holds is not a record of ours.
    #[error("stored record is malformed")]
    Malformed,
}

/// The largest record that a conversations table takes: see [`StoredRecord::size`].
///
/// DynamoDB takes 400 KB for an item and its entry in the local index `by-position` together, and that entry is the whole
/// item once more. What is left is for what it counts beside names and values.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
pub const MAX_RECORD_BYTES: usize = 200_000;

/// Names of all attributes, two numbers of at most 21 bytes, and two maps.
const ATTRIBUTES: usize = 160;
/// What an element of a map takes beside its name and value.
const ELEMENT: usize = 4;
/// Names of an [`Outside`]'s three members, its number, and the map that holds them.
const OUTSIDE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// `conversation item position subject kind class received_at expires_at header fields outside`, counted by hand.
    #[test]
    fn a_record_is_not_smaller_than_dynamodb_counts_it() {
        let attributes = [
            "conversation",
            "item",
            "position",
            "subject",
            "kind",
            "class",
            "received_at",
            "expires_at",
            "header",
            "fields",
            "outside",
        ];
        let names: usize = attributes.iter().map(|name| name.len()).sum();
        let (numbers, maps) = (2 * 21, 2 * 3);
        assert!(ATTRIBUTES >= names + numbers + maps);
        // object, bytes, sha256: names, a number, the map, and an element each.
        const { assert!(OUTSIDE >= 6 + 5 + 6 + 21 + 3 + 3 + ELEMENT) };
        const { assert!(2 * MAX_RECORD_BYTES + 4_096 <= 400 * 1_024, "item and index entry together") };
    }
}
