//! The contracts of the credential ports: client secrets, lockouts, API keys.
//!
//! As in [`super::token`], adapters of one suite lead to one store and share `clock`.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "test support: a panic is a failed test")]

use std::collections::BTreeSet;

use futures_util::future::join_all;
use portcullis_access::{ApiKey, ApiKeyStore, KnownApiKey};
use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_token::{
    ClientSecretStore, KnownSecrets, Lockouts, Scope, SecretHash, SecretHasher, SecretMatch, StoredSecrets,
};

use super::fresh;
use super::token::{WRITERS, in_seconds, last, of, only};

/// The contract of [`ClientSecretStore`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn client_secrets<S: ClientSecretStore>(stores: &[S], clock: &ManualClock) {
    let (client, hasher) = (fresh("svc.client"), SecretHasher::new(&[7; 32]).expect("a hasher"));
    let hash = |secret: &str| hasher.hash(&client, &secret.to_owned().into());
    let one = StoredSecrets { current: hash("one"), other: None };
    let two = StoredSecrets { current: hash("two"), other: Some((hash("one"), in_seconds(clock, 60))) };
    assert!(stores[0].load(&client).await.expect("an answer").is_none());
    assert_eq!(stores[0].replace(&client, &one, 1).await, Ok(false), "there are none yet");
    assert_eq!(stores[0].replace(&client, &one, 0).await, Ok(true));
    assert_eq!(known(last(stores), &client).await, (1, text(&one)));
    for stale in [0, 2] {
        assert_eq!(stores[0].replace(&client, &two, stale).await, Ok(false), "version {stale}");
    }
    assert_eq!(known(last(stores), &client).await, (1, text(&one)), "nothing changed");
    assert_eq!(last(stores).replace(&client, &two, 1).await, Ok(true));
    assert_eq!(known(&stores[0], &client).await, (2, text(&two)));
    let loaded = stores[0].load(&client).await.expect("an answer").expect("secrets").secrets;
    let check = |secret: &str| loaded.check(&hasher, &client, &secret.to_owned().into(), clock.now());
    assert_eq!(
        (check("two"), check("one"), check("x")),
        (Some(SecretMatch::Current), Some(SecretMatch::Other), None)
    );
    assert!(stores[0].load(&client.to_uppercase()).await.expect("an answer").is_none(), "another client");

    let many: Vec<_> =
        (0..WRITERS).map(|n| StoredSecrets { current: hash(&n.to_string()), other: None }).collect();
    let replaces = many.iter().enumerate().map(|(n, secrets)| of(stores, n).replace(&client, secrets, 2));
    let replaced: Vec<_> = join_all(replaces).await.into_iter().map(|r| r.expect("an answer")).collect();
    assert_eq!(known(last(stores), &client).await, (3, text(&many[only(&replaced)])));
}

/// The contract of [`Lockouts`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn lockouts<S: Lockouts>(stores: &[S], clock: &ManualClock) {
    let (key, other) = (fresh("svc.client|192.0.2.1"), fresh("svc.client|2001:db8::"));
    assert_eq!(stores[0].load(&key).await, Ok(None));
    for count in 1..=3 {
        clock.advance(1_000);
        let now = in_seconds(clock, 0);
        let failures = of(stores, 1).add(&key, now, in_seconds(clock, 600)).await.expect("a count");
        assert_eq!((failures.count, failures.last), (count, now));
        assert_eq!(stores[0].load(&key).await, Ok(Some(failures)));
    }
    assert_eq!(stores[0].load(&other).await, Ok(None));
    for _ in 0..2 {
        assert_eq!(stores[0].clear(&key).await, Ok(()), "twice does no harm");
        assert_eq!(last(stores).load(&key).await, Ok(None));
    }

    let (now, end) = (in_seconds(clock, 0), in_seconds(clock, 5));
    let adds = join_all((0..WRITERS).map(|n| of(stores, n).add(&other, now, end))).await;
    let counts: BTreeSet<_> = adds.into_iter().map(|added| added.expect("a count").count).collect();
    let all = u32::try_from(WRITERS).expect("a few");
    assert_eq!(counts, (1..=all).collect(), "no failure is lost, none counted twice");
    clock.advance(4_999);
    assert_eq!(stores[0].load(&other).await.expect("an answer").map(|f| f.count), Some(all));
    clock.advance(1);
    assert_eq!(stores[0].load(&other).await, Ok(None), "forgotten, deleted or not");
    let again = last(stores).add(&other, in_seconds(clock, 0), in_seconds(clock, 600)).await;
    assert_eq!(again.map(|failures| failures.count), Ok(1), "counted anew");
}

