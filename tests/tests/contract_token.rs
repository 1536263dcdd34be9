//! The contracts of the identity ports over memory, the embedded database and DynamoDB; of signing keys over the local
//! sealer and KMS; of the key wrapper over OpenBao's transit.
#![cfg(test)]

use std::sync::Arc;

use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use portcullis_aws::{DynamoCredentials, DynamoTokens, KmsSealer, KmsSigner, KmsSigningKeys, SdkConfig};
use portcullis_base::{Clock, ManualClock, SecretString, Timestamp};
use portcullis_lambda::SystemClock;
use portcullis_local::memory::{Credentials, Tokens};
use portcullis_local::{LocalSealer, RootKey, Store, StoreOptions};
use portcullis_pii::{KeyError, KeyWrapper, Purpose};
use portcullis_tests::contract::{credentials, fresh, key_wrapper, signing_keys, token};
use portcullis_tests::emulators::{Emulator, OpenBao, deploy_stack};
use portcullis_token::{
    Algorithm, KeyRingStore, PublicKey, ReplayWindow, Revocation, RevocationStore, RevocationTarget,
    SealedKeys, Signer, SigningKeysError, StoreError,
};
use portcullis_vault::{VaultAuth, VaultSettings, VaultTransit};
use reqwest::Method;
use serde_json::json;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.now()))
}

/// Several handles on one store, as several tasks have.
fn clones<S: Clone>(store: &S) -> [S; 3] {
    [store.clone(), store.clone(), store.clone()]
}

struct Embedded {
    store: Store,
    clock: Arc<ManualClock>,
    _dir: tempfile::TempDir,
}

fn embedded() -> Embedded {
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let root = RootKey::random().unwrap();
    let store = Store::open(dir.path(), &root, clock.clone(), StoreOptions::default()).unwrap();
    Embedded { store, clock, _dir: dir }
}

struct Dynamo {
    config: SdkConfig,
    clock: Arc<ManualClock>,
    tokens_table: String,
    credentials_table: String,
}

impl Dynamo {
    async fn new() -> Self {
        let account = Emulator::ministack().account();
        let stack = deploy_stack(&account).await;
        Self {
            config: account.config().await,
            clock: clock(),
            tokens_table: stack.tokens_table,
            credentials_table: stack.credentials_table,
        }
    }

    fn tokens(&self) -> [DynamoTokens; 3] {
        std::array::from_fn(|_| DynamoTokens::new(&self.config, &self.tokens_table, self.clock.clone()))
    }

    fn credentials(&self) -> [DynamoCredentials; 3] {
        std::array::from_fn(|_| {
            DynamoCredentials::new(&self.config, &self.credentials_table, self.clock.clone())
        })
    }
}

#[tokio::test]
async fn tokens_in_memory() {
    let clock = clock();
    let stores = clones(&Tokens::with_clock(clock.clone()));
    for _ in 0..2 {
        token::key_ring(&stores, &clock).await;
        token::sealed_keys(&stores).await;
        token::revocations(&stores, &clock).await;
        token::refresh_families(&stores, &clock).await;
        token::replay_window(&stores, &clock).await;
        token::approvals(&stores, &clock).await;
    }
}

#[tokio::test]
async fn credentials_in_memory() {
    let clock = clock();
    let stores = clones(&Credentials::with_clock(clock.clone()));
    credentials::client_secrets(&stores, &clock).await;
    credentials::lockouts(&stores, &clock).await;
    credentials::api_keys(&stores, &clock).await;
}

