//! What must hold of the identity ports over the embedded database beyond their contracts: restarts, SIGKILL, ends,
//! and what can be read of the file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::io::Write;
use std::sync::Arc;

use common::{Home, find_in_files, killed_in_the_middle, root};
use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_local::{Store, StoreOptions};
use portcullis_token::{
    Algorithm, Approval, Approvals, ClientSecretStore, Family, FamilyId, KeyRing, KeyRingStore, LocalSigner,
    Lockouts, RefreshFamilies, RefreshTokens, ReplayWindow, Revocation, RevocationStore, RevocationTarget,
    RingPolicy, SealedKeyStore, SecretHash, StoreError, StoredSecrets,
};
use redb::ReadableTableMetadata;

fn later(home: &Home, seconds: i64) -> Timestamp {
    Timestamp::from_millisecond(home.now() + seconds * 1_000).unwrap()
}

fn revocation(jti: &str, until: Timestamp) -> Revocation {
    Revocation { target: RevocationTarget::Token { iss: "https://i".into(), jti: jti.into() }, until }
}

fn approval(id: &str, expires_at: Timestamp) -> Approval {
    Approval {
        id: id.into(),
        plan: "the-plan".into(),
        approver: "svc.enterprise".into(),
        actor: "svc.actuator".into(),
        issued_at: 0,
        expires_at: expires_at.as_millisecond(),
    }
}

fn family(subject: &str, now: Timestamp) -> (FamilyId, Family) {
    let id = FamilyId::random().unwrap();
    let (token, _) = RefreshTokens::new(&[7; 32], None).unwrap().make(id, 0).unwrap();
    (id, Family::new(subject, "svc.bff", "read:signals", &token, now))
}

fn secrets(digit: &str) -> StoredSecrets {
    StoredSecrets { current: SecretHash::parse(&digit.repeat(64)).unwrap(), other: None }
}

fn ring(now: Timestamp) -> KeyRing {
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let policy = RingPolicy {
        cache_lifetime: day,
        ring_staleness: day,
        max_token_lifetime: day,
        leeway: day,
        rotate_every: day,
    };
    let mut ring = KeyRing::default();
    let key = LocalSigner::generate(Algorithm::EdDsa).unwrap();
    ring.publish(key.public().clone(), &policy, now).unwrap();
    ring
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let home = Home::new();
    let store = home.open();
    let (ring, end) = (ring(home.clock.now()), later(&home, 60));
    let (id, family) = family("user", home.clock.now());
    assert_eq!(KeyRingStore::save(&store, &ring, 0).await, Ok(true));
    SealedKeyStore::add(&store, "kid", b"sealed").await.unwrap();
    store.create(id, &family, end).await.unwrap();
    assert_eq!(store.first_use("dpop", "jti", end).await, Ok(true));
    Approvals::add(&store, &approval("a", end)).await.unwrap();
    RevocationStore::add(&store, &revocation("t", end)).await.unwrap();
    assert_eq!(ClientSecretStore::replace(&store, "svc.bff", &secrets("a"), 0).await, Ok(true));
    Lockouts::add(&store, "key", home.clock.now(), end).await.unwrap();
    drop(store);

    let store = home.open();
    let (loaded, version) = KeyRingStore::load(&store).await.unwrap();
    assert_eq!((loaded.keys()[0].kid(), version), (ring.keys()[0].kid(), 1));
    assert_eq!(SealedKeyStore::load(&store, "kid").await, Ok(Some(b"sealed".to_vec())));
    assert_eq!(RefreshFamilies::load(&store, id).await, Ok(Some(family)));
    assert_eq!(store.first_use("dpop", "jti", end).await, Ok(false));
    assert_eq!(store.peek("a").await, Ok(Some(approval("a", end))));
    assert_eq!(store.since(None).await.unwrap().items, [revocation("t", end)]);
    assert_eq!(ClientSecretStore::load(&store, "svc.bff").await.unwrap().unwrap().version, 1);
    assert_eq!(Lockouts::load(&store, "key").await.unwrap().unwrap().count, 1);
}

