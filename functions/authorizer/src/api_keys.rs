//! API keys, looked up and kept for a few seconds.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_access::{ApiKey, ApiKeyError, ApiKeyStore, PresentedKey};
use portcullis_base::{Clock, ExposeSecret, SecretString, Timestamp};
use portcullis_secrets::{CachedSecrets, SecretSource};
use portcullis_token::SecretHasher;

/// What an API key is good for. `API_KEYS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiKeyMode {
    /// Nothing: the header is not read. `off`, the default.
    #[default]
    Off,
    /// It stands for its owner where there is no token; with a token it narrows what that may. `alternative`.
    Alternative,
    /// Every request needs one, and a token as well. `required`.
    Required,
}

impl ApiKeyMode {
    /// Reads the setting.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "alternative" => Some(Self::Alternative),
            "required" => Some(Self::Required),
            _ => None,
        }
    }
}

/// API keys over a store, and the secret that they are hashed with.
pub struct ApiKeys<K, S, C> {
    store: K,
    secrets: CachedSecrets<S, C>,
    hashing_secret: String,
    clock: C,
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone)]
struct Kept {
    key: Option<Arc<ApiKey>>,
    at: Timestamp,
}

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRefusal {
    Key(ApiKeyError),
    /// It cannot be told.
    Unavailable,
}

impl<K: ApiKeyStore, S: SecretSource, C: Clock> ApiKeys<K, S, C> {
    /// Keys of a store, hashed with the secret of that name: 32 bytes at least.
    pub fn new(store: K, secrets: CachedSecrets<S, C>, hashing_secret: impl Into<String>, clock: C) -> Self {
        Self { store, secrets, hashing_secret: hashing_secret.into(), clock, kept: Mutex::default() }
    }

    /// The key that a header shows, if it is good.
    pub(crate) async fn check(&self, text: &str) -> Result<Arc<ApiKey>, KeyRefusal> {
        let shown = PresentedKey::parse(text).ok_or(KeyRefusal::Key(ApiKeyError::Malformed))?;
        let known = self.find(shown.id()).await?;
        let hashing = self.secrets.get(&self.hashing_secret).await.map_err(|_| KeyRefusal::Unavailable)?;
        let mut answer = Err(KeyRefusal::Unavailable);
        for secret in std::iter::once(&hashing.current).chain(&hashing.previous) {
            answer = judge(known.as_ref(), &shown, secret, self.clock.now());
            if answer != Err(KeyRefusal::Key(ApiKeyError::Secret)) {
                break;
            }
        }
        answer.and_then(|()| known.ok_or(KeyRefusal::Key(ApiKeyError::Unknown)))
    }

    /// Fresh for seconds, so that a revocation is honoured within them; older while the store fails, for a bounded time.
    async fn find(&self, id: &str) -> Result<Option<Arc<ApiKey>>, KeyRefusal> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let now = self.clock.now();
        let age = kept.as_ref().map(|k| now.as_millisecond().saturating_sub(k.at.as_millisecond()));
        let within = |limit| age.is_some_and(|age| (0..limit).contains(&age));
        match kept {
            Some(kept) if within(FRESH_MILLIS) => Ok(kept.key),
            kept => match self.store.load(id).await {
                Ok(found) => Ok(self.keep(id, found.map(|known| Arc::new(known.key)), now)),
                Err(_) => kept.filter(|_| within(STALE_MILLIS)).map(|k| k.key).ok_or(KeyRefusal::Unavailable),
            },
        }
    }

    fn keep(&self, id: &str, key: Option<Arc<ApiKey>>, at: Timestamp) -> Option<Arc<ApiKey>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Ids that do not exist are kept too, and anybody can write them: bounded, and emptied rather than trimmed.
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(id.to_owned(), Kept { key: key.clone(), at });
        key
    }
}

fn judge(
    known: Option<&Arc<ApiKey>>,
    shown: &PresentedKey,
    hashing: &SecretString,
    now: Timestamp,
) -> Result<(), KeyRefusal> {
    let hasher =
        SecretHasher::new(hashing.expose_secret().as_bytes()).map_err(|_| KeyRefusal::Unavailable)?;
    match known {
        Some(key) => key.check(shown, &hasher, now).map(drop).map_err(KeyRefusal::Key),
        None => Err(KeyRefusal::Key(ApiKey::check_nobody(shown, &hasher))),
    }
}

impl<K, S, C> fmt::Debug for ApiKeys<K, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeys")
    }
}

const FRESH_MILLIS: i64 = 3_000;
const STALE_MILLIS: i64 = 30_000;
const MAX_KEPT: usize = 4_096;
