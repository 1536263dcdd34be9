use portcullis_base::Timestamp;

use super::{KeyRing, RingPolicy, Stage};
use crate::Algorithm;
use crate::time::after;

/// What is to be done about the ring. Doing it twice, or crashing half-way and starting anew, does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingAction {
    /// Make a key of that algorithm and [`KeyRing::publish`] it.
    Publish(Algorithm),
    /// Destroy the private half of that key, then [`KeyRing::forget`] it.
    Destroy(String),
}

impl KeyRing {
    /// What is due now: a key for each algorithm that has none, a successor early enough for the active one to sign no
    /// longer than [`RingPolicy::rotate_every`], and the end of retired ones.
    pub fn plan(&self, algorithms: &[Algorithm], policy: &RingPolicy, now: Timestamp) -> Vec<RingAction> {
        let publish = algorithms
            .iter()
            .filter(|a| self.needs_key(**a, policy, now))
            .map(|algorithm| RingAction::Publish(*algorithm));
        let destroy = self
            .keys
            .iter()
            .filter(|key| key.stage(policy, now) == Stage::Retired)
            .map(|key| RingAction::Destroy(key.kid().to_owned()));
        publish.chain(destroy).collect()
    }

    fn needs_key(&self, algorithm: Algorithm, policy: &RingPolicy, now: Timestamp) -> bool {
        if self.waiting(algorithm, now).is_some() {
            return false;
        }
        let Some(active) = self.active(algorithm, now) else { return true };
        let signs_for = policy.rotate_every.saturating_sub(policy.lead());
        now >= after(active.active_from, signs_for)
    }
}