#[tokio::test]
async fn what_has_ended_is_gone_at_that_millisecond_and_later_from_the_file() {
    let home = Home::new();
    let store = home.open();
    let end = Timestamp::from_millisecond(home.now() + 1_500).unwrap();
    let (id, family) = family("user", home.clock.now());
    store.create(id, &family, end).await.unwrap();
    assert_eq!(store.first_use("s", "id", end).await, Ok(true));
    Approvals::add(&store, &approval("a", end)).await.unwrap();
    RevocationStore::add(&store, &revocation("t", end)).await.unwrap();
    Lockouts::add(&store, "key", home.clock.now(), end).await.unwrap();
    for (millis, there) in [(1_499, true), (1, false)] {
        home.clock.advance(millis);
        assert_eq!(RefreshFamilies::load(&store, id).await.unwrap().is_some(), there);
        assert_eq!(store.peek("a").await.unwrap().is_some(), there);
        assert_eq!(store.since(None).await.unwrap().items.len(), usize::from(there));
        assert_eq!(Lockouts::load(&store, "key").await.unwrap().is_some(), there);
        assert_eq!(RefreshFamilies::replace(&store, id, &family, &family, end).await, Ok(there));
        let open = Approvals::take(&store, "a", "svc.other", home.clock.now()).await;
        assert_eq!(open, Ok(None), "for another actor");
    }
    assert_eq!(store.first_use("s", "id", later(&home, 60)).await, Ok(true), "new again");

    home.clock.advance(10 * 60 * 1_000);
    SealedKeyStore::add(&store, "kid", b"sealed").await.unwrap();
    drop(store);
    let db = redb::ReadOnlyDatabase::open(home.file()).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
    let entries = redb::TableDefinition::<(u8, [u8; 16]), (i64, &[u8])>::new("entries");
    let revocations = redb::TableDefinition::<u64, (i64, &[u8])>::new("revocations");
    let expiry = redb::TableDefinition::<(i64, u8, &[u8]), ()>::new("expiry");
    assert_eq!(txn.open_table(entries).unwrap().len().unwrap(), 1, "the sealed key has no end");
    assert_eq!(txn.open_table(revocations).unwrap().len().unwrap(), 0);
    assert_eq!(txn.open_table(expiry).unwrap().len().unwrap(), 0);
}

#[tokio::test]
async fn an_entry_that_was_given_a_later_end_is_not_purged_at_the_earlier_one() {
    let home = Home::new();
    let store = home.open();
    let (id, family) = family("user", home.clock.now());
    store.create(id, &family, later(&home, 10)).await.unwrap();
    assert_eq!(
        RefreshFamilies::replace(&store, id, &family, &family.killed(), later(&home, 3_600)).await,
        Ok(true)
    );
    home.clock.advance(600 * 1_000);
    SealedKeyStore::add(&store, "kid", b"the purge runs with a write").await.unwrap();
    assert_eq!(RefreshFamilies::load(&store, id).await, Ok(Some(family.killed())));
}

#[tokio::test]
async fn revocations_come_in_pages_and_after_a_cursor_even_when_all_before_it_have_expired() {
    let home = Home::new();
    let store = home.open();
    for n in 0..1_500 {
        RevocationStore::add(&store, &revocation(&n.to_string(), later(&home, 60))).await.unwrap();
    }
    let first = store.since(None).await.unwrap();
    let second = store.since(first.cursor.as_deref()).await.unwrap();
    assert_eq!((first.items.len(), first.more), (1_000, true));
    assert_eq!((second.items.len(), second.more), (500, false));
    home.clock.advance(10 * 60 * 1_000);
    SealedKeyStore::add(&store, "kid", b"the purge runs with a write").await.unwrap();
    home.clock.advance(10 * 60 * 1_000);
    SealedKeyStore::add(&store, "kid2", b"a bounded number at a time").await.unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(store.since(second.cursor.as_deref()).await.unwrap().items, []);
    let newer = revocation("newer", later(&home, 60));
    RevocationStore::add(&store, &newer).await.unwrap();
    let third = store.since(second.cursor.as_deref()).await.unwrap();
    assert_eq!(third.items, std::slice::from_ref(&newer));
    for foreign in ["999999999", "x", "", "-1"] {
        assert_eq!(
            store.since(Some(foreign)).await.unwrap().items,
            std::slice::from_ref(&newer),
            "{foreign}"
        );
    }
}

