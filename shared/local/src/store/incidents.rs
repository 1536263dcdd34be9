//! Incidents, their holds, the cap of containments, and how far the audit of past events came.

use std::ops::Range;

use jiff::SignedDuration;
use portcullis_base::Timestamp;
use portcullis_detection::{AuditProgress, HistoryError, ProgressStore};
use portcullis_response::{
    CapStore, Created, Holders, Holds, Incident, IncidentId, IncidentStore, MAX_INCIDENT_BYTES, PortError,
    PortResult, Saved, Slot, Slots, Status,
};
use redb::ReadableTable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entries::{Change, Entry, FOR_EVER, Kind};
use super::tables::{INCIDENT_INDEX, INCIDENTS};
use super::writer::Batch;
use super::{Fault, Store, StoreError};
use crate::codec::{RowReader, RowWriter};

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Timeout,
            StoreError::Corrupt => Self::Unreadable,
        }
    }
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Timeout,
            StoreError::Corrupt => Self::Refused(error.to_string()),
        }
    }
}

impl IncidentStore for Store {
    async fn create(&self, incident: &Incident) -> PortResult<Created> {
        let new = Row::of(incident)?;
        let create = move |batch: &mut Batch<'_>| {
            let there = current(batch, &new.id)?;
            if there.is_none() {
                replace(batch, None, &new)?;
            }
            Ok(there.map(|row| row.body))
        };
        match self.own_write(incident, create).await? {
            Some(body) => Ok(Created::Exists(Box::new(decode(&body)?))),
            None => Ok(Created::New),
        }
    }

    async fn load(&self, id: &IncidentId) -> PortResult<Option<Incident>> {
        let row = self.read(|txn| {
            let sealed = txn.open_table(INCIDENTS)?.get(id.as_str())?.map(|row| row.value().to_vec());
            sealed.map(|sealed| self.opened(id.as_str(), &sealed)).transpose()
        })?;
        row.map(|row| decode(&row.body)).transpose()
    }

    async fn save(&self, incident: &Incident, expected: u64) -> PortResult<Saved> {
        let new = Row::of(incident)?;
        let save = move |batch: &mut Batch<'_>| match current(batch, &new.id)? {
            Some(old) if old.revision == expected => replace(batch, Some(&old), &new).map(|()| Saved::Yes),
            _ => Ok(Saved::Conflict),
        };
        self.own_write(incident, save).await
    }

    async fn list(&self, status: Option<Status>, limit: usize) -> PortResult<Vec<Incident>> {
        self.latest(whole_view(status.map_or(ALL, view_of)), limit)
    }

    async fn expired(&self, now: Timestamp, limit: usize) -> PortResult<Vec<IncidentId>> {
        let ids: Vec<String> = self.read(|txn| {
            let index = txn.open_table(INCIDENT_INDEX)?;
            let due = index.range((DUE, i128::MIN, "")..(DUE, now.as_nanosecond().saturating_add(1), ""))?;
            due.take(limit).map(|entry| Ok(entry?.0.value().2.to_owned())).collect()
        })?;
        ids.into_iter().map(|id| IncidentId::try_from(id).map_err(|_| StoreError::Corrupt.into())).collect()
    }

    async fn left(&self, now: Timestamp, limit: usize) -> PortResult<Vec<Incident>> {
        self.latest((LEFT, i128::MIN, "")..(LEFT, now.as_nanosecond().saturating_add(1), ""), limit)
    }
}

impl Holds for Store {
    async fn hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        let incident = incident.clone();
        self.change_holders(resource, move |holders| holders.hold(&incident)).await
    }

    async fn holders(&self, resource: &str) -> PortResult<Vec<IncidentId>> {
        let Some(row) = self.entry(Kind::Hold, &[resource])? else { return Ok(Vec::new()) };
        let holders: Holders = serde_json::from_slice(&row).map_err(|_| StoreError::Corrupt)?;
        Ok(holders.ids().to_vec())
    }

    async fn forget_hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        let incident = incident.clone();
        self.change_holders(resource, move |holders| holders.forget(&incident)).await
    }
}

