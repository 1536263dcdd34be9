//! Where the state of a simulated account is kept.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};

use super::account::Simulation;
use super::faults::{Faults, lock};
use super::world::World;
use crate::ports::{PortError, PortResult};

/// Keeps a [`World`]. Each call names the IAM action that it stands for.
pub trait Keeper: Send + Sync {
    /// Reads the state.
    fn read<T: Send>(
        &self,
        action: &'static str,
        get: impl FnOnce(&World) -> PortResult<T> + Send,
    ) -> impl Future<Output = PortResult<T>> + Send;
    /// Changes the state, and has kept the change when it answers. What fails changes nothing. `what` says what was
    /// changed, for a log of effects.
    fn write(
        &self,
        action: &'static str,
        what: String,
        set: impl FnOnce(&mut World) -> PortResult<()> + Send,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// A simulated account in memory. Every call goes through its faults; every effect is logged.
pub type SimulatedAccount = Simulation<FaultyWorld>;

/// A state in memory, with everything that can go wrong.
#[derive(Debug)]
pub struct FaultyWorld {
    inner: Mutex<Inner>,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Inner {
    world: World,
    /// What reads show, for so many reads more: a write takes time to be seen everywhere.
    stale: Option<(World, u32)>,
    lag: u32,
    effects: Vec<String>,
    denied: BTreeSet<String>,
}

impl SimulatedAccount {
    /// An account of that state.
    pub fn new(world: World, faults: Arc<Faults>) -> Self {
        let inner = Inner { world, stale: None, lag: 0, effects: Vec::new(), denied: BTreeSet::new() };
        Self::over(FaultyWorld { inner: Mutex::new(inner), faults })
    }

    /// From now on the first `reads` reads after a write show what was there before it.
    pub fn lag_by(&self, reads: u32) {
        lock(&self.0.inner).lag = reads;
    }

    /// From now on this IAM action is denied.
    pub fn deny(&self, action: &str) {
        lock(&self.0.inner).denied.insert(action.to_owned());
    }

    /// Denies nothing any more.
    pub fn allow_all(&self) {
        lock(&self.0.inner).denied.clear();
    }

    /// The state now.
    pub fn world(&self) -> World {
        lock(&self.0.inner).world.clone()
    }

    /// Changes the state from outside: what an attacker, or an administrator, does meanwhile.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut lock(&self.0.inner).world);
    }

    /// Every change that had its effect, in order.
    pub fn effects(&self) -> Vec<String> {
        lock(&self.0.inner).effects.clone()
    }
}

impl Keeper for FaultyWorld {
    async fn read<T: Send>(
        &self,
        action: &'static str,
        get: impl FnOnce(&World) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let call = || {
            let mut inner = lock(&self.inner);
            inner.permit(action)?;
            match inner.stale.take() {
                Some((world, left)) if left > 0 => {
                    let answer = get(&world);
                    inner.stale = Some((world, left - 1));
                    answer
                }
                _ => get(&inner.world),
            }
        };
        self.faults.pass(action, call).await
    }

    async fn write(
        &self,
        action: &'static str,
        what: String,
        set: impl FnOnce(&mut World) -> PortResult<()> + Send,
    ) -> PortResult<()> {
        let call = || {
            let mut inner = lock(&self.inner);
            inner.permit(action)?;
            let before = (inner.lag > 0).then(|| inner.world.clone());
            set(&mut inner.world)?;
            inner.effects.push(format!("{action} {what}"));
            inner.stale = before.map(|before| (before, inner.lag));
            Ok(())
        };
        self.faults.pass(action, call).await
    }
}

impl Inner {
    fn permit(&self, action: &str) -> PortResult<()> {
        if self.denied.contains(action) { Err(PortError::Denied(action.to_owned())) } else { Ok(()) }
    }
}
