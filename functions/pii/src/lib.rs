//! PII: consumes both queues, sealing every message field by field, and answers the PII endpoints.

mod audit;
pub mod config;
mod consumer;
mod content;
mod conversations;
mod endpoints;
mod fields;
mod handler;
mod json;
mod masked;
mod outside;
mod parts;
mod place;
mod problems;
mod sqs_event;
mod view;

pub use consumer::{Arrived, Consumed};
pub use handler::PiiFunction;
pub use parts::{Parts, Ports};
pub use portcullis_lambda::Caller;
