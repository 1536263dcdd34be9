use std::future::Future;

use portcullis_base::{SecretString, Timestamp};

/// A backend that holds secrets: the environment and files, AWS Secrets Manager, Vault or OpenBao KV v2.
pub trait SecretSource: Send + Sync {
    /// Reads the current version of a secret and, while it is being rotated, the previous one.
    ///
    /// One call is one read of the backend; caching is [`crate::CachedSecrets`]'s.
    fn fetch(&self, name: &str) -> impl Future<Output = Result<SecretVersions, SecretError>> + Send;
}

/// The versions of a secret that are valid now.
#[derive(Debug, Clone)]
pub struct SecretVersions {
    /// The version to use for new work.
    pub current: SecretString,
    /// The version before it, still to be accepted while a rotation is under way.
    pub previous: Option<SecretString>,
    /// Since when the current version is there, where the backend can tell. Who accepts the previous one can end it by
    /// this: backends keep it until the next rotation.
    pub since: Option<Timestamp>,
}

/// Why a secret could not be read. Never carries a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The backend has no secret of that name.
    #[error("secret not found")]
    NotFound,
    /// The backend refused this identity.
    #[error("access to the secret was denied")]
    Denied,
    /// The backend did not answer, or answered with an error that may pass.
    #[error("secret backend unavailable")]
    Unavailable,
    /// The backend answered with something that is not a secret of the expected form.
    #[error("secret is malformed")]
    Malformed,
}
