//! What must hold of the authorizer: attack by attack, limit by limit, route by route.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test support: a panic is a failed test"
)]

mod api_keys;
mod attacks;
mod audit;
mod certificates;
mod events;
mod gateway;
mod limits;
mod proofs;
mod support;
mod warm;
