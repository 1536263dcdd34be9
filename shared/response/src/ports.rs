//! What a response needs of an account: small traits, one verb a method, and wherever possible one IAM action each.
//!
//! Every write is safe to repeat: it says what is to hold, not what is to be done to it. An adapter bounds each call in
//! time, and does not retry: the engine does, after it has read again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::notification::Message;
use crate::target::Family;

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Too many requests: ask again later.
    #[error("throttled")]
    Throttled,
    /// No answer in time, or one that says nothing: it may have had its effect.
    #[error("no answer in time: it may have had its effect")]
    Timeout,
    /// Somebody else changed it in between (a stale lock token): read again.
    #[error("changed by somebody else in between")]
    Conflict,
    /// No permission; holds the IAM action.
    #[error("access denied: {0}")]
    Denied(String),
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// The service refused, for a reason that will not pass. Never holds personal data or secrets.
    #[error("refused: {0}")]
    Refused(String),
    /// What is kept there is not as it was written: damaged, or of a later version. No call mends that, an operator does.
    #[error("what is kept of it cannot be read")]
    Unreadable,
}

/// The answer of a port.
pub type PortResult<T> = Result<T, PortError>;

/// A rule of a security group, as one revoke or authorize call takes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whether it lets traffic in; otherwise out.
    pub ingress: bool,
    /// `-1` for all, `tcp`, `udp`, `icmp`, a number.
    pub protocol: String,
    /// First port; -1 or none for all.
    pub from_port: Option<i32>,
    /// Last port.
    pub to_port: Option<i32>,
    /// The CIDR, group, or prefix list on the other side.
    pub peer: String,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// `sg-…`.
    pub id: String,
    /// Its rules, one for each peer.
    pub rules: BTreeSet<Rule>,
}

/// An instance, as far as a response reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its VPC.
    pub vpc: String,
    /// Its interfaces, each with its security groups in order.
    pub interfaces: BTreeMap<String, Vec<String>>,
    /// Its EBS volumes.
    pub volumes: BTreeSet<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What else describes it (image, type, subnet, profile, launch time, addresses, state): evidence.
    pub description: BTreeMap<String, String>,
}

/// The four settings of S3's public access block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "S3's own four settings")]
pub struct PublicAccessBlock {
    /// `BlockPublicAcls`.
    pub block_acls: bool,
    /// `IgnorePublicAcls`.
    pub ignore_acls: bool,
    /// `BlockPublicPolicy`.
    pub block_policy: bool,
    /// `RestrictPublicBuckets`.
    pub restrict_buckets: bool,
}

/// A WAF IP set as read: a write needs the token of the read before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressSet {
    /// CIDRs.
    pub addresses: BTreeSet<String>,
    /// `LockToken`.
    pub lock_token: String,
}

/// A finding as GuardDuty keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingState {
    /// Whether it is archived.
    pub archived: bool,
    /// The comment of its feedback.
    pub comment: Option<String>,
}

