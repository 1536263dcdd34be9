//! Revocations, in the order in which they were committed.

use portcullis_token::{Revocation, RevocationPage, RevocationStore, StoreError as TokenStoreError};
use redb::ReadableTable;

use super::entries::whole_seconds;
use super::tables::{EXPIRES_REVOCATION, META, REVOCATIONS};
use super::writer::Batch;
use super::{Fault, Store, rows};

impl RevocationStore for Store {
    async fn add(&self, revocation: &Revocation) -> Result<(), TokenStoreError> {
        let row = rows::encode_revocation(revocation);
        if row.len() > MAX_ROW {
            return Err(TokenStoreError::Refused);
        }
        let until = revocation.until.as_millisecond();
        let add = move |batch: &mut Batch<'_>| {
            let number = next_number(batch)?;
            let sealed = batch.shared.keys.revocations.seal(&number.to_be_bytes(), &row)?;
            batch.tables.revocations()?.insert(number, (until, sealed.as_slice()))?;
            let place = (whole_seconds(until), EXPIRES_REVOCATION, &number.to_be_bytes()[..]);
            batch.tables.expiry()?.insert(place, ())?;
            Ok(())
        };
        Ok(self.write(1_024, add).await?)
    }

    /// The cursor is the number of the last revocation that was looked at. Numbers are given when a transaction is
    /// filled, and transactions come one after the other, so none appears behind a cursor.
    async fn since(&self, cursor: Option<&str>) -> Result<RevocationPage, TokenStoreError> {
        let now = self.shared().now();
        Ok(self.read(|txn| {
            let last = number_of(txn.open_table(META)?.get(LAST_NUMBER)?.map(|row| row.value().to_vec()))?;
            // A cursor of another store starts from the start: better twice than never.
            let after = cursor.and_then(|text| text.parse().ok()).filter(|n| *n <= last).unwrap_or(0);
            let mut page = RevocationPage { items: Vec::new(), cursor: Some(last.to_string()), more: false };
            for row in txn.open_table(REVOCATIONS)?.range(after.saturating_add(1)..)? {
                let (number, row) = row?;
                let (number, (until, sealed)) = (number.value(), row.value());
                if page.items.len() >= PAGE {
                    page.more = true;
                    page.cursor = Some(number.saturating_sub(1).to_string());
                    break;
                }
                if until > now {
                    let row = self.shared().keys.revocations.open(&number.to_be_bytes(), sealed)?;
                    page.items.push(rows::decode_revocation(&row).ok_or(Fault::Row)?);
                }
            }
            Ok(page)
        })?)
    }
}

/// Kept apart from the revocations: numbers go on rising when all of them have expired.
fn next_number(batch: &mut Batch<'_>) -> Result<u64, Fault> {
    let meta = batch.tables.meta()?;
    let number = number_of(meta.get(LAST_NUMBER)?.map(|row| row.value().to_vec()))?.saturating_add(1);
    meta.insert(LAST_NUMBER, number.to_be_bytes().as_slice())?;
    Ok(number)
}

fn number_of(row: Option<Vec<u8>>) -> Result<u64, Fault> {
    row.map_or(Ok(0), |row| row.try_into().map(u64::from_be_bytes).map_err(|_| Fault::Row))
}

const LAST_NUMBER: &str = "last-revocation";
const PAGE: usize = 1_000;
const MAX_ROW: usize = 16 << 10;
