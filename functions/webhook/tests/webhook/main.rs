//! The webhook function over memory adapters: the sample events, every refusal, and sending under failures.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::type_complexity,
    reason = "helpers outside of test functions fail the test by panicking"
)]

mod audit;
mod dispatch;
mod events;
mod refusals;
mod secrets;
mod support;
