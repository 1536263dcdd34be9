//! The key hierarchy: KMS key, branch keys, subject keys.
//!
//! The [`KeyWrapper`]'s key wraps branch keys; a branch key wraps the keys of data subjects. Only branch keys and the
//! blind index's key cost a call of the wrapper, so its calls grow with running containers and time, never with messages
//! or subjects. Destroying a subject's stored key makes all that it sealed unreadable, backups included, at the latest
//! when it leaves the caches of running containers: after [`HierarchyOptions::subject_ttl`].

mod branch;
mod cache;
mod flight;
mod index;
mod options;
mod subject;
pub(crate) mod wrap;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_base::Clock;

use self::branch::BranchKey;
use self::cache::TtlCache;
use self::flight::Flights;
use crate::{BlindIndex, KeyError, KeyStore, KeyWrapper, Purpose, SubjectKey};

pub use options::HierarchyOptions;

/// Hands out the keys of data subjects, and the blind index.
pub struct KeyHierarchy<W, S, C> {
    wrapper: W,
    store: S,
    clock: C,
    options: HierarchyOptions,
    conversation: Lane,
    media: Lane,
    index: OnceLock<Arc<BlindIndex>>,
    index_flight: Flights<1>,
}

impl<W: KeyWrapper, S: KeyStore, C: Clock> KeyHierarchy<W, S, C> {
    /// An empty hierarchy: nothing is fetched before it is needed.
    pub fn new(wrapper: W, store: S, clock: C, options: HierarchyOptions) -> Self {
        let (conversation, media) = (Lane::new(&options), Lane::new(&options));
        Self {
            wrapper,
            store,
            clock,
            options,
            conversation,
            media,
            index: OnceLock::new(),
            index_flight: Flights::default(),
        }
    }

    /// The subject's key, made if there is none. Concurrent callers, here or elsewhere, get one and the same key.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] may pass; the others will not without help.
    pub async fn subject_key_for_sealing(
        &self,
        purpose: Purpose,
        subject: &str,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        let lane = self.lane(purpose);
        let cached = || lane.subjects.find(subject, self.now());
        lane.subject_flights.run(subject, cached, self.find_or_add_subject(purpose, subject)).await
    }

    /// The subject's key. Never makes one.
    ///
    /// # Errors
    /// [`KeyError::Missing`] where the subject never had a key or it was destroyed: what it sealed cannot be read any more.
    pub async fn subject_key_for_opening(
        &self,
        purpose: Purpose,
        subject: &str,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        let lane = self.lane(purpose);
        let cached = || lane.subjects.find(subject, self.now());
        lane.subject_flights.run(subject, cached, self.find_subject(purpose, subject)).await
    }

    /// How long containers go on using a subject's key after it was destroyed: what one seals in this time opens for
    /// nobody afterwards.
    pub const fn erasure_takes_effect_within(&self) -> Duration {
        self.options.subject_ttl
    }

    /// Drops a subject's keys from this container's cache: for who destroyed them.
    pub fn forget(&self, subject: &str) {
        for purpose in [Purpose::Conversation, Purpose::Media] {
            self.lane(purpose).subjects.remove(subject);
        }
    }

    /// The blind index. Its key is fetched once, and made if there is none.
    ///
    /// # Errors
    /// As [`subject_key_for_sealing`](Self::subject_key_for_sealing).
    pub async fn blind_index(&self) -> Result<Arc<BlindIndex>, KeyError> {
        self.index_flight.run(&(), || self.index.get().cloned(), self.load_index()).await
    }

    const fn lane(&self, purpose: Purpose) -> &Lane {
        match purpose {
            Purpose::Conversation => &self.conversation,
            Purpose::Media => &self.media,
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// The caches of one purpose: conversation and media keys never meet.
struct Lane {
    /// `None` is the newest version: the one that seals.
    branches: TtlCache<Option<u32>, Arc<BranchKey>>,
    branch_flight: Flights<1>,
    subjects: TtlCache<Box<str>, Arc<SubjectKey>>,
    subject_flights: Flights<64>,
}

impl Lane {
    fn new(options: &HierarchyOptions) -> Self {
        Self {
            branches: TtlCache::new(options.branch_capacity, options.branch_ttl),
            branch_flight: Flights::default(),
            subjects: TtlCache::new(options.subject_capacity, options.subject_ttl),
            subject_flights: Flights::default(),
        }
    }
}