/// The contract of [`ApiKeyStore`].
///
/// # Panics
/// When an adapter breaks the contract.
pub async fn api_keys<S: ApiKeyStore>(stores: &[S], clock: &ManualClock) {
    let id = fresh("key").replace('-', "");
    let key = ApiKey {
        id: id.clone(),
        owner: "svc.bff".into(),
        scopes: Scope::parse("read:signals write:insights").expect("scopes"),
        tier: "standard".into(),
        secrets: StoredSecrets { current: hex("a"), other: Some((hex("b"), in_seconds(clock, 60))) },
        expires_at: Some(in_seconds(clock, 5)),
        revoked_at: None,
    };
    assert!(stores[0].load(&id).await.expect("an answer").is_none());
    assert_eq!(stores[0].replace(&key, 0).await, Ok(true));
    for stale in [0, 2] {
        assert_eq!(last(stores).replace(&ApiKey { tier: "x".into(), ..key.clone() }, stale).await, Ok(false));
    }
    assert_eq!(known_key(last(stores), &id).await, told(&key, 1));
    let another = ApiKey { id: fresh("key").replace('-', ""), ..key.clone() };
    assert_eq!(last(stores).replace(&another, 0).await, Ok(true));
    let listed = stores[0].list().await.expect("a list");
    let ids: Vec<_> = listed.iter().map(|known| known.key.id.as_str()).collect();
    assert!(ids.is_sorted(), "by their ids: {ids:?}");
    for ours in [&key, &another] {
        let found: Vec<_> = listed.iter().filter(|known| known.key.id == ours.id).collect();
        assert_eq!(found.len(), 1, "each once");
        assert_eq!(told(&found[0].key, found[0].version), told(ours, 1));
    }
    clock.advance(10_000);
    assert_eq!(
        known_key(last(stores), &id).await,
        told(&key, 1),
        "that it has expired is not that it never was"
    );
    let secrets = StoredSecrets { current: hex("c"), other: None };
    let revoked_at = Some(in_seconds(clock, 0));
    let revoked = ApiKey { secrets, revoked_at, expires_at: None, scopes: Scope::default(), ..key };
    assert_eq!(last(stores).replace(&revoked, 1).await, Ok(true));
    assert_eq!(known_key(&stores[0], &id).await, told(&revoked, 2));
    let listed = last(stores).list().await.expect("a list");
    let found: Vec<_> = listed.iter().filter(|known| known.key.id == id).collect();
    assert_eq!(found.len(), 1, "a key that changed is one key");
    assert_eq!(told(&found[0].key, found[0].version), told(&revoked, 2));

    let many: Vec<_> = (0..WRITERS).map(|n| ApiKey { tier: n.to_string(), ..revoked.clone() }).collect();
    let replaces = many.iter().enumerate().map(|(n, key)| of(stores, n).replace(key, 2));
    let replaced: Vec<_> = join_all(replaces).await.into_iter().map(|r| r.expect("an answer")).collect();
    assert_eq!(known_key(last(stores), &id).await, told(&many[only(&replaced)], 3));
}

async fn known<S: ClientSecretStore>(store: &S, client: &str) -> (u64, String) {
    let KnownSecrets { secrets, version } = store.load(client).await.expect("an answer").expect("secrets");
    (version, text(&secrets))
}

async fn known_key<S: ApiKeyStore>(store: &S, id: &str) -> String {
    let KnownApiKey { key, version } = store.load(id).await.expect("an answer").expect("a key");
    told(&key, version)
}

/// All of a key: its `Debug` hides hashes.
fn told(key: &ApiKey, version: u64) -> String {
    format!("{version} {key:?} {}", text(&key.secrets))
}

fn text(secrets: &StoredSecrets) -> String {
    let other = secrets.other.as_ref().map(|(hash, until): &(SecretHash, Timestamp)| (hash.to_hex(), *until));
    format!("{} {other:?}", secrets.current.to_hex())
}

fn hex(digit: &str) -> SecretHash {
    SecretHash::parse(&digit.repeat(64)).expect("a hash")
}
