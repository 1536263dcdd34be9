//! What travels on the queue between the validator and the PII consumer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A queue message, version 1, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct QueueMessage<'a> {
    /// Format version: 1.
    pub v: u8,
    /// The kind of item: `text`, `image`, …, `status`, `unknown`.
    #[serde(borrow)]
    pub kind: std::borrow::Cow<'a, str>,
    /// Meta's id of the message, or one derived from the content where Meta gives none.
    #[serde(borrow)]
    pub id: std::borrow::Cow<'a, str>,
    /// The exactly-once key: equal to the queue's deduplication id.
    #[serde(borrow)]
    pub dedup_id: std::borrow::Cow<'a, str>,
    /// The conversation's pseudonym: equal to the queue's group.
    #[serde(borrow)]
    pub conversation: std::borrow::Cow<'a, str>,
    /// The queue that it travels on.
    pub lane: crate::Lane,
    /// When the validator accepted it, milliseconds since the Unix epoch.
    pub received_at: i64,
    /// Its place in that millisecond: 100 000 times the microsecond, and the item's number in its body. Text and media of
    /// one body travel on queues of their own, and this tells which came first.
    pub place: u64,
    /// The item, or where it is kept.
    #[serde(borrow)]
    pub body: Body<'a>,
}

/// The payload of a [`QueueMessage`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body<'a> {
    /// The item itself.
    #[serde(borrow)]
    Inline(MessageContext<'a>),
    /// The item was over the queue's size limit: its [`MessageContext`] is in the claim-check bucket.
    Claim(ClaimTicket),
}

/// An item with what its consumer needs to know of the batch around it.
#[derive(Debug, Serialize, Deserialize)]
pub struct MessageContext<'a> {
    /// The data subject as Meta names it: `wa_id`/`from`, or a user id where there is no number. Absent for items
    /// that concern no person (account and template updates).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<std::borrow::Cow<'a, str>>,
    /// When the message was sent: seconds since the Unix epoch, as Meta says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// Id of the WhatsApp Business Account (`entry[].id`).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub account: Option<std::borrow::Cow<'a, str>>,
    /// `metadata.phone_number_id`: which of the business's numbers.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<std::borrow::Cow<'a, str>>,
    /// `changes[].field`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub field: Option<std::borrow::Cow<'a, str>>,
    /// The entry of `contacts` that belongs to the item, byte for byte.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<&'a RawValue>,
    /// The item, byte for byte as Meta sent it.
    #[serde(borrow)]
    pub item: &'a RawValue,
}

/// A pointer into the claim-check bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimTicket {
    /// Object key.
    pub key: String,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// SHA-256 of the object, hex: a replaced object is refused.
    pub sha256: String,
}
