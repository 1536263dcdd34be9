//! Key sets of issuers, kept: who may make us fetch one, and for how long an old one does.

mod decision;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use async_lock::Mutex;
use portcullis_base::{Clock, Timestamp};

pub use decision::{CachePolicy, Decision, SetAge};

use crate::verify::{IssuerKeys, Presentation};
use crate::{Jwks, TokenError, UnverifiedToken, VerifiedToken, Verifier};

/// Where key sets come from: HTTPS in production, a file locally.
pub trait JwksSource: Send + Sync {
    /// Fetches the key set of an issuer. One call is one request.
    fn fetch(&self, issuer: &str) -> impl Future<Output = Result<Jwks, JwksSourceError>> + Send;
}

/// A key set could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksSourceError {
    /// The issuer did not answer, or not in time.
    #[error("issuer unavailable")]
    Unavailable,
    /// It answered with something that is no sound key set.
    #[error("issuer's key set is malformed")]
    Malformed,
}

/// Verifies tokens with cached key sets, and fetches them when [`CachePolicy`] says so.
pub struct CachedVerifier<S, C> {
    verifier: Verifier,
    source: S,
    clock: C,
    slots: HashMap<String, Slot>,
}

struct Slot {
    policy: CachePolicy,
    entry: RwLock<Entry>,
    fetching: Mutex<()>,
}

#[derive(Default, Clone)]
struct Entry {
    keys: Option<Arc<Jwks>>,
    age: SetAge,
}

impl<S: JwksSource, C: Clock> CachedVerifier<S, C> {
    /// A verifier that knows no keys yet.
    pub fn new(verifier: Verifier, source: S, clock: C, policy: CachePolicy) -> Self {
        let slots = verifier.issuers().map(|issuer| (issuer.to_owned(), Slot::new(policy))).collect();
        Self { verifier, source, clock, slots }
    }

    /// Another policy for the key set of one issuer: a shorter one where keys are near. Nothing for an issuer that the
    /// verifier does not know.
    #[must_use]
    pub fn with_policy_for(mut self, issuer: &str, policy: CachePolicy) -> Self {
        if let Some(slot) = self.slots.get_mut(issuer) {
            slot.policy = policy;
        }
        self
    }

    /// Verifies a token: without a call as long as its key is in hand and fresh.
    ///
    /// # Errors
    /// As [`Verifier::verify`]; [`TokenError::KeysUnavailable`] where the issuer's keys could not be had, of a token that
    /// is not bad in any case.
    pub async fn verify(&self, text: &str, presented: Presentation<'_>) -> Result<VerifiedToken, TokenError> {
        let token = UnverifiedToken::parse(text)?;
        let issuer = self.verifier.policy_for(&token)?.issuer();
        let slot = self.slots.get(issuer).ok_or(TokenError::Issuer)?;
        let keys = self.keys_for(slot, issuer, token.dangerous_unverified_kid()).await;
        let Some(keys) = keys else { return Err(self.verifier.without_keys(&token, self.clock.now())) };
        self.verifier.verify_parsed(token, &Only(keys), presented, self.clock.now())
    }

    /// The set to judge a token by. `None`: there is none, or none that can tell of a key that is not in it.
    async fn keys_for(&self, slot: &Slot, issuer: &str, kid: Option<&str>) -> Option<Arc<Jwks>> {
        let seen = slot.read();
        if !seen.lacks(kid) && slot.policy.decide(&seen.age, false, self.clock.now()) == Decision::Use {
            return seen.keys;
        }
        // Whoever waited here for another's fetch decides anew: mostly there is nothing left to fetch. Waiting comes before
        // refusing, too: what is missing may be what is being fetched.
        let _turn = slot.fetching.lock().await;
        let seen = slot.read();
        let lacks = seen.lacks(kid);
        match slot.policy.decide(&seen.age, lacks, self.clock.now()) {
            Decision::Use => seen.keys.filter(|_| !(lacks && seen.age.last_try_failed())),
            Decision::Refuse => None,
            Decision::Fetch => self.fetch(slot, issuer).await,
            Decision::FetchOrUse => {
                let fetched = self.fetch(slot, issuer).await;
                fetched.or_else(|| seen.keys.filter(|_| !lacks))
            }
        }
    }

    async fn fetch(&self, slot: &Slot, issuer: &str) -> Option<Arc<Jwks>> {
        slot.attempted(self.clock.now());
        let keys = self.source.fetch(issuer).await.ok()?;
        Some(slot.replace(keys, self.clock.now()))
    }
}

impl<S, C> std::fmt::Debug for CachedVerifier<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedVerifier").field("issuers", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Entry {
    /// Whether it holds keys, but not this one. A token without a `kid` has nothing that a newer set could heal.
    fn lacks(&self, kid: Option<&str>) -> bool {
        self.keys.as_ref().is_some_and(|keys| kid.is_some_and(|kid| keys.by_kid(kid).is_none()))
    }
}

impl Slot {
    fn new(policy: CachePolicy) -> Self {
        Self { policy, entry: RwLock::default(), fetching: Mutex::default() }
    }

    fn read(&self) -> Entry {
        self.entry.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn attempted(&self, now: Timestamp) {
        self.entry.write().unwrap_or_else(PoisonError::into_inner).age.attempted_at = Some(now);
    }

    fn replace(&self, keys: Jwks, now: Timestamp) -> Arc<Jwks> {
        let keys = Arc::new(keys);
        let mut entry = self.entry.write().unwrap_or_else(PoisonError::into_inner);
        entry.keys = Some(Arc::clone(&keys));
        entry.age.fetched_at = Some(now);
        keys
    }
}

struct Only(Arc<Jwks>);

impl IssuerKeys for Only {
    fn keys(&self, _: &str) -> Option<Arc<Jwks>> {
        Some(Arc::clone(&self.0))
    }
}
