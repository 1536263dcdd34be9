//! TATs in Redis or Valkey: a string of microseconds under `portcullis:limit:<key>`, which expires when the bucket
//! is full.
//!
//! One script call an ask (ACL: `+evalsha`, `+script|load`, `+get`, `+set` on `~portcullis:limit:*`). What the server
//! loses is granted again: set `maxmemory-policy noeviction`, and expect the last writes before a failover to be lost.

use std::fmt;
use std::sync::Arc;

use portcullis_limit::{Ask, LimitStore, StoreError, Taken};
use redis::Script;

use crate::Redis;
use crate::connection::Failure;

/// [`LimitStore`] over Redis or Valkey.
#[derive(Clone)]
pub struct RedisLimits {
    redis: Redis,
    script: Arc<Script>,
}

impl RedisLimits {
    /// Uses this server.
    pub fn new(redis: Redis) -> Self {
        Self { redis, script: Arc::new(Script::new(include_str!("take.lua"))) }
    }
}

impl LimitStore for RedisLimits {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, StoreError> {
        let arguments = arguments(ask)?;
        let keys = [format!("{PREFIX}{key}")];
        let (granted, tat): (u32, i64) =
            self.redis.run(&self.script, &keys, &arguments).await.map_err(|failure| match failure {
                Failure::Transient => StoreError::Unavailable,
                Failure::Rejected => StoreError::Refused,
                Failure::Malformed => StoreError::Malformed,
            })?;
        let known = granted == 0 || ask.rungs().iter().any(|rung| rung.cells == granted);
        if known { Ok(Taken { granted, tat }) } else { Err(StoreError::Malformed) }
    }
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimits").field("redis", &self.redis).finish_non_exhaustive()
    }
}

/// An ask as the script reads it. Instants that its numbers cannot hold are refused: the script would round them.
fn arguments(ask: &Ask) -> Result<Vec<i64>, StoreError> {
    if [ask.now(), ask.ceiling()].iter().any(|instant| instant.unsigned_abs() > MAX_EXACT) {
        return Err(StoreError::Refused);
    }
    let rungs = ask.rungs().iter().flat_map(|rung| [i64::from(rung.cells), rung.cost]);
    Ok([ask.now(), ask.ceiling()].into_iter().chain(rungs).collect())
}

const PREFIX: &str = "portcullis:limit:";
/// 2⁵³: up to there a double holds every integer.
const MAX_EXACT: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use portcullis_base::Timestamp;

    use super::*;

    #[test]
    fn asks_are_flat_and_exact() {
        let quota = "10/s burst 4".parse().unwrap();
        let now = Timestamp::from_microsecond(1_800_000_000_000_001).unwrap();
        assert_eq!(
            arguments(&Ask::new(&quota, NonZeroU32::MIN, 4, now)).unwrap(),
            [1_800_000_000_000_001, 1_800_000_000_400_001, 4, 400_000, 2, 200_000, 1, 100_000]
        );
        for beyond in [Timestamp::MAX, Timestamp::MIN] {
            let ask = Ask::new(&quota, NonZeroU32::MIN, 1, beyond);
            assert_eq!(arguments(&ask), Err(StoreError::Refused));
        }
    }
}
