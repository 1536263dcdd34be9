//! Branch keys: made, found and rotated.

use std::sync::Arc;
use std::time::Duration;

use portcullis_base::Clock;
use zeroize::Zeroizing;

use super::KeyHierarchy;
use super::wrap::provider;
use crate::envelope::primitives::Gcm;
use crate::{KeyError, KeyStore, KeyWrapper, Purpose, StoredBranchKey};

/// A branch key ready for use.
pub(super) struct BranchKey {
    pub(super) version: u32,
    pub(super) gcm: Gcm,
    created_at: i64,
}

impl BranchKey {
    fn new(stored: &StoredBranchKey, key: &Zeroizing<[u8; 32]>) -> Result<Arc<Self>, KeyError> {
        let gcm = Gcm::new(key).map_err(provider)?;
        Ok(Arc::new(Self { version: stored.version, gcm, created_at: stored.created_at }))
    }
}

impl<W: KeyWrapper, S: KeyStore, C: Clock> KeyHierarchy<W, S, C> {
    /// The newest branch key, made or rotated if it is time.
    pub(super) async fn newest_branch(&self, purpose: Purpose) -> Result<Arc<BranchKey>, KeyError> {
        let lane = self.lane(purpose);
        let cached =
            || lane.branches.find(&None, self.now()).filter(|branch| !self.is_due(branch.created_at));
        lane.branch_flight.run(&(), cached, self.load_newest_branch(purpose)).await
    }

    /// The branch key of a version.
    pub(super) async fn branch(&self, purpose: Purpose, version: u32) -> Result<Arc<BranchKey>, KeyError> {
        let lane = self.lane(purpose);
        let cached = || lane.branches.find(&Some(version), self.now());
        lane.branch_flight.run(&(), cached, self.load_branch(purpose, version)).await
    }

    async fn load_newest_branch(&self, purpose: Purpose) -> Result<Arc<BranchKey>, KeyError> {
        let branch = match self.store.branch_key(purpose, None).await? {
            Some(stored) if !self.is_due(stored.created_at) => self.unwrap_branch(purpose, &stored).await?,
            Some(due) => {
                self.add_branch(purpose, due.version.checked_add(1).ok_or(KeyError::Refused)?).await?
            }
            None => self.add_branch(purpose, 1).await?,
        };
        self.lane(purpose).branches.insert(None, branch.clone(), self.now());
        Ok(branch)
    }

    async fn load_branch(&self, purpose: Purpose, version: u32) -> Result<Arc<BranchKey>, KeyError> {
        let stored = self.store.branch_key(purpose, Some(version)).await?.ok_or(KeyError::Missing)?;
        if stored.version != version {
            return Err(KeyError::Invalid);
        }
        self.unwrap_branch(purpose, &stored).await
    }

    async fn add_branch(&self, purpose: Purpose, version: u32) -> Result<Arc<BranchKey>, KeyError> {
        let text = version.to_string();
        let made = self.wrapper.generate(purpose, &self.branch_context(purpose, &text)).await?;
        let stored = StoredBranchKey { purpose, version, wrapped: made.wrapped, created_at: self.now() };
        if !self.store.add_branch_key(&stored).await? {
            return self.load_branch(purpose, version).await;
        }
        self.keep_branch(purpose, &stored, &made.plaintext)
    }

    async fn unwrap_branch(
        &self,
        purpose: Purpose,
        stored: &StoredBranchKey,
    ) -> Result<Arc<BranchKey>, KeyError> {
        let text = stored.version.to_string();
        let context = self.branch_context(purpose, &text);
        let key = self.wrapper.unwrap(purpose, &context, &stored.wrapped).await?;
        self.keep_branch(purpose, stored, &key)
    }

    fn keep_branch(
        &self,
        purpose: Purpose,
        stored: &StoredBranchKey,
        key: &Zeroizing<[u8; 32]>,
    ) -> Result<Arc<BranchKey>, KeyError> {
        let branch = BranchKey::new(stored, key)?;
        self.lane(purpose).branches.insert(Some(stored.version), branch.clone(), self.now());
        Ok(branch)
    }

    /// Authenticated by the wrapper: a wrapped key serves for nothing but what it was made for.
    fn branch_context<'a>(&'a self, purpose: Purpose, version: &'a str) -> [(&'a str, &'a str); 4] {
        super::index::context(purpose, "branch", version, &self.options.table)
    }

    fn is_due(&self, created_at: i64) -> bool {
        let age = u64::try_from(self.now().saturating_sub(created_at)).unwrap_or_default();
        Duration::from_millis(age) >= self.options.rotate_after
    }
}
