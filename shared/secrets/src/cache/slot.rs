//! What the cache knows of one name.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portcullis_base::ExposeSecret;

use super::CacheSettings;
use crate::{SecretError, SecretVersions};

/// A name's place in the cache. Whoever reads the backend holds the lock meanwhile: that is the single flight.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) state: async_lock::Mutex<State>,
    last_used: AtomicI64,
}

impl Slot {
    /// An empty slot, used at `now_ms`.
    pub(super) fn touched(now_ms: i64) -> Self {
        Self { last_used: AtomicI64::new(now_ms), ..Self::default() }
    }

    /// Notes a use.
    pub(super) fn touch(&self, now_ms: i64) {
        self.last_used.store(now_ms, Ordering::Relaxed);
    }

    /// When it was last used, milliseconds since the Unix epoch.
    pub(super) fn last_used(&self) -> i64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Whether there is a value (or one is being read).
    pub(super) fn holds_value(&self) -> bool {
        self.state.try_lock().is_none_or(|state| state.value.is_some())
    }
}

/// The last value, the last failure, and when the backend was forced.
#[derive(Default)]
pub(super) struct State {
    value: Option<Fetched>,
    failure: Option<(SecretError, i64)>,
    refreshed_at: Option<i64>,
}

struct Fetched {
    versions: Arc<SecretVersions>,
    at: i64,
}

impl State {
    /// What is known without asking the backend; `None`: it must be asked.
    pub(super) fn lookup(
        &self,
        now: i64,
        settings: &CacheSettings,
    ) -> Option<Result<Arc<SecretVersions>, SecretError>> {
        if let Some(value) = self.value.as_ref().filter(|value| within(value.at, now, settings.ttl)) {
            return Some(Ok(Arc::clone(&value.versions)));
        }
        let (error, at) = self.failure?;
        within(at, now, settings.failure).then(|| self.instead_of(error, now, settings))
    }

    /// Takes in what the backend answered, and says what its caller gets.
    pub(super) fn store(
        &mut self,
        answer: Result<SecretVersions, SecretError>,
        now: i64,
        settings: &CacheSettings,
    ) -> Result<Arc<SecretVersions>, SecretError> {
        match answer {
            Ok(versions) => Ok(self.replace(versions, now)),
            Err(error) => {
                self.failure = Some((error, now));
                let instead = self.instead_of(error, now, settings);
                if instead.is_err() {
                    // Past its time, or withdrawn: it must not stay in memory either.
                    self.value = None;
                }
                instead
            }
        }
    }

    /// Like [`State::store`], for a forced read: a failure of the backend is reported, not papered over.
    pub(super) fn store_refreshed(
        &mut self,
        answer: Result<SecretVersions, SecretError>,
        now: i64,
        settings: &CacheSettings,
    ) -> Result<(), SecretError> {
        self.refreshed_at = Some(now);
        let failed = answer.as_ref().err().copied();
        let served = self.store(answer, now, settings);
        failed.map_or(served.map(drop), Err)
    }

    /// The value, if it is not the one that the caller has seen.
    pub(super) fn other_than(&self, seen: &Arc<SecretVersions>) -> Option<Arc<SecretVersions>> {
        let value = self.value.as_ref()?;
        (!Arc::ptr_eq(&value.versions, seen) && !same(&value.versions, seen))
            .then(|| Arc::clone(&value.versions))
    }

    /// Whether the backend may be asked out of turn.
    pub(super) fn may_refresh(&self, now: i64, settings: &CacheSettings) -> bool {
        let refreshed = self.refreshed_at.is_some_and(|at| within(at, now, settings.refresh));
        let failed = self.failure.is_some_and(|(_, at)| within(at, now, settings.failure));
        !refreshed && !failed
    }

    /// Keeps the old allocation when nothing changed, so that callers who hold it see that nothing did.
    fn replace(&mut self, versions: SecretVersions, now: i64) -> Arc<SecretVersions> {
        self.failure = None;
        let versions = match self.value.take() {
            Some(old) if same(&old.versions, &versions) => old.versions,
            _ => Arc::new(versions),
        };
        self.value = Some(Fetched { versions: Arc::clone(&versions), at: now });
        versions
    }

    /// What is served in place of an error: the last value, while it may be stale and the backend cannot say more.
    fn instead_of(
        &self,
        error: SecretError,
        now: i64,
        settings: &CacheSettings,
    ) -> Result<Arc<SecretVersions>, SecretError> {
        let bound = settings.ttl.saturating_add(settings.stale);
        match &self.value {
            Some(value) if error == SecretError::Unavailable && within(value.at, now, bound) => {
                Ok(Arc::clone(&value.versions))
            }
            _ => Err(error),
        }
    }
}

/// Whether less than `span` has passed. A clock that went back proves nothing: then no.
fn within(at: i64, now: i64, span: Duration) -> bool {
    u64::try_from(now.saturating_sub(at)).is_ok_and(|elapsed| Duration::from_millis(elapsed) < span)
}

/// Compares two values of the backend. Nobody outside chooses either, so the time it takes tells nothing.
fn same(a: &SecretVersions, b: &SecretVersions) -> bool {
    a.current.expose_secret() == b.current.expose_secret()
        && a.previous.as_ref().map(ExposeSecret::expose_secret)
            == b.previous.as_ref().map(ExposeSecret::expose_secret)
}
