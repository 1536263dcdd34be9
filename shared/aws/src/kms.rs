//! The root of the key hierarchy in KMS, and beside it signing keys: in KMS, or sealed by it.
//!
//! IAM of [`KmsWrapper`]: `kms:GenerateDataKey` and `kms:Decrypt` on the two keys. Of the others: see their modules.

mod sealer;
mod signer;
mod signing_keys;

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use portcullis_pii::{KeyError, KeyWrapper, Purpose, WrappedDataKey};
use zeroize::Zeroizing;

use crate::failure::{Call, Failure, classify};

pub use sealer::KmsSealer;
pub use signer::KmsSigner;
pub use signing_keys::KmsSigningKeys;

/// [`KeyWrapper`] over a symmetric KMS key per purpose.
///
/// Keys in the clear are wiped as soon as they are handed over; the HTTP buffers that they arrived in belong to the
/// SDK and are not.
#[derive(Debug, Clone)]
pub struct KmsWrapper {
    client: Client,
    conversation_key: String,
    media_key: String,
}

impl KmsWrapper {
    /// Uses these keys (id, ARN or alias). `Decrypt` is pinned to them: what another key wrapped is refused.
    pub fn new(
        config: &SdkConfig,
        conversation_key: impl Into<String>,
        media_key: impl Into<String>,
    ) -> Self {
        Self {
            client: Client::new(config),
            conversation_key: conversation_key.into(),
            media_key: media_key.into(),
        }
    }

    fn key_id(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Conversation => &self.conversation_key,
            Purpose::Media => &self.media_key,
        }
    }
}

impl KeyWrapper for KmsWrapper {
    async fn generate(&self, purpose: Purpose, context: &[(&str, &str)]) -> Result<WrappedDataKey, KeyError> {
        let answer = self
            .client
            .generate_data_key()
            .key_id(self.key_id(purpose))
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| match classify(GENERATE, &e) {
                Failure::Transient => KeyError::Unavailable,
                Failure::Rejected => KeyError::Refused,
            })?;
        let plaintext = key_from(answer.plaintext)?;
        let wrapped = answer.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        if wrapped.is_empty() { Err(KeyError::Invalid) } else { Ok(WrappedDataKey { plaintext, wrapped }) }
    }

    async fn unwrap(
        &self,
        purpose: Purpose,
        context: &[(&str, &str)],
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        if wrapped.is_empty() || wrapped.len() > MAX_CIPHERTEXT {
            return Err(KeyError::Invalid);
        }
        let answer = self
            .client
            .decrypt()
            .key_id(self.key_id(purpose))
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| decrypt_error(&e))?;
        key_from(answer.plaintext)
    }
}

fn decrypt_error(error: &SdkError<DecryptError>) -> KeyError {
    match classify(DECRYPT, error) {
        Failure::Transient => KeyError::Unavailable,
        Failure::Rejected => match error.as_service_error() {
            Some(DecryptError::InvalidCiphertextException(_) | DecryptError::IncorrectKeyException(_)) => {
                KeyError::Invalid
            }
            _ => KeyError::Refused,
        },
    }
}

fn pairs(context: &[(&str, &str)]) -> HashMap<String, String> {
    context.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn key_from(plaintext: Option<Blob>) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let bytes = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() != key.len() {
        return Err(KeyError::Invalid);
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

/// The longest `CiphertextBlob` that `Decrypt` takes, in bytes.
const MAX_CIPHERTEXT: usize = 6144;
const GENERATE: Call = Call { service: "kms", operation: "GenerateDataKey" };
const DECRYPT: Call = Call { service: "kms", operation: "Decrypt" };
