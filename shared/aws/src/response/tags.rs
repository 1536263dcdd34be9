//! Tags, by which people protect what no response may touch.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Tag;
use aws_sdk_s3::error::ProvideErrorMetadata;
use portcullis_response::{PortError, PortResult, ResourceTags};

use super::AwsAccount;
use super::failure::failed;
use super::pages::{all, marker};

impl ResourceTags for AwsAccount {
    async fn user_tags(&self, user: &str) -> PortResult<BTreeMap<String, String>> {
        let tags = all(|from| async move {
            let call = self.clients.iam().list_user_tags().user_name(user).set_marker(from);
            let page = call.send().await.map_err(|e| failed("iam:ListUserTags", &e))?;
            Ok((page.tags, marker(page.is_truncated, page.marker)?))
        });
        Ok(tags.await?.into_iter().map(pair).collect())
    }

    async fn role_tags(&self, role: &str) -> PortResult<BTreeMap<String, String>> {
        let tags = all(|from| async move {
            let call = self.clients.iam().list_role_tags().role_name(role).set_marker(from);
            let page = call.send().await.map_err(|e| failed("iam:ListRoleTags", &e))?;
            Ok((page.tags, marker(page.is_truncated, page.marker)?))
        });
        Ok(tags.await?.into_iter().map(pair).collect())
    }

    async fn function_tags(&self, name: &str) -> PortResult<BTreeMap<String, String>> {
        let call = self.clients.lambda().list_tags().resource(self.function_arn(name)?);
        let answer = call.send().await.map_err(|e| failed("lambda:ListTags", &e))?;
        Ok(answer.tags.unwrap_or_default().into_iter().collect())
    }

    async fn bucket_tags(&self, bucket: &str) -> PortResult<BTreeMap<String, String>> {
        let call = self.clients.s3().get_bucket_tagging().bucket(bucket);
        match call.set_expected_bucket_owner(self.owner()?).send().await {
            Ok(answer) => Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            Err(e) if e.code() == Some("NoSuchTagSet") => Ok(BTreeMap::new()),
            Err(e) => Err(failed("s3:GetBucketTagging", &e)),
        }
    }
}

impl AwsAccount {
    /// `ListTags` takes an ARN alone.
    fn function_arn(&self, name: &str) -> PortResult<String> {
        let known = self.whereabouts()?.zip(self.clients.region());
        let (role, region) =
            known.ok_or_else(|| PortError::Refused("the ARN of our own role is not set".to_owned()))?;
        Ok(format!("arn:{}:lambda:{region}:{}:function:{name}", role.partition, role.account))
    }
}

fn pair(tag: Tag) -> (String, String) {
    (tag.key, tag.value)
}
