//! Exact-match search without plaintext: a keyed pseudonym for each phone number, user and conversation.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::Phone;
use crate::envelope::primitives::Mac;

/// Turns identifiers into pseudonyms: HMAC-SHA256 under a key of its own, apart for each kind of identifier.
///
/// One identifier always gives one pseudonym, so equal ones can be found. Without the key no identifier can be tested,
/// though all phone numbers of the world could be listed.
pub struct BlindIndex {
    mac: Mac,
}

/// Who a data subject is to WhatsApp.
#[derive(Clone, PartialEq, Eq)]
pub enum SubjectId {
    /// A phone number, whatever its spelling was.
    Phone(Phone),
    /// A user whose number is hidden: `user_id` and its like, kept byte for byte.
    User(String),
}

impl SubjectId {
    /// Takes a `wa_id`, `from` or `user_id` as WhatsApp sends it: a phone number if it is one, else a user.
    pub fn from_whatsapp(id: &str) -> Self {
        Phone::parse(id).map_or_else(|_| Self::User(id.to_owned()), Self::Phone)
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "SubjectId::Phone(..)",
            Self::User(_) => "SubjectId::User(..)",
        })
    }
}

impl BlindIndex {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { mac: Mac::new(key) }
    }

    /// The pseudonym of a data subject: 192 bits in 32 characters of base64url.
    pub fn subject_index(&self, subject: &SubjectId) -> String {
        match subject {
            SubjectId::Phone(phone) => self.pseudonym(PHONE, phone.digits()),
            SubjectId::User(id) => self.pseudonym(USER, id),
        }
    }

    /// The pseudonym of a conversation, of the same form, unlike that of any subject.
    pub fn conversation_index(&self, conversation: &str) -> String {
        self.pseudonym(CONVERSATION, conversation)
    }

    /// The pseudonym of an item's exactly-once key: Meta's message ids hold the phone number in base64.
    pub fn item_index(&self, dedup_id: &str) -> String {
        self.pseudonym(ITEM, dedup_id)
    }

    fn pseudonym(&self, kind: u8, value: &str) -> String {
        // The kind has a fixed length and the value is last: no two inputs have one encoding.
        let tag = self.mac.tag(&[START, &[kind], value.as_bytes()]);
        let (shown, _) = tag.split_first_chunk::<SHOWN>().unwrap_or((&[0; SHOWN], &[]));
        BASE64_URL_SAFE_NO_PAD.encode(shown)
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlindIndex").finish_non_exhaustive()
    }
}

/// A blind index with a given key: for test vectors.
pub fn from_fixed_key(key: &[u8; 32]) -> BlindIndex {
    BlindIndex::new(key)
}

const START: &[u8] = b"PI\x01";
const PHONE: u8 = 1;
const USER: u8 = 2;
const CONVERSATION: u8 = 3;
const ITEM: u8 = 4;
const SHOWN: usize = 24;
