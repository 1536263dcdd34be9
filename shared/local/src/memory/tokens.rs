use std::sync::Arc;

use portcullis_base::{Clock, Timestamp};
use portcullis_token::{
    Approval, Approvals, Family, FamilyId, KeyRing, KeyRingStore, RefreshFamilies, ReplayWindow, Revocation,
    RevocationPage, RevocationStore, SealedKeyStore, StoreError,
};

use super::shelf::{FOR_EVER, Shelf, Shelves};

/// The tokens table in memory: key ring, sealed keys, revocations, refresh families, replay window, approvals. Clones
/// share it.
#[derive(Clone)]
pub struct Tokens(Arc<Shelves<State, StoreError>>);

#[derive(Default)]
struct State {
    ring: KeyRing,
    ring_version: u64,
    sealed_keys: Shelf<Vec<u8>>,
    revocations: Vec<Revocation>,
    families: Shelf<Family>,
    used: Shelf<()>,
    approvals: Shelf<Approval>,
}

impl Default for Tokens {
    /// A table in which nothing expires.
    fn default() -> Self {
        Self(Arc::new(Shelves::new(None)))
    }
}

impl Tokens {
    /// A table in which things expire by this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shelves::new(Some(clock))))
    }

    /// The next `calls` calls, of any port, answer with `error`.
    pub fn fail_next(&self, calls: usize, error: StoreError) {
        self.0.faults.add(calls, &error);
    }

    /// How many refresh families there are, expired ones included.
    pub fn family_count(&self) -> usize {
        self.0.look().families.len()
    }

    /// How many sealed keys there are.
    pub fn sealed_key_count(&self) -> usize {
        self.0.look().sealed_keys.len()
    }
}

impl KeyRingStore for Tokens {
    async fn load(&self) -> Result<(KeyRing, u64), StoreError> {
        let (state, _) = self.0.ask()?;
        Ok((state.ring.clone(), state.ring_version))
    }

    async fn save(&self, ring: &KeyRing, expected: u64) -> Result<bool, StoreError> {
        let (mut state, _) = self.0.ask()?;
        if state.ring_version != expected {
            return Ok(false);
        }
        state.ring = ring.clone();
        state.ring_version += 1;
        Ok(true)
    }
}

impl SealedKeyStore for Tokens {
    async fn add(&self, kid: &str, sealed: &[u8]) -> Result<(), StoreError> {
        let (mut state, now) = self.0.ask()?;
        let added = state.sealed_keys.add(kid, sealed.to_vec(), FOR_EVER, now);
        if added { Ok(()) } else { Err(StoreError::Refused) }
    }

    async fn load(&self, kid: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (state, now) = self.0.ask()?;
        Ok(state.sealed_keys.get(kid, now).cloned())
    }

    async fn remove(&self, kid: &str) -> Result<(), StoreError> {
        self.0.ask()?.0.sealed_keys.remove(kid);
        Ok(())
    }
}

impl RevocationStore for Tokens {
    async fn add(&self, revocation: &Revocation) -> Result<(), StoreError> {
        self.0.ask()?.0.revocations.push(revocation.clone());
        Ok(())
    }

    /// The cursor is the number of revocations read.
    async fn since(&self, cursor: Option<&str>) -> Result<RevocationPage, StoreError> {
        let (state, now) = self.0.ask()?;
        let all = &state.revocations;
        // A cursor of another table starts from the start: better twice than never.
        let start = cursor.and_then(|c| c.parse().ok()).filter(|n| *n <= all.len()).unwrap_or(0);
        let page = all.iter().skip(start).take(PAGE);
        let end = start + page.len();
        let items = page.filter(|r| r.until.as_millisecond() > now).cloned().collect();
        Ok(RevocationPage { items, cursor: Some(end.to_string()), more: end < all.len() })
    }
}

impl RefreshFamilies for Tokens {
    async fn load(&self, id: FamilyId) -> Result<Option<Family>, StoreError> {
        let (state, now) = self.0.ask()?;
        Ok(state.families.get(&id.to_string(), now).cloned())
    }

    async fn create(&self, id: FamilyId, family: &Family, until: Timestamp) -> Result<(), StoreError> {
        let (mut state, now) = self.0.ask()?;
        let added = state.families.add(&id.to_string(), family.clone(), until.as_millisecond(), now);
        if added { Ok(()) } else { Err(StoreError::Refused) }
    }

    async fn replace(
        &self,
        id: FamilyId,
        seen: &Family,
        next: &Family,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let (mut state, now) = self.0.ask()?;
        let id = id.to_string();
        let unchanged = state.families.get(&id, now) == Some(seen);
        if unchanged {
            state.families.put(&id, next.clone(), until.as_millisecond());
        }
        Ok(unchanged)
    }
}

impl ReplayWindow for Tokens {
    async fn first_use(&self, scope: &str, id: &str, until: Timestamp) -> Result<bool, StoreError> {
        let (mut state, now) = self.0.ask()?;
        let name = format!("{}:{scope}{id}", scope.len());
        Ok(state.used.add(&name, (), until.as_millisecond(), now))
    }
}

impl Approvals for Tokens {
    async fn add(&self, approval: &Approval) -> Result<(), StoreError> {
        let (mut state, now) = self.0.ask()?;
        let added = state.approvals.add(&approval.id, approval.clone(), approval.expires_at, now);
        if added { Ok(()) } else { Err(StoreError::Refused) }
    }

    async fn take(&self, id: &str, actor: &str, now: Timestamp) -> Result<Option<Approval>, StoreError> {
        let (mut state, _) = self.0.ask()?;
        let open = state.approvals.get(id, now.as_millisecond()).is_some_and(|a| a.actor == actor);
        Ok(if open { state.approvals.remove(id) } else { None })
    }

    async fn withdraw(&self, id: &str) -> Result<(), StoreError> {
        self.0.ask()?.0.approvals.remove(id);
        Ok(())
    }

    async fn peek(&self, id: &str) -> Result<Option<Approval>, StoreError> {
        let (state, now) = self.0.ask()?;
        Ok(state.approvals.get(id, now).cloned())
    }
}

/// Small, so that tests come to a second page.
const PAGE: usize = 100;
