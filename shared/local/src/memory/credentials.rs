use std::sync::Arc;

use portcullis_access::{ApiKey, ApiKeyStore, KnownApiKey, MAX_LISTED};
use portcullis_base::{Clock, Timestamp};
use portcullis_token::{ClientSecretStore, Failures, KnownSecrets, Lockouts, StoreError, StoredSecrets};

use super::shelf::{FOR_EVER, Shelf, Shelves};

/// The credentials table in memory: hashes of client secrets, lockouts, API keys. Clones share it.
#[derive(Clone)]
pub struct Credentials(Arc<Shelves<State, StoreError>>);

#[derive(Default)]
struct State {
    secrets: Shelf<KnownSecrets>,
    failures: Shelf<Failures>,
    api_keys: Shelf<KnownApiKey>,
}

impl Default for Credentials {
    /// A table in which nothing expires.
    fn default() -> Self {
        Self(Arc::new(Shelves::new(None)))
    }
}

impl Credentials {
    /// A table in which things expire by this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shelves::new(Some(clock))))
    }

    /// The next `calls` calls, of any port, answer with `error`.
    pub fn fail_next(&self, calls: usize, error: StoreError) {
        self.0.faults.add(calls, &error);
    }
}

impl ClientSecretStore for Credentials {
    async fn load(&self, client: &str) -> Result<Option<KnownSecrets>, StoreError> {
        let (state, now) = self.0.ask()?;
        Ok(state.secrets.get(client, now).cloned())
    }

    async fn replace(
        &self,
        client: &str,
        secrets: &StoredSecrets,
        expected: u64,
    ) -> Result<bool, StoreError> {
        let (mut state, now) = self.0.ask()?;
        if state.secrets.get(client, now).map_or(0, |known| known.version) != expected {
            return Ok(false);
        }
        let known = KnownSecrets { secrets: secrets.clone(), version: expected + 1 };
        state.secrets.put(client, known, FOR_EVER);
        Ok(true)
    }
}

impl Lockouts for Credentials {
    async fn load(&self, key: &str) -> Result<Option<Failures>, StoreError> {
        let (state, now) = self.0.ask()?;
        Ok(state.failures.get(key, now).copied())
    }

    async fn add(&self, key: &str, now: Timestamp, forget_at: Timestamp) -> Result<Failures, StoreError> {
        let (mut state, _) = self.0.ask()?;
        let before = state.failures.get(key, now.as_millisecond()).map_or(0, |failures| failures.count);
        let failures = Failures { count: before.saturating_add(1), last: now };
        state.failures.put(key, failures, forget_at.as_millisecond());
        Ok(failures)
    }

    async fn clear(&self, key: &str) -> Result<(), StoreError> {
        self.0.ask()?.0.failures.remove(key);
        Ok(())
    }
}

impl ApiKeyStore for Credentials {
    async fn load(&self, id: &str) -> Result<Option<KnownApiKey>, StoreError> {
        let (state, now) = self.0.ask()?;
        Ok(state.api_keys.get(id, now).cloned())
    }

    async fn replace(&self, key: &ApiKey, expected: u64) -> Result<bool, StoreError> {
        let (mut state, now) = self.0.ask()?;
        if state.api_keys.get(&key.id, now).map_or(0, |known| known.version) != expected {
            return Ok(false);
        }
        let ends = key.forgotten_at().map_or(FOR_EVER, |at| at.as_millisecond());
        state.api_keys.put(&key.id, KnownApiKey { key: key.clone(), version: expected + 1 }, ends);
        Ok(true)
    }

    async fn list(&self) -> Result<Vec<KnownApiKey>, StoreError> {
        let (state, now) = self.0.ask()?;
        let mut keys: Vec<_> = state.api_keys.all(now).cloned().collect();
        keys.sort_by(|a, b| a.key.id.cmp(&b.key.id));
        keys.truncate(MAX_LISTED);
        Ok(keys)
    }
}
