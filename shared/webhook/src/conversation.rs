//! The conversation's pseudonym. SQS does not encrypt a message's group: a phone number must not stand there.

use std::fmt;

use aws_lc_rs::hmac;

/// The key under which conversations get their pseudonyms. It never rotates by itself: a new key splits every
/// conversation in two.
pub struct ConversationKey(hmac::Key);

impl ConversationKey {
    /// # Errors
    /// When the key is shorter than 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, ShortConversationKey> {
        if key.len() < MIN_KEY {
            return Err(ShortConversationKey);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// The pseudonym of a conversation: 128 bits of HMAC-SHA256 over who takes part.
    ///
    /// Input: one byte for the kind of party, then number and party, each preceded by its length (32 bits, big endian).
    pub fn pseudonym(&self, number: &str, party: Party<'_>) -> Pseudonym {
        let (tag, name) = match party {
            Party::User(name) => (b'u', name),
            Party::Group(name) => (b'g', name),
            Party::Account(name) => (b'a', name),
        };
        let mut input = Vec::with_capacity(9 + number.len() + name.len());
        input.push(tag);
        for part in [number, name] {
            input.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            input.extend_from_slice(part.as_bytes());
        }
        let mac = hmac::sign(&self.0, &input);
        let mut half = [0; 16];
        half.iter_mut().zip(mac.as_ref()).for_each(|(to, from)| *to = *from);
        Pseudonym(half)
    }
}

impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationKey")
    }
}

/// The conversation key is shorter than 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("conversation key is shorter than 32 bytes")]
pub struct ShortConversationKey;

/// Who stands at the other end of a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Party<'a> {
    /// A person: phone number or user id.
    User(&'a str),
    /// A group chat.
    Group(&'a str),
    /// Nobody: what concerns the business account as such.
    Account(&'a str),
}

/// A conversation's pseudonym. Shown as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pseudonym([u8; 16]);

impl Pseudonym {
    /// 32 hex digits.
    pub fn to_hex(self) -> String {
        let mut digits = [0; 32];
        // 16 bytes fill 32 digits, and digits are text.
        let _fits = hex::encode_to_slice(self.0, &mut digits);
        std::str::from_utf8(&digits).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

const MIN_KEY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ConversationKey {
        ConversationKey::new(&[7; 32]).unwrap()
    }

    #[test]
    fn same_parties_same_pseudonym_and_any_difference_shows() {
        let base = key().pseudonym("106540352242922", Party::User("5511987654321"));
        assert_eq!(base, key().pseudonym("106540352242922", Party::User("5511987654321")));
        for (label, other) in [
            ("other user", key().pseudonym("106540352242922", Party::User("5511987654322"))),
            ("other number", key().pseudonym("106540352242923", Party::User("5511987654321"))),
            ("group of that name", key().pseudonym("106540352242922", Party::Group("5511987654321"))),
            ("account of that name", key().pseudonym("106540352242922", Party::Account("5511987654321"))),
            ("boundary moved", key().pseudonym("1065403522429225", Party::User("511987654321"))),
            ("swapped", key().pseudonym("5511987654321", Party::User("106540352242922"))),
            (
                "other key",
                ConversationKey::new(&[8; 32])
                    .unwrap()
                    .pseudonym("106540352242922", Party::User("5511987654321")),
            ),
        ] {
            assert_ne!(base, other, "{label}");
        }
    }

    #[test]
    fn pseudonym_is_32_hex_digits_and_holds_no_number() {
        let p = key().pseudonym("106540352242922", Party::User("5511987654321"));
        assert_eq!(p.to_hex(), p.to_string());
        assert_eq!(p.to_hex().len(), 32);
        assert!(p.to_hex().bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(!p.to_hex().contains("987654321"));
    }

    /// Computed with Python's `hmac` from the documented input form: a change here splits every stored conversation.
    #[test]
    fn pseudonym_is_stable() {
        let p = key().pseudonym("123", Party::User("456"));
        assert_eq!(p.to_hex(), STABLE);
    }

    #[test]
    fn short_key_is_refused() {
        assert_eq!(ConversationKey::new(&[7; 31]).unwrap_err(), ShortConversationKey);
    }

    const STABLE: &str = "9f8882985aba384128f94b3e4c3582af";
}
