//! The tables of the database file and the layout of their rows.

use portcullis_pii::{Outside, StoredBranchKey, StoredRecord, StoredSubjectKey};
use portcullis_webhook::Lane;
use redb::{Table, TableDefinition, WriteTransaction};

use super::Fault;
use crate::codec::{RowReader, RowWriter};
use crate::seal::Tag;

/// Schema version, root key check, index key.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Lane and sequence number to the group's tag (16 bytes) and the sealed message.
pub(super) const QUEUE: TableDefinition<'_, [u8; 9], &[u8]> = TableDefinition::new("queue");
/// Sequence number to when it was sent and under which tag.
pub(super) const DEDUP: TableDefinition<'_, u64, (i64, Tag)> = TableDefinition::new("dedup");
/// Tag of the object key to when it expires (seconds since the Unix epoch) and the sealed object.
pub(super) const CLAIMS: TableDefinition<'_, Tag, (i64, &[u8])> = TableDefinition::new("claims");
/// Conversation, position and item to the record: in the order of listings.
pub(super) const RECORDS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("records");
/// A record's place, conversation and item, to its position and when it expires (seconds since the Unix epoch).
pub(super) const PLACES: TableDefinition<'_, (&str, &str), (&str, i64)> = TableDefinition::new("places");
/// Subject and conversation to when the last of their records expires, seconds since the Unix epoch.
pub(super) const SUBJECTS: TableDefinition<'_, (&str, &str), i64> = TableDefinition::new("subjects");
/// What expires when: seconds since the Unix epoch, one of the `EXPIRES_…` numbers, and its key.
pub(super) const EXPIRY: TableDefinition<'_, (i64, u8, &[u8]), ()> = TableDefinition::new("expiry");
/// Purpose and version to the branch key.
pub(super) const BRANCH_KEYS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("branch_keys");
/// Subject and purpose to the subject key.
pub(super) const SUBJECT_KEYS: TableDefinition<'_, (&str, &str), &[u8]> =
    TableDefinition::new("subject_keys");
/// Number to the sealed dead letter.
pub(super) const DEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead");
/// Tag of a dead letter to its number: putting it aside twice keeps it once.
pub(super) const DEAD_INDEX: TableDefinition<'_, Tag, u64> = TableDefinition::new("dead_index");
/// Number of a [`super::entries::Kind`] and tag of the name to when it ends (milliseconds since the Unix epoch) and the
/// sealed entry.
pub(super) const ENTRIES: TableDefinition<'_, (u8, Tag), (i64, &[u8])> = TableDefinition::new("entries");
/// Number to when it ends (milliseconds since the Unix epoch) and the sealed revocation.
pub(super) const REVOCATIONS: TableDefinition<'_, u64, (i64, &[u8])> = TableDefinition::new("revocations");
/// Record id -> the sealed record. Ids sort by time.
pub(super) const AUDIT: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("audit");
/// Incident id to the sealed incident.
pub(super) const INCIDENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
/// A view of [`super::incidents`], nanoseconds since the Unix epoch, incident id.
pub(super) const INCIDENT_INDEX: TableDefinition<'_, (u8, i128, &str), ()> =
    TableDefinition::new("incident_index");
/// Tag of the series, milliseconds since the Unix epoch, and tag of the observation's key, to when it expires (seconds
/// since the Unix epoch) and the sealed observation.
pub(super) const OBSERVATIONS: TableDefinition<'_, (Tag, i64, Tag), (i64, &[u8])> =
    TableDefinition::new("observations");
/// The same of the events that hold the right to alert, to when it expires.
pub(super) const ALERTS: TableDefinition<'_, (Tag, i64, Tag), i64> = TableDefinition::new("alerts");

pub(super) const EXPIRES_RECORD: u8 = 0;
pub(super) const EXPIRES_CLAIM: u8 = 1;
pub(super) const EXPIRES_ENTRY: u8 = 2;
pub(super) const EXPIRES_REVOCATION: u8 = 3;
pub(super) const EXPIRES_OBSERVATION: u8 = 4;
pub(super) const EXPIRES_ALERT: u8 = 5;

/// The lanes, in the order of their numbers on disk.
pub(super) const LANES: [Lane; 2] = [Lane::Text, Lane::Media];

/// A message's key in [`QUEUE`].
pub(super) fn queue_key(lane: Lane, seq: u64) -> [u8; 9] {
    let mut key = [0; 9];
    let bytes = std::iter::once(lane_number(lane)).chain(seq.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    key
}

/// Reads [`queue_key`].
pub(super) fn parse_queue_key(key: [u8; 9]) -> Option<(Lane, u64)> {
    let (number, seq) = key.split_first()?;
    let lane = LANES.into_iter().find(|l| lane_number(*l) == *number)?;
    Some((lane, u64::from_be_bytes(seq.try_into().ok()?)))
}

/// A lane's number on disk.
pub(super) fn lane_number(lane: Lane) -> u8 {
    match lane {
        Lane::Text => 0,
        Lane::Media => 1,
    }
}

/// What is sealed of a queued message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuedText<'a> {
    pub(super) group: &'a str,
    pub(super) dedup_id: &'a str,
    pub(super) body: &'a str,
}

