//! The identity ports: key ring, sealed keys, refresh families, replay window, approvals, client secrets, lockouts, API
//! keys.

use portcullis_access::{ApiKey, ApiKeyStore, KnownApiKey, MAX_LISTED};
use portcullis_base::Timestamp;
use portcullis_token::{
    Approval, Approvals, ClientSecretStore, Failures, Family, FamilyId, KeyRing, KeyRingStore, KnownSecrets,
    Lockouts, RefreshFamilies, ReplayWindow, SealedKeyStore, StoreError as TokenStoreError, StoredSecrets,
};

use super::entries::{Change, Entry, FOR_EVER, Kind};
use super::rows;
use super::{Fault, Store, StoreError};

impl From<StoreError> for TokenStoreError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::Unavailable,
            StoreError::Corrupt => Self::Malformed,
        }
    }
}

impl KeyRingStore for Store {
    async fn load(&self) -> Result<(KeyRing, u64), TokenStoreError> {
        let Some(row) = self.entry(Kind::KeyRing, &[])? else { return Ok((KeyRing::default(), 0)) };
        rows::decode_ring(&row).ok_or(TokenStoreError::Malformed)
    }

    async fn save(&self, ring: &KeyRing, expected: u64) -> Result<bool, TokenStoreError> {
        let row = rows::encode_ring(ring, expected.saturating_add(1)).ok_or(TokenStoreError::Refused)?;
        let save = move |there: Option<Vec<u8>>| {
            let version = there.map_or(Some(0), |row| rows::ring_version(&row)).ok_or(Fault::Row)?;
            Ok(if version == expected { put(row.clone(), FOR_EVER, true) } else { Change::Keep(false) })
        };
        Ok(self.change_entry(Kind::KeyRing, &[], save).await?)
    }
}

impl SealedKeyStore for Store {
    async fn add(&self, kid: &str, sealed: &[u8]) -> Result<(), TokenStoreError> {
        self.add_entry(Kind::SealedKey, kid, sealed.to_vec(), FOR_EVER).await
    }

    async fn load(&self, kid: &str) -> Result<Option<Vec<u8>>, TokenStoreError> {
        Ok(self.entry(Kind::SealedKey, &[kid])?)
    }

    async fn remove(&self, kid: &str) -> Result<(), TokenStoreError> {
        Ok(self.change_entry(Kind::SealedKey, &[kid], |_| Ok(Change::Remove(()))).await?)
    }
}

impl RefreshFamilies for Store {
    async fn load(&self, id: FamilyId) -> Result<Option<Family>, TokenStoreError> {
        let Some(row) = self.entry(Kind::Family, &[&id.to_string()])? else { return Ok(None) };
        rows::decode_family(&row).map(Some).ok_or(TokenStoreError::Malformed)
    }

    async fn create(&self, id: FamilyId, family: &Family, until: Timestamp) -> Result<(), TokenStoreError> {
        let row = rows::encode_family(family);
        self.add_entry(Kind::Family, &id.to_string(), row, until.as_millisecond()).await
    }

    async fn replace(
        &self,
        id: FamilyId,
        seen: &Family,
        next: &Family,
        until: Timestamp,
    ) -> Result<bool, TokenStoreError> {
        let (seen, next) = (rows::encode_family(seen), rows::encode_family(next));
        check_size(&next)?;
        let replace = move |there: Option<Vec<u8>>| {
            let unchanged = there.as_ref() == Some(&seen);
            Ok(if unchanged { put(next.clone(), until.as_millisecond(), true) } else { Change::Keep(false) })
        };
        Ok(self.change_entry(Kind::Family, &[&id.to_string()], replace).await?)
    }
}

impl ReplayWindow for Store {
    async fn first_use(&self, scope: &str, id: &str, until: Timestamp) -> Result<bool, TokenStoreError> {
        let note = move |there: Option<Vec<u8>>| {
            Ok(match there {
                Some(_) => Change::Keep(false),
                None => put(Vec::new(), until.as_millisecond(), true),
            })
        };
        Ok(self.change_entry(Kind::Used, &[scope, id], note).await?)
    }
}

impl Approvals for Store {
    async fn add(&self, approval: &Approval) -> Result<(), TokenStoreError> {
        let row = rows::encode_approval(approval);
        self.add_entry(Kind::Approval, &approval.id, row, approval.expires_at).await
    }

    async fn take(&self, id: &str, actor: &str, now: Timestamp) -> Result<Option<Approval>, TokenStoreError> {
        let actor = actor.to_owned();
        let take = move |there: Option<Vec<u8>>| {
            let Some(row) = there else { return Ok(Change::Keep(None)) };
            let approval = rows::decode_approval(&row).ok_or(Fault::Row)?;
            let open = approval.actor == actor && !approval.is_expired(now);
            Ok(if open { Change::Remove(Some(approval)) } else { Change::Keep(None) })
        };
        Ok(self.change_entry(Kind::Approval, &[id], take).await?)
    }

    async fn withdraw(&self, id: &str) -> Result<(), TokenStoreError> {
        Ok(self.change_entry(Kind::Approval, &[id], |_| Ok(Change::Remove(()))).await?)
    }

