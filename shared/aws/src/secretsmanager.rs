//! Secrets in AWS Secrets Manager.
//!
//! IAM of reading: `secretsmanager:GetSecretValue` on the secret, and `kms:Decrypt` on its key. Of rotating beside it:
//! `secretsmanager:DescribeSecret`, `secretsmanager:PutSecretValue`, `secretsmanager:UpdateSecretVersionStage`, and
//! `kms:GenerateDataKey`.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use futures_util::future;
use portcullis_base::{ExposeSecret, SecretString, Timestamp};
use portcullis_secrets::{
    CURRENT, PENDING, PREVIOUS, Put, SecretError, SecretSource, SecretStages, SecretState, SecretVersions,
};

use crate::failure::{Call, Failure, classify};

/// [`SecretSource`] over Secrets Manager: the version labelled `AWSCURRENT` and, if there is one, `AWSPREVIOUS`.
/// A name is a secret's name or ARN; values are its `SecretString`.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
}

impl SecretsManager {
    /// Reads from the account and region of `config`.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// The value at this stage, and when its version was made.
    async fn read(&self, name: &str, stage: &str) -> Result<(SecretString, Option<Timestamp>), SecretError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(name)
            .version_stage(stage)
            .send()
            .await
            .map_err(|e| get_error(&e, stage))?;
        let made = answer.created_date.and_then(|at| Timestamp::from_second(at.secs()).ok());
        answer.secret_string.map(|value| (SecretString::from(value), made)).ok_or(SecretError::Malformed)
    }
}

impl SecretSource for SecretsManager {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        if name.is_empty() {
            return Err(SecretError::NotFound);
        }
        let (current, previous) = future::join(self.read(name, CURRENT), self.read(name, PREVIOUS)).await;
        let (current, since) = current?;
        match previous {
            Ok((previous, _)) => Ok(SecretVersions { current, previous: Some(previous), since }),
            Err(SecretError::NotFound) => Ok(SecretVersions { current, previous: None, since }),
            // Going on without the previous version would refuse what is signed with it: say so instead.
            Err(error) => Err(error),
        }
    }
}

impl SecretStages for SecretsManager {
    async fn describe(&self, secret: &str) -> Result<SecretState, SecretError> {
        let answer = self.client.describe_secret().secret_id(secret).send().await;
        let answer = answer.map_err(|e| stage_error(DESCRIBE, &e))?;
        let versions = answer.version_ids_to_stages.unwrap_or_default();
        Ok(SecretState {
            name: answer.name.ok_or(SecretError::Malformed)?,
            rotates: answer.rotation_enabled.unwrap_or(false),
            versions: versions.into_iter().collect(),
        })
    }

    async fn value(&self, secret: &str, version: &str) -> Result<Option<SecretString>, SecretError> {
        let answer = self.client.get_secret_value().secret_id(secret).version_id(version).send().await;
        match answer {
            Ok(answer) => {
                answer.secret_string.map(SecretString::from).map(Some).ok_or(SecretError::Malformed)
            }
            // A version that waits for its value.
            Err(e)
                if e.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(e) => Err(get_error(&e, CURRENT)),
        }
    }

    async fn put_pending(
        &self,
        secret: &str,
        version: &str,
        value: &SecretString,
    ) -> Result<Put, SecretError> {
        let put = self
            .client
            .put_secret_value()
            .secret_id(secret)
            .client_request_token(version)
            .secret_string(value.expose_secret())
            .version_stages(PENDING);
        match put.send().await {
            Ok(_) => Ok(Put::Stored),
            Err(e) if e.as_service_error().is_some_and(PutSecretValueError::is_resource_exists_exception) => {
                Ok(Put::AlreadyThere)
            }
            Err(e) => Err(stage_error(PUT, &e)),
        }
    }

    async fn promote(&self, secret: &str, from: &str, to: &str) -> Result<(), SecretError> {
        if from == to {
            return Ok(());
        }
        let moved = self
            .client
            .update_secret_version_stage()
            .secret_id(secret)
            .version_stage(CURRENT)
            .remove_from_version_id(from)
            .move_to_version_id(to)
            .send()
            .await;
        moved.map(drop).map_err(|e| stage_error(MOVE, &e))
    }
}

fn stage_error<E: ProvideErrorMetadata>(call: Call, error: &SdkError<E>) -> SecretError {
    if classify(call, error) == Failure::Transient {
        return SecretError::Unavailable;
    }
    match error.code() {
        Some("ResourceNotFoundException") => SecretError::NotFound,
        // Somebody else moved the stage, or the secret is not what a rotation takes.
        Some("InvalidParameterException" | "InvalidRequestException") => SecretError::Malformed,
        _ => SecretError::Denied,
    }
}

fn get_error(error: &SdkError<GetSecretValueError>, stage: &str) -> SecretError {
    use GetSecretValueError as E;
    // A secret that was never rotated has no previous version: nothing to log.
    if stage == PREVIOUS && error.as_service_error().is_some_and(E::is_resource_not_found_exception) {
        return SecretError::NotFound;
    }
    if classify(GET, error) == Failure::Transient {
        return SecretError::Unavailable;
    }
    match error.as_service_error() {
        // `InvalidRequestException` is a secret that is marked for deletion, `InvalidParameterException` a name
        // that no secret can have.
        Some(
            E::ResourceNotFoundException(_) | E::InvalidRequestException(_) | E::InvalidParameterException(_),
        ) => SecretError::NotFound,
        Some(e) if e.code() == Some("ValidationException") => SecretError::NotFound,
        _ => SecretError::Denied,
    }
}

const GET: Call = Call { service: "secretsmanager", operation: "GetSecretValue" };
const DESCRIBE: Call = Call { service: "secretsmanager", operation: "DescribeSecret" };
const PUT: Call = Call { service: "secretsmanager", operation: "PutSecretValue" };
const MOVE: Call = Call { service: "secretsmanager", operation: "UpdateSecretVersionStage" };
