//! Secrets: one port, and the cache in front of every backend.

mod cache;
mod port;

pub use cache::{CacheSettings, CachedSecrets};
pub use port::{SecretError, SecretSource, SecretVersions};
