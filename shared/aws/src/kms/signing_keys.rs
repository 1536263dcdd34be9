//! Signing keys that KMS makes, keeps and destroys. Each is found by an alias: a prefix and its `kid`.
//!
//! IAM: `kms:GetPublicKey` and `kms:Sign` on the keys for whoever signs; for whoever rotates also `kms:CreateKey`,
//! `kms:TagResource`, `kms:CreateAlias`, `kms:DescribeKey`, `kms:ScheduleKeyDeletion` and `kms:DeleteAlias`. Keys are
//! tagged `portcullis` = `signing-key`, so that a policy can name them by `aws:ResourceTag/portcullis`.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::delete_alias::DeleteAliasError;
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_sdk_kms::operation::schedule_key_deletion::ScheduleKeyDeletionError;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, Tag};
use portcullis_token::{Algorithm, Jwk, SigningKeys, SigningKeysError};

use super::signer::KmsSigner;
use crate::failure::{Call, Failure, classify};

/// [`SigningKeys`] in KMS.
#[derive(Debug, Clone)]
pub struct KmsSigningKeys {
    client: Client,
    prefix: String,
}

impl KmsSigningKeys {
    /// Keys whose aliases begin with `alias/<prefix>/`.
    pub fn new(config: &SdkConfig, prefix: &str) -> Self {
        Self { client: Client::new(config), prefix: format!("alias/{prefix}/") }
    }

    /// A thumbprint is base64url, which an alias may hold as it is.
    fn alias(&self, kid: &str) -> String {
        format!("{}{kid}", self.prefix)
    }

    async fn create(&self, algorithm: Algorithm) -> Result<String, SigningKeysError> {
        let tag = Tag::builder().tag_key("portcullis").tag_value("signing-key").build();
        let answer = self
            .client
            .create_key()
            .key_spec(key_spec(algorithm))
            .key_usage(KeyUsageType::SignVerify)
            .description("signing key of the token service")
            .tags(tag.map_err(|_| SigningKeysError::Refused)?)
            .send()
            .await
            .map_err(|e| keys_error(CREATE, &e))?;
        answer.key_metadata.map(|metadata| metadata.key_id).ok_or(SigningKeysError::Unusable)
    }

    async fn publish(&self, key_id: &str, algorithm: Algorithm) -> Result<Jwk, SigningKeysError> {
        let signer = KmsSigner::load_with(self.client.clone(), key_id, algorithm).await?;
        let kid = signer.public().kid().ok_or(SigningKeysError::Unusable)?;
        let alias = self.client.create_alias().alias_name(self.alias(kid)).target_key_id(key_id);
        alias.send().await.map_err(|e| keys_error(CREATE_ALIAS, &e))?;
        Ok(signer.public().clone())
    }

    /// A key that is going already is as good as gone.
    async fn schedule_deletion(&self, key_id: &str) -> Result<(), SigningKeysError> {
        let schedule = self.client.schedule_key_deletion().key_id(key_id).pending_window_in_days(SHORTEST);
        match schedule.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(
                    ScheduleKeyDeletionError::KmsInvalidStateException(_)
                    | ScheduleKeyDeletionError::NotFoundException(_),
                ) => Ok(()),
                _ => Err(keys_error(SCHEDULE, &error)),
            },
        }
    }
}

impl SigningKeys for KmsSigningKeys {
    type Signer = KmsSigner;

    async fn make(&self, algorithm: Algorithm) -> Result<Jwk, SigningKeysError> {
        let key_id = self.create(algorithm).await?;
        let published = self.publish(&key_id, algorithm).await;
        if published.is_err() {
            // Nobody could find it again: it would cost a dollar a month for ever.
            let _ = self.schedule_deletion(&key_id).await;
        }
        published
    }

    async fn signer(&self, key: &Jwk) -> Result<KmsSigner, SigningKeysError> {
        let (kid, algorithm) = key.kid().zip(key.algorithm()).ok_or(SigningKeysError::Unusable)?;
        let signer = KmsSigner::load_with(self.client.clone(), &self.alias(kid), algorithm).await?;
        // An alias that was moved leads to a key whose tokens would be refused everywhere.
        let same = signer.public().key().thumbprint() == key.key().thumbprint();
        if same && signer.public().kid() == Some(kid) { Ok(signer) } else { Err(SigningKeysError::Unusable) }
    }

    /// KMS destroys the key after seven days; from now on it signs nothing. The alias goes last: as long as it is there
    /// the call can be made again.
    async fn destroy(&self, kid: &str) -> Result<(), SigningKeysError> {
        let alias = self.alias(kid);
        let key_id = match self.client.describe_key().key_id(&alias).send().await {
            Ok(answer) => answer.key_metadata.map(|metadata| metadata.key_id),
            Err(error) => match error.as_service_error() {
                Some(DescribeKeyError::NotFoundException(_)) => None,
                _ => return Err(keys_error(DESCRIBE, &error)),
            },
        };
        let Some(key_id) = key_id else { return Ok(()) };
        self.schedule_deletion(&key_id).await?;
        match self.client.delete_alias().alias_name(alias).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteAliasError::NotFoundException(_)) => Ok(()),
                _ => Err(keys_error(DELETE_ALIAS, &error)),
            },
        }
    }
}

fn key_spec(algorithm: Algorithm) -> KeySpec {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => KeySpec::Rsa2048,
        Algorithm::Es256 => KeySpec::EccNistP256,
        Algorithm::EdDsa => KeySpec::EccNistEdwards25519,
    }
}

fn keys_error<E: ProvideErrorMetadata>(call: Call, error: &SdkError<E>) -> SigningKeysError {
    match classify(call, error) {
        Failure::Transient => SigningKeysError::Unavailable,
        Failure::Rejected => SigningKeysError::Refused,
    }
}

/// Days: the shortest waiting period of KMS. The key was retired before, so nothing waits for it.
const SHORTEST: i32 = 7;
const CREATE: Call = Call { service: "kms", operation: "CreateKey" };
const CREATE_ALIAS: Call = Call { service: "kms", operation: "CreateAlias" };
const DESCRIBE: Call = Call { service: "kms", operation: "DescribeKey" };
const SCHEDULE: Call = Call { service: "kms", operation: "ScheduleKeyDeletion" };
const DELETE_ALIAS: Call = Call { service: "kms", operation: "DeleteAlias" };
