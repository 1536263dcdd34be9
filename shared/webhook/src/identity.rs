//! The exactly-once key of an item.
//!
//! | item | key |
//! |---|---|
//! | message of a known kind | Meta's id |
//! | status | id `:` status, and for a group `:` a keyed digest of the participant |
//! | call | id `:` event |
//! | edit, revocation, error, unknown kind with an id | id `:` content digest: the id may be that of another item |
//! | anything without an id | SHA-256 of account, entry time, number, field, content and count of such items before it |
//!
//! A key that would be longer than 128 characters, hold others than printable ASCII, or be ambiguous for a colon
//! inside a part becomes the SHA-256 of its parts, in hex. So different parts never make the same key.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_lc_rs::digest::{Context, Digest, SHA256};

/// Joins parts into a key.
pub(crate) fn join<'a>(id: Cow<'a, str>, rest: &[&str]) -> Cow<'a, str> {
    let length = rest.iter().fold(id.len(), |n, part| n + 1 + part.len());
    if length > MAX_KEY || !plain(&id) || !rest.iter().all(|part| plain(part)) {
        return Cow::Owned(hex::encode(digest_of(
            KEY,
            std::iter::once(id.as_ref()).chain(rest.iter().copied()),
        )));
    }
    if rest.is_empty() {
        return id;
    }
    let mut key = String::with_capacity(length);
    key.push_str(&id);
    for part in rest {
        key.push(':');
        key.push_str(part);
    }
    Cow::Owned(key)
}

/// A short digest of an item's bytes, to tell apart items that share an id.
pub(crate) fn content(item: &str) -> String {
    let mut hex = hex::encode(digest_of(CONTENT, [item]));
    hex.truncate(16);
    hex
}

/// Keys for items without an id. Equal items of one batch get different keys, the same ones each time it is sent.
#[derive(Default)]
pub(crate) struct Anonymous {
    seen: HashMap<[u8; 32], u32>,
}

impl Anonymous {
    pub(crate) fn key(&mut self, parts: [&str; 5]) -> String {
        let digest = digest_of(ANONYMOUS, parts);
        let mut fixed = [0; 32];
        fixed.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        let before = self.seen.entry(fixed).or_insert(0);
        let key = digest_of(ANONYMOUS, [hex::encode(fixed).as_str(), before.to_string().as_str()]);
        *before += 1;
        hex::encode(key)
    }
}

fn plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// SHA-256 of a purpose and parts, each preceded by its length.
fn digest_of<'a>(purpose: &'a str, parts: impl IntoIterator<Item = &'a str>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(purpose).chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish()
}

const KEY: &str = "portcullis/webhook/key/1";
const CONTENT: &str = "portcullis/webhook/content/1";
const ANONYMOUS: &str = "portcullis/webhook/anonymous/1";

// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
const MAX_KEY: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn key(id: &str, rest: &[&str]) -> String {
        join(Cow::Borrowed(id), rest).into_owned()
    }

    #[test]
    fn ordinary_ids_stay_readable() {
        assert_eq!(key("wamid.AB+/=", &[]), "wamid.AB+/=");
        assert_eq!(key("wamid.AB", &["read"]), "wamid.AB:read");
        assert_eq!(key(&"a".repeat(128), &[]), "a".repeat(128));
    }

    #[test]
    fn keys_that_the_queue_would_refuse_or_mix_up_become_digests() {
        for (label, id, rest) in [
            ("too long", "a".repeat(129), &[][..]),
            ("too long together", "a".repeat(124), &["read"]),
            ("space", "wamid A".to_owned(), &[]),
            ("not ASCII", "wamid.é".to_owned(), &[]),
            ("control", "wamid\n".to_owned(), &[]),
            ("colon in the id", "wamid.A:read".to_owned(), &[]),
            ("empty part", "wamid.A".to_owned(), &[""]),
        ] {
            let key = key(&id, rest);
            assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{label}: {key}");
        }
    }

    #[test]
    fn a_colon_cannot_forge_another_items_key() {
        assert_ne!(key("wamid.A:read", &[]), key("wamid.A", &["read"]));
        assert_ne!(key("a", &["b:c"]), key("a:b", &["c"]));
        assert_ne!(key("a", &["b", "c"]), key("a", &["b:c"]));
    }

    #[test]
    fn equal_items_without_id_differ_in_a_batch_and_repeat_across_batches() {
        let error = ["account", "", "number", "messages", r#"{"code":130429}"#];
        let mut first = Anonymous::default();
        let keys: Vec<_> = (0..3).map(|_| first.key(error)).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 3);
        let mut again = Anonymous::default();
        assert_eq!(keys, (0..3).map(|_| again.key(error)).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn different_parts_make_different_valid_keys(
            a in proptest::collection::vec("[a:é .]{0,70}", 1..4), b in proptest::collection::vec("[a:é .]{0,70}", 1..4),
        ) {
            let of = |parts: &[String]| key(&parts[0], &parts[1..].iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(a == b, of(&a) == of(&b));
            prop_assert!(of(&a).len() <= 128 && of(&a).bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
