//! The subject-keys table. Its rows are wrapped keys.

use portcullis_pii::{KeyError, KeyStore, Purpose, StoredBranchKey, StoredSubjectKey};
use redb::ReadableTable;

use super::tables::{self, BRANCH_KEYS, META, SUBJECT_KEYS};
use super::{Fault, Store, StoreError};

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Corrupt => Self::Invalid,
        }
    }
}

impl KeyStore for Store {
    async fn branch_key(
        &self,
        purpose: Purpose,
        version: Option<u32>,
    ) -> Result<Option<StoredBranchKey>, KeyError> {
        let range =
            (purpose.as_str(), version.unwrap_or(0))..=(purpose.as_str(), version.unwrap_or(u32::MAX));
        Ok(self.read(|txn| {
            let Some(row) = txn.open_table(BRANCH_KEYS)?.range(range)?.next_back() else { return Ok(None) };
            let (key, row) = row?;
            let (created_at, wrapped) = tables::decode_branch_key(row.value()).ok_or(Fault::Row)?;
            Ok(Some(StoredBranchKey { purpose, version: key.value().1, wrapped, created_at }))
        })?)
    }

    async fn add_branch_key(&self, key: &StoredBranchKey) -> Result<bool, KeyError> {
        let (purpose, version, row) = (key.purpose.as_str(), key.version, tables::encode_branch_key(key));
        check_size(&row)?;
        let add = move |batch: &mut super::Batch<'_>| {
            let table = batch.tables.branch_keys()?;
            if table.get((purpose, version))?.is_some() {
                return Ok(false);
            }
            table.insert((purpose, version), row.as_slice())?;
            Ok(true)
        };
        Ok(self.write(1_024, add).await?)
    }

    async fn subject_key(
        &self,
        subject: &str,
        purpose: Purpose,
    ) -> Result<Option<StoredSubjectKey>, KeyError> {
        Ok(self.read(|txn| {
            let table = txn.open_table(SUBJECT_KEYS)?;
            let Some(row) = table.get((subject, purpose.as_str()))? else { return Ok(None) };
            let (branch_version, created_at, wrapped) =
                tables::decode_subject_key(row.value()).ok_or(Fault::Row)?;
            let subject = subject.to_owned();
            Ok(Some(StoredSubjectKey { subject, purpose, branch_version, wrapped, created_at }))
        })?)
    }

    async fn add_subject_key(&self, key: &StoredSubjectKey) -> Result<bool, KeyError> {
        let (subject, purpose) = (key.subject.clone(), key.purpose.as_str());
        let row = tables::encode_subject_key(key);
        check_size(&row)?;
        check_size(subject.as_bytes())?;
        let add = move |batch: &mut super::Batch<'_>| {
            let table = batch.tables.subject_keys()?;
            if table.get((subject.as_str(), purpose))?.is_some() {
                return Ok(false);
            }
            table.insert((subject.as_str(), purpose), row.as_slice())?;
            Ok(true)
        };
        Ok(self.write(1_024, add).await?)
    }

    async fn index_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        Ok(self.read(|txn| Ok(txn.open_table(META)?.get(INDEX_KEY)?.map(|row| row.value().to_vec())))?)
    }

    async fn add_index_key(&self, wrapped: &[u8]) -> Result<bool, KeyError> {
        check_size(wrapped)?;
        let wrapped = wrapped.to_vec();
        let add = move |batch: &mut super::Batch<'_>| {
            let table = batch.tables.meta()?;
            if table.get(INDEX_KEY)?.is_some() {
                return Ok(false);
            }
            table.insert(INDEX_KEY, wrapped.as_slice())?;
            Ok(true)
        };
        Ok(self.write(1_024, add).await?)
    }
}

/// KMS wraps a key in some 200 bytes.
fn check_size(bytes: &[u8]) -> Result<(), KeyError> {
    if bytes.len() > MAX_BYTES { Err(KeyError::Refused) } else { Ok(()) }
}

const INDEX_KEY: &str = "index-key";
const MAX_BYTES: usize = 8 * 1_024;