/// Access keys of users.
pub trait IamKeys: Send + Sync {
    /// `iam:ListAccessKeys`: every key (all pages) and whether it is active.
    fn access_keys(&self, user: &str) -> impl Future<Output = PortResult<BTreeMap<String, bool>>> + Send;
    /// `iam:UpdateAccessKey` to `Inactive`.
    fn deactivate_key(&self, user: &str, key: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `iam:UpdateAccessKey` to `Active`.
    fn activate_key(&self, user: &str, key: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// Inline policies of roles.
pub trait RoleSessions: Send + Sync {
    /// `iam:GetRolePolicy`; `None` where the role has no policy of that name. Decoded from its percent-encoding.
    fn role_policy(&self, role: &str, name: &str) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// `iam:PutRolePolicy`.
    fn put_role_policy(
        &self,
        role: &str,
        name: &str,
        document: &str,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `iam:DeleteRolePolicy`.
    fn delete_role_policy(&self, role: &str, name: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// Inline policies of users.
pub trait UserPolicy: Send + Sync {
    /// `iam:GetUserPolicy`; `None` where the user has no policy of that name. Decoded from its percent-encoding.
    fn user_policy(&self, user: &str, name: &str) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// `iam:PutUserPolicy`.
    fn put_user_policy(
        &self,
        user: &str,
        name: &str,
        document: &str,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `iam:DeleteUserPolicy`.
    fn delete_user_policy(&self, user: &str, name: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// Console passwords of users.
pub trait LoginProfile: Send + Sync {
    /// `iam:GetLoginProfile`: whether the password has to be changed at the next login; `None` without a password.
    fn login_profile(&self, user: &str) -> impl Future<Output = PortResult<Option<bool>>> + Send;
    /// `iam:DeleteLoginProfile`.
    fn delete_login_profile(&self, user: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `iam:CreateLoginProfile` with a long random password that the adapter makes and forgets.
    fn create_login_profile(
        &self,
        user: &str,
        reset_required: bool,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// Instances, their volumes and interfaces.
pub trait Instances: Send + Sync {
    /// `ec2:DescribeInstances`.
    fn instance(&self, id: &str) -> impl Future<Output = PortResult<Instance>> + Send;
    /// `ec2:DescribeInstanceAttribute` of `disableApiTermination`.
    fn termination_protected(&self, id: &str) -> impl Future<Output = PortResult<bool>> + Send;
    /// `ec2:ModifyInstanceAttribute` of `disableApiTermination`.
    fn protect_from_termination(
        &self,
        id: &str,
        protected: bool,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `ec2:CreateTags`.
    fn tag_instance(&self, id: &str, key: &str, value: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `ec2:DeleteTags`.
    fn untag_instance(&self, id: &str, key: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `ec2:DescribeSnapshots` by the tag `portcullis:incident`: volume to snapshot. Snapshots in error do not count.
    fn snapshots(&self, incident: &str) -> impl Future<Output = PortResult<BTreeMap<String, String>>> + Send;
    /// `ec2:CreateSnapshot`, tagged with the incident and described.
    fn create_snapshot(&self, volume: &str, incident: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `ec2:ModifyNetworkInterfaceAttribute`: exactly these groups.
    fn set_groups(&self, interface: &str, groups: &[String]) -> impl Future<Output = PortResult<()>> + Send;
}

/// Security groups.
pub trait SecurityGroups: Send + Sync {
    /// `ec2:DescribeSecurityGroups` (all rules): the group that was made by this name within a VPC.
    /// A group of that name that somebody else made is not it.
    fn group(&self, vpc: &str, name: &str) -> impl Future<Output = PortResult<Option<Group>>> + Send;
    /// `ec2:CreateSecurityGroup`, unless it is there. EC2 gives it an egress rule to everywhere. Where somebody else has
    /// the name, its own gets something behind it.
    fn create_group(&self, vpc: &str, name: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `ec2:AuthorizeSecurityGroupIngress` or `…Egress`, by the rule's direction.
    fn authorize(&self, group: &str, rule: &Rule) -> impl Future<Output = PortResult<()>> + Send;
    /// `ec2:RevokeSecurityGroupIngress` or `…Egress`, by the rule's direction.
    fn revoke(&self, group: &str, rule: &Rule) -> impl Future<Output = PortResult<()>> + Send;
}

/// Auto Scaling groups.
pub trait AutoScaling: Send + Sync {
    /// `autoscaling:DescribeAutoScalingInstances`: the group that an instance is in.
    fn scaling_group(&self, instance: &str) -> impl Future<Output = PortResult<Option<String>>> + Send;
    /// `autoscaling:DetachInstances`, without decrement: the group launches another.
    fn detach(&self, instance: &str, group: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `autoscaling:AttachInstances`.
    fn attach(&self, instance: &str, group: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// Lambda functions.
pub trait Functions: Send + Sync {
    /// `lambda:GetFunctionConcurrency`.
    fn reserved_concurrency(&self, function: &str) -> impl Future<Output = PortResult<Option<u32>>> + Send;
    /// `lambda:PutFunctionConcurrency`.
    fn put_concurrency(&self, function: &str, reserved: u32) -> impl Future<Output = PortResult<()>> + Send;
    /// `lambda:DeleteFunctionConcurrency`.
    fn delete_concurrency(&self, function: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// The WAF's two block lists.
pub trait IpSets: Send + Sync {
    /// `wafv2:GetIPSet`.
    fn address_set(&self, family: Family) -> impl Future<Output = PortResult<AddressSet>> + Send;
    /// `wafv2:UpdateIPSet` with the token of the read: a stale one is [`PortError::Conflict`].
    fn update_address_set(
        &self,
        family: Family,
        set: &AddressSet,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// S3 buckets' public access blocks.
pub trait Buckets: Send + Sync {
    /// `s3:GetBucketPublicAccessBlock`; `None` where there is none.
    fn public_access_block(
        &self,
        bucket: &str,
    ) -> impl Future<Output = PortResult<Option<PublicAccessBlock>>> + Send;
    /// `s3:PutBucketPublicAccessBlock`.
    fn put_public_access_block(
        &self,
        bucket: &str,
        block: PublicAccessBlock,
    ) -> impl Future<Output = PortResult<()>> + Send;
    /// `s3:PutBucketPublicAccessBlock` as well: IAM has one action for both.
    fn delete_public_access_block(&self, bucket: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// GuardDuty's findings.
pub trait Findings: Send + Sync {
    /// `guardduty:GetFindings`.
    fn finding(&self, detector: &str, id: &str) -> impl Future<Output = PortResult<FindingState>> + Send;
    /// `guardduty:ArchiveFindings`.
    fn archive(&self, detector: &str, id: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `guardduty:UnarchiveFindings`.
    fn unarchive(&self, detector: &str, id: &str) -> impl Future<Output = PortResult<()>> + Send;
    /// `guardduty:UpdateFindingsFeedback`.
    fn comment(&self, detector: &str, id: &str, text: &str) -> impl Future<Output = PortResult<()>> + Send;
}

/// Tags, for protection. Those of instances come with [`Instances::instance`].
pub trait ResourceTags: Send + Sync {
    /// `iam:ListUserTags`.
    fn user_tags(&self, user: &str) -> impl Future<Output = PortResult<BTreeMap<String, String>>> + Send;
    /// `iam:ListRoleTags`.
    fn role_tags(&self, role: &str) -> impl Future<Output = PortResult<BTreeMap<String, String>>> + Send;
    /// `lambda:ListTags`.
    fn function_tags(&self, name: &str) -> impl Future<Output = PortResult<BTreeMap<String, String>>> + Send;
    /// `s3:GetBucketTagging`; empty where there are none.
    fn bucket_tags(&self, bucket: &str) -> impl Future<Output = PortResult<BTreeMap<String, String>>> + Send;
}

/// Everything that a response does to an account.
pub trait Account:
    IamKeys
    + RoleSessions
    + UserPolicy
    + LoginProfile
    + Instances
    + SecurityGroups
    + AutoScaling
    + Functions
    + IpSets
    + Buckets
    + Findings
    + ResourceTags
{
}

impl<T> Account for T where
    T: IamKeys
        + RoleSessions
        + UserPolicy
        + LoginProfile
        + Instances
        + SecurityGroups
        + AutoScaling
        + Functions
        + IpSets
        + Buckets
        + Findings
        + ResourceTags
{
}

/// Where people and systems are told: SNS, a signed webhook, or both.
pub trait Notifier: Send + Sync {
    /// Sends a message. After a crash it may be sent again, under the same [`Message::id`].
    fn send(&self, message: &Message) -> impl Future<Output = PortResult<()>> + Send;
}

/// Waiting, bounded by the caller: before asking again, and for a change to be seen everywhere.
pub trait Wait: Send + Sync {
    /// Waits before try number `attempt` (from 1), longer each time.
    fn pause(&self, attempt: u32) -> impl Future<Output = ()> + Send;
}
