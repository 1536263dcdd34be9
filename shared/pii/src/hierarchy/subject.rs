//! Subject keys: made and found.

use std::sync::Arc;

use portcullis_base::Clock;
use zeroize::Zeroizing;

use super::KeyHierarchy;
use super::wrap::{KeyBinding, provider, unwrap, wrap};
use crate::envelope::primitives::random;
use crate::{KeyError, KeyStore, KeyWrapper, Purpose, StoredSubjectKey, SubjectKey};

impl<W: KeyWrapper, S: KeyStore, C: Clock> KeyHierarchy<W, S, C> {
    pub(super) async fn find_subject(
        &self,
        purpose: Purpose,
        subject: &str,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        let read_at = self.now();
        let stored = self.store.subject_key(subject, purpose).await?.ok_or(KeyError::Missing)?;
        self.unwrap_subject(&stored, purpose, subject, read_at).await
    }

    pub(super) async fn find_or_add_subject(
        &self,
        purpose: Purpose,
        subject: &str,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        match self.find_subject(purpose, subject).await {
            Err(KeyError::Missing) => self.add_subject(purpose, subject).await,
            found => found,
        }
    }

    async fn add_subject(&self, purpose: Purpose, subject: &str) -> Result<Arc<SubjectKey>, KeyError> {
        let branch = self.newest_branch(purpose).await?;
        let (now, mut key) = (self.now(), Zeroizing::new([0; 32]));
        random(key.as_mut_slice()).map_err(provider)?;
        let binding = self.key_binding(purpose, subject, branch.version);
        let stored = StoredSubjectKey {
            subject: subject.to_owned(),
            purpose,
            branch_version: branch.version,
            wrapped: wrap(&branch, &binding, &key)?,
            created_at: now,
        };
        if self.store.add_subject_key(&stored).await? {
            return Ok(self.keep_subject(SubjectKey::new(purpose, subject, branch.version, now, &key), now));
        }
        match self.find_subject(purpose, subject).await {
            // The winner's key was destroyed in between: the next attempt starts afresh.
            Err(KeyError::Missing) => Err(KeyError::Unavailable),
            found => found,
        }
    }

    async fn unwrap_subject(
        &self,
        stored: &StoredSubjectKey,
        purpose: Purpose,
        subject: &str,
        read_at: i64,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        // A branch key that is gone is a fault of the store, not an erased subject.
        let branch = match self.branch(purpose, stored.branch_version).await {
            Err(KeyError::Missing) => Err(KeyError::Invalid),
            found => found,
        }?;
        let binding = self.key_binding(purpose, subject, branch.version);
        let key = unwrap(&branch, &binding, &stored.wrapped)?;
        let key = SubjectKey::new(purpose, subject, branch.version, stored.created_at, &key);
        Ok(self.keep_subject(key, read_at))
    }

    /// Keeps a key from when it was known to exist, not from when it arrived: an erasure in between must not be outlived.
    fn keep_subject(&self, key: SubjectKey, since: i64) -> Arc<SubjectKey> {
        let key = Arc::new(key);
        self.lane(key.purpose()).subjects.insert(key.subject().into(), key.clone(), since);
        key
    }

    fn key_binding<'a>(&'a self, purpose: Purpose, subject: &'a str, branch_version: u32) -> KeyBinding<'a> {
        KeyBinding { table: &self.options.table, subject, purpose, branch_version }
    }
}
