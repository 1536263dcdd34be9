//! What a response does to an account, and whom it tells: the ports of `portcullis_response` over AWS.
//!
//! Every method is one call of one IAM action, which its port names; those that list read all pages. Calls are bounded
//! in time as the SDK configuration says, and never made again here: the engine reads first, then decides whether to.
//! Nothing of an error but its code gets out, because services quote names and addresses in their messages.

mod arn;
mod clients;
mod ec2;
mod failure;
mod guardduty;
mod iam;
mod lambda;
mod pages;
mod s3;
mod sns;
mod tags;
mod waf;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

use portcullis_response::{PortError, PortResult};

use self::arn::OwnRole;
pub use self::arn::{ArnError, IpSetArn};
use self::clients::Clients;
pub use self::sns::SnsNotifier;
use crate::settings::{SdkSettings, timeouts};

/// Where an account keeps what a response writes to.
#[derive(Debug, Clone, Default)]
pub struct AccountSettings {
    /// The ARN of the role that we run under. It names the partition and the account: the tags of functions are asked
    /// for by them (without it that is refused), and buckets of other accounts are left alone.
    pub own_role: Option<String>,
    /// The ARN of the WAF IP set of blocked IPv4 addresses; see [`IpSetArn`]. Without it there is no such set.
    pub block_list_v4: Option<String>,
    /// The same for IPv6.
    pub block_list_v6: Option<String>,
}

/// `portcullis_response::Account` over the services of an AWS account and region.
#[derive(Debug)]
pub struct AwsAccount {
    clients: Clients,
    own_role: Option<Result<OwnRole, ArnError>>,
    block_list_v4: Option<Result<IpSetArn, ArnError>>,
    block_list_v6: Option<Result<IpSetArn, ArnError>>,
    /// The comments that GuardDuty took: it has no call that reads them.
    comments: Mutex<BTreeMap<(String, String), String>>,
    /// EC2 and Auto Scaling.
    pub(crate) ec2: ec2::QueryClient,
}

impl AwsAccount {
    /// Acts on the account and region of `sdk`, whose retries are turned off. Cheap: each client is made at its first
    /// call. An ARN that is none is told at the first call that needs it; [`IpSetArn`] tells it before.
    pub fn new(sdk: &SdkConfig, settings: AccountSettings) -> Self {
        let sdk = once(sdk);
        let set = |arn: Option<String>| arn.map(|arn| arn.parse());
        Self {
            ec2: ec2::QueryClient::new(&sdk),
            clients: Clients::new(sdk),
            own_role: settings.own_role.map(|arn| arn.parse()),
            block_list_v4: set(settings.block_list_v4),
            block_list_v6: set(settings.block_list_v6),
            comments: Mutex::default(),
        }
    }

    /// What our own role says of where we are, if it is set.
    fn whereabouts(&self) -> PortResult<Option<&OwnRole>> {
        let role = self.own_role.as_ref().map(Result::as_ref).transpose();
        role.map_err(|_| PortError::Refused("what is set as our own role is no ARN".to_owned()))
    }

    fn comments(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.comments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configuration with one attempt a call, and with an end to it where it names none.
pub(crate) fn once(sdk: &SdkConfig) -> SdkConfig {
    let own = sdk.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let all = own.take_unset_from(timeouts(&SdkSettings::default()).to_builder());
    sdk.clone().into_builder().retry_config(RetryConfig::disabled()).timeout_config(all.build()).build()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn calls_are_made_once_and_end() {
        let bare = once(&SdkConfig::builder().build());
        let timeouts = bare.timeout_config().unwrap();
        assert_eq!(bare.retry_config().unwrap().max_attempts(), 1);
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(8)));
        let own = TimeoutConfig::builder().operation_timeout(Duration::from_secs(2)).build();
        let own = once(&SdkConfig::builder().timeout_config(own).build());
        assert_eq!(own.timeout_config().unwrap().operation_timeout(), Some(Duration::from_secs(2)));
    }
}
