//! API keys, looked up and kept for a few seconds.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_access::{ApiKey, ApiKeyError, ApiKeyStore, PresentedKey};
use portcullis_base::{Clock, ExposeSecret, Timestamp};
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
    hashing: Hashing<S, C>,
    clock: C,
    kept: Mutex<HashMap<String, Kept>>,
}

/// What keys are hashed with.
enum Hashing<S, C> {
    /// The secret of that name.
    Secret(CachedSecrets<S, C>, String),
    /// A hasher that is at hand.
    Fixed(Box<SecretHasher>),
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
        let hashing = Hashing::Secret(secrets, hashing_secret.into());
        Self { store, hashing, clock, kept: Mutex::default() }
    }

    /// Keys of a store, hashed by this: where the key of it is at hand.
    pub fn with_hasher(store: K, hasher: SecretHasher, clock: C) -> Self {
        Self { store, hashing: Hashing::Fixed(Box::new(hasher)), clock, kept: Mutex::default() }
    }

    /// The key that a header shows, if it is good.
    pub(crate) async fn check(&self, text: &str) -> Result<Arc<ApiKey>, KeyRefusal> {
        let shown = PresentedKey::parse(text).ok_or(KeyRefusal::Key(ApiKeyError::Malformed))?;
        let known = self.find(shown.id()).await?;
        self.judge(known.as_ref(), &shown).await?;
        known.ok_or(KeyRefusal::Key(ApiKeyError::Unknown))
    }

    /// With the secret before the current one too, while it is being rotated.
    async fn judge(&self, known: Option<&Arc<ApiKey>>, shown: &PresentedKey) -> Result<(), KeyRefusal> {
        let (secrets, name) = match &self.hashing {
            Hashing::Fixed(hasher) => return judge(known, shown, hasher, self.clock.now()),
            Hashing::Secret(secrets, name) => (secrets, name),
        };
        let hashing = secrets.get(name).await.map_err(|_| KeyRefusal::Unavailable)?;
        let mut answer = Err(KeyRefusal::Unavailable);
        for secret in std::iter::once(&hashing.current).chain(&hashing.previous) {
            let hasher = SecretHasher::new(secret.expose_secret().as_bytes());
            let hasher = hasher.map_err(|_| KeyRefusal::Unavailable)?;
            answer = judge(known, shown, &hasher, self.clock.now());
            if answer != Err(KeyRefusal::Key(ApiKeyError::Secret)) {
                break;
            }
        }
        answer
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
    hasher: &SecretHasher,
    now: Timestamp,
) -> Result<(), KeyRefusal> {
    match known {
        Some(key) => key.check(shown, hasher, now).map(drop).map_err(KeyRefusal::Key),
        None => Err(KeyRefusal::Key(ApiKey::check_nobody(shown, hasher))),
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
