//! The contract of [`KeyWrapper`].

use portcullis_pii::{KeyError, KeyWrapper, Purpose, WrappedDataKey};

/// Runs the whole contract but for [`changed_keys_are_refused`].
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(wrapper: &impl KeyWrapper) {
    for purpose in [Purpose::Conversation, Purpose::Media] {
        a_key_is_unwrapped_in_its_context_only(wrapper, purpose).await;
    }
    purposes_are_apart(wrapper).await;
    every_key_is_another(wrapper).await;
}

/// Apart from [`suite`], because an emulator may decrypt what KMS refuses.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn changed_keys_are_refused(wrapper: &impl KeyWrapper) {
    let Some(key) = generated(wrapper, Purpose::Conversation, &CONTEXT).await else { return };
    let last = key.wrapped.len() - 1;
    for at in [last, last / 2] {
        let mut changed = key.wrapped.clone();
        changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
        let answer = wrapper.unwrap(Purpose::Conversation, &CONTEXT, &changed).await;
        assert_eq!(answer.err(), Some(KeyError::Invalid), "byte {at} of {last} changed");
    }
    for wrong in [&b"not a wrapped key"[..], &[0; 64]] {
        let answer = wrapper.unwrap(Purpose::Conversation, &CONTEXT, wrong).await;
        assert_eq!(answer.err(), Some(KeyError::Invalid), "{} bytes of something else", wrong.len());
    }
}

async fn a_key_is_unwrapped_in_its_context_only(wrapper: &impl KeyWrapper, purpose: Purpose) {
    let Some(key) = generated(wrapper, purpose, &CONTEXT).await else { return };
    let unwrap = async |context: &[(&str, &str)]| wrapper.unwrap(purpose, context, &key.wrapped).await;
    let [table, version] = CONTEXT;
    for (what, context) in [("the same", vec![table, version]), ("in another order", vec![version, table])] {
        assert!(unwrap(&context).await.is_ok_and(|k| *k == *key.plaintext), "{what}");
    }
    for (what, context) in [
        ("nothing", vec![]),
        ("a pair missing", vec![table]),
        ("a pair more", vec![table, version, ("more", "1")]),
        ("another value", vec![table, ("version", "2")]),
        ("another name", vec![table, ("versioN", "1")]),
        ("values exchanged", vec![("table", "1"), ("version", "subject-keys")]),
    ] {
        assert_eq!(unwrap(&context).await.err(), Some(KeyError::Invalid), "{what}");
    }
}

async fn purposes_are_apart(wrapper: &impl KeyWrapper) {
    let Some(key) = generated(wrapper, Purpose::Conversation, &CONTEXT).await else { return };
    let answer = wrapper.unwrap(Purpose::Media, &CONTEXT, &key.wrapped).await;
    assert_eq!(answer.err(), Some(KeyError::Invalid));
}

async fn every_key_is_another(wrapper: &impl KeyWrapper) {
    let a = generated(wrapper, Purpose::Media, &CONTEXT).await;
    let b = generated(wrapper, Purpose::Media, &CONTEXT).await;
    let (Some(a), Some(b)) = (a, b) else { return };
    assert!(*a.plaintext != *b.plaintext && a.wrapped != b.wrapped);
    assert!(*a.plaintext != [0; 32]);
    assert!(!a.wrapped.windows(32).any(|w| w == a.plaintext.as_slice()), "the wrapped key hides the key");
}

async fn generated(
    wrapper: &impl KeyWrapper,
    purpose: Purpose,
    context: &[(&str, &str)],
) -> Option<WrappedDataKey> {
    let key = wrapper.generate(purpose, context).await;
    assert!(key.is_ok(), "a key is made: {:?}", key.err());
    key.ok()
}

const CONTEXT: [(&str, &str); 2] = [("table", "subject-keys"), ("version", "1")];
