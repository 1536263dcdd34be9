//! The header of a record: fixed length, strictly parsed.

use super::error::OpenError;
use crate::Purpose;

/// Length of a header in bytes.
pub const HEADER_LEN: usize = PREFIX_LEN + 32;

/// Length of what the context starts with: all of the header but the commitment.
pub(super) const PREFIX_LEN: usize = 2 + 1 + 1 + 1 + 4 + 32;

/// What a record carries once for all its fields. Parsing proves nothing: only [`RecordOpener::new`](super::RecordOpener::new)
/// does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub(super) purpose: Purpose,
    pub(super) branch_version: u32,
    pub(super) salt: [u8; 32],
    pub(super) commitment: [u8; 32],
}

impl Header {
    /// Parses a header.
    ///
    /// # Errors
    /// [`OpenError::Unsupported`] for another format version or suite, [`OpenError::Malformed`] for anything else that
    /// is not exactly a header, bytes after its end included.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpenError> {
        let (magic, rest) = bytes.split_first_chunk().ok_or(OpenError::Malformed)?;
        let ([version, suite], rest) = rest.split_first_chunk().ok_or(OpenError::Malformed)?;
        if magic != MAGIC {
            return Err(OpenError::Malformed);
        }
        if (*version, *suite) != (VERSION, SUITE) {
            return Err(OpenError::Unsupported);
        }
        Self::parse_v1(rest).ok_or(OpenError::Malformed)
    }

    fn parse_v1(bytes: &[u8]) -> Option<Self> {
        let ([purpose], rest) = bytes.split_first_chunk()?;
        let (branch_version, rest) = rest.split_first_chunk()?;
        let (salt, commitment) = rest.split_first_chunk()?;
        let branch_version = u32::from_be_bytes(*branch_version);
        (branch_version > 0).then_some(Self {
            purpose: parse_purpose(*purpose)?,
            branch_version,
            salt: *salt,
            commitment: commitment.try_into().ok()?,
        })
    }

    /// What the record is part of, as the header says: it tells which key to fetch.
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The version of the branch key that wrapped the subject's key when the record was sealed, as the header says.
    pub const fn branch_version(&self) -> u32 {
        self.branch_version
    }

    pub(super) fn prefix(&self) -> [u8; PREFIX_LEN] {
        let [a, b] = *MAGIC;
        let [v0, v1, v2, v3] = self.branch_version.to_be_bytes();
        let start = [a, b, VERSION, SUITE, purpose_byte(self.purpose), v0, v1, v2, v3];
        concat(&start, &self.salt)
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        concat(&self.prefix(), &self.commitment)
    }
}

/// The byte that stands for a purpose in every binary encoding of this crate.
pub(crate) const fn purpose_byte(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Conversation => 1,
        Purpose::Media => 2,
    }
}

const fn parse_purpose(byte: u8) -> Option<Purpose> {
    match byte {
        1 => Some(Purpose::Conversation),
        2 => Some(Purpose::Media),
        _ => None,
    }
}

fn concat<const N: usize>(start: &[u8], end: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(start.iter().chain(end)).for_each(|(to, from)| *to = *from);
    out
}

const MAGIC: &[u8; 2] = b"PE";
const VERSION: u8 = 1;
/// HKDF-Expand with SHA-256, AES-256-GCM, a 256-bit commitment.
const SUITE: u8 = 1;