impl CapStore for Store {
    async fn reserve(
        &self,
        incident: &IncidentId,
        now: Timestamp,
        window: SignedDuration,
        cap: u32,
    ) -> PortResult<Slot> {
        let incident = incident.clone();
        let reserve = move |there: Option<Vec<u8>>| {
            let mut slots: Slots = there.as_deref().map_or_else(|| Ok(Slots::default()), parsed)?;
            let slot = slots.reserve(&incident, now, window, cap);
            Ok(Change::Put(entry(&slots)?, slot))
        };
        Ok(self.change_entry(Kind::Slots, &[], reserve).await?)
    }
}

impl ProgressStore for Store {
    async fn progress(&self, region: &str) -> Result<Option<AuditProgress>, HistoryError> {
        let Some(row) = self.entry(Kind::Progress, &[region])? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&row).map_err(|_| StoreError::Corrupt)?))
    }

    async fn save_progress(&self, region: &str, progress: &AuditProgress) -> Result<(), HistoryError> {
        let progress = progress.clone();
        let save = move |there: Option<Vec<u8>>| {
            let there = there.as_deref().map(parsed::<AuditProgress>).transpose()?;
            let revision = there.map_or(0, |there| there.revision);
            let next = revision.checked_add(1) == Some(progress.revision);
            Ok(if next { Change::Put(entry(&progress)?, true) } else { Change::Keep(false) })
        };
        let saved = self.change_entry(Kind::Progress, &[region], save).await?;
        if saved { Ok(()) } else { Err(HistoryError::Conflict) }
    }
}

impl Store {
    /// Writes about one incident. A row that does not open fails its own caller, not the transaction, which is others'
    /// as well: nothing is written before the row is opened.
    async fn own_write<T, F>(&self, incident: &Incident, mut apply: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let weight = 1_024 + 512 * (incident.steps.len() + incident.timeline.len());
        let apply = move |batch: &mut Batch<'_>| match apply(batch) {
            Err(Fault::Seal(_) | Fault::Row) => Ok(Err(StoreError::Corrupt)),
            outcome => outcome.map(Ok),
        };
        Ok(self.write(weight, apply).await.and_then(|outcome| outcome)?)
    }

    /// The incidents of these places of the index, the latest place first.
    fn latest(&self, places: Range<Place>, limit: usize) -> PortResult<Vec<Incident>> {
        let rows = self.read(|txn| {
            let (index, incidents) = (txn.open_table(INCIDENT_INDEX)?, txn.open_table(INCIDENTS)?);
            let latest_first = index.range(places)?.rev().take(limit);
            let opened = latest_first.map(|entry| {
                let (place, _) = entry?;
                let (_, _, id) = place.value();
                let sealed = incidents.get(id)?.ok_or(Fault::Row)?;
                self.opened(id, sealed.value())
            });
            opened.collect::<Result<Vec<_>, Fault>>()
        })?;
        rows.iter().map(|row| decode(&row.body)).collect()
    }

    fn opened(&self, id: &str, sealed: &[u8]) -> Result<Row, Fault> {
        let plain = self.shared().keys.incidents.open(id.as_bytes(), sealed)?;
        Row::decode(id, &plain).ok_or(Fault::Row)
    }

    async fn change_holders(
        &self,
        resource: &str,
        change: impl Fn(&mut Holders) + Send + 'static,
    ) -> PortResult<()> {
        let change = move |there: Option<Vec<u8>>| {
            let mut holders: Holders = there.as_deref().map_or_else(|| Ok(Holders::default()), parsed)?;
            change(&mut holders);
            Ok(if holders.is_empty() { Change::Remove(()) } else { Change::Put(entry(&holders)?, ()) })
        };
        Ok(self.change_entry(Kind::Hold, &[resource], change).await?)
    }
}

/// What is kept of an incident: its JSON, and what the index has of it.
struct Row {
    id: String,
    revision: u64,
    view: u8,
    /// Nanoseconds since the Unix epoch, as `due`: times that differ are never one.
    detected: i128,
    due: Option<i128>,
    /// When it is to be looked after: [`Incident::left_at`].
    left: Option<i128>,
    body: Vec<u8>,
}

