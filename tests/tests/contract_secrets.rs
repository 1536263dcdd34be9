//! One contract over every backend of secrets: environment, files, Secrets Manager, OpenBao.
#![cfg(test)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::Client;
use portcullis_aws::{SdkConfig, SecretsManager};
use portcullis_base::{ManualClock, SecretString, Timestamp};
use portcullis_local::{EnvSecrets, FileSecrets};
use portcullis_secrets::{SecretError, SecretSource};
use portcullis_tests::contract::secrets::{SecretBackend, suite};
use portcullis_tests::emulators::{Emulator, OpenBao};
use portcullis_vault::{VaultAuth, VaultSecrets, VaultSettings};
use reqwest::Method;
use serde_json::{Value, json};

struct SecretsManagerBackend {
    config: SdkConfig,
    client: Client,
}

impl SecretBackend for SecretsManagerBackend {
    fn source(&self) -> impl SecretSource {
        SecretsManager::new(&self.config)
    }

    async fn rotate(&self, name: &str, value: &str) {
        if self.client.put_secret_value().secret_id(name).secret_string(value).send().await.is_err() {
            self.client.create_secret().name(name).secret_string(value).send().await.unwrap();
        }
    }

    async fn withdraw_previous(&self, name: &str) {
        let stages = self.client.list_secret_version_ids().secret_id(name).send().await.unwrap();
        let previous = stages
            .versions()
            .iter()
            .find(|version| version.version_stages().iter().any(|stage| stage == "AWSPREVIOUS"))
            .and_then(|version| version.version_id())
            .unwrap();
        self.client
            .update_secret_version_stage()
            .secret_id(name)
            .version_stage("AWSPREVIOUS")
            .remove_from_version_id(previous)
            .send()
            .await
            .unwrap();
    }

    async fn remove(&self, name: &str) {
        self.client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await.unwrap();
    }
}

#[tokio::test]
async fn secrets_manager() {
    let config = Emulator::ministack().account().config().await;
    let backend = SecretsManagerBackend { client: Client::new(&config), config };
    suite(&backend).await;

    // A secret in its recovery window is withdrawn, not stale.
    backend.rotate("marked", "v").await;
    backend.client.delete_secret().secret_id("marked").recovery_window_in_days(7).send().await.unwrap();
    assert_eq!(backend.source().fetch("marked").await.unwrap_err(), SecretError::NotFound);
    // A binary value is not a secret of ours.
    let blob = aws_sdk_secretsmanager::primitives::Blob::new(b"\xff");
    backend.client.create_secret().name("binary").secret_binary(blob).send().await.unwrap();
    assert_eq!(backend.source().fetch("binary").await.unwrap_err(), SecretError::Malformed);
}

struct VaultBackend {
    bao: &'static OpenBao,
    mount: &'static str,
    namespace: &'static str,
    auth: VaultAuth,
}

impl VaultBackend {
    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        self.bao.call_in(self.namespace, method, path, body).await
    }
}

impl SecretBackend for VaultBackend {
    fn source(&self) -> impl SecretSource {
        let settings = VaultSettings::new(&self.bao.address(), self.auth.clone())
            .unwrap()
            .with_mount(self.mount)
            .with_namespace(Some(self.namespace.to_owned()).filter(|namespace| !namespace.is_empty()))
            .with_timeout(std::time::Duration::from_secs(20));
        VaultSecrets::new(settings, clock()).unwrap()
    }

    async fn rotate(&self, name: &str, value: &str) {
        let body = json!({ "data": { "value": value } });
        self.call(Method::POST, &format!("{}/data/{name}", self.mount), &body).await;
    }

    async fn withdraw_previous(&self, name: &str) {
        let metadata = format!("{}/metadata/{name}", self.mount);
        let answer = self.call(Method::GET, &metadata, &Value::Null).await;
        let previous = answer["data"]["current_version"].as_u64().unwrap() - 1;
        let body = json!({ "versions": [previous] });
        self.call(Method::PUT, &format!("{}/destroy/{name}", self.mount), &body).await;
    }

    async fn remove(&self, name: &str) {
        self.call(Method::DELETE, &format!("{}/metadata/{name}", self.mount), &Value::Null).await;
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH))
}

#[tokio::test]
async fn openbao_with_a_token() {
    let auth = VaultAuth::Token(SecretString::from(OpenBao::TOKEN));
    let backend = VaultBackend { bao: OpenBao::shared(), mount: "secret", namespace: "", auth };
    suite(&backend).await;

    // The same JSON document as in Secrets Manager, member by member.
    let members = json!({ "app_secret": "a", "verify_token": "t", "conversation_key": "k" });
    backend.bao.put("webhook", members.clone()).await;
    let got = backend.source().fetch("webhook").await.unwrap();
    let text = portcullis_base::ExposeSecret::expose_secret(&got.current);
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), members);
    // A deleted (not destroyed) current version is gone until it is undeleted.
    backend.call(Method::DELETE, "secret/data/webhook", &Value::Null).await;
    assert_eq!(backend.source().fetch("webhook").await.unwrap_err(), SecretError::NotFound);
}

