//! The claim-check bucket.

use portcullis_webhook::{ClaimCheck, ClaimCheckError};

use super::tables::{CLAIMS, EXPIRES_CLAIM};
use super::{Store, StoreError};
use crate::seal::Tag;

impl From<StoreError> for ClaimCheckError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Corrupt => Self::Refused,
        }
    }
}

impl ClaimCheck for Store {
    async fn put(&self, key: &str, body: &[u8]) -> Result<(), ClaimCheckError> {
        if key.is_empty() || key.len() > MAX_KEY || body.len() > MAX_BODY {
            return Err(ClaimCheckError::Refused);
        }
        let tag = self.claim_tag(key);
        let sealed = self.shared().keys.claims.seal(&tag, body).map_err(|_| ClaimCheckError::Unavailable)?;
        let retention = i64::try_from(self.shared().options.claim_retention.as_secs()).unwrap_or(i64::MAX);
        let put = move |batch: &mut super::Batch<'_>| {
            let expires = batch.now.div_euclid(1_000).saturating_add(retention);
            batch.tables.claims()?.insert(tag, (expires, sealed.as_slice()))?;
            batch.tables.expiry()?.insert((expires, EXPIRES_CLAIM, tag.as_slice()), ())?;
            Ok(())
        };
        Ok(self.write(body.len(), put).await?)
    }

    async fn get(&self, key: &str, max_bytes: usize) -> Result<Vec<u8>, ClaimCheckError> {
        let tag = self.claim_tag(key);
        let now = self.shared().now().div_euclid(1_000);
        let sealed = self.read(|txn| {
            let row = txn.open_table(CLAIMS)?.get(tag)?;
            Ok(row.map(|row| (row.value().0, row.value().1.to_vec())))
        })?;
        let (_, sealed) = sealed.filter(|(at, _)| *at > now).ok_or(ClaimCheckError::NotFound)?;
        let body = self.shared().keys.claims.open(&tag, &sealed).map_err(|_| ClaimCheckError::Refused)?;
        if body.len() > max_bytes { Err(ClaimCheckError::TooLarge) } else { Ok(body) }
    }
}

impl Store {
    fn claim_tag(&self, key: &str) -> Tag {
        self.shared().keys.claim_tags.tag(&[key.as_bytes()])
    }
}

/// As for S3.
const MAX_KEY: usize = 1_024;
const MAX_BODY: usize = 64 << 20;
