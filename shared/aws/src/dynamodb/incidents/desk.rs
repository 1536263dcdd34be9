//! Who holds which resource, and the cap: small states, each exchanged as a whole.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::SignedDuration;
use portcullis_base::Timestamp;
use portcullis_response::{CapStore, Holders, Holds, IncidentId, PortError, PortResult, Slot, Slots};

use super::super::item::{Item, Malformed, string, take_string};
use super::{DELETE, DynamoIncidents, PUT, check_size, failed, parsed};

/// A key and what stands there.
struct Place {
    pk: String,
    sk: &'static str,
}

/// What an exchange came to.
enum Exchanged {
    Done,
    /// Something else stands there, or nothing.
    Found(Option<String>),
}

impl DynamoIncidents {
    /// Decides on the text of an item, afresh for as long as others are faster. Between two who are at once, one is
    /// done: with `n` at it, nobody needs more than `n` tries.
    async fn decide<T>(
        &self,
        place: &Place,
        mut decide: impl FnMut(Option<&str>) -> PortResult<(Option<String>, T)> + Send,
    ) -> PortResult<T> {
        let mut there = text(self.item(&place.pk, place.sk).await?)?;
        for _ in 0..MAX_TRIES {
            let (next, answer) = decide(there.as_deref())?;
            if next == there {
                return Ok(answer);
            }
            match self.exchange(place, there, next).await? {
                Exchanged::Done => return Ok(answer),
                Exchanged::Found(found) => there = found,
            }
        }
        tracing::warn!(service = "dynamodb", tries = MAX_TRIES, "an item is contended");
        Err(PortError::Conflict)
    }

    /// Puts `next` where `there` still stands, or deletes it.
    async fn exchange(
        &self,
        place: &Place,
        there: Option<String>,
        next: Option<String>,
    ) -> PortResult<Exchanged> {
        match (there, next) {
            (there, Some(next)) => self.put_text(place, there, next).await,
            (Some(there), None) => self.delete_text(place, there).await,
            (None, None) => Ok(Exchanged::Done),
        }
    }

    async fn put_text(&self, place: &Place, there: Option<String>, next: String) -> PortResult<Exchanged> {
        check_size(&next)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", string(&*place.pk))
            .item("sk", string(place.sk))
            .item("body", string(next))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match there {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(there) => {
                put.condition_expression("body = :there").expression_attribute_values(":there", string(there))
            }
        };
        match put.send().await {
            Ok(_) => Ok(Exchanged::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    text(refused.item.clone()).map(Exchanged::Found)
                }
                _ => Err(failed(PUT, &error)),
            },
        }
    }

    async fn delete_text(&self, place: &Place, there: String) -> PortResult<Exchanged> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", string(&*place.pk))
            .key("sk", string(place.sk))
            .condition_expression("body = :there")
            .expression_attribute_values(":there", string(there))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match delete.send().await {
            Ok(_) => Ok(Exchanged::Done),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(refused)) => {
                    text(refused.item.clone()).map(Exchanged::Found)
                }
                _ => Err(failed(DELETE, &error)),
            },
        }
    }

    async fn change_holders(
        &self,
        resource: &str,
        mut change: impl FnMut(&mut Holders) + Send,
    ) -> PortResult<()> {
        self.decide(&hold_place(resource), |there| {
            let mut holders: Holders = there.map_or_else(|| Ok(Holders::default()), parsed)?;
            change(&mut holders);
            let next = if holders.is_empty() { None } else { Some(written(&holders)?) };
            Ok((next, ()))
        })
        .await
    }
}

impl Holds for DynamoIncidents {
    async fn hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        self.change_holders(resource, |holders| holders.hold(incident)).await
    }

    async fn holders(&self, resource: &str) -> PortResult<Vec<IncidentId>> {
        let place = hold_place(resource);
        let there = text(self.item(&place.pk, place.sk).await?)?;
        Ok(there.as_deref().map_or_else(|| Ok(Holders::default()), parsed)?.ids().to_vec())
    }

    async fn forget_hold(&self, resource: &str, incident: &IncidentId) -> PortResult<()> {
        self.change_holders(resource, |holders| holders.forget(incident)).await
    }
}

impl CapStore for DynamoIncidents {
    async fn reserve(
        &self,
        incident: &IncidentId,
        now: Timestamp,
        window: SignedDuration,
        cap: u32,
    ) -> PortResult<Slot> {
        self.decide(&Place { pk: CAP.to_owned(), sk: CAP }, |there| {
            let mut slots: Slots = there.map_or_else(|| Ok(Slots::default()), parsed)?;
            let slot = slots.reserve(incident, now, window, cap);
            // Without a slot there is nothing to write, not even an empty list.
            let next = if slot == Slot::Granted { Some(written(&slots)?) } else { there.map(str::to_owned) };
            Ok((next, slot))
        })
        .await
    }
}

fn text(item: Option<Item>) -> PortResult<Option<String>> {
    let item = item.filter(|item| !item.is_empty());
    item.map(|mut item| take_string(&mut item, "body")).transpose().map_err(PortError::from)
}

fn written(value: &impl serde::Serialize) -> PortResult<String> {
    serde_json::to_string(value).map_err(|_| Malformed.into())
}

/// Resources are named by names of users and addresses, of any length: a digest is a key of fixed length.
fn hold_place(resource: &str) -> Place {
    let digest = digest(&SHA256, resource.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Place { pk: format!("hold#{hex}"), sk: "hold" }
}

const CAP: &str = "cap";
/// More than incidents that a surge contains at once: where so many are faster, the cap is reached.
const MAX_TRIES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_length_and_shows_no_name() {
        let long = hold_place(&"user ana ".repeat(1000)).pk;
        assert_eq!(long.len(), "hold#".len() + 64);
        assert!(!long.contains("ana"));
        assert_ne!(hold_place("a").pk, hold_place("b").pk);
    }
}
