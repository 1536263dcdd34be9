//! The store of limits that the settings of a function name.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use portcullis_base::SecretString;
use portcullis_limit::{EitherLimits, LimitsPlace};
use portcullis_redis::{PasswordSource, Redis, RedisError, RedisLimits, RedisSettings};
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
/// password where there is one. While the keeper of secrets does not answer, a store without its password is one that does
/// not answer: what then becomes of requests is the limiter's to decide. A password that the server refuses is fetched anew.
///
/// # Errors
/// When the address is none, or there is no such secret for this function.
pub async fn limit_store(
    sdk: &SdkConfig,
    secrets: impl SecretSource + 'static,
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
        Some(name) => {
            let first = match secrets.fetch(&name).await {
                Ok(versions) => Some(versions.current),
                Err(SecretError::Unavailable) => None,
                Err(error) => return Err(error.into()),
            };
            settings.with_password_of(user, first, password_of(secrets, name))
        }
        None => settings,
    };
    Ok(EitherLimits::Right(RedisLimits::new(Redis::new(&settings)?)))
}

fn password_of(secrets: impl SecretSource + 'static, name: String) -> PasswordSource {
    let secrets = Arc::new((secrets, name));
    Arc::new(move || {
        let secrets = Arc::clone(&secrets);
        Box::pin(async move { current(&secrets.0, &secrets.1).await })
    })
}

async fn current(secrets: &impl SecretSource, name: &str) -> Option<SecretString> {
    let fetched = secrets.fetch(name).await;
    fetched.inspect_err(|error| tracing::error!(%error, "no password of redis")).ok().map(|all| all.current)
}
