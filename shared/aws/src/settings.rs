//! One SDK configuration for every client of a process.

use std::time::Duration;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// How long a call may take and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdkSettings {
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// Time for one attempt, from sending to the last byte of the answer's head.
    pub attempt_timeout: Duration,
    /// Time for a call with all its attempts and the waits between them.
    pub operation_timeout: Duration,
    /// Attempts in all; 1 is no retry.
    pub max_attempts: u32,
}

impl Default for SdkSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            attempt_timeout: Duration::from_secs(3),
            operation_timeout: Duration::from_secs(8),
            max_attempts: 3,
        }
    }
}

/// Builds the configuration that every adapter of the process shares.
///
/// Region and credentials come from the SDK's own places (environment, then profile files, then the container's
/// endpoint). Credentials are resolved at the first call, not here. The behaviour version is pinned: an update of
/// the SDK must not change retries or TLS unseen.
pub async fn connect(settings: &SdkSettings) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region())
        .timeout_config(timeouts(settings))
        .retry_config(RetryConfig::standard().with_max_attempts(settings.max_attempts.max(1)))
        .load()
        .await
}

/// The default chain without its last link, the EC2 metadata service: where no region is set (a laptop, a wrong
/// template), asking a link-local address costs seconds before the same error.
fn region() -> RegionProviderChain {
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
}

pub(crate) fn timeouts(settings: &SdkSettings) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .operation_attempt_timeout(settings.attempt_timeout)
        .operation_timeout(settings.operation_timeout)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn settings_reach_every_client() {
        let settings = SdkSettings { max_attempts: 2, ..SdkSettings::default() };
        let config = connect(&settings).await;
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(8)));
        assert_eq!(config.retry_config().unwrap().max_attempts(), 2);
        assert!(config.behavior_version().unwrap().is_at_least(BehaviorVersion::v2026_01_12()));
    }

    #[tokio::test]
    async fn no_attempts_means_one_attempt() {
        let config = connect(&SdkSettings { max_attempts: 0, ..SdkSettings::default() }).await;
        assert_eq!(config.retry_config().unwrap().max_attempts(), 1);
    }
}
