//! The keeper among failures: what is destroyed, what is made, and what goes on signing.

#![expect(clippy::unwrap_used, reason = "test support: a panic is a failed test")]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{FutureExt, join_all};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_token::*;

/// How a save fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Refused,
    /// No answer, and it was not done.
    Lost,
    /// No answer, and it was done.
    LostAnswer,
}

#[derive(Clone, Default)]
struct Rings(Arc<Mutex<RingState>>);

#[derive(Default)]
struct RingState {
    ring: KeyRing,
    version: u64,
    faults: VecDeque<Fault>,
}

impl Rings {
    fn look(&self) -> MutexGuard<'_, RingState> {
        self.0.lock().unwrap()
    }

    fn fail(&self, faults: &[Fault]) {
        self.look().faults.extend(faults);
    }

    fn kids(&self) -> Vec<String> {
        self.look().ring.keys().iter().map(|key| key.kid().to_owned()).collect()
    }
}

impl KeyRingStore for Rings {
    async fn load(&self) -> Result<(KeyRing, u64), StoreError> {
        let state = self.look();
        Ok((state.ring.clone(), state.version))
    }

    async fn save(&self, ring: &KeyRing, expected: u64) -> Result<bool, StoreError> {
        let mut state = self.look();
        let fault = state.faults.pop_front();
        match fault {
            Some(Fault::Refused) => return Err(StoreError::Refused),
            Some(Fault::Lost) => return Err(StoreError::Unavailable),
            Some(Fault::LostAnswer) | None => {}
        }
        let is_ours = state.version == expected;
        if is_ours {
            state.ring = ring.clone();
            state.version += 1;
        }
        if fault.is_some() { Err(StoreError::Unavailable) } else { Ok(is_ours) }
    }
}

#[derive(Clone, Default)]
struct Keys(Arc<Mutex<KeyState>>);

#[derive(Default)]
struct KeyState {
    held: HashMap<String, (Algorithm, zeroize::Zeroizing<Vec<u8>>)>,
    attempts: usize,
    broken: Vec<Algorithm>,
    indestructible: bool,
}

impl Keys {
    fn look(&self) -> MutexGuard<'_, KeyState> {
        self.0.lock().unwrap()
    }

    fn kids(&self) -> Vec<String> {
        self.look().held.keys().cloned().collect()
    }
}

impl SigningKeys for Keys {
    type Signer = LocalSigner;

    async fn make(&self, algorithm: Algorithm) -> Result<Jwk, SigningKeysError> {
        let mut state = self.look();
        state.attempts += 1;
        if state.broken.contains(&algorithm) {
            return Err(SigningKeysError::Refused);
        }
        let signer = LocalSigner::generate(algorithm).unwrap();
        let private = signer.dangerous_private_pkcs8().unwrap();
        state.held.insert(signer.kid().to_owned(), (algorithm, private));
        Ok(signer.public().clone())
    }

    async fn signer(&self, key: &Jwk) -> Result<LocalSigner, SigningKeysError> {
        let state = self.look();
        let kid = key.kid().unwrap();
        let (algorithm, private) = state.held.get(kid).ok_or(SigningKeysError::Missing)?;
        Ok(LocalSigner::from_pkcs8(*algorithm, Some(kid), private)?)
    }

    async fn destroy(&self, kid: &str) -> Result<(), SigningKeysError> {
        let mut state = self.look();
        if state.indestructible {
            return Err(SigningKeysError::Unavailable);
        }
        state.held.remove(kid);
        Ok(())
    }
}

struct World {
    rings: Rings,
    keys: Keys,
    clock: Arc<ManualClock>,
    keeper: Keeper,
}

type Keeper = KeyKeeper<Rings, Keys, Arc<ManualClock>>;

