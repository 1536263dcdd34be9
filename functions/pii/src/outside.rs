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

/// How much opening a record reads, wherever its fields are.
pub(crate) fn sealed_bytes(record: &StoredRecord) -> u64 {
    let outside = record.outside.values().map(|field| field.bytes);
    let inside = u64::try_from(record.size()).unwrap_or(u64::MAX);
    outside.fold(inside, u64::saturating_add)
}

/// Why a field that rests outside could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// May pass.
    Unavailable,
    /// A matter of permissions or of a disabled key: it is mended outside, and says nothing of the record.
    Refused,
    /// Not there, or not what was stored.
    Altered,
}

async fn fetch<P: Ports>(parts: &Parts<P>, field: &Outside) -> Result<Vec<u8>, Missing> {
    if !is_name_of_ours(field) {
        return Err(Missing::Altered);
    }
    let most = usize::try_from(field.bytes).unwrap_or(usize::MAX).min(MAX_SEALED_BYTES);
    let bytes = parts.objects.object(&field.object, most).await.map_err(|error| match error {
        ObjectError::Unavailable => Missing::Unavailable,
        ObjectError::Refused => Missing::Refused,
        ObjectError::NotFound | ObjectError::TooLarge | ObjectError::Altered => Missing::Altered,
    })?;
    if sha256(&bytes) == field.sha256 && u64::try_from(bytes.len()) == Ok(field.bytes) {
        Ok(bytes)
    } else {
        Err(Missing::Altered)
    }
}

/// Whether a record names an object as [`make_room`] does. Whoever changed the name must not decide what is asked of the
/// store: it would refuse, and with that nothing of the page could be read.
fn is_name_of_ours(field: &Outside) -> bool {
    let place = field.object.strip_prefix("records/").and_then(|rest| rest.strip_suffix(&field.sha256));
    let is_days = |place: &str| place.bytes().all(|b| b.is_ascii_digit() || b == b'/');
    field.sha256.len() == 2 * digest::SHA256_OUTPUT_LEN
        && field.sha256.bytes().all(|b| b.is_ascii_hexdigit())
        && place.is_some_and(|place| place.len() <= MAX_PLACE && is_days(place))
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
/// Days and a `/`, of at most ten years.
const MAX_PLACE: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_given_to_objects_of_records_are_asked_for() {
        let sha256 = sha256(b"sealed");
        for (object, ours) in [
            (format!("records/{sha256}"), true),
            (format!("records/7/{sha256}"), true),
            (format!("records/3650/{sha256}"), true),
            ("records/7/00".to_owned(), false),
            (format!("records/7/../{sha256}"), false),
            (format!("records/1234567/{sha256}"), false),
            (format!("text/{sha256}"), false),
            (format!("records/{}/{sha256}", "x".repeat(2_000)), false),
            (sha256.clone(), false),
            (String::new(), false),
        ] {
            let field = Outside { object, bytes: 6, sha256: sha256.clone() };
            assert_eq!(is_name_of_ours(&field), ours, "{}", field.object);
        }
        let anything = Outside { object: "records/7/".to_owned(), bytes: 6, sha256: String::new() };
        assert!(!is_name_of_ours(&anything), "without a digest");
    }
}
