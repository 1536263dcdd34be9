//! Secrets: one port, and the cache in front of every backend.

mod port;

pub use port::{SecretError, SecretSource, SecretVersions};
