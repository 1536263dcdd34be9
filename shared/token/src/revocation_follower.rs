//! A copy of the revocations, kept up to date: what a container checks tokens against.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_lock::Mutex;
use portcullis_base::{Clock, Timestamp};

use crate::time::between;
use crate::{Claims, Family, RevocationList, RevocationStore, StoreError, Thumbprint, TokenError};

/// How old a copy may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowPolicy {
    /// Up to this age it is used without asking: the seconds that a revocation takes to be honoured.
    pub fresh: Duration,
    /// Up to this age it does while the store fails. Past it nothing is taken for good.
    pub stale: Duration,
}

impl Default for FollowPolicy {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(2), stale: Duration::from_secs(30) }
    }
}

/// Follows a [`RevocationStore`]: one query for what is new when the copy is no longer fresh, by one request at a time.
pub struct RevocationFollower<S, C> {
    store: S,
    clock: C,
    policy: FollowPolicy,
    copy: RwLock<Known>,
    reading: Mutex<()>,
}

#[derive(Default)]
struct Known {
    list: RevocationList,
    cursor: Option<String>,
    read_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// It was revoked.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The revocations are not known, or not lately: what cannot be checked is not taken.
    #[error("revocations are unknown: {0}")]
    Store(#[from] StoreError),
}

impl<S: RevocationStore, C: Clock> RevocationFollower<S, C> {
    /// A follower that has read nothing yet.
    pub fn new(store: S, clock: C, policy: FollowPolicy) -> Self {
        Self { store, clock, policy, copy: RwLock::default(), reading: Mutex::default() }
    }

    /// The store, for adding to it.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Whether a token is still good, by a copy that is fresh.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub async fn check(&self, claims: &Claims) -> Result<(), FollowError> {
        self.bring_up_to_date().await?;
        Ok(self.copy.read().unwrap_or_else(PoisonError::into_inner).list.check(claims)?)
    }

    /// Whether a session of that issuer still goes on, by a copy that is fresh.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub async fn check_session(&self, iss: &str, family: &Family) -> Result<(), FollowError> {
        self.bring_up_to_date().await?;
        Ok(self.copy.read().unwrap_or_else(PoisonError::into_inner).list.check_session(iss, family)?)
    }

    /// Whether a client certificate is still good, by a copy that is fresh.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub async fn check_certificate(&self, thumbprint: &Thumbprint) -> Result<(), FollowError> {
        self.bring_up_to_date().await?;
        Ok(self.copy.read().unwrap_or_else(PoisonError::into_inner).list.check_certificate(thumbprint)?)
    }

    async fn bring_up_to_date(&self) -> Result<(), StoreError> {
        if self.is_within(self.policy.fresh) {
            return Ok(());
        }
        let _turn = self.reading.lock().await;
        if self.is_within(self.policy.fresh) {
            return Ok(());
        }
        let began = self.clock.now();
        match self.read_on(began).await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.copy.write().unwrap_or_else(PoisonError::into_inner).failed_at = Some(began);
                if self.is_within(self.policy.stale) { Ok(()) } else { Err(error) }
            }
        }
    }

    /// After a failed read a copy that is not stale does for a moment, so that a failing store is left alone.
    fn is_within(&self, age: Duration) -> bool {
        let now = self.clock.now();
        let copy = self.copy.read().unwrap_or_else(PoisonError::into_inner);
        let within = |at: Option<Timestamp>, span| at.is_some_and(|at| at <= now && between(at, now) < span);
        let age = if within(copy.failed_at, PAUSE) { self.policy.stale } else { age };
        within(copy.read_at, age)
    }

    async fn read_on(&self, began: Timestamp) -> Result<(), StoreError> {
        let mut cursor = self.copy.read().unwrap_or_else(PoisonError::into_inner).cursor.clone();
        loop {
            let page = self.store.since(cursor.as_deref()).await?;
            let mut copy = self.copy.write().unwrap_or_else(PoisonError::into_inner);
            for item in page.items {
                if copy.list.add(item.clone()).is_err() {
                    copy.list.prune(began);
                    copy.list.add(item).map_err(|_| StoreError::Unavailable)?;
                }
            }
            cursor.clone_from(&page.cursor);
            copy.cursor = page.cursor;
            if !page.more {
                copy.list.prune(began);
                copy.read_at = Some(began);
                copy.failed_at = None;
                return Ok(());
            }
        }
    }
}

impl<S, C> fmt::Debug for RevocationFollower<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationFollower").field("policy", &self.policy).finish_non_exhaustive()
    }
}

const PAUSE: Duration = Duration::from_secs(1);
