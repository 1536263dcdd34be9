//! Incidents, holds and the cap in memory: one process, for the local stack, drills and tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use portcullis_base::Timestamp;

use crate::holders::Holders;
use crate::incident::{Incident, IncidentId, Status};
use crate::ports::{PortError, PortResult};
use crate::slots::Slots;
use crate::store::{CapStore, Created, Holds, IncidentStore, MAX_INCIDENT_BYTES, Saved, Slot};

/// [`IncidentStore`], [`Holds`] and [`CapStore`] over maps: exact for all who share it, gone with the process. Incidents
/// are kept as JSON, as any other store keeps them.
#[derive(Debug, Default)]
pub struct MemoryDesk(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Revision, and the incident.
    incidents: BTreeMap<IncidentId, (u64, String)>,
    holds: BTreeMap<String, Holders>,
    slots: Slots,
}

impl MemoryDesk {
    /// Makes what is kept of an incident something that cannot be read any more, for tests.
    pub fn damage(&self, id: &IncidentId) {
        if let Some((_, json)) = self.inner().incidents.get_mut(id) {
            json.truncate(json.len() / 2);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn load(&self, id: &IncidentId) -> PortResult<Option<Incident>> {
        self.incidents.get(id).map(|(_, json)| read(json)).transpose()
    }

    fn change_holders(&mut self, resource: &str, change: impl FnOnce(&mut Holders)) {
        let holders = self.holds.entry(resource.to_owned()).or_default();
        change(holders);
        if holders.is_empty() {
            self.holds.remove(resource);
        }
    }

    fn put(&mut self, incident: &Incident) -> PortResult<()> {
        let json = serde_json::to_string(incident).map_err(|e| PortError::Refused(e.to_string()))?;
        if json.len() > MAX_INCIDENT_BYTES {
            return Err(PortError::Refused(format!("an incident of {} bytes", json.len())));
        }
        self.incidents.insert(incident.id.clone(), (incident.revision, json));
        Ok(())
    }
}

fn read(json: &str) -> PortResult<Incident> {
    serde_json::from_str(json).map_err(|_| PortError::Unreadable)
}

impl IncidentStore for MemoryDesk {
    async fn create(&self, incident: &Incident) -> PortResult<Created> {
        let mut inner = self.inner();
        if let Some(found) = inner.load(&incident.id)? {
            return Ok(Created::Exists(Box::new(found)));
        }
        inner.put(incident)?;
        Ok(Created::New)
    }

    async fn load(&self, id: &IncidentId) -> PortResult<Option<Incident>> {
        self.inner().load(id)
    }

    async fn save(&self, incident: &Incident, expected: u64) -> PortResult<Saved> {
        let mut inner = self.inner();
        match inner.incidents.get(&incident.id) {
            Some((revision, _)) if *revision == expected => inner.put(incident).map(|()| Saved::Yes),
            _ => Ok(Saved::Conflict),
        }
    }

    async fn list(&self, status: Option<Status>, limit: usize) -> PortResult<Vec<Incident>> {
        let all: PortResult<Vec<Incident>> =
            self.inner().incidents.values().map(|(_, json)| read(json)).collect();
        let mut all = all?;
        all.retain(|incident| status.is_none_or(|status| incident.status == status));
        all.sort_by_key(|incident| std::cmp::Reverse(incident.times.detected));
        all.truncate(limit);
        Ok(all)
    }

    async fn expired(&self, now: Timestamp, limit: usize) -> PortResult<Vec<IncidentId>> {
        let all: PortResult<Vec<Incident>> =
            self.inner().incidents.values().map(|(_, json)| read(json)).collect();
        let due = all?.into_iter().filter(|incident| incident.expires_at.is_some_and(|at| at <= now));
        Ok(due.map(|incident| incident.id).take(limit).collect())
    }

    async fn left(&self, now: Timestamp, limit: usize) -> PortResult<Vec<Incident>> {
        let all: PortResult<Vec<Incident>> =
            self.inner().incidents.values().map(|(_, json)| read(json)).collect();
        let mut left = all?;
        left.retain(|incident| incident.left_at().is_some_and(|at| at <= now));
        left.sort_by_key(|incident| std::cmp::Reverse(incident.left_at()));
        left.truncate(limit);
        Ok(left)
    }
}

impl Holds for MemoryDesk {
    async fn hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        self.inner().change_holders(resource, |holders| holders.hold(incident));
        Ok(())
    }

    async fn holders(&self, resource: &str) -> PortResult<Vec<IncidentId>> {
        Ok(self.inner().holds.get(resource).map(|holders| holders.ids().to_vec()).unwrap_or_default())
    }

    async fn forget_hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        self.inner().change_holders(resource, |holders| holders.forget(incident));
        Ok(())
    }
}

impl CapStore for MemoryDesk {
    async fn reserve(
        &self,
        incident: &IncidentId,
        now: Timestamp,
        window: SignedDuration,
        cap: u32,
    ) -> PortResult<Slot> {
        Ok(self.inner().slots.reserve(incident, now, window, cap))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;

    fn id(name: &str) -> IncidentId {
        IncidentId::of(name)
    }

    #[test]
    fn holders_are_a_list_for_each_resource_and_let_go_from_anywhere() {
        let desk = MemoryDesk::default();
        let hold = |resource, name| desk.hold(resource, &id(name)).now_or_never().unwrap().unwrap();
        let forget = |resource, name| desk.forget_hold(resource, &id(name)).now_or_never().unwrap().unwrap();
        let assert_held = |resource, names: &[&str], label| {
            let expected: Vec<_> = names.iter().map(|name| id(name)).collect();
            assert_eq!(desk.holders(resource).now_or_never().unwrap(), Ok(expected), "{label}");
        };
        assert_held("r", &[], "nobody");
        for name in ["a", "b", "a", "c"] {
            hold("r", name);
        }
        hold("s", "b");
        assert_held("r", &["a", "b", "c"], "once each, in order");
        forget("r", "b");
        forget("r", "b");
        assert_held("r", &["a", "c"], "the middle one let go");
        assert_held("s", &["b"], "another resource");
        forget("r", "a");
        hold("r", "a");
        assert_held("r", &["c", "a"], "anew, at the end");
        for (resource, name) in [("r", "a"), ("r", "c"), ("s", "b"), ("t", "a")] {
            forget(resource, name);
        }
        assert_held("r", &[], "all let go");
        assert!(desk.inner().holds.is_empty(), "nothing is kept of what nobody holds");
    }

    #[test]
    fn the_cap_counts_incidents_in_the_hour_that_ends_now() {
        let desk = MemoryDesk::default();
        let reserve = |name: &str, second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            desk.reserve(&id(name), now, SignedDuration::from_hours(1), 2).now_or_never().unwrap().unwrap()
        };
        assert_eq!(reserve("a", 0), Slot::Granted);
        assert_eq!(reserve("b", 3599), Slot::Granted);
        assert_eq!(reserve("c", 3599), Slot::Full);
        assert_eq!(reserve("a", 3599), Slot::Granted, "its own slot");
        assert_eq!(reserve("c", 3600), Slot::Granted, "the first is an hour old");
        assert_eq!(reserve("d", 3600), Slot::Full);
    }
}
