//! The stack's own key set, read where it is kept.

use std::fmt;

use portcullis_base::Clock;

use crate::{Jwks, JwksSource, JwksSourceError, KeyRingStore, RingPolicy, StoreError};

/// The key set of the one issuer whose ring is at hand: no connection to an address of one's own, which a domain that
/// demands client certificates would refuse, and no copy on the way that has a compromised key still.
pub struct RingJwks<R, C> {
    issuer: String,
    store: R,
    policy: RingPolicy,
    clock: C,
}

impl<R: KeyRingStore, C: Clock> RingJwks<R, C> {
    /// The keys of `issuer`, whose ring is in `store`. `policy` is the one of its token service.
    pub fn new(issuer: impl Into<String>, store: R, policy: RingPolicy, clock: C) -> Self {
        Self { issuer: issuer.into(), store, policy, clock }
    }
}

impl<R: KeyRingStore, C: Clock> JwksSource for RingJwks<R, C> {
    /// # Errors
    /// [`JwksSourceError::Unavailable`] also for an issuer that is not the one of the ring: its keys are not known here.
    async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
        if issuer != self.issuer {
            return Err(JwksSourceError::Unavailable);
        }
        let (ring, _) = self.store.load().await.map_err(|error| match error {
            StoreError::Malformed => JwksSourceError::Malformed,
            _ => JwksSourceError::Unavailable,
        })?;
        Ok(ring.jwks(&self.policy, self.clock.now()))
    }
}

impl<R, C> fmt::Debug for RingJwks<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingJwks").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
