//! Signing with a key that never leaves KMS.
//!
//! IAM: `kms:GetPublicKey` and `kms:Sign` on the key.

use std::borrow::Cow;

use aws_config::SdkConfig;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::SdkError;
use aws_sdk_kms::operation::get_public_key::GetPublicKeyError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyUsageType, MessageType, SigningAlgorithmSpec};
use portcullis_token::{Algorithm, Jwk, PublicKey, SignError, Signer, SigningKeysError, ecdsa_der_to_raw};

use crate::failure::{Call, Failure, classify};

/// [`Signer`] over an asymmetric KMS key.
///
/// KMS takes messages of up to 4096 bytes, so for RSA and ECDSA the digest is sent (`MessageType: DIGEST`). Ed25519 signs
/// the message itself (`ED25519_SHA_512` with `RAW`; the pre-hashed variant is another algorithm, which no JWS has), so
/// that a token of it is bounded by KMS.
#[derive(Debug, Clone)]
pub struct KmsSigner {
    client: Client,
    key_id: String,
    public: Jwk,
    kid: String,
    algorithm: Algorithm,
}

impl KmsSigner {
    /// Reads the public half of a key (id, ARN or alias) and names the key by its thumbprint (RFC 7638). What is signed
    /// later is signed by this very key, wherever an alias leads by then.
    ///
    /// # Errors
    /// When KMS cannot be reached or refuses, when there is no such key, or when it is not a signing key for the
    /// algorithm.
    pub async fn load(
        config: &SdkConfig,
        key_id: &str,
        algorithm: Algorithm,
    ) -> Result<Self, SigningKeysError> {
        Self::load_with(Client::new(config), key_id, algorithm).await
    }

    pub(super) async fn load_with(
        client: Client,
        key_id: &str,
        algorithm: Algorithm,
    ) -> Result<Self, SigningKeysError> {
        let answer = client.get_public_key().key_id(key_id).send().await.map_err(|e| public_error(&e))?;
        let signs = answer.key_usage == Some(KeyUsageType::SignVerify);
        let does = answer.signing_algorithms().contains(&spec(algorithm));
        let key_id = answer.key_id.filter(|_| signs && does).ok_or(SigningKeysError::Unusable)?;
        let spki = answer.public_key.map(Blob::into_inner).unwrap_or_default();
        let key = PublicKey::from_spki(&spki).map_err(|_| SigningKeysError::Unusable)?;
        let kid = key.thumbprint().to_string();
        let public = Jwk::new(&kid, algorithm, key).map_err(|_| SigningKeysError::Unusable)?;
        Ok(Self { client, key_id, public, kid, algorithm })
    }

    /// The public key, to publish.
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    /// The signature in raw JWS form, if it is this key's over the message: a fault anywhere on the way would make a
    /// token that is refused everywhere, or worse, tell something of the key.
    fn checked(&self, message: &[u8], signature: Vec<u8>) -> Result<Vec<u8>, SignError> {
        let raw = match self.algorithm {
            Algorithm::Es256 => ecdsa_der_to_raw(&signature).ok_or(SignError::Unavailable)?.to_vec(),
            _ => signature,
        };
        let good = self.public.key().verifies(self.algorithm, message, &raw);
        if good { Ok(raw) } else { Err(SignError::Unavailable) }
    }
}

impl Signer for KmsSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn kid(&self) -> &str {
        &self.kid
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let (kind, bytes) = to_sign(self.algorithm, message);
        if bytes.len() > MAX_MESSAGE {
            return Err(SignError::TooLarge);
        }
        let answer = self
            .client
            .sign()
            .key_id(&self.key_id)
            .signing_algorithm(spec(self.algorithm))
            .message_type(kind)
            .message(Blob::new(bytes))
            .send()
            .await
            .map_err(|e| match classify(SIGN, &e) {
                Failure::Transient => SignError::Unavailable,
                Failure::Rejected => SignError::Refused,
            })?;
        self.checked(message, answer.signature.map(Blob::into_inner).unwrap_or_default())
    }
}

fn to_sign(algorithm: Algorithm, message: &[u8]) -> (MessageType, Cow<'_, [u8]>) {
    match algorithm {
        Algorithm::EdDsa => (MessageType::Raw, Cow::Borrowed(message)),
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => {
            (MessageType::Digest, Cow::Owned(digest(&SHA256, message).as_ref().to_vec()))
        }
    }
}

pub(super) fn spec(algorithm: Algorithm) -> SigningAlgorithmSpec {
    match algorithm {
        Algorithm::Rs256 => SigningAlgorithmSpec::RsassaPkcs1V15Sha256,
        Algorithm::Ps256 => SigningAlgorithmSpec::RsassaPssSha256,
        Algorithm::Es256 => SigningAlgorithmSpec::EcdsaSha256,
        Algorithm::EdDsa => SigningAlgorithmSpec::Ed25519Sha512,
    }
}

fn public_error(error: &SdkError<GetPublicKeyError>) -> SigningKeysError {
    match classify(GET_PUBLIC_KEY, error) {
        Failure::Transient => SigningKeysError::Unavailable,
        Failure::Rejected => match error.as_service_error() {
            Some(GetPublicKeyError::NotFoundException(_)) => SigningKeysError::Missing,
            Some(
                GetPublicKeyError::InvalidKeyUsageException(_)
                | GetPublicKeyError::UnsupportedOperationException(_),
            ) => SigningKeysError::Unusable,
            _ => SigningKeysError::Refused,
        },
    }
}

/// Bytes: <https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>.
const MAX_MESSAGE: usize = 4096;
const SIGN: Call = Call { service: "kms", operation: "Sign" };
const GET_PUBLIC_KEY: Call = Call { service: "kms", operation: "GetPublicKey" };
