//! Secrets: one port, and the cache in front of every backend.

mod cache;
mod port;
mod stages;

pub use cache::{CacheSettings, CachedSecrets};
pub use port::{SecretError, SecretSource, SecretVersions};
pub use stages::{CURRENT, PENDING, PREVIOUS, Put, SecretStages, SecretState};
