//! A key wrapper and a subject-keys table in memory.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test support: a panic is a failed test")]

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use portcullis_base::{ManualClock, Timestamp};
use portcullis_pii::envelope::hazmat::Gcm;
use portcullis_pii::{
    HierarchyOptions, KeyError, KeyHierarchy, KeyStore, KeyWrapper, Purpose, RecordBinding, RecordOpener,
    RecordSealer, StoredBranchKey, StoredSubjectKey, SubjectKey, WrappedDataKey,
};

pub(crate) const MINUTE: i64 = 60_000;

/// One deployment: what its containers share.
pub(crate) struct Fakes {
    pub(crate) wrapper: Arc<Wrapper>,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) type Hierarchy = KeyHierarchy<WrapperHandle, StoreHandle, Arc<ManualClock>>;

impl Default for Fakes {
    fn default() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
        let wrapper = Arc::new(Wrapper::new(clock.clone()));
        Self { wrapper, store: Arc::default(), clock }
    }
}

impl Fakes {
    /// Every call lets all others run first, so that those that could overlap do.
    pub(crate) fn slow() -> Self {
        let fakes = Self::default();
        fakes.wrapper.yields.store(true, SeqCst);
        fakes.store.yields.store(true, SeqCst);
        fakes
    }

    /// A container with empty caches.
    pub(crate) fn hierarchy(&self) -> Hierarchy {
        self.hierarchy_with(HierarchyOptions::new("keys"))
    }

    pub(crate) fn hierarchy_with(&self, options: HierarchyOptions) -> Hierarchy {
        let (wrapper, store) = (WrapperHandle(self.wrapper.clone()), StoreHandle(self.store.clone()));
        KeyHierarchy::new(wrapper, store, self.clock.clone(), options)
    }

    pub(crate) fn kms_calls(&self) -> usize {
        self.wrapper.contexts().len()
    }
}

/// Whether what one key of a subject seals opens with the other.
pub(crate) fn is_same(a: &SubjectKey, b: &SubjectKey) -> bool {
    let binding = RecordBinding { table: "t", record: "r", subject: a.subject(), purpose: a.purpose() };
    let sealer = RecordSealer::new(a, &binding).unwrap();
    RecordOpener::new(b, &binding, sealer.header()).is_ok()
}

/// Wraps by AES-256-GCM with the context as associated data.
pub(crate) struct Wrapper {
    pub(crate) generated: AtomicUsize,
    pub(crate) unwrapped: AtomicUsize,
    pub(crate) failing: AtomicBool,
    pub(crate) refusing: AtomicBool,
    pub(crate) takes_ms: AtomicI64,
    yields: AtomicBool,
    contexts: Mutex<Vec<String>>,
    keys: Mutex<Vec<[u8; 32]>>,
    clock: Arc<ManualClock>,
}

impl Wrapper {
    fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            generated: AtomicUsize::default(),
            unwrapped: AtomicUsize::default(),
            failing: AtomicBool::default(),
            refusing: AtomicBool::default(),
            takes_ms: AtomicI64::default(),
            yields: AtomicBool::default(),
            contexts: Mutex::default(),
            keys: Mutex::default(),
            clock,
        }
    }

    /// The context of every call, in order.
    pub(crate) fn contexts(&self) -> Vec<String> {
        self.contexts.lock().unwrap().clone()
    }

    /// The keys made, in order.
    pub(crate) fn keys(&self) -> Vec<[u8; 32]> {
        self.keys.lock().unwrap().clone()
    }

    async fn call(&self, context: &[(&str, &str)]) -> Result<String, KeyError> {
        let text = context.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
        self.contexts.lock().unwrap().push(text.clone());
        pause(&self.yields).await;
        self.clock.advance(self.takes_ms.load(SeqCst));
        match (self.failing.load(SeqCst), self.refusing.load(SeqCst)) {
            (true, _) => Err(KeyError::Unavailable),
            (_, true) => Err(KeyError::Refused),
            _ => Ok(text),
        }
    }
}

#[derive(Clone)]
pub(crate) struct WrapperHandle(Arc<Wrapper>);

impl KeyWrapper for WrapperHandle {
    async fn generate(&self, purpose: Purpose, context: &[(&str, &str)]) -> Result<WrappedDataKey, KeyError> {
        let text = self.0.call(context).await?;
        let mut plaintext = zeroize::Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(plaintext.as_mut_slice()).unwrap();
        let mut wrapped = Vec::new();
        master(purpose).seal([9; 12], text.as_bytes(), plaintext.as_slice(), &mut wrapped).unwrap();
        self.0.generated.fetch_add(1, SeqCst);
        self.0.keys.lock().unwrap().push(*plaintext);
        Ok(WrappedDataKey { plaintext, wrapped })
    }

