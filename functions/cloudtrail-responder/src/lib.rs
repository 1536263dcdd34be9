//! Detection on CloudTrail events, the response to what is detected, and the audit of what EventBridge lost.
//!
//! A record is judged by the rules; each hit is answered as an incident before the invocation ends. What fails fails the
//! invocation, so that Lambda calls again with the event, twice, and then keeps it in a queue: a hit is named by its rule and its event, so that nothing is
//! done twice, whoever delivers it and how often. The scheduled audit reads the same events from CloudTrail's own history.

mod audit;
pub mod config;
mod event;
mod handler;
mod judge;
mod parts;

pub use audit::{Audited, RegionAudit};
pub use handler::CloudTrailResponder;
pub use judge::Received;
pub use parts::{AuditSettings, Parts, Ports};