impl World {
    fn new() -> Self {
        let (rings, keys) = (Rings::default(), Keys::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
        let keeper = Self::keeper(&rings, &keys, &clock);
        Self { rings, keys, clock, keeper }
    }

    fn keeper(rings: &Rings, keys: &Keys, clock: &Arc<ManualClock>) -> Keeper {
        let algorithms = vec![Algorithm::Es256, Algorithm::EdDsa];
        let settings = KeeperSettings::new(algorithms, Duration::from_secs(300), Duration::from_secs(86_400));
        KeyKeeper::new(rings.clone(), keys.clone(), clock.clone(), settings)
    }

    /// Another container, which knows nothing yet.
    fn another(&self) -> Keeper {
        Self::keeper(&self.rings, &self.keys, &self.clock)
    }

    /// The name of the key that signs, of a container that opens it anew.
    fn signing(&self, algorithm: Algorithm) -> Result<String, KeeperError> {
        now(self.another().signer(algorithm)).map(|signer| signer.kid().to_owned())
    }

    fn broken(&self, algorithms: &[Algorithm]) {
        self.keys.look().broken = algorithms.to_vec();
    }

    fn attempts(&self) -> usize {
        self.keys.look().attempts
    }

    /// No ring names a key without a private half, and no private half is without its ring.
    #[track_caller]
    fn is_consistent(&self, label: &str) {
        let sorted = |mut kids: Vec<String>| {
            kids.sort();
            kids
        };
        assert_eq!(sorted(self.rings.kids()), sorted(self.keys.kids()), "{label}");
    }
}

/// Nothing here ever waits.
fn now<F: Future>(future: F) -> F::Output {
    Box::pin(future).now_or_never().unwrap()
}

#[test]
fn a_compromise_that_is_not_saved_leaves_the_key_and_one_that_is_destroys_it_later() {
    for fault in [Fault::Refused, Fault::Lost, Fault::LostAnswer] {
        let world = World::new();
        let kid = world.signing(Algorithm::Es256).unwrap();
        world.rings.fail(&[fault]);
        let changed = now(world.keeper.compromise(&kid));
        let was_saved = fault == Fault::LostAnswer;
        assert_eq!(changed.is_ok(), was_saved, "{fault:?}");
        assert!(world.keys.kids().contains(&kid), "{fault:?}: not destroyed before the ring says so");
        assert_eq!(world.signing(Algorithm::Es256).unwrap() == kid, !was_saved, "{fault:?}");
        world.is_consistent(&format!("{fault:?}"));
        if !was_saved {
            let changes = now(world.keeper.compromise(&kid)).unwrap();
            assert!(changes.contains(&RingChange::Compromised { kid: kid.clone() }), "{changes:?}");
        }
        assert_ne!(world.signing(Algorithm::Es256).unwrap(), kid);
        assert_eq!(now(world.keeper.advance()).unwrap(), [RingChange::Destroyed { kid: kid.clone() }]);
        assert!(!world.keys.kids().contains(&kid));
        world.is_consistent("afterwards");
    }
}

/// Neither is a retired key forgotten whose private half is still there.
#[test]
fn a_private_half_that_cannot_be_destroyed_stands_in_nobodys_way() {
    let world = World::new();
    let kid = world.signing(Algorithm::Es256).unwrap();
    now(world.keeper.compromise(&kid)).unwrap();
    world.keys.look().indestructible = true;
    let changes = now(world.keeper.rotate()).unwrap();
    assert_eq!(changes.len(), 2, "successors are published all the same: {changes:?}");
    let unavailable = Err(KeeperError::Keys(SigningKeysError::Unavailable));
    assert_eq!(now(world.keeper.advance()), unavailable, "alone, it is told");
    world.keys.look().indestructible = false;
    assert_eq!(now(world.keeper.advance()).unwrap(), [RingChange::Destroyed { kid }]);
    world.is_consistent("afterwards");
}

#[test]
fn a_save_that_fails_leaves_no_key_behind_and_takes_none_that_is_published() {
    for (label, faults, saved) in [
        ("refused", &[Fault::Refused][..], false),
        ("not done", &[Fault::Lost], false),
        ("done, and the answer lost", &[Fault::LostAnswer], true),
    ] {
        let world = World::new();
        world.rings.fail(faults);
        assert_eq!(now(world.keeper.advance()).is_ok(), saved, "{label}");
        assert_eq!(world.keys.kids().len(), if saved { 2 } else { 0 }, "{label}");
        world.is_consistent(label);
        world.signing(Algorithm::Es256).unwrap();
        assert_eq!(world.keys.kids().len(), 2, "{label}");
        world.is_consistent(label);
    }
    // Whether it was done cannot be told: no key is destroyed that may be in use.
    let world = World::new();
    world.rings.fail(&[Fault::LostAnswer, Fault::Lost]);
    assert_eq!(now(world.keeper.advance()), Err(KeeperError::Store(StoreError::Unavailable)));
    world.is_consistent("unsettled");
    assert!(world.signing(Algorithm::Es256).is_ok());
}

#[test]
fn an_algorithm_without_a_key_takes_nothing_from_the_others() {
    let world = World::new();
    world.broken(&[Algorithm::EdDsa]);
    assert!(now(world.keeper.signer(Algorithm::Es256)).is_ok());
    let refused = now(world.keeper.signer(Algorithm::EdDsa)).unwrap_err();
    assert_eq!(refused, KeeperError::Keys(SigningKeysError::Refused));
    assert_eq!(now(world.another().jwks()).unwrap().keys().len(), 1, "what there is");
    assert_eq!(now(world.keeper.advance()), Err(refused), "with nothing else due, it is told");
    world.is_consistent("with one of two");
    world.broken(&[]);
    assert!(matches!(&*now(world.keeper.advance()).unwrap(), [RingChange::Published { .. }]));
    assert_eq!(now(world.another().jwks()).unwrap().keys().len(), 2);
}

#[test]
fn a_compromised_key_goes_even_where_no_other_can_be_made() {
    let world = World::new();
    let kid = world.signing(Algorithm::Es256).unwrap();
    world.broken(&[Algorithm::Es256]);
    assert_eq!(now(world.keeper.compromise(&kid)).unwrap(), [RingChange::Compromised { kid: kid.clone() }]);
    assert!(world.signing(Algorithm::Es256).is_err());
    assert!(world.signing(Algorithm::EdDsa).is_ok());
    let set = now(world.another().jwks()).unwrap();
    assert!(set.keys().len() == 1 && set.by_kid(&kid).is_none());
}

#[test]
fn whoever_asks_for_the_key_set_does_not_drive_the_making_of_keys() {
    let world = World::new();
    world.broken(&Algorithm::ALL);
    let refused = KeeperError::Keys(SigningKeysError::Refused);
    for i in 0..100 {
        assert_eq!(now(world.keeper.jwks()).unwrap_err(), refused, "{i}");
    }
    let sets = now(join_all((0..100).map(|_| world.keeper.jwks())));
    assert!(sets.iter().all(Result::is_err));
    assert_eq!(world.attempts(), 2, "one for each algorithm");
    world.clock.advance(29_999);
    assert!(now(world.keeper.jwks()).is_err() && now(world.keeper.signer(Algorithm::Es256)).is_err());
    assert_eq!(world.attempts(), 2);
    world.clock.advance(1);
    assert!(now(world.keeper.jwks()).is_err());
    assert_eq!(world.attempts(), 4, "once more after half a minute");
    world.broken(&[]);
    assert!(now(world.keeper.jwks()).is_err());
    world.clock.advance(30_000);
    assert_eq!(now(world.keeper.jwks()).unwrap().keys().len(), 2);
    assert!(now(world.keeper.signer(Algorithm::Es256)).is_ok());
    world.is_consistent("at last");
}

#[test]
fn every_change_is_owed_to_the_record_until_somebody_says_that_it_is_there() {
    let world = World::new();
    let owed = || now(world.another().unrecorded()).unwrap();
    let kid = world.signing(Algorithm::Es256).unwrap();
    let first = owed();
    assert_eq!(first.len(), 2, "also of keys that a request made");
    let changes = now(world.keeper.compromise(&kid)).unwrap();
    assert_eq!(owed(), [first.clone(), changes.clone()].concat());
    now(world.another().recorded(&first)).unwrap();
    assert_eq!(owed(), changes);
    let next = now(world.keeper.advance()).unwrap();
    assert_eq!(next, [RingChange::Destroyed { kid }]);
    world.rings.fail(&[Fault::Lost]);
    assert!(now(world.keeper.recorded(&changes)).is_err());
    assert_eq!(owed(), [changes.clone(), next.clone()].concat(), "better twice than not at all");
    for changes in [&changes, &next, &next] {
        now(world.keeper.recorded(changes)).unwrap();
    }
    assert!(owed().is_empty());
    world.is_consistent("afterwards");
}

#[test]
fn a_change_that_was_not_saved_is_owed_to_nobody_and_one_whose_answer_was_lost_is() {
    for (fault, owed) in [(Fault::Refused, 0), (Fault::Lost, 0), (Fault::LostAnswer, 2)] {
        let world = World::new();
        world.rings.fail(&[fault]);
        let _ = now(world.keeper.advance());
        assert_eq!(now(world.keeper.unrecorded()).unwrap().len(), owed, "{fault:?}");
    }
}

/// A save that is refused costs two keys, which are destroyed, and not two for each request.
#[test]
fn a_store_that_takes_no_ring_costs_no_more_than_one_attempt_in_half_a_minute() {
    let world = World::new();
    world.rings.fail(&[Fault::Refused; 100]);
    for _ in 0..50 {
        assert!(now(world.keeper.jwks()).is_err());
    }
    assert_eq!((world.attempts(), world.keys.kids().len()), (2, 0));
}