    async fn peek(&self, id: &str) -> Result<Option<Approval>, TokenStoreError> {
        let Some(row) = self.entry(Kind::Approval, &[id])? else { return Ok(None) };
        rows::decode_approval(&row).map(Some).ok_or(TokenStoreError::Malformed)
    }
}

impl ClientSecretStore for Store {
    async fn load(&self, client: &str) -> Result<Option<KnownSecrets>, TokenStoreError> {
        let Some(row) = self.entry(Kind::ClientSecrets, &[client])? else { return Ok(None) };
        rows::decode_secrets(&row).map(Some).ok_or(TokenStoreError::Malformed)
    }

    async fn replace(
        &self,
        client: &str,
        secrets: &StoredSecrets,
        expected: u64,
    ) -> Result<bool, TokenStoreError> {
        let row = rows::encode_secrets(secrets, expected.saturating_add(1));
        let replace = move |there: Option<Vec<u8>>| {
            let version = match there {
                None => 0,
                Some(row) => rows::decode_secrets(&row).ok_or(Fault::Row)?.version,
            };
            Ok(if version == expected { put(row.clone(), FOR_EVER, true) } else { Change::Keep(false) })
        };
        Ok(self.change_entry(Kind::ClientSecrets, &[client], replace).await?)
    }
}

impl Lockouts for Store {
    async fn load(&self, key: &str) -> Result<Option<Failures>, TokenStoreError> {
        let Some(row) = self.entry(Kind::Failures, &[key])? else { return Ok(None) };
        let (failures, _) = rows::decode_failures(&row).ok_or(TokenStoreError::Malformed)?;
        Ok(Some(failures))
    }

    async fn add(
        &self,
        key: &str,
        now: Timestamp,
        forget_at: Timestamp,
    ) -> Result<Failures, TokenStoreError> {
        let forget_at = forget_at.as_millisecond();
        let add = move |there: Option<Vec<u8>>| {
            let before = match there {
                None => 0,
                Some(row) => match rows::decode_failures(&row).ok_or(Fault::Row)? {
                    (_, forgotten_at) if forgotten_at <= now.as_millisecond() => 0,
                    (failures, _) => failures.count,
                },
            };
            let failures = Failures { count: before.saturating_add(1), last: now };
            Ok(put(rows::encode_failures(&failures, forget_at), forget_at, failures))
        };
        Ok(self.change_entry(Kind::Failures, &[key], add).await?)
    }

    async fn clear(&self, key: &str) -> Result<(), TokenStoreError> {
        Ok(self.change_entry(Kind::Failures, &[key], |_| Ok(Change::Remove(()))).await?)
    }
}

impl ApiKeyStore for Store {
    async fn load(&self, id: &str) -> Result<Option<KnownApiKey>, TokenStoreError> {
        let Some(row) = self.entry(Kind::ApiKey, &[id])? else { return Ok(None) };
        rows::decode_api_key(&row).map(Some).ok_or(TokenStoreError::Malformed)
    }

    async fn replace(&self, key: &ApiKey, expected: u64) -> Result<bool, TokenStoreError> {
        let ends = key.forgotten_at().map_or(FOR_EVER, |at| at.as_millisecond());
        let row = rows::encode_api_key(key, expected.saturating_add(1));
        check_size(&row)?;
        let replace = move |there: Option<Vec<u8>>| {
            let version = match there {
                None => 0,
                Some(row) => rows::decode_api_key(&row).ok_or(Fault::Row)?.version,
            };
            Ok(if version == expected { put(row.clone(), ends, true) } else { Change::Keep(false) })
        };
        Ok(self.change_entry(Kind::ApiKey, &[&key.id], replace).await?)
    }

    async fn list(&self) -> Result<Vec<KnownApiKey>, TokenStoreError> {
        let rows = self.entries(Kind::ApiKey, MAX_LISTED)?;
        let read = |row: Vec<u8>| rows::decode_api_key(&row).ok_or(TokenStoreError::Malformed);
        let mut keys = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| a.key.id.cmp(&b.key.id));
        Ok(keys)
    }
}

impl Store {
    /// Adds what is never replaced.
    async fn add_entry(
        &self,
        kind: Kind,
        name: &str,
        row: Vec<u8>,
        ends: i64,
    ) -> Result<(), TokenStoreError> {
        check_size(&row)?;
        let add = move |there: Option<Vec<u8>>| {
            Ok(if there.is_some() { Change::Keep(false) } else { put(row.clone(), ends, true) })
        };
        let added = self.change_entry(kind, &[name], add).await?;
        if added { Ok(()) } else { Err(TokenStoreError::Refused) }
    }
}

fn put<T>(plain: Vec<u8>, ends: i64, result: T) -> Change<T> {
    Change::Put(Entry { plain, ends }, result)
}

/// As an item of DynamoDB.
fn check_size(row: &[u8]) -> Result<(), TokenStoreError> {
    if row.len() > MAX_ROW { Err(TokenStoreError::Refused) } else { Ok(()) }
}

const MAX_ROW: usize = 400 << 10;
