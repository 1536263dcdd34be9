//! Rotation: client secrets by the four steps of Secrets Manager, signing keys on schedule.
//!
//! Every step may be repeated, and a crash between any two calls is made good by the repetition: Secrets Manager calls
//! the steps of a failed rotation again, with the same version. At every moment the secret in the stage `AWSCURRENT`
//! authenticates its client.

mod client_secret;
pub mod config;
mod event;
mod handler;
mod parts;
mod signing_keys;

pub use client_secret::RotationError;
pub use handler::RotationFunction;
pub use parts::{Parts, Ports, RotationSettings};
