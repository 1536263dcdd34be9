//! Versions and stages of secrets at the HTTP boundary. The emulator replaces the value of a version, which Secrets
//! Manager never does.

use portcullis_base::{ExposeSecret, SecretString};
use portcullis_secrets::{Put, SecretError, SecretStages, SecretState};
use serde_json::{Value, json};

use super::*;

async fn manager(reply: &'static str) -> (SecretsManager, Sent) {
    let (config, sent) = answering(move |_| answer(200, &[], reply)).await;
    (SecretsManager::new(&config), sent)
}

/// The one action and body that was sent.
fn only(sent: &Sent) -> (String, Value) {
    let sent = sent.take();
    assert_eq!(sent.len(), 1);
    let target = sent[0].headers()["x-amz-target"].to_str().unwrap().to_owned();
    (target, serde_json::from_slice(sent[0].body().bytes().unwrap()).unwrap())
}

#[tokio::test]
async fn each_method_sends_one_action_with_exact_parameters() {
    let (manager, sent) = manager(
        r#"{"Name":"n","RotationEnabled":true,"VersionIdsToStages":{"v1":["AWSCURRENT","AWSPENDING"]}}"#,
    )
    .await;
    let state = manager.describe("arn").await.unwrap();
    let versions = vec![("v1".to_owned(), vec!["AWSCURRENT".to_owned(), "AWSPENDING".to_owned()])];
    assert_eq!(state, SecretState { name: "n".to_owned(), rotates: true, versions });
    assert_eq!(only(&sent), ("secretsmanager.DescribeSecret".to_owned(), json!({ "SecretId": "arn" })));

    manager.put_pending("arn", "v2", &SecretString::from("value")).await.unwrap();
    let put = json!({
        "SecretId": "arn", "ClientRequestToken": "v2", "SecretString": "value", "VersionStages": ["AWSPENDING"],
    });
    assert_eq!(only(&sent), ("secretsmanager.PutSecretValue".to_owned(), put));

    manager.promote("arn", "v1", "v2").await.unwrap();
    let moved = json!({
        "SecretId": "arn", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": "v1", "MoveToVersionId": "v2",
    });
    assert_eq!(only(&sent), ("secretsmanager.UpdateSecretVersionStage".to_owned(), moved));
    manager.promote("arn", "v2", "v2").await.unwrap();
    assert!(sent.take().is_empty(), "it is there already");
}

#[tokio::test]
async fn a_version_is_read_by_its_id() {
    let (manager, sent) = manager(r#"{"SecretString":"value"}"#).await;
    assert_eq!(manager.value("arn", "v2").await.unwrap().unwrap().expose_secret(), "value");
    let get = json!({ "SecretId": "arn", "VersionId": "v2" });
    assert_eq!(only(&sent), ("secretsmanager.GetSecretValue".to_owned(), get));
}

#[tokio::test]
async fn answers_mean_what_secrets_manager_means_by_them() {
    for (status, code, describe, value, put) in [
        (400, "ResourceNotFoundException", "NotFound", "None", "NotFound"),
        (400, "ResourceExistsException", "Denied", "Denied", "AlreadyThere"),
        (400, "InvalidRequestException", "Malformed", "NotFound", "Malformed"),
        (400, "AccessDeniedException", "Denied", "Denied", "Denied"),
        (400, "ThrottlingException", "Unavailable", "Unavailable", "Unavailable"),
        (500, "InternalServiceError", "Unavailable", "Unavailable", "Unavailable"),
    ] {
        let (config, _) = answering(move |request| error(status, code, request)).await;
        let manager = SecretsManager::new(&config);
        assert_eq!(say(manager.describe("arn").await.map(drop)), describe, "describe: {code}");
        let shown = manager.value("arn", "v").await.map(|value| value.map(drop));
        assert_eq!(say(shown), value, "value: {code}");
        assert_eq!(say(manager.put_pending("arn", "v", &SecretString::from("x")).await), put, "put: {code}");
        assert_eq!(say(manager.promote("arn", "a", "b").await.map(drop)), describe, "promote: {code}");
    }
    let (config, _) = answering(|request| error(400, "InvalidParameterException", request)).await;
    let lost = SecretsManager::new(&config).promote("arn", "a", "b").await;
    assert_eq!(lost, Err(SecretError::Malformed), "somebody else moved it");
    let (manager, _) = manager(r#"{"SecretBinary":"AAAA"}"#).await;
    assert_eq!(manager.value("arn", "v").await.map(drop), Err(SecretError::Malformed));
    assert_eq!(manager.describe("arn").await, Err(SecretError::Malformed));
    let stored = manager.put_pending("arn", "v", &SecretString::from("x")).await;
    assert_eq!(stored, Ok(Put::Stored));
}