impl<'a> QueuedText<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let size = self.group.len() + self.dedup_id.len() + self.body.len() + 12;
        RowWriter::with_capacity(size).text(self.group).text(self.dedup_id).text(self.body).finish()
    }

    pub(super) fn decode(row: &'a [u8]) -> Option<Self> {
        let mut r = RowReader::new(row);
        let queued = Self { group: r.text()?, dedup_id: r.text()?, body: r.text()? };
        r.end()?;
        Some(queued)
    }
}

/// A record without its key.
pub(super) fn encode_record(record: &StoredRecord) -> Vec<u8> {
    let size =
        record.header.len() + record.fields.iter().map(|(n, v)| n.len() + v.len() + 8).sum::<usize>() + 256;
    let row = RowWriter::with_capacity(size)
        .i64(record.expires_at)
        .i64(record.received_at)
        .u8(u8::from(record.subject.is_some()))
        .text(record.subject.as_deref().unwrap_or_default())
        .text(&record.kind)
        .text(&record.class)
        .bytes(&record.header)
        .u32(u32::try_from(record.fields.len()).unwrap_or(u32::MAX));
    let row = record.fields.iter().fold(row, |row, (name, sealed)| row.text(name).bytes(sealed));
    let outside = record.outside.iter();
    outside.fold(row, |row, (name, o)| row.text(name).text(&o.object).u64(o.bytes).text(&o.sha256)).finish()
}

/// Reads [`encode_record`].
pub(super) fn decode_record(
    (conversation, position, item): (&str, &str, &str),
    row: &[u8],
) -> Option<StoredRecord> {
    let mut r = RowReader::new(row);
    let expires_at = r.i64()?;
    let received_at = r.i64()?;
    let has_subject = r.u8()? == 1;
    let subject = r.text()?.to_owned();
    let mut record = StoredRecord {
        conversation: conversation.to_owned(),
        item: item.to_owned(),
        position: position.to_owned(),
        subject: has_subject.then_some(subject),
        kind: r.text()?.to_owned(),
        class: r.text()?.to_owned(),
        received_at,
        expires_at,
        header: r.bytes()?.to_vec(),
        fields: std::collections::BTreeMap::new(),
        outside: std::collections::BTreeMap::new(),
    };
    for _ in 0..r.u32()? {
        record.fields.insert(r.text()?.to_owned(), r.bytes()?.to_vec());
    }
    // Rows of earlier versions end here.
    while !r.is_at_end() {
        let name = r.text()?.to_owned();
        let (object, bytes, sha256) = (r.text()?.to_owned(), r.u64()?, r.text()?.to_owned());
        record.outside.insert(name, Outside { object, bytes, sha256 });
    }
    Some(record)
}

/// When a record expires, without reading the rest of it.
pub(super) fn record_expiry(row: &[u8]) -> Option<i64> {
    RowReader::new(row).i64()
}

/// A record's key in [`EXPIRY`].
pub(super) fn record_expiry_key((conversation, item): (&str, &str)) -> Vec<u8> {
    RowWriter::default().text(conversation).text(item).finish()
}

/// Reads [`record_expiry_key`].
pub(super) fn parse_record_expiry_key(key: &[u8]) -> Option<(&str, &str)> {
    let mut r = RowReader::new(key);
    Some((r.text()?, r.text()?))
}

/// What an observation is sealed for, and its key and that of an alert in [`EXPIRY`].
pub(super) fn observation_key((series, at, tag): (Tag, i64, Tag)) -> Vec<u8> {
    [&series[..], &at.to_be_bytes(), &tag].concat()
}

/// Reads [`observation_key`].
pub(super) fn parse_observation_key(key: &[u8]) -> Option<(Tag, i64, Tag)> {
    let (series, rest) = key.split_first_chunk()?;
    let (at, tag) = rest.split_first_chunk()?;
    Some((*series, i64::from_be_bytes(*at), tag.try_into().ok()?))
}

/// A branch key without its purpose and version.
pub(super) fn encode_branch_key(key: &StoredBranchKey) -> Vec<u8> {
    RowWriter::default().i64(key.created_at).bytes(&key.wrapped).finish()
}

/// Reads [`encode_branch_key`]: when it was made, and the wrapped key.
pub(super) fn decode_branch_key(row: &[u8]) -> Option<(i64, Vec<u8>)> {
    let mut r = RowReader::new(row);
    let key = (r.i64()?, r.bytes()?.to_vec());
    r.end()?;
    Some(key)
}

/// A subject key without its subject and purpose.
pub(super) fn encode_subject_key(key: &StoredSubjectKey) -> Vec<u8> {
    RowWriter::default().u32(key.branch_version).i64(key.created_at).bytes(&key.wrapped).finish()
}

