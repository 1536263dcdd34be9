use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use portcullis_pii::{DeadLetter, DeadLetterError, DeadLetters, ObjectError, RecordObjects};
use portcullis_webhook::{ClaimCheck, ClaimCheckError};

use super::faults::{Faults, locked};

/// The claim-check bucket in memory. Clones share it.
#[derive(Clone, Default)]
pub struct Claims(Arc<ClaimsInner>);

#[derive(Default)]
struct ClaimsInner {
    objects: Mutex<HashMap<String, Vec<u8>>>,
    faults: Faults<ClaimCheckError>,
}

impl Claims {
    /// The next `calls` calls answer with `error`.
    pub fn fail_next(&self, calls: usize, error: ClaimCheckError) {
        self.0.faults.add(calls, &error);
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        locked(&self.0.objects).keys().cloned().collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        locked(&self.0.objects).len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ClaimCheck for Claims {
    async fn put(&self, key: &str, body: &[u8]) -> Result<(), ClaimCheckError> {
        self.0.faults.check()?;
        locked(&self.0.objects).insert(key.to_owned(), body.to_vec());
        Ok(())
    }

    async fn get(&self, key: &str, max_bytes: usize) -> Result<Vec<u8>, ClaimCheckError> {
        self.0.faults.check()?;
        let objects = locked(&self.0.objects);
        let body = objects.get(key).ok_or(ClaimCheckError::NotFound)?;
        if body.len() > max_bytes { Err(ClaimCheckError::TooLarge) } else { Ok(body.clone()) }
    }
}

/// Nothing expires. What was told to fail fails here as a claim does.
impl RecordObjects for Claims {
    async fn put_object(&self, name: &str, body: &[u8], days: u32) -> Result<String, ObjectError> {
        let key = format!("records/{days}/{name}");
        self.put(&key, body).await.map_err(of_claim)?;
        Ok(key)
    }

    async fn object(&self, object: &str, max_bytes: usize) -> Result<Vec<u8>, ObjectError> {
        self.get(object, max_bytes).await.map_err(of_claim)
    }
}

fn of_claim(error: ClaimCheckError) -> ObjectError {
    match error {
        ClaimCheckError::NotFound => ObjectError::NotFound,
        ClaimCheckError::TooLarge => ObjectError::TooLarge,
        ClaimCheckError::Refused => ObjectError::Refused,
        ClaimCheckError::Unavailable => ObjectError::Unavailable,
    }
}

/// The dead letters in memory. Clones share them.
#[derive(Clone, Default)]
pub struct DeadLetterBox(Arc<BoxInner>);

#[derive(Default)]
struct BoxInner {
    items: Mutex<Vec<DeadItem>>,
    faults: Faults<DeadLetterError>,
}

/// A dead letter: see [`DeadLetter`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `DeadLetter`, described there")]
pub struct DeadItem {
    pub lane: String,
    pub group: String,
    pub dedup_id: String,
    pub body: String,
    pub reason: String,
}

impl DeadLetterBox {
    /// The next `calls` calls fail.
    pub fn fail_next(&self, calls: usize) {
        self.0.faults.add(calls, &DeadLetterError);
    }

    /// What was put aside, in order.
    pub fn items(&self) -> Vec<DeadItem> {
        locked(&self.0.items).clone()
    }
}

impl DeadLetters for DeadLetterBox {
    async fn put(&self, item: &DeadLetter<'_>) -> Result<(), DeadLetterError> {
        self.0.faults.check()?;
        let [lane, group, dedup_id, body, reason] =
            [item.lane, item.group, item.dedup_id, item.body, item.reason].map(str::to_owned);
        locked(&self.0.items).push(DeadItem { lane, group, dedup_id, body, reason });
        Ok(())
    }
}
