//! A record as sinks keep it.

use std::fmt;
use std::str::FromStr;

use portcullis_base::Timestamp;

/// The unique id of a record: a UUID of version 7 (RFC 9562), so that ids sort by time, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u128);

/// A security event with its id and time, as OCSF JSON. What a sink keeps, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    id: RecordId,
    time: Timestamp,
    body: Box<str>,
}

/// What a sink holds is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an audit record")]
pub struct MalformedRecord;

impl RecordId {
    /// An id for a record of this time, unique by 74 random bits.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn fresh(time: Timestamp) -> Result<Self, MalformedRecord> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| MalformedRecord)?;
        Ok(Self::of(time, u128::from_be_bytes(random)))
    }

    /// The id of 74 given bits: for replays and tests.
    pub fn of(time: Timestamp, random: u128) -> Self {
        let millis = u128::from(u64::try_from(time.as_millisecond()).unwrap_or(0)) & ((1 << 48) - 1);
        let (high, low) = ((random >> 64) & 0xfff, random & ((1 << 62) - 1));
        Self((millis << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)
    }

    /// The sixteen bytes, in which ids sort as they do here.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// In groups of hexadecimal digits, as UUIDs are written.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let group = |shift: u32, bits: u32| (n >> shift) & ((1 << bits) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            group(96, 32),
            group(80, 16),
            group(64, 16),
            group(48, 16),
            group(0, 48)
        )
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = MalformedRecord;

    /// Accepts what [`fmt::Display`] writes and nothing else.
    fn from_str(text: &str) -> Result<Self, MalformedRecord> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let id = u128::from_str_radix(&digits, 16).map(Self).map_err(|_| MalformedRecord)?;
        if id.to_string() == text { Ok(id) } else { Err(MalformedRecord) }
    }
}

impl AuditRecord {
    /// A record of these parts: for sinks that read back. New ones come from an [`crate::Auditor`].
    ///
    /// # Errors
    /// When the body is over [`AuditRecord::MAX_BODY`].
    pub fn from_parts(
        id: RecordId,
        time: Timestamp,
        body: impl Into<Box<str>>,
    ) -> Result<Self, MalformedRecord> {
        let body = body.into();
        if body.len() > Self::MAX_BODY { Err(MalformedRecord) } else { Ok(Self { id, time, body }) }
    }

    /// The largest body, bytes. What an event may hold keeps to it; so EventBridge takes any record (256 KB an entry),
    /// and DynamoDB (400 KB an item).
    pub const MAX_BODY: usize = 96 * 1024;

    /// The unique id, also `metadata.uid` of the body.
    pub const fn id(&self) -> RecordId {
        self.id
    }

    /// When it happened, also `time` of the body (milliseconds).
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The OCSF event, JSON on one line.
    pub fn body(&self) -> &str {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_that_sort_by_time() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let id = RecordId::of(at(0x0123_4567_89ab), u128::MAX);
        assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
        assert_eq!(RecordId::of(at(-5), 0).to_string(), "00000000-0000-7000-8000-000000000000");
        let ids = [0, 1, 1_800_000_000_000, 1_800_000_000_001].map(|ms| RecordId::fresh(at(ms)).unwrap());
        assert!(ids.is_sorted());
        let bytes = ids.map(RecordId::to_bytes);
        assert!(bytes.is_sorted());
        assert_eq!(bytes.map(RecordId::from_bytes), ids);
        assert_ne!(RecordId::fresh(at(1)).unwrap(), RecordId::fresh(at(1)).unwrap());
    }

    #[test]
    fn ids_are_read_as_they_are_written_and_no_other_way() {
        let id = RecordId::fresh(Timestamp::from_second(1_800_000_000).unwrap()).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        let text = id.to_string();
        for wrong in ["".into(), text.replace('-', ""), text.to_uppercase() + "x", text.replacen('0', "+", 1)]
        {
            assert_eq!(wrong.parse::<RecordId>(), Err(MalformedRecord), "{wrong}");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_no_record() {
        let part = |size| AuditRecord::from_parts(RecordId(7), Timestamp::UNIX_EPOCH, "x".repeat(size));
        assert!(part(AuditRecord::MAX_BODY).is_ok());
        assert_eq!(part(AuditRecord::MAX_BODY + 1), Err(MalformedRecord));
    }
}
