//! What a response does to an account, and whom it tells: the ports of `portcullis_response` over AWS.
//!
//! Every method is one call of one IAM action, which its port names; those that list read all pages. Calls are bounded
//! in time as the SDK configuration says, and never made again here: the engine reads first, then decides whether to.
//! Nothing of an error but its code gets out, because services quote names and addresses in their messages.

mod ec2;
#[expect(dead_code, reason = "the adapters of the other services come next")]
mod failure;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;

/// Where an account keeps what a response writes to.
#[derive(Debug, Clone, Default)]
pub struct AccountSettings {
    /// The ARN of the role that we run under: it names the partition and the account, which the tags of functions
    /// are asked for by. Without it these are refused.
    pub own_role: Option<String>,
    /// The ARN of the WAF IP set of blocked IPv4 addresses.
    pub block_list_v4: Option<String>,
    /// The same for IPv6.
    pub block_list_v6: Option<String>,
}

/// `portcullis_response::Account` over the services of an AWS account and region.
#[derive(Debug)]
pub struct AwsAccount {
    #[expect(dead_code, reason = "the adapters of the other services come next")]
    sdk: SdkConfig,
    /// EC2 and Auto Scaling.
    pub(crate) ec2: ec2::QueryClient,
}

impl AwsAccount {
    /// Acts on the account and region of `sdk`, whose retries are turned off. Cheap: each client is made at its first
    /// call.
    pub fn new(sdk: &SdkConfig, _settings: AccountSettings) -> Self {
        let sdk = sdk.clone().into_builder().retry_config(RetryConfig::disabled()).build();
        Self { ec2: ec2::QueryClient::new(&sdk), sdk }
    }
}
