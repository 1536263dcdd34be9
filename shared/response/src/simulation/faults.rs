//! What can go wrong with a call, and where.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use portcullis_base::Timestamp;

use crate::incident::{Incident, IncidentId, Status};
use crate::notification::Message;
use crate::ports::{Notifier, PortError, PortResult, Wait};
use crate::store::{CapStore, Created, Holds, IncidentStore, Saved, Slot};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process ends before the call has its effect: the future never wakes, and is dropped.
    CrashBefore,
    /// The process ends after the call had its effect.
    CrashAfter,
    /// Too many requests, once.
    Throttled,
    /// No permission for this call.
    Denied,
    /// No answer, and no effect.
    TimeoutBefore,
    /// No answer, and the effect happened anyway.
    TimeoutAfter,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Throttled,
        Self::Denied,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
    ];

    /// Whether the process ends.
    pub const fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    at: usize,
    fault: Fault,
    /// Whether every later call breaks too.
    lasting: bool,
}

/// Counts calls over everything that shares it, and breaks those it is told to.
#[derive(Debug, Default)]
pub struct Faults {
    calls: AtomicUsize,
    plan: Mutex<Option<Armed>>,
    hit: Mutex<Option<String>>,
}

impl Faults {
    /// Breaks call number `at`, counted from 0 and from now on.
    pub fn arm(&self, at: usize, fault: Fault) {
        self.set(Armed { at, fault, lasting: false });
    }

    /// Breaks call number `at` and every one after it.
    pub fn arm_from(&self, at: usize, fault: Fault) {
        self.set(Armed { at, fault, lasting: true });
    }

    fn set(&self, armed: Armed) {
        *lock(&self.plan) = Some(armed);
        *lock(&self.hit) = None;
        self.calls.store(0, Ordering::SeqCst);
    }

    /// Breaks nothing any more.
    pub fn disarm(&self) {
        *lock(&self.plan) = None;
    }

    /// The action of the call that was broken.
    pub fn hit(&self) -> Option<String> {
        lock(&self.hit).clone()
    }

    /// How many calls there were since it was armed.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Makes a call, or breaks it. `call` has the effect, at once.
    pub(crate) async fn pass<T>(
        &self,
        action: &str,
        call: impl FnOnce() -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let due = |armed: &Armed| armed.at == number || (armed.lasting && armed.at < number);
        let fault = lock(&self.plan).filter(due).map(|armed| armed.fault);
        if fault.is_some() {
            *lock(&self.hit) = Some(action.to_owned());
        }
        match fault {
            None => call(),
            Some(Fault::CrashBefore) => pending().await,
            Some(Fault::CrashAfter) => {
                drop(call());
                pending().await
            }
            Some(Fault::Throttled) => Err(PortError::Throttled),
            Some(Fault::Denied) => Err(PortError::Denied(action.to_owned())),
            Some(Fault::TimeoutBefore) => Err(PortError::Timeout),
            Some(Fault::TimeoutAfter) => {
                drop(call());
                Err(PortError::Timeout)
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store or notifier whose calls can be broken.
#[derive(Debug)]
pub struct Faulty<D> {
    inner: D,
    faults: Arc<Faults>,
}

impl<D> Faulty<D> {
    /// Puts faults before it.
    pub const fn new(inner: D, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    /// What is behind.
    pub const fn inner(&self) -> &D {
        &self.inner
    }

    /// Faults before or after a call whose effect takes an await of its own.
    async fn through<T, F>(&self, action: &str, call: F) -> PortResult<T>
    where
        F: Future<Output = PortResult<T>> + Send,
        T: Send,
    {
        let mut before = false;
        let gate = self.faults.pass(action, || {
            before = true;
            Ok(())
        });
        // The gate has its effect at once: whether it got as far is whether the call is made.
        match futures_poll_once(gate).await {
            Some(Ok(())) => call.await,
            Some(Err(error)) => {
                if before {
                    drop(call.await);
                }
                Err(error)
            }
            None => {
                if before {
                    drop(call.await);
                }
                pending().await
            }
        }
    }
}

/// Polls a future once: `None` where it is not ready then.
async fn futures_poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

impl<D: IncidentStore> IncidentStore for Faulty<D> {
    async fn create(&self, incident: &Incident) -> PortResult<Created> {
        self.through("store:create", self.inner.create(incident)).await
    }

    async fn load(&self, id: &IncidentId) -> PortResult<Option<Incident>> {
        self.through("store:load", self.inner.load(id)).await
    }

    async fn save(&self, incident: &Incident, expected: u64) -> PortResult<Saved> {
        self.through("store:save", self.inner.save(incident, expected)).await
    }

    async fn list(&self, status: Option<Status>, limit: usize) -> PortResult<Vec<Incident>> {
        self.through("store:list", self.inner.list(status, limit)).await
    }

    async fn expired(&self, now: Timestamp, limit: usize) -> PortResult<Vec<IncidentId>> {
        self.through("store:expired", self.inner.expired(now, limit)).await
    }

    async fn left(&self, now: Timestamp, limit: usize) -> PortResult<Vec<Incident>> {
        self.through("store:left", self.inner.left(now, limit)).await
    }
}

impl<D: Holds> Holds for Faulty<D> {
    async fn hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        self.through("store:hold", self.inner.hold(resource, incident)).await
    }

    async fn holders(&self, resource: &str) -> PortResult<Vec<IncidentId>> {
        self.through("store:holders", self.inner.holders(resource)).await
    }

    async fn forget_hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        self.through("store:forget_hold", self.inner.forget_hold(resource, incident)).await
    }
}

impl<D: CapStore> CapStore for Faulty<D> {
    async fn reserve(
        &self,
        incident: &IncidentId,
        now: Timestamp,
        window: SignedDuration,
        cap: u32,
    ) -> PortResult<Slot> {
        self.through("store:reserve", self.inner.reserve(incident, now, window, cap)).await
    }
}

impl<D: Notifier> Notifier for Faulty<D> {
    async fn send(&self, message: &Message) -> PortResult<()> {
        self.through("notifier:send", self.inner.send(message)).await
    }
}

/// Keeps messages; one that comes again under its id is one message.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<BTreeMap<String, Message>>);

impl Inbox {
    /// The messages, by id.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.0).values().cloned().collect()
    }
}

impl Notifier for Inbox {
    async fn send(&self, message: &Message) -> PortResult<()> {
        lock(&self.0).insert(message.id.clone(), message.clone());
        Ok(())
    }
}

/// Does not wait; counts how often it should have.
#[derive(Debug, Default)]
pub struct NoWait(AtomicUsize);

impl NoWait {
    /// How often it was asked to wait.
    pub fn pauses(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wait for NoWait {
    async fn pause(&self, _attempt: u32) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
