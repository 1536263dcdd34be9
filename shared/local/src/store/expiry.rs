//! Dropping what has expired: records by their retention, claim checks by theirs, entries and revocations by their end,
//! observations and alerts of detection when no window reaches back to them.

use redb::ReadableTable;

use super::Fault;
use super::tables::{
    self, EXPIRES_ALERT, EXPIRES_CLAIM, EXPIRES_ENTRY, EXPIRES_OBSERVATION, EXPIRES_RECORD,
    EXPIRES_REVOCATION,
};
use super::writer::Batch;
use crate::seal::Tag;

/// Drops what has expired, a bounded number at a time. Whether that was all.
pub(super) fn purge(batch: &mut Batch<'_>) -> Result<bool, Fault> {
    let now = batch.now.div_euclid(1_000);
    for _ in 0..MAX_AT_ONCE {
        let first = batch.tables.expiry()?.first()?.map(|(key, _)| {
            let (at, kind, key) = key.value();
            (at, kind, key.to_vec())
        });
        let Some((at, kind, key)) = first.filter(|(at, ..)| *at <= now) else { return Ok(true) };
        batch.tables.expiry()?.remove((at, kind, key.as_slice()))?;
        match kind {
            EXPIRES_RECORD => drop_record(batch, &key, now)?,
            EXPIRES_CLAIM => drop_claim(batch, &key, now)?,
            EXPIRES_ENTRY => drop_entry(batch, &key)?,
            EXPIRES_REVOCATION => {
                let number = key.try_into().map(u64::from_be_bytes).map_err(|_| Fault::Row)?;
                batch.tables.revocations()?.remove(number)?;
            }
            // What was observed or claimed is never changed: it goes with its one end.
            EXPIRES_OBSERVATION => {
                let place = tables::parse_observation_key(&key).ok_or(Fault::Row)?;
                batch.tables.observations()?.remove(place)?;
            }
            EXPIRES_ALERT => {
                let place = tables::parse_observation_key(&key).ok_or(Fault::Row)?;
                batch.tables.alerts()?.remove(place)?;
            }
            _ => return Err(Fault::Row),
        }
    }
    Ok(false)
}

/// The place may hold a younger record by now: that one stays.
fn drop_record(batch: &mut Batch<'_>, key: &[u8], now: i64) -> Result<(), Fault> {
    let place = tables::parse_record_expiry_key(key).ok_or(Fault::Row)?;
    let there = batch.tables.places()?.get(place)?.map(|row| {
        let (position, expires_at) = row.value();
        (position.to_owned(), expires_at)
    });
    match there {
        Some((position, expires_at)) if expires_at <= now => remove_record(batch, place, &position, now),
        _ => Ok(()),
    }
}

/// Removes a record with all that points at it.
pub(super) fn remove_record(
    batch: &mut Batch<'_>,
    (conversation, item): (&str, &str),
    position: &str,
    now: i64,
) -> Result<(), Fault> {
    batch.tables.places()?.remove((conversation, item))?;
    let key = (conversation, position, item);
    let row = batch.tables.records()?.remove(key)?.map(|row| row.value().to_vec());
    let record = row.and_then(|row| tables::decode_record(key, &row)).ok_or(Fault::Row)?;
    let Some(subject) = record.subject else { return Ok(()) };
    let subjects = batch.tables.subjects()?;
    let last = subjects.get((subject.as_str(), conversation))?.map(|at| at.value());
    if last.is_some_and(|at| at <= now) {
        subjects.remove((subject.as_str(), conversation))?;
    }
    Ok(())
}

/// As for records: a claim check that was put again lives on.
fn drop_claim(batch: &mut Batch<'_>, key: &[u8], now: i64) -> Result<(), Fault> {
    let tag: Tag = key.try_into().map_err(|_| Fault::Row)?;
    let claims = batch.tables.claims()?;
    let expires = claims.get(tag)?.map(|row| row.value().0);
    if expires.is_some_and(|at| at <= now) {
        claims.remove(tag)?;
    }
    Ok(())
}

/// As for records: an entry that was put again with a later end lives on.
fn drop_entry(batch: &mut Batch<'_>, key: &[u8]) -> Result<(), Fault> {
    let (kind, tag) = key.split_first().ok_or(Fault::Row)?;
    let place = (*kind, tag.try_into().map_err(|_| Fault::Row)?);
    let now = batch.now;
    let entries = batch.tables.entries()?;
    let ends = entries.get(place)?.map(|row| row.value().0);
    if ends.is_some_and(|at| at <= now) {
        entries.remove(place)?;
    }
    Ok(())
}

const MAX_AT_ONCE: usize = 1_000;