#[tokio::test]
async fn the_file_tells_nothing_and_a_changed_row_is_noticed() {
    let home = Home::new();
    let store = home.open();
    let (end, words) =
        (later(&home, 600), ["alice@example.com", "jti-of-a-proof", "the-plan", "svc.bff", "svc.actuator"]);
    let (id, family) = family("alice@example.com", home.clock.now());
    store.create(id, &family, end).await.unwrap();
    store.first_use("dpop", "jti-of-a-proof", end).await.unwrap();
    Approvals::add(&store, &approval("a", end)).await.unwrap();
    let sub = RevocationTarget::Subject { iss: "i".into(), sub: "alice@example.com".into(), before: end };
    RevocationStore::add(&store, &Revocation { target: sub, until: end }).await.unwrap();
    ClientSecretStore::replace(&store, "svc.bff", &secrets("a"), 0).await.unwrap();
    drop(store);
    for word in words {
        assert_eq!(find_in_files(home.dir.path(), word.as_bytes()), Vec::<String>::new(), "{word}");
    }

    let db = redb::Database::open(home.file()).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let entries = redb::TableDefinition::<(u8, [u8; 16]), (i64, &[u8])>::new("entries");
        let mut table = txn.open_table(entries).unwrap();
        let rows: Vec<_> = redb::ReadableTable::iter(&table)
            .unwrap()
            .map(|row| row.map(|(key, row)| (key.value(), row.value().0, row.value().1.to_vec())).unwrap())
            .collect();
        for (key, ends, mut sealed) in rows {
            *sealed.last_mut().unwrap() ^= 1;
            table.insert(key, (ends, sealed.as_slice())).unwrap();
        }
    }
    txn.commit().unwrap();
    drop(db);
    let store = home.open();
    assert_eq!(RefreshFamilies::load(&store, id).await, Err(StoreError::Malformed));
    assert_eq!(store.first_use("dpop", "jti-of-a-proof", end).await, Err(StoreError::Malformed));
    assert_eq!(
        Approvals::take(&store, "a", "svc.actuator", home.clock.now()).await,
        Err(StoreError::Malformed)
    );
    assert_eq!(ClientSecretStore::load(&store, "svc.bff").await.unwrap_err(), StoreError::Malformed);
    assert_eq!(store.first_use("dpop", "another", end).await, Ok(true), "the rest works on");
}

/// The work of the process that is killed: it uses ids, takes approvals, revokes, and says each time that it was done.
#[test]
#[ignore = "started by the other tests of this file, not by itself"]
fn child() {
    let mut lines = std::io::stdin().lines();
    let (Some(Ok(dir)), Some(Ok(first))) = (lines.next(), lines.next()) else { return };
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
    let end = Timestamp::from_second(1_800_100_000).unwrap();
    let store = Store::open(dir.as_ref(), &root(), clock.clone(), StoreOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let known = ClientSecretStore::load(&store, "svc.bff").await.unwrap();
        let versions = known.map_or(0, |known| known.version)..;
        for (n, version) in (first.parse::<u64>().unwrap()..).zip(versions) {
            let id = n.to_string();
            assert_eq!(store.first_use("s", &id, end).await, Ok(true));
            RevocationStore::add(&store, &revocation(&id, end)).await.unwrap();
            Approvals::add(&store, &approval(&id, end)).await.unwrap();
            assert!(Approvals::take(&store, &id, "svc.actuator", clock.now()).await.unwrap().is_some());
            assert_eq!(ClientSecretStore::replace(&store, "svc.bff", &secrets("a"), version).await, Ok(true));
            // One write: the line is in the pipe, whole, even if the process dies now.
            std::io::stdout().write_all(format!("\ndone {n}\n").as_bytes()).unwrap();
        }
    });
}

#[tokio::test]
async fn killed_in_the_middle_nothing_that_was_answered_is_undone() {
    let home = Home::new();
    let done = killed_in_the_middle(&home, 20);
    let store = home.open();
    let version = ClientSecretStore::load(&store, "svc.bff").await.unwrap().unwrap().version;
    assert!((done.len() as u64..=done.len() as u64 + 4).contains(&version), "{version} of {}", done.len());
    let revoked = store.since(None).await.unwrap().items;
    for n in done {
        let id = n.to_string();
        assert_eq!(store.first_use("s", &id, later(&home, 60)).await, Ok(false), "{n}");
        assert_eq!(store.peek(&id).await, Ok(None), "{n} is spent");
        let end = Timestamp::from_second(1_800_100_000).unwrap();
        assert!(revoked.contains(&revocation(&id, end)), "{n}");
    }
}
