//! Rate limits by the generic cell rate algorithm (GCRA), exact across containers.
//!
//! A store holds one number for each key, the theoretical arrival time (TAT): when the bucket will be full again.
//! A [`LimitStore`] moves it in one atomic step, so however many containers ask, they share one limit. A
//! [`LeasedLimiter`] takes several cells in one step where demand is high and spends them in memory, so that the hot
//! path calls no store.
//!
//! # The bound
//!
//! Let a [`Quota`] be `count` cells in `period` with `burst`. The store grants at most
//! `burst + W · count / period` cells in any window of length `W` ([`Quota::admits_within`]). A leased cell is spent
//! within [`LimiterSettings::lease_of`] (`L`) after it was granted or never, so what is admitted in a window of length
//! `W` was granted in one of length `W + L`: at most `burst + (W + L) · count / period`. `L` is at most a twentieth
//! of the period, so the slack is at most `count / 20`, whatever the number of containers, and nothing for keys in
//! little demand, which lease one cell at a time.
//!
//! That holds for the containers' own clocks, jumps included: a clock that is `s` off true time moves the window by
//! `s` and no more, because the TAT never goes back.

mod breaker;
mod decision;
mod either;
mod gcra;
mod key;
mod lease;
mod limiter;
mod memory;
mod place;
mod quota;
mod settings;
mod store;
mod table;

pub use decision::{Basis, Decision};
pub use either::EitherLimits;
pub use gcra::{Ask, Bucket, Rung, Taken};
pub use key::LimitKey;
pub use limiter::LeasedLimiter;
pub use memory::MemoryLimits;
pub use place::LimitsPlace;
pub use quota::{Quota, QuotaError};
pub use settings::{LimiterSettings, OnStoreFailure, UnknownOnStoreFailure};
pub use store::{LimitStore, StoreError};
