//! Buckets: their public access blocks.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::PublicAccessBlockConfiguration;
use portcullis_response::{Buckets, PortResult, PublicAccessBlock};

use super::AwsAccount;
use super::failure::failed;
use super::pages::unreadable;

impl Buckets for AwsAccount {
    async fn public_access_block(&self, bucket: &str) -> PortResult<Option<PublicAccessBlock>> {
        let call = self.clients.s3().get_public_access_block().bucket(bucket);
        match call.set_expected_bucket_owner(self.owner()?).send().await {
            Ok(answer) => {
                answer.public_access_block_configuration.map(|block| Some(read(&block))).ok_or(unreadable())
            }
            Err(e) if e.code() == Some("NoSuchPublicAccessBlockConfiguration") => Ok(None),
            Err(e) => Err(failed("s3:GetBucketPublicAccessBlock", &e)),
        }
    }

    async fn put_public_access_block(&self, bucket: &str, block: PublicAccessBlock) -> PortResult<()> {
        let call = self.clients.s3().put_public_access_block().bucket(bucket);
        let call =
            call.set_expected_bucket_owner(self.owner()?).public_access_block_configuration(written(block));
        call.send().await.map_err(|e| failed("s3:PutBucketPublicAccessBlock", &e))?;
        Ok(())
    }

    async fn delete_public_access_block(&self, bucket: &str) -> PortResult<()> {
        let call = self.clients.s3().delete_public_access_block().bucket(bucket);
        let call = call.set_expected_bucket_owner(self.owner()?);
        call.send().await.map_err(|e| failed("s3:PutBucketPublicAccessBlock", &e))?;
        Ok(())
    }
}

impl AwsAccount {
    /// Names of buckets are everybody's: S3 refuses when somebody else has it.
    pub(super) fn owner(&self) -> PortResult<Option<String>> {
        Ok(self.whereabouts()?.map(|role| role.account.clone()))
    }
}

/// A setting that the answer leaves out is off.
fn read(block: &PublicAccessBlockConfiguration) -> PublicAccessBlock {
    PublicAccessBlock {
        block_acls: block.block_public_acls.unwrap_or(false),
        ignore_acls: block.ignore_public_acls.unwrap_or(false),
        block_policy: block.block_public_policy.unwrap_or(false),
        restrict_buckets: block.restrict_public_buckets.unwrap_or(false),
    }
}

fn written(block: PublicAccessBlock) -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(block.block_acls)
        .ignore_public_acls(block.ignore_acls)
        .block_public_policy(block.block_policy)
        .restrict_public_buckets(block.restrict_buckets)
        .build()
}
