//! The ports over Redis or Valkey: one multiplexed connection a process, bounded in time, over TLS beyond this
//! machine.
//!
//! For one server, or a primary with replicas behind one address; also ElastiCache serverless, whose address answers
//! for all keys. Not for a client-side cluster: redirections are not followed.

mod audit;
mod connection;
mod limits;
mod settings;

pub use audit::{RedisAudit, RedisAuditSettings};
pub use connection::Redis;
pub use limits::RedisLimits;
pub use settings::{PasswordSource, RedisError, RedisSettings};
