//! One contract over the adapters of versions and stages: memory, and Secrets Manager on ministack. What the emulator
//! gets wrong (it replaces the value of a version) is in `shared/aws/tests/wire`.
#![cfg(test)]

use portcullis_aws::SecretsManager;
use portcullis_base::{ExposeSecret, SecretString};
use portcullis_local::memory::StagedSecrets;
use portcullis_secrets::{CURRENT, PENDING, PREVIOUS, Put, SecretError, SecretStages};
use portcullis_tests::contract::fresh;
use portcullis_tests::emulators::Emulator;

async fn suite<S: SecretStages>(stages: &S, name: &str, first: &str) {
    let state = stages.describe(name).await.unwrap();
    assert_eq!((state.name.as_str(), state.version_in(CURRENT)), (name, Some(first)));
    assert_eq!(value(stages, name, first).await.as_deref(), Some("first"));

    let (second, third) = (fresh("second"), fresh("third"));
    assert_eq!(value(stages, name, &second).await, None, "no such version yet");
    for _ in 0..2 {
        assert_eq!(stages.put_pending(name, &second, &SecretString::from("second")).await, Ok(Put::Stored));
    }
    assert_eq!(value(stages, name, &second).await.as_deref(), Some("second"));
    let state = stages.describe(name).await.unwrap();
    assert!(state.is_in(&second, PENDING) && !state.is_in(&second, CURRENT) && state.is_in(first, CURRENT));

    stages.promote(name, first, &second).await.unwrap();
    let state = stages.describe(name).await.unwrap();
    assert!(state.is_in(&second, CURRENT) && state.is_in(first, PREVIOUS));
    stages.promote(name, &second, &second).await.unwrap();
    stages.put_pending(name, &third, &SecretString::from("third")).await.unwrap();
    let lost = stages.promote(name, first, &third).await;
    assert_eq!(lost, Err(SecretError::Malformed), "the first is not the current one any more");
    assert_eq!(stages.describe(name).await.unwrap().version_in(CURRENT), Some(second.as_str()));

    let unknown = fresh("portcullis-none");
    assert_eq!(stages.describe(&unknown).await, Err(SecretError::NotFound));
    let put = stages.put_pending(&unknown, &third, &SecretString::from("x")).await;
    assert_eq!(put, Err(SecretError::NotFound));
}

async fn value<S: SecretStages>(stages: &S, name: &str, version: &str) -> Option<String> {
    stages.value(name, version).await.unwrap().map(|value| value.expose_secret().to_owned())
}

#[tokio::test]
async fn memory() {
    let stages = StagedSecrets::default();
    stages.add("secret", "v1", "first");
    suite(&stages, "secret", "v1").await;
    let put = stages.put_pending("secret", "v1", &SecretString::from("another")).await;
    assert_eq!(put, Ok(Put::AlreadyThere), "a version keeps its value");
    assert_eq!(value(&stages, "secret", "v1").await.as_deref(), Some("first"));
    assert!(stages.describe("secret").await.unwrap().rotates);
}

#[tokio::test]
async fn secrets_manager() {
    let config = Emulator::ministack().account().config().await;
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let created = client.create_secret().name("portcullis/s").secret_string("first").send().await.unwrap();
    suite(&SecretsManager::new(&config), "portcullis/s", created.version_id().unwrap()).await;
}
