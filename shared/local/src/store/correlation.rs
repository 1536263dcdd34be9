//! What detection rules that count have seen.

use portcullis_detection::{CorrelationState, MAX_OBSERVATIONS, Observation, Series, StateError};
use redb::ReadableTable;

use super::tables::{self, EXPIRES_ALERT, EXPIRES_OBSERVATION, OBSERVATIONS};
use super::writer::Batch;
use super::{Fault, Store, StoreError};
use crate::codec::{RowReader, RowWriter};
use crate::seal::Tag;

impl From<StoreError> for StateError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl CorrelationState for Store {
    async fn observe(
        &self,
        series: &Series,
        observations: &[Observation],
        window: i64,
        expires_at: i64,
    ) -> Result<Vec<Observation>, StateError> {
        let (Some(from), Some(to)) =
            (observations.iter().map(|o| o.at).min(), observations.iter().map(|o| o.at).max())
        else {
            return Ok(Vec::new());
        };
        let series = self.series_tag(series);
        let new = observations.to_vec();
        let weight = new.iter().map(|o| o.key.len() + o.value.len() + 256).sum();
        let add = move |batch: &mut Batch<'_>| {
            new.iter().try_for_each(|observation| add(batch, series, observation, window, expires_at))
        };
        self.write(weight, add).await?;
        Ok(self.seen(series, from.saturating_sub(window), to.saturating_add(window))?)
    }

    async fn claim(
        &self,
        series: &Series,
        event_id: &str,
        at: i64,
        window: i64,
        expires_at: i64,
    ) -> Result<bool, StateError> {
        let series = self.series_tag(series);
        let place = (series, at, self.observation_tag(event_id));
        Ok(self.write(1_024, move |batch| claim(batch, place, window, expires_at)).await?)
    }
}

impl Store {
    /// Observations from `from` to `to`, both included, by time and key.
    fn seen(&self, series: Tag, from: i64, to: i64) -> Result<Vec<Observation>, StoreError> {
        let mut seen: Vec<Observation> = self.read(|txn| {
            let table = txn.open_table(OBSERVATIONS)?;
            let rows = table.range((series, from, FIRST)..=(series, to, LAST))?;
            let opened = rows.map(|row| {
                let (place, row) = row?;
                let place = place.value();
                let key = tables::observation_key(place);
                let plain = self.shared().keys.observations.open(&key, row.value().1)?;
                decode(place.1, &plain).ok_or(Fault::Row)
            });
            opened.collect()
        })?;
        seen.sort();
        Ok(seen)
    }

    fn series_tag(&self, series: &Series) -> Tag {
        self.shared().keys.series_tags.tag(&[series.rule.as_bytes(), series.group.as_bytes()])
    }

    fn observation_tag(&self, name: &str) -> Tag {
        self.shared().keys.observation_tags.tag(&[name.as_bytes()])
    }
}

/// Adds an observation unless it is there, or its window is full.
fn add(
    batch: &mut Batch<'_>,
    series: Tag,
    new: &Observation,
    window: i64,
    expires_at: i64,
) -> Result<(), Fault> {
    let place = (series, new.at, batch.shared.keys.observation_tags.tag(&[new.key.as_bytes()]));
    if batch.tables.observations()?.get(place)?.is_some() {
        return Ok(());
    }
    let before = (series, new.at.saturating_sub(window), FIRST)..=(series, new.at, LAST);
    let near = batch.tables.observations()?.range(before)?.take(MAX_OBSERVATIONS).count();
    if near >= MAX_OBSERVATIONS {
        return Ok(());
    }
    let key = tables::observation_key(place);
    let sealed = batch.shared.keys.observations.seal(&key, &encode(new))?;
    batch.tables.observations()?.insert(place, (expires_at, sealed.as_slice()))?;
    batch.tables.expiry()?.insert((expires_at, EXPIRES_OBSERVATION, key.as_slice()), ())?;
    Ok(())
}

fn claim(batch: &mut Batch<'_>, place: (Tag, i64, Tag), window: i64, expires_at: i64) -> Result<bool, Fault> {
    let (series, at, _) = place;
    if batch.tables.alerts()?.get(place)?.is_some() {
        return Ok(true);
    }
    // Nearer than a window.
    let reach = window.saturating_sub(1);
    let near = (series, at.saturating_sub(reach), FIRST)..=(series, at.saturating_add(reach), LAST);
    if batch.tables.alerts()?.range(near)?.next().transpose()?.is_some() {
        return Ok(false);
    }
    batch.tables.alerts()?.insert(place, expires_at)?;
    let key = tables::observation_key(place);
    batch.tables.expiry()?.insert((expires_at, EXPIRES_ALERT, key.as_slice()), ())?;
    Ok(true)
}

/// What is sealed of an observation; the rest is its place.
fn encode(observation: &Observation) -> Vec<u8> {
    RowWriter::with_capacity(observation.key.len() + observation.value.len() + 8)
        .text(&observation.key)
        .text(&observation.value)
        .finish()
}

fn decode(at: i64, plain: &[u8]) -> Option<Observation> {
    let mut r = RowReader::new(plain);
    let (key, value) = (r.text()?.to_owned(), r.text()?.to_owned());
    r.end()?;
    Some(Observation { at, key, value })
}

const FIRST: Tag = [0; size_of::<Tag>()];
const LAST: Tag = [u8::MAX; size_of::<Tag>()];