    async fn unwrap(
        &self,
        purpose: Purpose,
        context: &[(&str, &str)],
        wrapped: &[u8],
    ) -> Result<zeroize::Zeroizing<[u8; 32]>, KeyError> {
        let text = self.0.call(context).await?;
        let mut key = Vec::new();
        master(purpose).open([9; 12], text.as_bytes(), wrapped, &mut key).ok_or(KeyError::Invalid)?;
        self.0.unwrapped.fetch_add(1, SeqCst);
        Ok(zeroize::Zeroizing::new(key.try_into().unwrap()))
    }
}

fn master(purpose: Purpose) -> Gcm {
    Gcm::new(&[purpose as u8 + 1; 32]).unwrap()
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) subject_reads: AtomicUsize,
    pub(crate) lost_races: AtomicUsize,
    yields: AtomicBool,
    branches: Mutex<BTreeMap<(Purpose, u32), StoredBranchKey>>,
    subjects: Mutex<HashMap<(String, Purpose), StoredSubjectKey>>,
    index: Mutex<Option<Vec<u8>>>,
}

impl Store {
    pub(crate) fn branches(&self) -> BTreeMap<(Purpose, u32), StoredBranchKey> {
        self.branches.lock().unwrap().clone()
    }

    pub(crate) fn subjects(&self) -> HashMap<(String, Purpose), StoredSubjectKey> {
        self.subjects.lock().unwrap().clone()
    }

    /// Crypto-shredding.
    pub(crate) fn destroy(&self, subject: &str) {
        self.subjects.lock().unwrap().retain(|(stored, _), _| stored != subject);
    }

    pub(crate) fn overwrite(&self, key: StoredSubjectKey) {
        self.subjects.lock().unwrap().insert((key.subject.clone(), key.purpose), key);
    }

    fn added(&self, first: bool) -> Result<bool, KeyError> {
        self.lost_races.fetch_add(usize::from(!first), SeqCst);
        Ok(first)
    }
}

#[derive(Clone)]
pub(crate) struct StoreHandle(Arc<Store>);

impl KeyStore for StoreHandle {
    async fn branch_key(
        &self,
        purpose: Purpose,
        version: Option<u32>,
    ) -> Result<Option<StoredBranchKey>, KeyError> {
        pause(&self.0.yields).await;
        let branches = self.0.branches.lock().unwrap();
        let (from, to) = version.map_or((0, u32::MAX), |version| (version, version));
        Ok(branches.range((purpose, from)..=(purpose, to)).next_back().map(|(_, key)| key.clone()))
    }

    async fn add_branch_key(&self, key: &StoredBranchKey) -> Result<bool, KeyError> {
        pause(&self.0.yields).await;
        let place = (key.purpose, key.version);
        let mut branches = self.0.branches.lock().unwrap();
        let first = !branches.contains_key(&place);
        branches.entry(place).or_insert_with(|| key.clone());
        self.0.added(first)
    }

    async fn subject_key(
        &self,
        subject: &str,
        purpose: Purpose,
    ) -> Result<Option<StoredSubjectKey>, KeyError> {
        self.0.subject_reads.fetch_add(1, SeqCst);
        pause(&self.0.yields).await;
        Ok(self.0.subjects.lock().unwrap().get(&(subject.to_owned(), purpose)).cloned())
    }

    async fn add_subject_key(&self, key: &StoredSubjectKey) -> Result<bool, KeyError> {
        pause(&self.0.yields).await;
        let place = (key.subject.clone(), key.purpose);
        let mut subjects = self.0.subjects.lock().unwrap();
        let first = !subjects.contains_key(&place);
        subjects.entry(place).or_insert_with(|| key.clone());
        self.0.added(first)
    }

    async fn index_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        pause(&self.0.yields).await;
        Ok(self.0.index.lock().unwrap().clone())
    }

    async fn add_index_key(&self, wrapped: &[u8]) -> Result<bool, KeyError> {
        pause(&self.0.yields).await;
        let mut index = self.0.index.lock().unwrap();
        let first = index.is_none();
        index.get_or_insert_with(|| wrapped.to_vec());
        self.0.added(first)
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(std::task::Waker::noop());
    for _ in 0..1_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the future never ends");
}

async fn pause(yields: &AtomicBool) {
    if yields.load(SeqCst) {
        for _ in 0..3 {
            YieldOnce(false).await;
        }
    }
}

struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
