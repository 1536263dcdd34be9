//! The ports under the key hierarchy: who wraps keys, and where wrapped keys are kept.

use std::future::Future;

use zeroize::Zeroizing;

/// What a key protects. Conversation and media keys are separate all the way up to KMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Messages, statuses, updates.
    Conversation,
    /// What media messages carry.
    Media,
}

impl Purpose {
    /// The name in encryption contexts, tables and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Media => "media",
        }
    }
}

/// A fresh 256-bit key, in the clear and wrapped.
#[derive(Debug)]
pub struct WrappedDataKey {
    /// The key itself: wiped when dropped.
    pub plaintext: Zeroizing<[u8; 32]>,
    /// What is stored.
    pub wrapped: Vec<u8>,
}

/// The root of the hierarchy: a KMS key (or its local stand-in) per [`Purpose`] that never leaves its keeper.
pub trait KeyWrapper: Send + Sync {
    /// Makes a key (`kms:GenerateDataKey`). `context` is authenticated: unwrapping needs the same pairs.
    fn generate(
        &self,
        purpose: Purpose,
        context: &[(&str, &str)],
    ) -> impl Future<Output = Result<WrappedDataKey, KeyError>> + Send;

    /// Unwraps a key (`kms:Decrypt`).
    fn unwrap(
        &self,
        purpose: Purpose,
        context: &[(&str, &str)],
        wrapped: &[u8],
    ) -> impl Future<Output = Result<Zeroizing<[u8; 32]>, KeyError>> + Send;
}

/// A version of a branch key as stored, wrapped by the [`KeyWrapper`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBranchKey {
    /// What it protects.
    pub purpose: Purpose,
    /// 1 for the first; the highest is the current one.
    pub version: u32,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// A data subject's key as stored, wrapped by a branch key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubjectKey {
    /// The subject's blind index: never the phone number itself.
    pub subject: String,
    /// What it protects.
    pub purpose: Purpose,
    /// The branch key version that wraps it.
    pub branch_version: u32,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// The subject-keys table: wrapped keys only.
pub trait KeyStore: Send + Sync {
    /// The branch key of that version, or the newest where `version` is `None`.
    fn branch_key(
        &self,
        purpose: Purpose,
        version: Option<u32>,
    ) -> impl Future<Output = Result<Option<StoredBranchKey>, KeyError>> + Send;

    /// Adds a branch key version unless it exists. `false`: another writer was first, and nothing changed.
    fn add_branch_key(&self, key: &StoredBranchKey) -> impl Future<Output = Result<bool, KeyError>> + Send;

    /// A subject's key.
    fn subject_key(
        &self,
        subject: &str,
        purpose: Purpose,
    ) -> impl Future<Output = Result<Option<StoredSubjectKey>, KeyError>> + Send;

    /// Adds a subject's key unless one exists. `false`: another writer was first, and nothing changed.
    fn add_subject_key(&self, key: &StoredSubjectKey) -> impl Future<Output = Result<bool, KeyError>> + Send;

    /// The wrapped key of the blind index, if it was made.
    fn index_key(&self) -> impl Future<Output = Result<Option<Vec<u8>>, KeyError>> + Send;

    /// Stores the wrapped key of the blind index unless there is one. `false`: another writer was first.
    fn add_index_key(&self, wrapped: &[u8]) -> impl Future<Output = Result<bool, KeyError>> + Send;
}

/// Why a key could not be had. Never carries key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Throttled, timed out or unreachable: may pass.
    #[error("key service unavailable")]
    Unavailable,
    /// Refused: permissions, disabled key, or a key pending deletion.
    #[error("key service refused")]
    Refused,
    /// The wrapped key does not belong to this context, or was changed.
    #[error("wrapped key is invalid")]
    Invalid,
    /// No such key: it never existed, or it was destroyed.
    #[error("key does not exist")]
    Missing,
}
