//! Versions of a secret and their stages, as AWS Secrets Manager keeps them: what a rotation moves.

use std::future::Future;

use portcullis_base::SecretString;

use crate::SecretError;

/// A secret whose versions carry stages. A version's id is its client request token.
pub trait SecretStages: Send + Sync {
    /// The secret's name, whether it rotates, and the stages of its versions. Reads no value.
    fn describe(&self, secret: &str) -> impl Future<Output = Result<SecretState, SecretError>> + Send;

    /// The value of a version; `None` where the version has none yet.
    fn value(
        &self,
        secret: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<SecretString>, SecretError>> + Send;

    /// Gives a version its value, in the stage [`PENDING`]. A version that has a value keeps it: see [`Put::AlreadyThere`].
    fn put_pending(
        &self,
        secret: &str,
        version: &str,
        value: &SecretString,
    ) -> impl Future<Output = Result<Put, SecretError>> + Send;

    /// Moves [`CURRENT`] from one version to another; the first is then [`PREVIOUS`]. Moving it where it is already
    /// changes nothing.
    ///
    /// # Errors
    /// [`SecretError::Malformed`] when `from` is no longer the current version.
    fn promote(
        &self,
        secret: &str,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Result<(), SecretError>> + Send;
}

/// What a secret is, but for its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretState {
    /// Its name, without the ARN around it.
    pub name: String,
    /// Whether it is rotated at all.
    pub rotates: bool,
    /// Each version with its stages.
    pub versions: Vec<(String, Vec<String>)>,
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is the version's value now.
    Stored,
    /// The version has another value: that one stays.
    AlreadyThere,
}

impl SecretState {
    /// Whether a version is in a stage.
    pub fn is_in(&self, version: &str, stage: &str) -> bool {
        self.versions.iter().any(|(id, stages)| id == version && stages.iter().any(|s| s == stage))
    }

    /// The version in a stage.
    pub fn version_in(&self, stage: &str) -> Option<&str> {
        let in_stage = |(_, stages): &&(String, Vec<String>)| stages.iter().any(|s| s == stage);
        self.versions.iter().find(in_stage).map(|(id, _)| id.as_str())
    }
}

/// The stage of the version that is used.
pub const CURRENT: &str = "AWSCURRENT";
/// The stage of the version that is to be used next.
pub const PENDING: &str = "AWSPENDING";
/// The stage of the version before the current one.
pub const PREVIOUS: &str = "AWSPREVIOUS";
