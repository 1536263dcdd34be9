//! The contract of [`KeyStore`].

use portcullis_pii::{KeyStore, Purpose, StoredBranchKey, StoredSubjectKey};

use super::fresh;

/// Runs the whole contract.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(keys: &impl KeyStore) {
    for purpose in [Purpose::Conversation, Purpose::Media] {
        branch_keys_are_versioned_and_never_replaced(keys, purpose).await;
        one_writer_of_a_branch_key_version_wins(keys, purpose).await;
    }
    a_subject_has_one_key_for_each_purpose(keys).await;
    one_writer_of_a_subject_key_wins(keys).await;
    the_index_key_is_made_once(keys).await;
}

/// Two versions after the newest: the store may hold keys of other tests.
async fn branch_keys_are_versioned_and_never_replaced(keys: &impl KeyStore, purpose: Purpose) {
    let newest = newest_version(keys, purpose).await;
    let first = branch(purpose, newest + 1, 1);
    let second = branch(purpose, newest + 2, 2);
    assert_eq!(keys.branch_key(purpose, Some(first.version)).await, Ok(None));
    assert_eq!(keys.add_branch_key(&first).await, Ok(true));
    assert_eq!(keys.branch_key(purpose, None).await, Ok(Some(first.clone())));
    assert_eq!(keys.add_branch_key(&second).await, Ok(true));
    assert_eq!(keys.branch_key(purpose, None).await, Ok(Some(second.clone())), "the highest is the newest");
    let other = StoredBranchKey { wrapped: vec![9], created_at: 9, ..first.clone() };
    assert_eq!(keys.add_branch_key(&other).await, Ok(false));
    assert_eq!(keys.branch_key(purpose, Some(first.version)).await, Ok(Some(first)), "nothing changed");
    assert_eq!(keys.branch_key(purpose, Some(second.version)).await, Ok(Some(second)));
    assert_eq!(keys.branch_key(purpose, Some(newest + 3)).await, Ok(None));
}

/// Ten and more: versions are numbers, not words.
async fn one_writer_of_a_branch_key_version_wins(keys: &impl KeyStore, purpose: Purpose) {
    let version = newest_version(keys, purpose).await.max(8) + 1;
    for version in version..version + 3 {
        let [a, b, c] = [1, 2, 3].map(|by| branch(purpose, version, by));
        let added = tokio::join!(keys.add_branch_key(&a), keys.add_branch_key(&b), keys.add_branch_key(&c));
        let stored = keys.branch_key(purpose, None).await;
        let winner = match added {
            (Ok(true), Ok(false), Ok(false)) => Some(a),
            (Ok(false), Ok(true), Ok(false)) => Some(b),
            (Ok(false), Ok(false), Ok(true)) => Some(c),
            _ => None,
        };
        assert!(winner.is_some(), "exactly one wins: {added:?}");
        assert_eq!(stored, Ok(winner), "version {version}");
    }
}

async fn a_subject_has_one_key_for_each_purpose(keys: &impl KeyStore) {
    let name = fresh("subject");
    let conversation = subject(&name, Purpose::Conversation, 1);
    let media = subject(&name, Purpose::Media, 2);
    assert_eq!(keys.subject_key(&name, Purpose::Conversation).await, Ok(None));
    assert_eq!(keys.add_subject_key(&conversation).await, Ok(true));
    assert_eq!(keys.subject_key(&name, Purpose::Media).await, Ok(None), "purposes are apart");
    assert_eq!(keys.add_subject_key(&media).await, Ok(true));
    let other = StoredSubjectKey { wrapped: vec![9], branch_version: 9, ..conversation.clone() };
    assert_eq!(keys.add_subject_key(&other).await, Ok(false));
    assert_eq!(
        keys.subject_key(&name, Purpose::Conversation).await,
        Ok(Some(conversation)),
        "nothing changed"
    );
    assert_eq!(keys.subject_key(&name, Purpose::Media).await, Ok(Some(media)));
    assert_eq!(keys.subject_key(&format!("{name}0"), Purpose::Media).await, Ok(None), "names are apart");
}

async fn one_writer_of_a_subject_key_wins(keys: &impl KeyStore) {
    let name = fresh("subject");
    let [a, b] = [1, 2].map(|by| subject(&name, Purpose::Media, by));
    let added = tokio::join!(keys.add_subject_key(&a), keys.add_subject_key(&b));
    let winner = if added == (Ok(true), Ok(false)) { a } else { b };
    assert!(matches!(added, (Ok(true), Ok(false)) | (Ok(false), Ok(true))), "exactly one wins: {added:?}");
    assert_eq!(keys.subject_key(&name, Purpose::Media).await, Ok(Some(winner)));
}

async fn the_index_key_is_made_once(keys: &impl KeyStore) {
    let before = keys.index_key().await;
    let first = fresh("index").into_bytes();
    assert_eq!(keys.add_index_key(&first).await, Ok(before == Ok(None)));
    let expected = before.map(|there| there.or(Some(first)));
    assert_eq!(keys.add_index_key(b"another").await, Ok(false));
    assert_eq!(keys.index_key().await, expected);
}

async fn newest_version(keys: &impl KeyStore, purpose: Purpose) -> u32 {
    let newest = keys.branch_key(purpose, None).await;
    assert!(newest.is_ok(), "{newest:?}");
    newest.ok().flatten().map_or(0, |key| key.version)
}

fn branch(purpose: Purpose, version: u32, by: u8) -> StoredBranchKey {
    StoredBranchKey {
        purpose,
        version,
        wrapped: vec![by; 184],
        created_at: 1_800_000_000_123 + i64::from(by),
    }
}

fn subject(name: &str, purpose: Purpose, by: u8) -> StoredSubjectKey {
    let wrapped = (0..=by).collect();
    StoredSubjectKey {
        subject: name.to_owned(),
        purpose,
        branch_version: 3,
        wrapped,
        created_at: -i64::from(by),
    }
}