/// Twice over the same store: a suite must not depend on an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_the_embedded_database() {
    let Embedded { store, clock, _dir } = embedded();
    let stores = clones(&store);
    for _ in 0..2 {
        token::key_ring(&stores, &clock).await;
        token::sealed_keys(&stores).await;
        token::revocations(&stores, &clock).await;
        token::refresh_families(&stores, &clock).await;
        token::replay_window(&stores, &clock).await;
        token::approvals(&stores, &clock).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_embedded_database() {
    let Embedded { store, clock, _dir } = embedded();
    let stores = clones(&store);
    credentials::client_secrets(&stores, &clock).await;
    credentials::lockouts(&stores, &clock).await;
    credentials::api_keys(&stores, &clock).await;
}

#[tokio::test]
async fn key_ring_and_sealed_keys_in_dynamodb() {
    let dynamo = Dynamo::new().await;
    token::key_ring(&dynamo.tokens(), &dynamo.clock).await;
    token::key_ring(&dynamo.tokens(), &dynamo.clock).await;
    token::sealed_keys(&dynamo.tokens()).await;
}

#[tokio::test]
async fn revocations_in_dynamodb() {
    let dynamo = Dynamo::new().await;
    token::revocations(&dynamo.tokens(), &dynamo.clock).await;
}

#[tokio::test]
async fn refresh_families_in_dynamodb() {
    let dynamo = Dynamo::new().await;
    token::refresh_families(&dynamo.tokens(), &dynamo.clock).await;
}

#[tokio::test]
async fn replay_window_in_dynamodb() {
    let dynamo = Dynamo::new().await;
    token::replay_window(&dynamo.tokens(), &dynamo.clock).await;
}

#[tokio::test]
async fn approvals_in_dynamodb() {
    let dynamo = Dynamo::new().await;
    token::approvals(&dynamo.tokens(), &dynamo.clock).await;
}

#[tokio::test]
async fn credentials_in_dynamodb() {
    let dynamo = Dynamo::new().await;
    credentials::client_secrets(&dynamo.credentials(), &dynamo.clock).await;
    credentials::lockouts(&dynamo.credentials(), &dynamo.clock).await;
    credentials::api_keys(&dynamo.credentials(), &dynamo.clock).await;
}

/// A writer whose clock is as far behind as AWS lets it be, after a reader has read on.
#[tokio::test]
async fn dynamodb_shows_revocations_of_a_writer_that_is_late() {
    let dynamo = Dynamo::new().await;
    let [reader, ..] = dynamo.tokens();
    let end = Timestamp::from_millisecond(dynamo.clock.now().as_millisecond() + 600_000).unwrap();
    let revocation = |jti: &str| Revocation {
        target: RevocationTarget::Token { iss: "i".into(), jti: jti.into() },
        until: end,
    };
    reader.add(&revocation("first")).await.unwrap();
    let cursor = reader.since(None).await.unwrap().cursor;
    let behind = Arc::new(ManualClock::at(dynamo.clock.now()));
    behind.advance(-5 * 60 * 1_000);
    let late = DynamoTokens::new(&dynamo.config, &dynamo.tokens_table, behind);
    late.add(&revocation("late")).await.unwrap();
    let page = reader.since(cursor.as_deref()).await.unwrap();
    assert!(page.items.contains(&revocation("late")), "{page:?}");

    // Once the newest is far ahead, a poll is short again.
    dynamo.clock.advance(400_000);
    reader.add(&revocation("newest")).await.unwrap();
    let cursor = reader.since(cursor.as_deref()).await.unwrap().cursor;
    assert_eq!(reader.since(cursor.as_deref()).await.unwrap().items, [revocation("newest")]);
}

/// More than DynamoDB gives in one answer (1 MB).
#[tokio::test]
async fn dynamodb_gives_many_revocations_in_pages() {
    let dynamo = Dynamo::new().await;
    let [store, ..] = dynamo.tokens();
    let end = Timestamp::from_millisecond(dynamo.clock.now().as_millisecond() + 600_000).unwrap();
    let mut added = Vec::new();
    for n in 0..30 {
        let target = RevocationTarget::Token { iss: "i".into(), jti: format!("{n}{}", "x".repeat(60_000)) };
        added.push(Revocation { target, until: end });
        store.add(added.last().unwrap()).await.unwrap();
        dynamo.clock.advance(1);
    }
    let first = store.since(None).await.unwrap();
    assert!(first.more && first.items.len() < 30, "{} at once", first.items.len());
    let mut found = first.items;
    let mut cursor = first.cursor;
    while found.len() < 30 {
        let page = store.since(cursor.as_deref()).await.unwrap();
        found.extend(page.items);
        cursor = page.cursor;
        assert!(page.more || found.len() == 30, "{}", found.len());
    }
    assert_eq!(found, added, "in order, none twice");
}

#[tokio::test]
async fn dynamodb_says_what_is_wrong() {
    let dynamo = Dynamo::new().await;
    let end = SystemClock.now();
    let missing = DynamoTokens::new(&dynamo.config, "none", dynamo.clock.clone());
    assert_eq!(missing.first_use("s", "id", end).await, Err(StoreError::Refused));
    assert_eq!(KeyRingStore::load(&missing).await.map(|(_, version)| version), Err(StoreError::Refused));
    let silent = dynamo.config.clone().into_builder().endpoint_url("http://127.0.0.1:1").build();
    let silent = DynamoTokens::new(&silent, "none", dynamo.clock.clone());
    assert_eq!(silent.since(None).await, Err(StoreError::Unavailable));
}

#[tokio::test]
async fn local_sealer_and_sealed_keys() {
    let sealer = LocalSealer::new(&RootKey::random().unwrap());
    signing_keys::sealer(&sealer).await;
    signing_keys::changed_seals_are_refused(&sealer).await;
    signing_keys::signing_keys(&SealedKeys::new(Tokens::default(), sealer)).await;
}

#[tokio::test]
async fn kms_sealer_and_sealed_keys() {
    let config = Emulator::ministack().account().config().await;
    let sealer = KmsSealer::new(&config, key(&config).await);
    signing_keys::sealer(&sealer).await;
    signing_keys::signing_keys(&SealedKeys::new(Tokens::default(), sealer)).await;
}

/// moto authenticates ciphertexts, which ministack does not.
#[tokio::test]
async fn kms_sealer_refuses_what_was_changed() {
    let config = Emulator::moto().account().config().await;
    signing_keys::changed_seals_are_refused(&KmsSealer::new(&config, key(&config).await)).await;
}

#[tokio::test]
async fn kms_signing_keys() {
    let config = Emulator::ministack().account().config().await;
    signing_keys::signing_keys(&KmsSigningKeys::new(&config, &fresh("portcullis/signing"))).await;
}

#[tokio::test]
async fn kms_signer_of_a_key_that_somebody_made() {
    let config = Emulator::ministack().account().config().await;
    let client = aws_sdk_kms::Client::new(&config);
    let made = client
        .create_key()
        .key_spec(KeySpec::EccNistP256)
        .key_usage(KeyUsageType::SignVerify)
        .send()
        .await
        .unwrap();
    let id = made.key_metadata.unwrap().key_id;
    let signer = KmsSigner::load(&config, &id, Algorithm::Es256).await.unwrap();
    let signature = signer.sign(b"message").await.unwrap();
    assert_eq!(signature.len(), 64);
    assert!(signer.public().key().verifies(Algorithm::Es256, b"message", &signature));

    let spki = client.get_public_key().key_id(&id).send().await.unwrap().public_key.unwrap();
    let named = PublicKey::from_spki(spki.as_ref()).unwrap().thumbprint().to_string();
    assert_eq!(signer.kid(), named);
    for (label, key, algorithm, expected) in [
        ("another algorithm", &*id, Algorithm::Rs256, SigningKeysError::Unusable),
        ("no such key", "alias/none", Algorithm::Es256, SigningKeysError::Missing),
    ] {
        let refused = KmsSigner::load(&config, key, algorithm).await.err();
        assert_eq!(refused, Some(expected), "{label}");
    }
    client.disable_key().key_id(&id).send().await.unwrap();
    assert!(signer.sign(b"message").await.is_err(), "disabled");
}

/// Keys of both kinds: with one that is not derived, transit ignores the `context`, and the associated data alone binds.
#[tokio::test]
async fn key_wrapper_over_transit() {
    let (bao, mount) = (OpenBao::shared(), fresh("transit"));
    bao.call(Method::POST, &format!("sys/mounts/{mount}"), &json!({ "type": "transit" })).await;
    for (kind, body) in [
        ("plain", json!({})),
        ("derived", json!({ "derived": true })),
        ("chacha", json!({ "type": "chacha20-poly1305" })),
    ] {
        for purpose in ["conversation", "media"] {
            bao.call(Method::POST, &format!("{mount}/keys/{kind}-{purpose}"), &body).await;
        }
        let keys = [format!("{kind}-conversation"), format!("{kind}-media")];
        let wrapper = transit(OpenBao::TOKEN, &mount, &keys);
        key_wrapper::suite(&wrapper).await;
        key_wrapper::changed_keys_are_refused(&wrapper).await;

        let key = wrapper.generate(Purpose::Media, &[("a", "1")]).await.unwrap();
        bao.call(Method::POST, &format!("{mount}/keys/{kind}-media/rotate"), &json!({})).await;
        let newer = wrapper.generate(Purpose::Media, &[("a", "1")]).await.unwrap();
        assert!(newer.wrapped.starts_with(b"vault:v2:") && key.wrapped.starts_with(b"vault:v1:"));
        for key in [key, newer] {
            let opened = wrapper.unwrap(Purpose::Media, &[("a", "1")], &key.wrapped).await.unwrap();
            assert_eq!(*opened, *key.plaintext, "{kind}: after a rotation");
        }
    }
    transit_with_few_rights(bao, &mount).await;
}

/// The policy that the adapter's documentation asks for is enough, and makes no keys.
async fn transit_with_few_rights(bao: &OpenBao, mount: &str) {
    let rights = ["encrypt", "decrypt"].map(|operation| {
        let path =
            |key: &str| format!(r#"path "{mount}/{operation}/{key}" {{ capabilities = ["update"] }} "#);
        path("plain-conversation") + &path("plain-media") + &path("missing")
    });
    let policy = json!({ "policy": rights.concat() });
    bao.call(Method::PUT, &format!("sys/policies/acl/{mount}"), &policy).await;
    let token = bao.call(Method::POST, "auth/token/create", &json!({ "policies": [mount] })).await;
    let token = token["auth"]["client_token"].as_str().unwrap();

    let wrapper = transit(token, mount, &["plain-conversation".to_owned(), "plain-media".to_owned()]);
    key_wrapper::suite(&wrapper).await;
    for (label, key) in [("outside the policy", "derived-media"), ("missing", "missing")] {
        let wrapper = transit(token, mount, &["plain-conversation".to_owned(), key.to_owned()]);
        let refused = wrapper.generate(Purpose::Media, &[]).await;
        assert_eq!(refused.err(), Some(KeyError::Refused), "{label}");
    }
    let revoked = transit("s.nobody", mount, &["plain-conversation".to_owned(), "plain-media".to_owned()]);
    assert_eq!(revoked.generate(Purpose::Media, &[]).await.err(), Some(KeyError::Refused));
}

fn transit(token: &str, mount: &str, [conversation, media]: &[String; 2]) -> VaultTransit<SystemClock> {
    let auth = VaultAuth::Token(SecretString::from(token));
    let settings = VaultSettings::new(&OpenBao::shared().address(), auth)
        .unwrap()
        .with_mount(mount)
        .with_timeout(std::time::Duration::from_secs(20));
    VaultTransit::new(settings, conversation, media, SystemClock).unwrap()
}

async fn key(config: &SdkConfig) -> String {
    let answer = aws_sdk_kms::Client::new(config).create_key().send().await.unwrap();
    answer.key_metadata.and_then(|metadata| metadata.arn).unwrap()
}