#[tokio::test]
async fn openbao_with_a_role_in_a_namespace() {
    let (bao, namespace) = (OpenBao::shared(), "team");
    bao.call(Method::POST, "sys/namespaces/team", &json!({})).await;
    let call =
        |method, path: &'static str, body| async move { bao.call_in(namespace, method, path, &body).await };
    call(Method::POST, "sys/mounts/kv/own", json!({ "type": "kv", "options": { "version": "2" } })).await;
    call(Method::POST, "sys/auth/machines", json!({ "type": "approle" })).await;
    let policy = r#"path "kv/own/data/contract/*" { capabilities = ["read"] }"#;
    call(Method::PUT, "sys/policies/acl/webhook", json!({ "policy": policy })).await;
    let role = json!({ "token_policies": ["webhook"], "token_ttl": "60s", "token_max_ttl": "10m" });
    call(Method::POST, "auth/machines/role/webhook", role).await;
    let id = call(Method::GET, "auth/machines/role/webhook/role-id", json!({})).await;
    let secret = call(Method::POST, "auth/machines/role/webhook/secret-id", json!({})).await;
    let auth = |secret_id: &str| VaultAuth::AppRole {
        mount: "machines".into(),
        role_id: id["data"]["role_id"].as_str().unwrap().into(),
        secret_id: SecretString::from(secret_id),
    };
    let good = auth(secret["data"]["secret_id"].as_str().unwrap());
    let backend = VaultBackend { bao, mount: "kv/own", namespace, auth: good.clone() };
    suite(&backend).await;

    backend.rotate("other/secret", "v").await;
    let denied = backend.source().fetch("other/secret").await.unwrap_err();
    assert_eq!(denied, SecretError::Denied, "outside the policy");
    let wrong = VaultBackend { auth: auth("wrong"), ..backend };
    assert_eq!(wrong.source().fetch("contract/a").await.unwrap_err(), SecretError::Denied, "wrong secret id");
    renewal_and_revocation(&VaultBackend { auth: good, ..wrong }).await;
}

/// A real lease: renewed when its time comes, replaced when it was revoked behind our back.
async fn renewal_and_revocation(backend: &VaultBackend) {
    let clock = clock();
    let settings = VaultSettings::new(&backend.bao.address(), backend.auth.clone())
        .unwrap()
        .with_mount(backend.mount)
        .with_namespace(Some(backend.namespace.to_owned()));
    let vault = VaultSecrets::new(settings, Arc::clone(&clock)).unwrap();
    vault.fetch("contract/a").await.unwrap();
    let accessors = async || {
        let list = Method::from_bytes(b"LIST").unwrap();
        let answer = backend.call(list, "auth/token/accessors", &Value::Null).await;
        answer["data"]["keys"].as_array().unwrap().len()
    };
    let before = accessors().await;
    clock.advance(45_000);
    vault.fetch("contract/a").await.unwrap();
    assert_eq!(accessors().await, before, "renewed: no new login");
    backend.call(Method::POST, "sys/leases/revoke-prefix/auth/machines", &json!({ "sync": true })).await;
    clock.advance(11_000);
    vault.fetch("contract/a").await.unwrap();
}

struct FileBackend {
    dir: PathBuf,
}

impl SecretBackend for FileBackend {
    fn source(&self) -> impl SecretSource {
        FileSecrets::open(&self.dir).unwrap()
    }

    async fn rotate(&self, name: &str, value: &str) {
        let (path, previous) = (self.dir.join(name), self.dir.join(format!("{name}.previous")));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.exists() {
            std::fs::rename(&path, previous).unwrap();
        }
        std::fs::write(&path, value).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    async fn withdraw_previous(&self, name: &str) {
        std::fs::remove_file(self.dir.join(format!("{name}.previous"))).unwrap();
    }

    async fn remove(&self, name: &str) {
        std::fs::remove_file(self.dir.join(name)).unwrap();
    }
}

#[tokio::test]
async fn files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    suite(&FileBackend { dir: dir.path().to_owned() }).await;
}

#[derive(Default)]
struct EnvBackend {
    variables: Mutex<BTreeMap<String, String>>,
}

impl EnvBackend {
    fn variable(name: &str) -> String {
        format!("TEST_{}", name.to_uppercase().replace(['/', '-'], "_"))
    }
}

impl SecretBackend for EnvBackend {
    fn source(&self) -> impl SecretSource {
        EnvSecrets::from_pairs("TEST_", self.variables.lock().unwrap().clone())
    }

    async fn rotate(&self, name: &str, value: &str) {
        let mut variables = self.variables.lock().unwrap();
        let variable = Self::variable(name);
        if let Some(old) = variables.insert(variable.clone(), value.to_owned()) {
            variables.insert(format!("{variable}_PREVIOUS"), old);
        }
    }

    async fn withdraw_previous(&self, name: &str) {
        self.variables.lock().unwrap().remove(&format!("{}_PREVIOUS", Self::variable(name)));
    }

    async fn remove(&self, name: &str) {
        self.variables.lock().unwrap().remove(&Self::variable(name));
    }
}

#[tokio::test]
async fn environment() {
    suite(&EnvBackend::default()).await;
}