/// Reads [`encode_subject_key`]: the branch key's version, when it was made, and the wrapped key.
pub(super) fn decode_subject_key(row: &[u8]) -> Option<(u32, i64, Vec<u8>)> {
    let mut r = RowReader::new(row);
    let key = (r.u32()?, r.i64()?, r.bytes()?.to_vec());
    r.end()?;
    Some(key)
}

macro_rules! tables {
    ($($name:ident: $key:ty => $value:ty = $definition:ident),+ $(,)?) => {
        /// A write transaction's tables, each opened when it is first used.
        pub(super) struct Tables<'t> {
            txn: &'t WriteTransaction,
            $($name: Option<Table<'t, $key, $value>>,)+
        }

        impl<'t> Tables<'t> {
            pub(super) fn of(txn: &'t WriteTransaction) -> Self {
                Self { txn, $($name: None,)+ }
            }

            /// Makes every table, so that readers find them all.
            pub(super) fn create_all(txn: &WriteTransaction) -> Result<(), Fault> {
                $(txn.open_table($definition)?;)+
                Ok(())
            }

            $(pub(super) fn $name(&mut self) -> Result<&mut Table<'t, $key, $value>, Fault> {
                let table = match self.$name.take() {
                    Some(table) => table,
                    None => self.txn.open_table($definition)?,
                };
                Ok(self.$name.insert(table))
            })+
        }
    };
}

tables! {
    meta: &'static str => &'static [u8] = META,
    queue: [u8; 9] => &'static [u8] = QUEUE,
    dedup: u64 => (i64, Tag) = DEDUP,
    claims: Tag => (i64, &'static [u8]) = CLAIMS,
    records: (&'static str, &'static str, &'static str) => &'static [u8] = RECORDS,
    places: (&'static str, &'static str) => (&'static str, i64) = PLACES,
    subjects: (&'static str, &'static str) => i64 = SUBJECTS,
    expiry: (i64, u8, &'static [u8]) => () = EXPIRY,
    branch_keys: (&'static str, u32) => &'static [u8] = BRANCH_KEYS,
    subject_keys: (&'static str, &'static str) => &'static [u8] = SUBJECT_KEYS,
    dead: u64 => &'static [u8] = DEAD,
    dead_index: Tag => u64 = DEAD_INDEX,
    entries: (u8, Tag) => (i64, &'static [u8]) = ENTRIES,
    revocations: u64 => (i64, &'static [u8]) = REVOCATIONS,
    audit: [u8; 16] => &'static [u8] = AUDIT,
    incidents: &'static str => &'static [u8] = INCIDENTS,
    incident_index: (u8, i128, &'static str) => () = INCIDENT_INDEX,
    observations: (Tag, i64, Tag) => (i64, &'static [u8]) = OBSERVATIONS,
    alerts: (Tag, i64, Tag) => i64 = ALERTS,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn queue_keys_keep_lanes_apart_and_order() {
        for lane in LANES {
            assert_eq!(parse_queue_key(queue_key(lane, 77)), Some((lane, 77)));
            assert!(queue_key(lane, 255) < queue_key(lane, 256));
        }
        assert!(queue_key(Lane::Text, u64::MAX) < queue_key(Lane::Media, 0));
        assert_eq!(parse_queue_key([9; 9]), None);
    }

    #[test]
    fn observation_keys_are_read_back() {
        let place = ([1; 16], -7, [2; 16]);
        let key = observation_key(place);
        assert_eq!(parse_observation_key(&key), Some(place));
        for cut in 0..key.len() {
            assert_eq!(parse_observation_key(&key[..cut]), None, "cut to {cut}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = StoredRecord {
            conversation: "c".into(),
            item: "i".into(),
            position: "p".into(),
            subject: Some("subject".into()),
            kind: "text".into(),
            class: "PII".into(),
            received_at: 1,
            expires_at: 2,
            header: vec![1, 2],
            fields: BTreeMap::from([("a".into(), vec![3]), ("b".into(), vec![])]),
            outside: BTreeMap::new(),
        };
        for subject in [Some("subject".to_owned()), Some(String::new()), None] {
            record.subject = subject;
            let row = encode_record(&record);
            assert_eq!(record_expiry(&row), Some(2));
            assert_eq!(decode_record(("c", "p", "i"), &row).as_ref(), Some(&record));
            assert_eq!(decode_record(("c", "p", "i"), &row[..row.len() - 1]), None);
            let field = Outside { object: "records/c".into(), bytes: 3_000_000, sha256: "ab".into() };
            let large = StoredRecord { outside: [("item".to_owned(), field)].into(), ..record.clone() };
            let longer = encode_record(&large);
            assert_eq!(decode_record(("c", "p", "i"), &longer).as_ref(), Some(&large));
            assert!(longer.starts_with(&row));
            for cut in row.len() + 1..longer.len() {
                assert_eq!(decode_record(("c", "p", "i"), &longer[..cut]), None, "cut to {cut}");
            }
        }
    }
}
