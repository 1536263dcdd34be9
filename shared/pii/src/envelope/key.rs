//! A data subject's key, and what is derived from it.

use std::fmt;

use zeroize::Zeroizing;

use super::binding::Context;
use super::primitives::{Gcm, Prk, ProviderError};
use crate::Purpose;

/// The key of one data subject for one purpose: wiped when dropped, and never shown. Made by the
/// [`KeyHierarchy`](crate::KeyHierarchy) only.
pub struct SubjectKey {
    prk: Prk,
    purpose: Purpose,
    subject: Box<str>,
    branch_version: u32,
    created_at: i64,
}

impl SubjectKey {
    pub(crate) fn new(
        purpose: Purpose,
        subject: &str,
        branch_version: u32,
        created_at: i64,
        key: &[u8; 32],
    ) -> Self {
        Self { prk: Prk::new(key), purpose, subject: subject.into(), branch_version, created_at }
    }

    /// Whose key it is: a blind index.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it protects.
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The version of the branch key that wraps it.
    pub const fn branch_version(&self) -> u32 {
        self.branch_version
    }

    /// When it was made, by what the table says: milliseconds since the Unix epoch. What was sealed before, another key
    /// sealed, which was destroyed.
    pub const fn created_at(&self) -> i64 {
        self.created_at
    }

    pub(super) fn derive(&self, context: &mut Context) -> Result<RecordKey, ProviderError> {
        let mut okm = Zeroizing::new([0_u8; 64]);
        self.prk.expand(context.info(), okm.as_mut_slice())?;
        let (key, commitment) = okm.split_first_chunk().ok_or(ProviderError)?;
        Ok(RecordKey { gcm: Gcm::new(key)?, commitment: commitment.try_into().map_err(|_| ProviderError)? })
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKey").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// The key of one record, and the commitment to it, which is public.
pub(super) struct RecordKey {
    pub(super) gcm: Gcm,
    pub(super) commitment: [u8; 32],
}
