//! The claim-check bucket, and in it what the conversations table has no room for.
//!
//! IAM: `s3:PutObject` and `kms:GenerateDataKey` for the validator, on the lanes' names; `s3:GetObject` and `kms:Decrypt`
//! for the consumer, and `s3:PutObject` below `records/`; `s3:ListBucket` for who reads, since without it S3 answers a missing
//! key with 403: that reads as refused here, as a disabled KMS key does.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ServerSideEncryption};
use portcullis_pii::{ObjectError, RecordObjects};
use portcullis_webhook::{ClaimCheck, ClaimCheckError};

use crate::failure::{Call, Failure, classify};

/// [`ClaimCheck`] over an S3 bucket. S3 verifies the SHA-256 of what is stored, the SDK of what is read.
#[derive(Debug, Clone)]
pub struct S3Claims {
    client: Client,
    bucket: String,
    kms_key: Option<String>,
}

impl S3Claims {
    /// Uses this bucket. With `kms_key` (id, ARN or alias) objects are encrypted under that key (SSE-KMS), else as
    /// the bucket's default says.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>, kms_key: Option<String>) -> Self {
        Self { client: Client::new(config), bucket: bucket.into(), kms_key }
    }
}

impl S3Claims {
    async fn store(&self, key: &str, kind: &str, body: &[u8]) -> Result<(), Failure> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(kind)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_server_side_encryption(self.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms))
            .set_ssekms_key_id(self.kms_key.clone())
            .set_bucket_key_enabled(self.kms_key.as_ref().map(|_| true))
            .body(ByteStream::from(body.to_vec()))
            .send()
            .await
            .map(drop)
            .map_err(|e| classify(PUT, &e))
    }
}

impl ClaimCheck for S3Claims {
    async fn put(&self, key: &str, body: &[u8]) -> Result<(), ClaimCheckError> {
        self.store(key, "application/json", body).await.map_err(|failure| match failure {
            Failure::Transient => ClaimCheckError::Unavailable,
            Failure::Rejected => ClaimCheckError::Refused,
        })
    }

    async fn get(&self, key: &str, max_bytes: usize) -> Result<Vec<u8>, ClaimCheckError> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .map_err(|e| get_error(&e))?;
        read_bounded(answer, max_bytes).await
    }
}

/// The bucket's lifecycle has a rule for each span: an object lives as long as the shortest that is long enough.
impl RecordObjects for S3Claims {
    async fn put_object(&self, name: &str, body: &[u8], days: u32) -> Result<String, ObjectError> {
        let span = KEPT_DAYS.into_iter().find(|span| *span >= days).ok_or(ObjectError::Refused)?;
        let key = format!("records/{span}/{name}");
        match self.store(&key, "application/octet-stream", body).await {
            Ok(()) => Ok(key),
            Err(Failure::Transient) => Err(ObjectError::Unavailable),
            Err(Failure::Rejected) => Err(ObjectError::Refused),
        }
    }

    async fn object(&self, object: &str, max_bytes: usize) -> Result<Vec<u8>, ObjectError> {
        self.get(object, max_bytes).await.map_err(|error| match error {
            ClaimCheckError::NotFound => ObjectError::NotFound,
            ClaimCheckError::TooLarge => ObjectError::TooLarge,
            ClaimCheckError::Refused => ObjectError::Refused,
            ClaimCheckError::Unavailable => ObjectError::Unavailable,
        })
    }
}

fn get_error(error: &SdkError<GetObjectError>) -> ClaimCheckError {
    match classify(GET, error) {
        Failure::Transient => ClaimCheckError::Unavailable,
        Failure::Rejected if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
            ClaimCheckError::NotFound
        }
        Failure::Rejected => ClaimCheckError::Refused,
    }
}

/// Reads the body, refusing what is too large by its announced length already, and while reading in any case.
async fn read_bounded(answer: GetObjectOutput, max_bytes: usize) -> Result<Vec<u8>, ClaimCheckError> {
    let announced = answer.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    if announced > max_bytes {
        return Err(ClaimCheckError::TooLarge);
    }
    let mut stream = answer.body;
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = stream.next().await {
        // A broken connection, or bytes that do not fit the checksum: another read may succeed.
        let chunk = chunk.map_err(|_| ClaimCheckError::Unavailable)?;
        if body.len() + chunk.len() > max_bytes {
            return Err(ClaimCheckError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

const PUT: Call = Call { service: "s3", operation: "PutObject" };
const GET: Call = Call { service: "s3", operation: "GetObject" };

/// Days, each with a rule in infra/data.yaml. The last is the longest retention that a policy may set.
const KEPT_DAYS: [u32; 5] = [7, 30, 90, 365, 3650];
