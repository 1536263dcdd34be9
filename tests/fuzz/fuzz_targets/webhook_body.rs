//! What is validly signed is never dropped: JSON of any shape becomes items that the consumer can read, and only what
//! is not JSON is refused.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_base::Timestamp;
use portcullis_webhook::{AppSecrets, Body, ConversationKey, MAX_ITEMS, QueueMessage, route, sign, verify};
use serde_json::value::RawValue;

static SECRETS: LazyLock<AppSecrets> = LazyLock::new(|| AppSecrets::new(SECRET, None));
static KEY: LazyLock<ConversationKey> = LazyLock::new(|| ConversationKey::new(&[7; 32]).unwrap());
const SECRET: &[u8] = b"fuzz";

fuzz_target!(|body: &[u8]| {
    let signature = sign(body, SECRET);
    let webhook = verify(body, Some(&signature), &SECRETS).unwrap();
    let json = std::str::from_utf8(body).ok().filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    let Ok(items) = route(&webhook, &KEY, Timestamp::UNIX_EPOCH) else {
        assert!(json.is_none(), "JSON was refused");
        return;
    };
    let text = json.expect("what is not JSON was taken");
    assert!(!items.is_empty() && items.len() <= MAX_ITEMS);
    for item in &items {
        assert!(text.contains(item.item), "the item is not the sender's bytes");
        let out = item.inline();
        assert!(
            (1..=128).contains(&out.dedup_id.len()) && out.dedup_id.bytes().all(|b| b.is_ascii_graphic())
        );
        assert!((1..=128).contains(&out.group.len()) && out.group.bytes().all(|b| b.is_ascii_graphic()));
        let message: QueueMessage = serde_json::from_str(&out.body).expect("the consumer reads it");
        let Body::Inline(context) = &message.body else { panic!("inline was asked for") };
        assert_eq!(context.item.get(), item.item);
        assert_eq!((&*message.dedup_id, &*message.conversation), (&*out.dedup_id, &*out.group));
    }
});
