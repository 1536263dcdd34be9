//! The keeper of the signing keys: which key signs now, what the key set is, and what moves the ring on.
//!
//! Every container holds a copy of the ring, no older than [`RingPolicy::ring_staleness`], and the signers of its active
//! keys. Whoever finds that something is due ([`KeyKeeper::advance`]: the rotation function on schedule, the token service when
//! there is no key at all) does it, and the version of the stored ring decides between two who do it at once: the loser
//! destroys the keys that it made, which nobody ever saw, and looks again.
//!
//! A crash between making a key and publishing it leaves a private half that no ring names. It signs nothing and is
//! never published; it is not looked for. The other way round, a private half is destroyed only when the *stored* ring says
//! that its key is retired: a key that a change takes out goes with the next change, once this one was saved.
//!
//! What was changed is told to whoever asked for it, and stored in the same save until somebody says that it is on record
//! ([`KeyKeeper::unrecorded`], [`KeyKeeper::recorded`]): no change is lost to the audit trail, whatever fails after it.

mod either;
mod keys;
mod sealed;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_lock::Mutex;
use portcullis_base::{Clock, Timestamp};

pub use either::{EitherKeys, EitherSigner};
pub use keys::{
    KeySealer, MAX_PRIVATE_KEY, SealContext, SealedKeyStore, SealerError, SigningKeys, SigningKeysError,
};
pub use sealed::SealedKeys;

use crate::time::between;
use crate::{
    Algorithm, Jwks, KeyRing, KeyRingStore, RingAction, RingChange, RingError, RingPolicy, Stage, StoreError,
};

/// How a keeper works.
#[derive(Debug, Clone)]
pub struct KeeperSettings {
    /// The spans of the ring.
    pub policy: RingPolicy,
    /// The algorithms that have an active key each.
    pub algorithms: Vec<Algorithm>,
    /// The age at which the copy of the ring is read anew; a copy up to [`RingPolicy::ring_staleness`] does while the
    /// store fails.
    pub refresh_every: Duration,
}

impl KeeperSettings {
    /// The settings of the stack, which all its functions must have alike: the copy is read anew every minute and does for
    /// two, tokens live 15 minutes at most, and verifiers allow clocks a minute at most.
    pub fn new(algorithms: Vec<Algorithm>, cache_lifetime: Duration, rotate_every: Duration) -> Self {
        let policy = RingPolicy {
            cache_lifetime,
            ring_staleness: Duration::from_secs(120),
            max_token_lifetime: Duration::from_secs(15 * 60),
            leeway: Duration::from_secs(60),
            rotate_every,
        };
        Self { policy, algorithms, refresh_every: Duration::from_secs(60) }
    }
}

/// Keeps the ring, the signers and the private halves in step.
pub struct KeyKeeper<R, K: SigningKeys, C> {
    store: R,
    keys: K,
    clock: C,
    settings: KeeperSettings,
    copy: RwLock<Known>,
    signers: RwLock<HashMap<String, Arc<K::Signer>>>,
    reading: Mutex<()>,
    loading: Mutex<()>,
    changing: Mutex<()>,
    demanding: Mutex<()>,
    /// When a request last found no key and none could be made, and why.
    unmade: RwLock<Option<(Timestamp, KeeperError)>>,
}

/// What this container knows of the ring.
#[derive(Debug, Clone, Default)]
struct Known {
    ring: Arc<KeyRing>,
    /// When the read that brought it began.
    read_at: Option<Timestamp>,
    /// When a read last failed.
    failed_at: Option<Timestamp>,
}

/// A key and where it is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Its name.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its stage.
    pub stage: Stage,
    /// Since when it is in the key set.
    pub published_at: Timestamp,
    /// From when on it signs.
    pub active_from: Timestamp,
    /// Until when it signs, where that is known.
    pub signs_until: Option<Timestamp>,
}