impl Row {
    fn of(incident: &Incident) -> PortResult<Self> {
        let body = serde_json::to_vec(incident).map_err(|e| PortError::Refused(e.to_string()))?;
        if body.len() > MAX_INCIDENT_BYTES {
            return Err(PortError::Refused(format!("an incident of {} bytes", body.len())));
        }
        Ok(Self {
            id: incident.id.to_string(),
            revision: incident.revision,
            view: view_of(incident.status),
            detected: incident.times.detected.as_nanosecond(),
            due: incident.expires_at.map(Timestamp::as_nanosecond),
            left: incident.left_at().map(Timestamp::as_nanosecond),
            body,
        })
    }

    fn encode(&self) -> Vec<u8> {
        RowWriter::with_capacity(self.body.len() + 64)
            .u64(self.revision)
            .u8(self.view)
            .bytes(&self.detected.to_be_bytes())
            .bytes(&optional(self.due))
            .bytes(&optional(self.left))
            .bytes(&self.body)
            .finish()
    }

    fn decode(id: &str, plain: &[u8]) -> Option<Self> {
        let mut r = RowReader::new(plain);
        let row = Self {
            id: id.to_owned(),
            revision: r.u64()?,
            view: r.u8()?,
            detected: i128::from_be_bytes(r.bytes()?.try_into().ok()?),
            due: time(r.bytes()?)?,
            left: time(r.bytes()?)?,
            body: r.bytes()?.to_vec(),
        };
        r.end()?;
        Some(row)
    }

    /// Its places in the index.
    fn places(&self) -> impl Iterator<Item = (u8, i128, &str)> {
        let (due, left) = (self.due.map(|due| (DUE, due)), self.left.map(|left| (LEFT, left)));
        let places = [Some((ALL, self.detected)), Some((self.view, self.detected)), due, left];
        places.into_iter().flatten().map(|(view, at)| (view, at, self.id.as_str()))
    }
}

fn optional(time: Option<i128>) -> Vec<u8> {
    time.map(|time| time.to_be_bytes().to_vec()).unwrap_or_default()
}

/// `None` where it is not as it was written.
fn time(bytes: &[u8]) -> Option<Option<i128>> {
    if bytes.is_empty() {
        return Some(None);
    }
    Some(Some(i128::from_be_bytes(bytes.try_into().ok()?)))
}

fn current(batch: &mut Batch<'_>, id: &str) -> Result<Option<Row>, Fault> {
    let Some(sealed) = batch.tables.incidents()?.get(id)?.map(|row| row.value().to_vec()) else {
        return Ok(None);
    };
    let plain = batch.shared.keys.incidents.open(id.as_bytes(), &sealed)?;
    Row::decode(id, &plain).map(Some).ok_or(Fault::Row)
}

fn replace(batch: &mut Batch<'_>, old: Option<&Row>, new: &Row) -> Result<(), Fault> {
    let sealed = batch.shared.keys.incidents.seal(new.id.as_bytes(), &new.encode())?;
    for place in old.into_iter().flat_map(Row::places) {
        batch.tables.incident_index()?.remove(place)?;
    }
    for place in new.places() {
        batch.tables.incident_index()?.insert(place, ())?;
    }
    batch.tables.incidents()?.insert(new.id.as_str(), sealed.as_slice())?;
    Ok(())
}

fn decode(body: &[u8]) -> PortResult<Incident> {
    serde_json::from_slice(body).map_err(|_| StoreError::Corrupt.into())
}

fn parsed<T: DeserializeOwned>(row: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(row).map_err(|_| Fault::Row)
}

fn entry(value: &impl Serialize) -> Result<Entry, Fault> {
    let plain = serde_json::to_vec(value).map_err(|_| Fault::Row)?;
    Ok(Entry { plain, ends: FOR_EVER })
}

/// A place of the index: view, when, id.
type Place = (u8, i128, &'static str);

fn whole_view(view: u8) -> Range<Place> {
    (view, i128::MIN, "")..(view.saturating_add(1), i128::MIN, "")
}

/// A status's number on disk.
fn view_of(status: Status) -> u8 {
    match status {
        Status::Detected => 2,
        Status::AwaitingApproval => 3,
        Status::Containing => 4,
        Status::Contained => 5,
        Status::Partial => 6,
        Status::Released => 7,
    }
}

/// Every incident, by when it was detected; as each status.
const ALL: u8 = 0;
/// Incidents with an end to their blocks, by that.
const DUE: u8 = 1;
/// Incidents that somebody is to look after, by since when.
const LEFT: u8 = 8;
