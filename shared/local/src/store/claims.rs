//! The claim-check bucket, and in it what the conversations table has no room for.

use std::time::Duration;

use portcullis_pii::{ObjectError, RecordObjects};
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

impl From<StoreError> for ObjectError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Corrupt => Self::Altered,
        }
    }
}

impl ClaimCheck for Store {
    async fn put(&self, key: &str, body: &[u8]) -> Result<(), ClaimCheckError> {
        let retention = self.shared().options.claim_retention;
        self.keep(key, body, retention, ClaimCheckError::Refused).await
    }

    async fn get(&self, key: &str, max_bytes: usize) -> Result<Vec<u8>, ClaimCheckError> {
        let body = self.kept(key)?.ok_or(ClaimCheckError::NotFound)?;
        if body.len() > max_bytes { Err(ClaimCheckError::TooLarge) } else { Ok(body) }
    }
}

impl RecordObjects for Store {
    async fn put_object(&self, name: &str, body: &[u8], days: u32) -> Result<String, ObjectError> {
        let key = format!("records/{name}");
        let retention = Duration::from_secs(u64::from(days) * 86_400);
        self.keep(&key, body, retention, ObjectError::Refused).await?;
        Ok(key)
    }

    async fn object(&self, object: &str, max_bytes: usize) -> Result<Vec<u8>, ObjectError> {
        let body = self.kept(object)?.ok_or(ObjectError::NotFound)?;
        if body.len() > max_bytes { Err(ObjectError::TooLarge) } else { Ok(body) }
    }
}

impl Store {
    async fn keep<E: From<StoreError>>(
        &self,
        key: &str,
        body: &[u8],
        retention: Duration,
        refused: E,
    ) -> Result<(), E> {
        if key.is_empty() || key.len() > MAX_KEY || body.len() > MAX_BODY {
            return Err(refused);
        }
        let tag = self.claim_tag(key);
        let sealed = self.shared().keys.claims.seal(&tag, body).map_err(|_| StoreError::Unavailable)?;
        let retention = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        let put = move |batch: &mut super::Batch<'_>| {
            let expires = batch.now.div_euclid(1_000).saturating_add(retention);
            batch.tables.claims()?.insert(tag, (expires, sealed.as_slice()))?;
            batch.tables.expiry()?.insert((expires, EXPIRES_CLAIM, tag.as_slice()), ())?;
            Ok(())
        };
        Ok(self.write(body.len(), put).await?)
    }

    fn kept(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let tag = self.claim_tag(key);
        let now = self.shared().now().div_euclid(1_000);
        let sealed = self.read(|txn| {
            let row = txn.open_table(CLAIMS)?.get(tag)?;
            Ok(row.map(|row| (row.value().0, row.value().1.to_vec())))
        })?;
        let Some((_, sealed)) = sealed.filter(|(at, _)| *at > now) else { return Ok(None) };
        self.shared().keys.claims.open(&tag, &sealed).map(Some).map_err(|_| StoreError::Corrupt)
    }

    fn claim_tag(&self, key: &str) -> Tag {
        self.shared().keys.claim_tags.tag(&[key.as_bytes()])
    }
}

/// As for S3.
const MAX_KEY: usize = 1_024;
const MAX_BODY: usize = 64 << 20;
