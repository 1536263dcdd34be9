//! Named entries of identity and response: sealed, some with an end, each changed by a decision on what is there.

use redb::ReadableTable;

use super::tables::{ENTRIES, EXPIRES_ENTRY};
use super::writer::Batch;
use super::{Fault, Store, StoreError};
use crate::seal::Tag;

/// What an entry is. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    KeyRing = 0,
    SealedKey = 1,
    Family = 2,
    Used = 3,
    Approval = 4,
    ClientSecrets = 5,
    Failures = 6,
    ApiKey = 7,
    Hold = 8,
    Slots = 9,
    Progress = 10,
    Account = 11,
}

/// What a decision on an entry comes to.
pub(super) enum Change<T> {
    /// Nothing changes.
    Keep(T),
    /// The entry becomes this.
    Put(Entry, T),
    /// The entry goes.
    Remove(T),
}

/// An entry to put.
pub(super) struct Entry {
    pub(super) plain: Vec<u8>,
    /// From when on it counts as gone: milliseconds since the Unix epoch.
    pub(super) ends: i64,
}

impl Store {
    /// The entry of that name, if there is one that has not ended. Committed changes are seen at once.
    pub(super) fn entry(&self, kind: Kind, name: &[&str]) -> Result<Option<Vec<u8>>, StoreError> {
        let tag = self.entry_tag(kind, name);
        let now = self.shared().now();
        self.read(|txn| {
            let row = txn.open_table(ENTRIES)?.get((kind as u8, tag))?;
            let row = row.map(|row| (row.value().0, row.value().1.to_vec()));
            let Some((_, sealed)) = row.filter(|(ends, _)| *ends > now) else { return Ok(None) };
            Ok(Some(self.shared().keys.entries.open(&place(kind, &tag), &sealed)?))
        })
    }

    /// Entries of a kind that have not ended, at most so many, in no order that means anything.
    pub(super) fn entries(&self, kind: Kind, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let now = self.shared().now();
        self.read(|txn| {
            let table = txn.open_table(ENTRIES)?;
            let (first, mut found) = (Tag::default(), Vec::new());
            for row in table.range((kind as u8, first)..=(kind as u8, first.map(|_| u8::MAX)))? {
                let (key, row) = row?;
                let ((_, tag), (ends, sealed)) = (key.value(), row.value());
                if ends > now {
                    found.push(self.shared().keys.entries.open(&place(kind, &tag), sealed)?);
                }
                if found.len() >= most {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Decides on the entry of that name in the next transaction. All decisions come one after the other, so each sees
    /// what the one before it did.
    pub(super) async fn change_entry<T, F>(
        &self,
        kind: Kind,
        name: &[&str],
        mut decide: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(Option<Vec<u8>>) -> Result<Change<T>, Fault> + Send + 'static,
    {
        let tag = self.entry_tag(kind, name);
        // A row that does not open fails its own caller, not the transaction, which is others' as well.
        let apply = move |batch: &mut Batch<'_>| match change(batch, kind, tag, &mut decide) {
            Err(Fault::Seal(_) | Fault::Row) => Ok(Err(StoreError::Corrupt)),
            outcome => outcome.map(Ok),
        };
        self.write(WEIGHT, apply).await.and_then(|outcome| outcome)
    }

    fn entry_tag(&self, kind: Kind, name: &[&str]) -> Tag {
        let kind = [kind as u8];
        let parts = std::iter::once(&kind[..]).chain(name.iter().map(|part| part.as_bytes()));
        self.shared().keys.entry_tags.tag(&parts.collect::<Vec<_>>())
    }
}

fn change<T>(
    batch: &mut Batch<'_>,
    kind: Kind,
    tag: Tag,
    decide: &mut impl FnMut(Option<Vec<u8>>) -> Result<Change<T>, Fault>,
) -> Result<T, Fault> {
    match decide(current(batch, kind, tag)?)? {
        Change::Keep(result) => Ok(result),
        Change::Put(entry, result) => put(batch, kind, tag, &entry).map(|()| result),
        Change::Remove(result) => {
            batch.tables.entries()?.remove((kind as u8, tag))?;
            Ok(result)
        }
    }
}

fn current(batch: &mut Batch<'_>, kind: Kind, tag: Tag) -> Result<Option<Vec<u8>>, Fault> {
    let now = batch.now;
    let row = batch.tables.entries()?.get((kind as u8, tag))?;
    let Some(row) = row else { return Ok(None) };
    let (ends, sealed) = row.value();
    if ends <= now {
        return Ok(None);
    }
    Ok(Some(batch.shared.keys.entries.open(&place(kind, &tag), sealed)?))
}

fn put(batch: &mut Batch<'_>, kind: Kind, tag: Tag, entry: &Entry) -> Result<(), Fault> {
    let sealed = batch.shared.keys.entries.seal(&place(kind, &tag), &entry.plain)?;
    batch.tables.entries()?.insert((kind as u8, tag), (entry.ends, sealed.as_slice()))?;
    if entry.ends != FOR_EVER {
        let second = whole_seconds(entry.ends);
        batch.tables.expiry()?.insert((second, EXPIRES_ENTRY, place(kind, &tag).as_slice()), ())?;
    }
    Ok(())
}

/// The first whole second at which something is over that ends at this millisecond.
pub(super) fn whole_seconds(ends: i64) -> i64 {
    ends.div_euclid(1_000).saturating_add(i64::from(ends.rem_euclid(1_000) != 0))
}

/// An entry's key in the table of expiries, and what it is sealed for.
fn place(kind: Kind, tag: &Tag) -> Vec<u8> {
    [&[kind as u8][..], tag].concat()
}

/// The end of what has none.
pub(super) const FOR_EVER: i64 = i64::MAX;
/// About the size of an entry, bytes.
const WEIGHT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_purged_before_its_end() {
        for (millis, second) in
            [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (-1, 0), (FOR_EVER, i64::MAX / 1_000 + 1)]
        {
            assert_eq!(whole_seconds(millis), second, "{millis}");
        }
    }
}
