//! A routed item, and its form on the queue.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};

use crate::json::{write_number, write_string};
use crate::{ClaimTicket, Kind, Lane, Outgoing, Pseudonym};

/// One item of a batch, on its way to a queue. Everything in it is borrowed from the body where JSON allows.
#[derive(Clone, PartialEq, Eq)]
pub struct Routed<'a> {
    /// What it is.
    pub kind: Kind,
    /// Meta's id, or one derived from the content where Meta gives none.
    pub id: Cow<'a, str>,
    /// The exactly-once key: at most 128 printable ASCII characters, as SQS demands.
    pub dedup_id: Cow<'a, str>,
    /// The conversation's pseudonym: the queue's group.
    pub conversation: Pseudonym,
    /// When the validator accepted it, milliseconds since the Unix epoch.
    pub received_at: i64,
    /// As in [`crate::QueueMessage::place`].
    pub place: u64,
    /// As in [`crate::MessageContext::subject`].
    pub subject: Option<Cow<'a, str>>,
    /// As in [`crate::MessageContext::timestamp`].
    pub timestamp: Option<i64>,
    /// As in [`crate::MessageContext::account`].
    pub account: Option<Cow<'a, str>>,
    /// As in [`crate::MessageContext::phone_number_id`].
    pub phone_number_id: Option<Cow<'a, str>>,
    /// As in [`crate::MessageContext::field`].
    pub field: Option<Cow<'a, str>>,
    /// The JSON text of the contact that belongs to the item.
    pub contact: Option<&'a str>,
    /// The JSON text of the item, byte for byte.
    pub item: &'a str,
}

impl Routed<'_> {
    /// The queue that it travels on.
    pub const fn lane(&self) -> Lane {
        self.kind.lane()
    }

    /// The message with the item in it: a [`crate::QueueMessage`] with [`crate::Body::Inline`].
    pub fn inline(&self) -> Outgoing {
        self.outgoing(self.payload_len(), |out| {
            out.push_str(r#"{"inline":"#);
            self.write_context(out);
            out.push('}');
        })
    }

    /// The message with a pointer in the item's place: a [`crate::QueueMessage`] with [`crate::Body::Claim`].
    pub fn claimed(&self, ticket: &ClaimTicket) -> Outgoing {
        self.outgoing(0, |out| {
            out.push_str(r#"{"claim":{"key":"#);
            write_string(out, &ticket.key);
            out.push_str(r#","bytes":"#);
            write_number(out, ticket.bytes);
            member(out, r#","sha256":"#, &ticket.sha256);
            out.push_str("}}");
        })
    }

    /// What is put into the claim-check bucket: a [`crate::MessageContext`] as JSON, and the ticket for it.
    ///
    /// The key comes from the content, so that the same item sent again finds the same object, and another object
    /// never takes its place.
    pub fn claim(&self) -> Claim {
        let mut object = String::with_capacity(self.payload_len() + ROOM);
        self.write_context(&mut object);
        let sha256 = hex::encode(digest(&SHA256, object.as_bytes()));
        let key = format!("{}/{}/{sha256}", self.lane().as_str(), self.conversation);
        Claim { ticket: ClaimTicket { key, bytes: object.len() as u64, sha256 }, object }
    }

    /// Whether SQS would refuse the item itself for a character that XML 1.0 does not have (U+FFFE, U+FFFF): it then
    /// needs a claim check, since its bytes are not ours to change.
    pub fn has_forbidden_character(&self) -> bool {
        has_noncharacter(self.item) || self.contact.is_some_and(has_noncharacter)
    }

    fn payload_len(&self) -> usize {
        self.item.len() + self.contact.map_or(0, str::len)
    }

    fn outgoing(&self, payload: usize, body: impl FnOnce(&mut String)) -> Outgoing {
        let group = self.conversation.to_hex();
        let mut out = String::with_capacity(payload + self.id.len() + self.dedup_id.len() + ROOM);
        // Names of ours and digits need no escapes.
        out.push_str(r#"{"v":1,"kind":""#);
        out.push_str(self.kind.name());
        member(&mut out, r#"","id":"#, &self.id);
        member(&mut out, r#","dedup_id":"#, &self.dedup_id);
        out.push_str(r#","conversation":""#);
        out.push_str(&group);
        out.push_str(r#"","lane":""#);
        out.push_str(self.lane().as_str());
        out.push_str(r#"","received_at":"#);
        write_integer(&mut out, self.received_at);
        out.push_str(r#","place":"#);
        write_number(&mut out, self.place);
        out.push_str(r#","body":"#);
        body(&mut out);
        out.push('}');
        Outgoing { group, dedup_id: self.dedup_id.clone().into_owned(), body: out }
    }

    fn write_context(&self, out: &mut String) {
        out.push('{');
        for (name, value) in [
            (r#""subject":"#, &self.subject),
            (r#""account":"#, &self.account),
            (r#""phone_number_id":"#, &self.phone_number_id),
            (r#""field":"#, &self.field),
        ] {
            if let Some(value) = value {
                member(out, name, value);
                out.push(',');
            }
        }
        if let Some(timestamp) = self.timestamp {
            out.push_str(r#""timestamp":"#);
            write_integer(out, timestamp);
            out.push(',');
        }
        if let Some(contact) = self.contact {
            out.push_str(r#""contact":"#);
            out.push_str(contact);
            out.push(',');
        }
        out.push_str(r#""item":"#);
        out.push_str(self.item);
        out.push('}');
    }
}

/// An item on its way through the claim-check bucket.
pub struct Claim {
    /// What travels on the queue.
    pub ticket: ClaimTicket,
    /// What is stored.
    pub object: String,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Routed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routed")
            .field("kind", &self.kind.name())
            .field("conversation", &self.conversation)
            .field("bytes", &self.item.len())
            .finish_non_exhaustive()
    }
}

fn member(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    write_string(out, value);
}

fn write_integer(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    write_number(out, number.unsigned_abs());
}

fn has_noncharacter(json: &str) -> bool {
    memchr::memchr_iter(0xEF, json.as_bytes())
        .any(|at| matches!(json.as_bytes().get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])))
}

// Member names, numbers and the strings of ordinary length.
const ROOM: usize = 448;
