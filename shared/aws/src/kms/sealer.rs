//! Signing keys that are held in memory while they sign, sealed by KMS at rest.
//!
//! IAM: `kms:Encrypt` and `kms:Decrypt` on the key, which may be limited by `kms:EncryptionContext:purpose`.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::primitives::Blob;
use portcullis_token::{KeySealer, MAX_PRIVATE_KEY, SealContext, SealerError};
use zeroize::Zeroizing;

use super::MAX_CIPHERTEXT;
use crate::failure::{Call, Failure, classify};

/// [`KeySealer`] over a symmetric KMS key. The encryption context names purpose, `kid` and `alg`.
///
/// Keys in the clear are wiped as soon as they are handed over; the HTTP buffers that they travelled in belong to the
/// SDK and are not.
#[derive(Debug, Clone)]
pub struct KmsSealer {
    client: Client,
    key_id: String,
}

impl KmsSealer {
    /// Uses this key (id, ARN or alias). `Decrypt` is pinned to it: what another key sealed is refused.
    pub fn new(config: &SdkConfig, key_id: impl Into<String>) -> Self {
        Self { client: Client::new(config), key_id: key_id.into() }
    }
}

impl KeySealer for KmsSealer {
    async fn seal(
        &self,
        private: &Zeroizing<Vec<u8>>,
        context: SealContext<'_>,
    ) -> Result<Vec<u8>, SealerError> {
        if private.is_empty() || private.len() > MAX_PRIVATE_KEY {
            return Err(SealerError::Refused);
        }
        let answer = self
            .client
            .encrypt()
            .key_id(&self.key_id)
            .plaintext(Blob::new(private.as_slice()))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| sealer_error(classify(ENCRYPT, &e)))?;
        let sealed = answer.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        if sealed.is_empty() { Err(SealerError::Invalid) } else { Ok(sealed) }
    }

    async fn open(&self, sealed: &[u8], context: SealContext<'_>) -> Result<Zeroizing<Vec<u8>>, SealerError> {
        if sealed.is_empty() || sealed.len() > MAX_CIPHERTEXT {
            return Err(SealerError::Invalid);
        }
        let decrypt = self
            .client
            .decrypt()
            .key_id(&self.key_id)
            .ciphertext_blob(Blob::new(sealed))
            .set_encryption_context(Some(pairs(context)));
        let answer = decrypt.send().await.map_err(|error| {
            let failure = classify(DECRYPT, &error);
            match error.as_service_error() {
                Some(
                    DecryptError::InvalidCiphertextException(_) | DecryptError::IncorrectKeyException(_),
                ) => SealerError::Invalid,
                _ => sealer_error(failure),
            }
        })?;
        let private = Zeroizing::new(answer.plaintext.map(Blob::into_inner).unwrap_or_default());
        if private.is_empty() { Err(SealerError::Invalid) } else { Ok(private) }
    }
}

fn pairs(context: SealContext<'_>) -> HashMap<String, String> {
    [("purpose", PURPOSE), ("kid", context.kid), ("alg", context.algorithm.as_str())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn sealer_error(failure: Failure) -> SealerError {
    match failure {
        Failure::Transient => SealerError::Unavailable,
        Failure::Rejected => SealerError::Refused,
    }
}

const PURPOSE: &str = "portcullis:signing-key";
const ENCRYPT: Call = Call { service: "kms", operation: "Encrypt" };
const DECRYPT: Call = Call { service: "kms", operation: "Decrypt" };
