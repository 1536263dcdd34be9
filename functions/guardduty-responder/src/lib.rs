//! The response to GuardDuty findings, and the desk of those who run incidents: list, show, approve, release.
//!
//! A finding is an incident, however often it comes: what fails fails the invocation, so that Lambda calls again
//! with it, twice, and then keeps it in a queue; nothing is done twice. On schedule, addresses whose time is over are let in again, and what a crash left of
//! any incident is carried on, also of those that CloudTrail's events opened.

mod api;
pub mod config;
mod event;
mod handler;
mod parts;
mod problems;
mod schedule;
mod view;

pub use handler::GuardDutyResponder;
pub use parts::{IncidentRoles, Parts};
pub use schedule::Upkeep;
