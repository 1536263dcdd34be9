//! Where incidents are kept.

use std::future::Future;

use jiff::SignedDuration;
use portcullis_base::Timestamp;

use crate::incident::{Incident, IncidentId, Status};
use crate::ports::PortResult;

/// What a creation found.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// Nothing: the incident is new.
    New,
    /// The same incident, from an earlier signal.
    Exists(Box<Incident>),
}

/// What a save found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The revision that was expected.
    Yes,
    /// Another revision: somebody else works on the incident.
    Conflict,
}

/// Incidents, with conditional writes.
pub trait IncidentStore: Send + Sync {
    /// Keeps an incident unless there is one of that id.
    fn create(&self, incident: &Incident) -> impl Future<Output = PortResult<Created>> + Send;
    /// Reads an incident, consistently.
    fn load(&self, id: &IncidentId) -> impl Future<Output = PortResult<Option<Incident>>> + Send;
    /// Replaces an incident whose stored revision is `expected`.
    fn save(&self, incident: &Incident, expected: u64) -> impl Future<Output = PortResult<Saved>> + Send;
    /// Incidents in a status (or all), newest first, at most `limit`.
    fn list(
        &self,
        status: Option<Status>,
        limit: usize,
    ) -> impl Future<Output = PortResult<Vec<Incident>>> + Send;
    /// Ids of incidents whose [`Incident::expires_at`] is at or before `now`, at most `limit`.
    fn expired(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = PortResult<Vec<IncidentId>>> + Send;
    /// Incidents whose [`Incident::left_at`] is at or before `now`, the latest first, at most `limit`: those that nobody
    /// gets to the end stay there, and must not stand before the others.
    fn left(&self, now: Timestamp, limit: usize) -> impl Future<Output = PortResult<Vec<Incident>>> + Send;
}

/// Longest JSON of an incident that any store takes, bytes; a longer one is refused. An item of DynamoDB takes 400 KB, its
/// other attributes included, and what fits one store is to fit the others.
pub const MAX_INCIDENT_BYTES: usize = 390 << 10;

/// Which incidents hold a resource, in the order in which they took hold: a list for each resource. They let go in any
/// order: whoever is released hands what it recorded to one that still holds, and the last one restores.
pub trait Holds: Send + Sync {
    /// Adds the incident at the end, unless it is in the list: then it keeps its place.
    fn hold(&self, resource: &str, incident: &IncidentId) -> impl Future<Output = PortResult<()>> + Send;
    /// Who holds the resource, in order; empty where nobody does. Read consistently.
    fn holders(&self, resource: &str) -> impl Future<Output = PortResult<Vec<IncidentId>>> + Send;
    /// Removes the incident wherever it is in the list, if it is: for a step that is undone, or that took hold and then
    /// changed nothing.
    fn forget_hold(
        &self,
        resource: &str,
        incident: &IncidentId,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// Whether an incident may be contained without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Yes.
    Granted,
    /// No: the cap of this window is reached.
    Full,
    /// It needs none.
    NotNeeded,
}

/// How many containments there were.
pub trait CapStore: Send + Sync {
    /// Takes one of `cap` slots in the `window` that ends now, atomically over all containers. An incident that has a
    /// slot keeps it.
    fn reserve(
        &self,
        incident: &IncidentId,
        now: Timestamp,
        window: SignedDuration,
        cap: u32,
    ) -> impl Future<Output = PortResult<Slot>> + Send;
}
