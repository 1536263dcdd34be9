//! The state of a simulated AWS account, in the embedded database: what a response changed there is still changed after a
//! restart, and can be released.

use std::sync::Arc;

use portcullis_response::simulation::{Keeper, Simulation, World};
use portcullis_response::{PortError, PortResult, Target};
use tokio::sync::Mutex;

use super::entries::{Change, Entry, FOR_EVER, Kind};
use super::{Store, StoreError};

/// A simulated AWS account in the embedded database. It is no account: nothing outside of the database is changed.
pub type LocalAccount = Simulation<KeptWorld>;

/// Keeps a [`World`], sealed. A change is on the disk before it is answered. Clones share it.
#[derive(Clone)]
pub struct KeptWorld {
    store: Store,
    /// What the file holds; nothing while that is not known.
    held: Arc<Mutex<Option<World>>>,
}

impl KeptWorld {
    /// The world of this database: an empty one where it has none. A database has one world: share it by cloning.
    pub fn new(store: Store) -> Self {
        Self { store, held: Arc::default() }
    }

    /// Adds what an event names, so that it can be contained: each target, and for users the id of an access key that was
    /// seen. What is there stays as it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn furnish(&self, things: &[(Target, Option<String>)]) -> PortResult<()> {
        self.change(|world| {
            for (target, key) in things {
                if !world.furnish(target, key.as_deref()) && target.kind().is_some() {
                    tracing::debug!("a target of an event is not simulated");
                }
            }
            Ok(())
        })
        .await
    }

    async fn change(&self, set: impl FnOnce(&mut World) -> PortResult<()> + Send) -> PortResult<()> {
        let mut held = self.held.lock().await;
        let before = self.taken(&mut held)?;
        let mut after = before.clone();
        let changed = set(&mut after);
        if changed.is_err() || after == before {
            *held = Some(before);
            return changed;
        }
        // Nothing is held meanwhile: whoever asks after this broke off reads what the file then holds.
        self.keep(&after).await?;
        *held = Some(after);
        Ok(())
    }

    fn taken(&self, held: &mut Option<World>) -> PortResult<World> {
        match held.take() {
            Some(world) => Ok(world),
            None => match self.store.entry(Kind::Account, &[])? {
                Some(row) => Ok(serde_json::from_slice(&row).map_err(|_| StoreError::Corrupt)?),
                None => Ok(World::empty()),
            },
        }
    }

    async fn keep(&self, world: &World) -> PortResult<()> {
        let plain = serde_json::to_vec(world).map_err(|_| PortError::Refused(UNWRITABLE.to_owned()))?;
        let put = move |_| Ok(Change::Put(Entry { plain: plain.clone(), ends: FOR_EVER }, ()));
        Ok(self.store.change_entry(Kind::Account, &[], put).await?)
    }
}

impl Keeper for KeptWorld {
    async fn read<T: Send>(
        &self,
        _: &'static str,
        get: impl FnOnce(&World) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let mut held = self.held.lock().await;
        let world = self.taken(&mut held)?;
        let answer = get(&world);
        *held = Some(world);
        answer
    }

    async fn write(
        &self,
        _: &'static str,
        _: String,
        set: impl FnOnce(&mut World) -> PortResult<()> + Send,
    ) -> PortResult<()> {
        self.change(set).await
    }
}

const UNWRITABLE: &str = "the state of the simulated account cannot be written";
