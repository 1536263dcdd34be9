//! The simulated account of the embedded database: a whole response over it, restarts in between, and the way back.
#![cfg(test)]

use std::path::Path;
use std::sync::Arc;

use portcullis_base::{ManualClock, Timestamp};
use portcullis_local::{KeptWorld, LocalAccount, RootKey, Store, StoreOptions};
use portcullis_response::simulation::Simulation;
use portcullis_response::{Buckets, Family, Functions, IamKeys, IpSets, PortError, Target, UserPolicy};

fn open(folder: &Path) -> LocalAccount {
    let root = RootKey::load_or_create(&folder.join("root.key")).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let store = Store::open(&folder.join("data"), &root, clock, StoreOptions::default()).unwrap();
    Simulation::over(KeptWorld::new(store))
}

fn user(name: &str) -> Target {
    Target::User { name: name.to_owned() }
}

#[tokio::test]
async fn what_was_changed_is_still_changed_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let account = open(folder.path());
    assert_eq!(account.access_keys("ana").await, Err(PortError::NotFound), "empty at first");
    let things = [(user("ana"), Some("AKIA1".to_owned())), (Target::Function { name: "f".into() }, None)];
    account.keeper().furnish(&things).await.unwrap();
    account.deactivate_key("ana", "AKIA1").await.unwrap();
    account.put_user_policy("ana", "deny", "{}").await.unwrap();
    account.put_concurrency("f", 0).await.unwrap();
    let mut list = account.address_set(Family::V4).await.unwrap();
    list.addresses.insert("198.51.100.7/32".to_owned());
    account.update_address_set(Family::V4, &list).await.unwrap();
    assert_eq!(account.update_address_set(Family::V4, &list).await, Err(PortError::Conflict), "a used token");
    drop(account);

    let account = open(folder.path());
    assert_eq!(account.access_keys("ana").await.unwrap(), [("AKIA1".to_owned(), false)].into());
    assert_eq!(account.user_policy("ana", "deny").await.unwrap().as_deref(), Some("{}"));
    assert_eq!(account.reserved_concurrency("f").await.unwrap(), Some(0));
    assert_eq!(account.address_set(Family::V4).await.unwrap().addresses, list.addresses);
    account.keeper().furnish(&things).await.unwrap();
    assert_eq!(account.access_keys("ana").await.unwrap(), [("AKIA1".to_owned(), false)].into(), "as it was");
}

#[tokio::test]
async fn what_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let account = open(folder.path());
    account.keeper().furnish(&[(user("ana"), Some("AKIA1".to_owned()))]).await.unwrap();
    assert_eq!(account.deactivate_key("ana", "AKIA2").await, Err(PortError::NotFound));
    assert_eq!(account.delete_public_access_block("b").await, Err(PortError::NotFound));
    assert_eq!(account.access_keys("ana").await.unwrap(), [("AKIA1".to_owned(), true)].into());
}

#[tokio::test]
async fn changes_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let account = open(folder.path());
    let things: Vec<_> = (0..20).map(|n| (user(&n.to_string()), Some(format!("AKIA{n}")))).collect();
    account.keeper().furnish(&things).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..20 {
        let account = account.clone();
        tasks.push(tokio::spawn(
            async move { account.deactivate_key(&n.to_string(), &format!("AKIA{n}")).await },
        ));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    drop(account);
    let account = open(folder.path());
    for n in 0..20 {
        let keys = account.access_keys(&n.to_string()).await.unwrap();
        assert_eq!(keys, [(format!("AKIA{n}"), false)].into());
    }
}

/// A caller that goes away in the middle of a change leaves what the file holds, whichever that is, and no third state.
#[tokio::test]
async fn a_change_that_is_broken_off_was_made_or_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let account = open(folder.path());
    account.keeper().furnish(&[(user("ana"), Some("AKIA1".to_owned()))]).await.unwrap();
    for _ in 0..20 {
        let change = account.deactivate_key("ana", "AKIA1");
        let _broken_off = tokio::time::timeout(std::time::Duration::ZERO, change).await;
        let seen = account.access_keys("ana").await.unwrap();
        account.activate_key("ana", "AKIA1").await.unwrap();
        assert_eq!(
            account.access_keys("ana").await.unwrap(),
            [("AKIA1".to_owned(), true)].into(),
            "after {seen:?}"
        );
    }
}

#[tokio::test]
async fn nothing_of_the_account_stands_in_the_file_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let account = open(folder.path());
    account.keeper().furnish(&[(user("ana.souza"), Some("AKIAVERYPLAIN".to_owned()))]).await.unwrap();
    drop(account);
    let file = std::fs::read_dir(folder.path().join("data")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(file).unwrap();
    for word in ["ana.souza", "AKIAVERYPLAIN"] {
        assert!(!bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{word}");
    }
}
