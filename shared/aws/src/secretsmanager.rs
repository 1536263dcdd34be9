//! Secrets in AWS Secrets Manager.
//!
//! IAM: `secretsmanager:GetSecretValue` on the secret, and `kms:Decrypt` on its key.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use futures_util::future;
use portcullis_base::SecretString;
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};

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

    async fn read(&self, name: &str, stage: &str) -> Result<SecretString, SecretError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(name)
            .version_stage(stage)
            .send()
            .await
            .map_err(|e| get_error(&e, stage))?;
        answer.secret_string.map(SecretString::from).ok_or(SecretError::Malformed)
    }
}

impl SecretSource for SecretsManager {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        if name.is_empty() {
            return Err(SecretError::NotFound);
        }
        let (current, previous) = future::join(self.read(name, CURRENT), self.read(name, PREVIOUS)).await;
        let current = current?;
        match previous {
            Ok(previous) => Ok(SecretVersions { current, previous: Some(previous) }),
            Err(SecretError::NotFound) => Ok(SecretVersions { current, previous: None }),
            // Going on without the previous version would refuse what is signed with it: say so instead.
            Err(error) => Err(error),
        }
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

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const GET: Call = Call { service: "secretsmanager", operation: "GetSecretValue" };