/// Why the keeper has nothing to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// The store of the ring failed, and the copy in hand is too old.
    #[error("key ring: {0}")]
    Store(#[from] StoreError),
    /// The private halves failed.
    #[error("signing keys: {0}")]
    Keys(#[from] SigningKeysError),
    /// The ring does not take the change.
    #[error("key ring: {0}")]
    Ring(#[from] RingError),
    /// No key of that algorithm is kept.
    #[error("no signing key of that algorithm is kept")]
    Algorithm,
    /// Others kept changing the ring.
    #[error("key ring is being changed by others")]
    Busy,
}

impl<R: KeyRingStore, K: SigningKeys, C: Clock> KeyKeeper<R, K, C> {
    /// A keeper that has read nothing yet.
    pub fn new(store: R, keys: K, clock: C, settings: KeeperSettings) -> Self {
        Self {
            store,
            keys,
            clock,
            settings,
            copy: RwLock::default(),
            signers: RwLock::default(),
            reading: Mutex::default(),
            loading: Mutex::default(),
            changing: Mutex::default(),
            demanding: Mutex::default(),
            unmade: RwLock::default(),
        }
    }

    /// Its settings.
    pub const fn settings(&self) -> &KeeperSettings {
        &self.settings
    }

    /// The signer of the key that signs tokens of the algorithm now. On a warm container without a call. Where there is no
    /// such key, it makes one; whether other algorithms have one is no matter. After a failure to make one it waits for 30 s.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn signer(&self, algorithm: Algorithm) -> Result<Arc<K::Signer>, KeeperError> {
        if !self.settings.algorithms.contains(&algorithm) {
            return Err(KeeperError::Algorithm);
        }
        let ring = self.ring_where(|ring, now| ring.active(algorithm, now).is_some()).await?;
        let active = ring.active(algorithm, self.clock.now()).ok_or(KeeperError::Algorithm)?;
        if let Some(signer) = self.held(active.kid()) {
            return Ok(signer);
        }
        let _turn = self.loading.lock().await;
        if let Some(signer) = self.held(active.kid()) {
            return Ok(signer);
        }
        let signer = Arc::new(self.keys.signer(&active.public).await?);
        self.hold(active.kid(), &signer, &ring);
        Ok(signer)
    }

    /// The key set to publish now: what there is. Where there is nothing at all, it makes the first keys, unless that failed
    /// within the last 30 s: anybody may ask for the set, and nobody is to drive the making of keys.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn jwks(&self) -> Result<Jwks, KeeperError> {
        let policy = &self.settings.policy;
        let is_listed = |key: &crate::RingKey, now| key.stage(policy, now) != Stage::Retired;
        let ring = self.ring_where(|ring, now| ring.keys().iter().any(|key| is_listed(key, now))).await?;
        Ok(ring.jwks(policy, self.clock.now()))
    }

    /// All keys and their stages, the newest first.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn list(&self) -> Result<Vec<KeyStatus>, KeeperError> {
        let (ring, _) = self.store.load().await?;
        let now = self.clock.now();
        let mut keys: Vec<_> = ring.keys().iter().filter_map(|key| self.status(key, now)).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.published_at));
        Ok(keys)
    }

    /// Does what is due: the first key of each algorithm, the successor of one that signed long enough, the end of retired
    /// ones. Mostly nothing. The rotation function calls it on schedule.
    ///
    /// # Errors
    /// See [`KeeperError`]. One key that cannot be made or destroyed does not keep the others from it: it is left for the
    /// next call, which fails if it is still alone in being due.
    pub async fn advance(&self) -> Result<Vec<RingChange>, KeeperError> {
        self.change(|_, _| Ok(Vec::new())).await
    }

    /// Rotates now: a successor is published for each algorithm, and signs after [`RingPolicy::lead`]. An algorithm whose
    /// successor waits already is left alone, so that asking twice rotates once.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn rotate(&self) -> Result<Vec<RingChange>, KeeperError> {
        let algorithms = &self.settings.algorithms;
        self.change(|ring, now| {
            let successors = algorithms.iter().filter(|a| ring.waiting(**a, now).is_none());
            Ok(successors.map(|algorithm| Due::Action(RingAction::Publish(*algorithm))).collect())
        })
        .await
    }

    /// Takes a key out at once, whatever tokens of it are about, and makes another sign in its place. Its private half is
    /// destroyed by the next [`KeyKeeper::advance`], when the ring without it has been saved.
    ///
    /// # Errors
    /// See [`KeeperError`]; [`RingError::Unknown`] when there is no such key.
    pub async fn compromise(&self, kid: &str) -> Result<Vec<RingChange>, KeeperError> {
        self.change(|ring, now| match ring.keys().iter().find(|key| key.kid() == kid) {
            None => Err(RingError::Unknown.into()),
            Some(key) if key.compromised_at.is_some_and(|at| at <= now) => Ok(Vec::new()),
            Some(_) => Ok(vec![Due::Compromise(kid.to_owned())]),
        })
        .await
    }

    /// What was changed, by whomever, and is not on record yet: first keys that a request made, and what somebody could not
    /// record. The oldest first.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn unrecorded(&self) -> Result<Vec<RingChange>, KeeperError> {
        Ok(self.store.load().await?.0.unrecorded().to_vec())
    }

    /// Says that these changes are on record. Whoever fails to say so records them once more, later.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn recorded(&self, changes: &[RingChange]) -> Result<(), KeeperError> {
        let _turn = self.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let (mut ring, version) = self.store.load().await?;
            if !ring.forget_recorded(changes) || self.store.save(&ring, version).await? {
                self.keep(ring, now);
                return Ok(());
            }
        }
        Err(KeeperError::Busy)
    }

    fn status(&self, key: &crate::RingKey, now: Timestamp) -> Option<KeyStatus> {
        Some(KeyStatus {
            kid: key.kid().to_owned(),
            algorithm: key.public.algorithm()?,
            stage: key.stage(&self.settings.policy, now),
            published_at: key.published_at,
            active_from: key.active_from,
            signs_until: key.signs_until,
        })
    }

    /// A ring that has what is asked for, made where it has not.
    async fn ring_where(
        &self,
        suffices: impl Fn(&KeyRing, Timestamp) -> bool + Send + Sync,
    ) -> Result<Arc<KeyRing>, KeeperError> {
        let ring = self.ring().await?;
        if suffices(&ring, self.clock.now()) {
            return Ok(ring);
        }
        // Whoever is first makes it; the others then find it, or that it cannot be made.
        let _turn = self.demanding.lock().await;
        let ring = self.ring().await?;
        if suffices(&ring, self.clock.now()) {
            return Ok(ring);
        }
        if let Some(error) = self.failed_lately() {
            return Err(error);
        }
        let made = self.advance().await;
        let ring = self.ring().await?;
        if suffices(&ring, self.clock.now()) {
            return Ok(ring);
        }
        // Others' keys were made, and this one was not.
        let error = made.err().unwrap_or(KeeperError::Keys(SigningKeysError::Unavailable));
        if error != KeeperError::Busy {
            let failed = Some((self.clock.now(), error));
            *self.unmade.write().unwrap_or_else(PoisonError::into_inner) = failed;
        }
        Err(error)
    }

    fn failed_lately(&self) -> Option<KeeperError> {
        let now = self.clock.now();
        let failed = *self.unmade.read().unwrap_or_else(PoisonError::into_inner);
        failed.filter(|(at, _)| *at <= now && between(*at, now) < BACK_OFF).map(|(_, error)| error)
    }

    async fn ring(&self) -> Result<Arc<KeyRing>, KeeperError> {
        if let Some(ring) = self.in_hand(self.settings.refresh_every) {
            return Ok(ring);
        }
        let _turn = self.reading.lock().await;
        match self.in_hand(self.settings.refresh_every) {
            Some(ring) => Ok(ring),
            None => self.read().await,
        }
    }

    async fn read(&self) -> Result<Arc<KeyRing>, KeeperError> {
        let began = self.clock.now();
        match self.store.load().await {
            Ok((ring, _)) => Ok(self.keep(ring, began)),
            Err(error) => {
                self.copy.write().unwrap_or_else(PoisonError::into_inner).failed_at = Some(began);
                self.in_hand(self.settings.policy.ring_staleness).ok_or_else(|| error.into())
            }
        }
    }

    /// The copy, if it is younger than that. A clock that went back makes its age unknown. After a failed read a copy that is
    /// not too old does for a moment, so that a failing store is not asked by every request.
    fn in_hand(&self, age: Duration) -> Option<Arc<KeyRing>> {
        let now = self.clock.now();
        let copy = self.copy.read().unwrap_or_else(PoisonError::into_inner);
        let within = |at: Option<Timestamp>, span| at.is_some_and(|at| at <= now && between(at, now) < span);
        let age = if within(copy.failed_at, PAUSE) { self.settings.policy.ring_staleness } else { age };
        within(copy.read_at, age).then(|| Arc::clone(&copy.ring))
    }

    fn keep(&self, ring: KeyRing, read_at: Timestamp) -> Arc<KeyRing> {
        let ring = Arc::new(ring);
        let copy = Known { ring: Arc::clone(&ring), read_at: Some(read_at), failed_at: None };
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = copy;
        ring
    }

    fn held(&self, kid: &str) -> Option<Arc<K::Signer>> {
        self.signers.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    /// Holds a signer, and lets go of those that sign no longer: a private key is in memory no longer than it is of use.
    fn hold(&self, kid: &str, signer: &Arc<K::Signer>, ring: &KeyRing) {
        let now = self.clock.now();
        let mut signers = self.signers.write().unwrap_or_else(PoisonError::into_inner);
        signers.retain(|kid, _| {
            ring.keys()
                .iter()
                .any(|key| key.kid() == kid && key.stage(&self.settings.policy, now) == Stage::Active)
        });
        signers.insert(kid.to_owned(), Arc::clone(signer));
    }

    /// Does what is due and what `more` asks for, as one change of the ring.
    async fn change(
        &self,
        more: impl Fn(&KeyRing, Timestamp) -> Result<Vec<Due>, KeeperError> + Send + Sync,
    ) -> Result<Vec<RingChange>, KeeperError> {
        let _turn = self.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let (ring, version) = self.store.load().await?;
            let asked = more(&ring, now)?;
            let draft = self.draft(&ring, asked, now).await;
            if draft.changes.is_empty() {
                self.keep(ring, now);
                return draft.failed.map_or(Ok(draft.changes), Err);
            }
            match self.store.save(&draft.ring, version).await {
                Ok(true) => {
                    self.keep(draft.ring, now);
                    return Ok(draft.changes);
                }
                Ok(false) => self.discard(&draft).await,
                Err(error) => return self.settle(draft, &ring, version, error).await,
            }
        }
        Err(KeeperError::Busy)
    }

    /// What is to become of the ring. Whatever of it fails is left out.
    async fn draft(&self, ring: &KeyRing, asked: Vec<Due>, now: Timestamp) -> Draft {
        let mut draft = Draft {
            ring: ring.clone(),
            made: Vec::new(),
            changes: Vec::new(),
            unmade: Vec::new(),
            failed: None,
        };
        for due in asked {
            self.try_apply(&mut draft, due, now).await;
        }
        // What is due is told from the ring as it is after that: a key that was taken out needs an heir.
        for action in draft.ring.plan(&self.settings.algorithms, &self.settings.policy, now) {
            let is_left = match &action {
                RingAction::Publish(algorithm) => draft.unmade.contains(algorithm),
                // In the stored ring it may sign still, and goes on to if this change is not saved.
                RingAction::Destroy(kid) => !self.is_retired(ring, kid, now),
            };
            if !is_left {
                self.try_apply(&mut draft, Due::Action(action), now).await;
            }
        }
        draft.ring.owe_record(&draft.changes);
        draft
    }

    fn is_retired(&self, ring: &KeyRing, kid: &str, now: Timestamp) -> bool {
        let key = ring.keys().iter().find(|key| key.kid() == kid);
        key.is_some_and(|key| key.stage(&self.settings.policy, now) == Stage::Retired)
    }

    async fn try_apply(&self, draft: &mut Draft, due: Due, now: Timestamp) {
        if let Err(error) = self.apply(draft, due, now).await {
            draft.failed.get_or_insert(error);
        }
    }

    /// What a save has come to that gave no answer. It may have been done, or be done yet: destroying the keys of a ring that
    /// others read would leave them none. Saving the old ring under the same version decides it.
    async fn settle(
        &self,
        draft: Draft,
        before: &KeyRing,
        version: u64,
        error: StoreError,
    ) -> Result<Vec<RingChange>, KeeperError> {
        if error != StoreError::Refused {
            let Ok(undone) = self.store.save(before, version).await else { return Err(error.into()) };
            if !undone {
                let began = self.clock.now();
                let Ok((stored, _)) = self.store.load().await else { return Err(error.into()) };
                let has = |kid: &String| stored.keys().iter().any(|key| key.kid() == kid);
                if !draft.made.is_empty() && draft.made.iter().all(has) {
                    self.keep(stored, began);
                    return Ok(draft.changes);
                }
            }
        }
        self.discard(&draft).await;
        Err(error.into())
    }

    async fn apply(&self, draft: &mut Draft, due: Due, now: Timestamp) -> Result<(), KeeperError> {
        let policy = &self.settings.policy;
        match due {
            Due::Action(RingAction::Publish(algorithm)) => {
                let made = self.keys.make(algorithm).await;
                let public = made.inspect_err(|_| draft.unmade.push(algorithm))?;
                let kid = public.kid().unwrap_or_default().to_owned();
                if let Err(error) = draft.ring.publish(public, policy, now) {
                    // Nobody's key but this one may be destroyed: not one that has its name.
                    if error != RingError::Duplicate {
                        let _left = self.keys.destroy(&kid).await;
                    }
                    return Err(error.into());
                }
                draft.made.push(kid.clone());
                let key = draft.ring.keys().iter().find(|key| key.kid() == kid);
                let active_from = key.map_or(now, |key| key.active_from);
                draft.changes.push(RingChange::Published { kid, algorithm, active_from });
            }
            Due::Action(RingAction::Destroy(kid)) => {
                self.keys.destroy(&kid).await?;
                draft.ring.forget(&kid, policy, now)?;
                draft.changes.push(RingChange::Destroyed { kid });
            }
            Due::Compromise(kid) => {
                draft.ring.compromise(&kid, now)?;
                draft.changes.push(RingChange::Compromised { kid });
            }
        }
        Ok(())
    }

    /// Destroys keys that were made and not published. One that cannot be destroyed now is named by no ring.
    async fn discard(&self, draft: &Draft) {
        for kid in &draft.made {
            let _left = self.keys.destroy(kid).await;
        }
    }
}

impl<R, K: SigningKeys, C> std::fmt::Debug for KeyKeeper<R, K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyKeeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}

enum Due {
    Action(RingAction),
    Compromise(String),
}

/// A change of the ring before it is saved.
struct Draft {
    ring: KeyRing,
    made: Vec<String>,
    changes: Vec<RingChange>,
    /// The algorithms whose keys could not be made.
    unmade: Vec<Algorithm>,
    /// The first failure.
    failed: Option<KeeperError>,
}

const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// From a failure to make a key for a request to the next attempt in this process.
const BACK_OFF: Duration = Duration::from_secs(30);
