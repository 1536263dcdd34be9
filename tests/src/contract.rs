//! Contracts of the ports: one suite each, run over every adapter.
//!
//! A suite assumes no more than the port's documentation says, and only fresh names: it runs over tables and queues
//! that hold other things. It panics where the adapter breaks the contract.

pub mod account;
pub mod audit;
pub mod claim_check;
pub mod correlation;
pub mod credentials;
pub mod dead_letters;
pub mod incidents;
pub mod instances;
pub mod item_queue;
pub mod key_store;
pub mod key_wrapper;
pub mod limits;
pub mod progress;
pub mod record_objects;
pub mod records;
pub mod secrets;
pub mod signing_keys;
pub mod token;

use std::hash::{BuildHasher, Hasher, RandomState};

/// A name that nothing else uses: 128 random bits behind `prefix`.
pub fn fresh(prefix: &str) -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{prefix}-{:016x}{:016x}", random(), random())
}
