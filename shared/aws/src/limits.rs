//! The store of limits that the settings of a function name.

use std::time::Duration;

use aws_config::SdkConfig;
use portcullis_limit::{EitherLimits, LimitsPlace};
use portcullis_redis::{Redis, RedisError, RedisLimits, RedisSettings};
use portcullis_secrets::{SecretError, SecretSource};

use crate::DynamoLimits;

/// DynamoDB, or Redis.
pub type FunctionLimits = EitherLimits<DynamoLimits, RedisLimits>;

/// The store of limits is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// The address is none.
    #[error("limits: {0}")]
    Redis(#[from] RedisError),
    /// The password is not to be had.
    #[error("limits: the secret with the password of redis: {0}")]
    Secret(#[from] SecretError),
}

/// The store at that place, with so much time for a call. It calls neither DynamoDB nor Redis yet; for Redis it fetches the
/// password where there is one. A password that changed is known to new containers: keep the old one good for a while.
///
/// # Errors
/// When the address is none, or the password is not to be had.
pub async fn limit_store(
    sdk: &SdkConfig,
    secrets: &impl SecretSource,
    place: LimitsPlace,
    timeout: Duration,
) -> Result<FunctionLimits, LimitsError> {
    let (address, user, secret) = match place {
        LimitsPlace::Table(table) => {
            return Ok(EitherLimits::Left(DynamoLimits::new(sdk, table, timeout)));
        }
        LimitsPlace::Redis { address, user, secret } => (address, user, secret),
    };
    let settings = RedisSettings::new(&address)?.with_timeout(timeout);
    let settings = match secret {
        Some(name) => settings.with_credentials(user, secrets.fetch(&name).await?.current),
        None => settings,
    };
    Ok(EitherLimits::Right(RedisLimits::new(Redis::new(&settings)?)))
}
