//! Sealed fields that the table has no room for rest in the bucket; the record says where, how long they are, and their
//! SHA-256.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_lc_rs::digest;
use portcullis_pii::{MAX_RECORD_BYTES, ObjectError, Outside, RecordObjects, StoredRecord};

use crate::{Parts, Ports};

/// Moves the largest fields out until the table has room for the rest. An object is there before a record names it; one
/// that no record came to name opens for nobody, since the header of its sealing is nowhere.
pub(crate) async fn make_room<P: Ports>(
    parts: &Parts<P>,
    record: &mut StoredRecord,
    days: u32,
) -> Result<(), ObjectError> {
    while record.size() > MAX_RECORD_BYTES
        && let Some((name, sealed)) = take_largest(&mut record.fields)
    {
        let sha256 = sha256(&sealed);
        let object = parts.objects.put_object(&sha256, &sealed, days).await?;
        let bytes = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
        record.outside.insert(name, Outside { object, bytes, sha256 });
    }
    Ok(())
}

/// All sealed fields of a record, wherever they are.
pub(crate) async fn all_fields<'a, P: Ports>(
    parts: &Parts<P>,
    record: &'a StoredRecord,
) -> Result<Cow<'a, BTreeMap<String, Vec<u8>>>, Missing> {
    if record.outside.is_empty() {
        return Ok(Cow::Borrowed(&record.fields));
    }
    let mut fields = record.fields.clone();
    for (name, field) in &record.outside {
        fields.insert(name.clone(), fetch(parts, field).await?);
    }
    Ok(Cow::Owned(fields))
}

/// Why a field that rests outside could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// May pass.
    Unavailable,
    /// Not there, or not what was stored.
    Altered,
}

async fn fetch<P: Ports>(parts: &Parts<P>, field: &Outside) -> Result<Vec<u8>, Missing> {
    let bytes = parts.objects.object(&field.object, MAX_SEALED_BYTES).await.map_err(|error| match error {
        ObjectError::Unavailable => Missing::Unavailable,
        ObjectError::NotFound | ObjectError::TooLarge | ObjectError::Refused => Missing::Altered,
    })?;
    if sha256(&bytes) == field.sha256 && u64::try_from(bytes.len()) == Ok(field.bytes) {
        Ok(bytes)
    } else {
        Err(Missing::Altered)
    }
}

fn take_largest(fields: &mut BTreeMap<String, Vec<u8>>) -> Option<(String, Vec<u8>)> {
    let name = fields.iter().max_by_key(|(_, sealed)| sealed.len()).map(|(name, _)| name.clone())?;
    fields.remove_entry(&name)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// The envelope's longest field, with what sealing adds.
const MAX_SEALED_BYTES: usize = 4 * 1024 * 1024 + 64;
