//! A table of identity: partition key `pk` (S), sort key `sk` (S), strongly consistent reads, conditional writes, and
//! items with an end: `ends_at` (N, milliseconds since the Unix epoch) decides, `expires_at` (N, seconds) is the table's
//! TTL attribute. DynamoDB deletes an item some time after its end, up to days: until then it counts as gone.

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_lc_rs::rand;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use portcullis_base::{Clock, Timestamp};
use portcullis_token::StoreError;

use super::item::{Item, Malformed, number, string};
use crate::failure::{Call, Failure, classify};

#[derive(Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    clock: Arc<dyn Clock>,
}

impl Table {
    pub(super) fn new(config: &SdkConfig, name: String, clock: Arc<dyn Clock>) -> Self {
        Self { client: Client::new(config), name, clock }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// The item, unless its end has come.
    pub(super) async fn item(&self, key: &Key<'_>) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = get.key("pk", string(&*key.pk)).key("sk", string(key.sk)).send().await;
        let item = answer.map_err(|e| store_error(classify(GET, &e)))?.item;
        Ok(item.filter(|item| !has_ended(item, self.now())))
    }

    /// Puts an item if the condition holds for the one that is there. Whether it did.
    ///
    /// The SDK sends a request again when no answer came; by then the first one may have done its work, and the
    /// condition fails on our own item. The mark on it tells: a write of ours is never taken for another's.
    pub(super) async fn put_if(
        &self,
        key: &Key<'_>,
        attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
        condition: Condition,
    ) -> Result<bool, StoreError> {
        let mark = mark()?;
        let (expression, names, values) = condition.into_parts();
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("pk", string(&*key.pk))
            .item("sk", string(key.sk))
            .item(MARK, string(&mark))
            .condition_expression(expression)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = attributes.into_iter().fold(put, |put, (name, value)| put.item(name, value));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let there = failed.item.as_ref().and_then(|item| item.get(MARK));
                    Ok(there.and_then(|mark| mark.as_s().ok()) == Some(&mark))
                }
                _ => Err(store_error(classify(PUT, &error))),
            },
        }
    }

    /// Deletes the item if the condition holds for it, and gives it. `None`: it does not, or there is none.
    pub(super) async fn take_if(
        &self,
        key: &Key<'_>,
        condition: Condition,
    ) -> Result<Option<Item>, StoreError> {
        let (expression, names, values) = condition.into_parts();
        let delete = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key("pk", string(&*key.pk))
            .key("sk", string(key.sk))
            .condition_expression(expression)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllOld);
        match delete.send().await {
            Ok(answer) => Ok(answer.attributes),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(store_error(classify(DELETE, &error))),
            },
        }
    }

    /// Deletes the item if it is there.
    pub(super) async fn delete(&self, key: &Key<'_>) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(&self.name);
        let answer = delete.key("pk", string(&*key.pk)).key("sk", string(key.sk)).send().await;
        answer.map(drop).map_err(|e| store_error(classify(DELETE, &e)))
    }
}

/// The key of an item.
pub(super) struct Key<'a> {
    pub(super) pk: String,
    pub(super) sk: &'a str,
}

/// What must hold of the item that is there. Every attribute is written `#name` and every value `:name`, because many
/// words are reserved.
pub(super) struct Condition {
    expression: &'static str,
    names: &'static [&'static str],
    values: Vec<(&'static str, AttributeValue)>,
}

impl Condition {
    pub(super) fn new(
        expression: &'static str,
        names: &'static [&'static str],
        values: Vec<(&'static str, AttributeValue)>,
    ) -> Self {
        Self { expression, names, values }
    }

    /// There is no item at all.
    pub(super) fn absent() -> Self {
        Self::new("attribute_not_exists(#pk)", &["pk"], Vec::new())
    }

    /// There is no item, or its end has come.
    pub(super) fn absent_or_ended(now: i64) -> Self {
        let expression = "attribute_not_exists(#pk) OR #ends_at <= :now";
        Self::new(expression, &["pk", "ends_at"], vec![("now", number(now))])
    }

    /// The item has that version, or for 0: there is none.
    pub(super) fn version(expected: u64) -> Self {
        match expected {
            0 => Self::absent(),
            _ => Self::new("#version = :version", &["version"], vec![("version", whole(expected))]),
        }
    }

    /// The expression, what its names stand for, and what its values are.
    fn into_parts(self) -> (&'static str, HashMap<String, String>, Option<Item>) {
        let names = self.names.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
        let values: Item = self.values.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        (self.expression, names, Some(values).filter(|values| !values.is_empty()))
    }
}

/// The attributes of an end.
pub(super) fn ends(at: Timestamp) -> [(&'static str, AttributeValue); 2] {
    let millis = at.as_millisecond();
    [("ends_at", number(millis)), ("expires_at", number(whole_seconds(millis)))]
}

/// A number (`N`) that counts.
pub(super) fn whole(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn store_error(failure: Failure) -> StoreError {
    match failure {
        Failure::Transient => StoreError::Unavailable,
        Failure::Rejected => StoreError::Refused,
    }
}

impl From<Malformed> for StoreError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A name that no other write has.
pub(super) fn mark() -> Result<String, StoreError> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| StoreError::Unavailable)?;
    Ok(u128::from_be_bytes(random).to_string())
}

/// An end that is no number has come: what cannot be read is not relied on.
fn has_ended(item: &Item, now: i64) -> bool {
    item.get("ends_at").is_some_and(|ends_at| {
        ends_at.as_n().ok().and_then(|text| text.parse::<i64>().ok()).is_none_or(|ends_at| ends_at <= now)
    })
}

/// The first whole second at which something is over that ends at this millisecond.
fn whole_seconds(millis: i64) -> i64 {
    millis.div_euclid(1_000).saturating_add(i64::from(millis.rem_euclid(1_000) != 0))
}

const MARK: &str = "mark";
const GET: Call = Call { service: "dynamodb", operation: "GetItem" };
const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };
const DELETE: Call = Call { service: "dynamodb", operation: "DeleteItem" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_gone_from_its_end_on() {
        let item = |value| Item::from([("ends_at".to_owned(), value)]);
        for (label, item, gone) in [
            ("without an end", Item::new(), false),
            ("before it", item(number(1_001)), false),
            ("at it", item(number(1_000)), true),
            ("after it", item(number(-1)), true),
            ("an end of another type", item(string("1001")), true),
            ("an end that is no whole number", item(AttributeValue::N("1e40".into())), true),
        ] {
            assert_eq!(has_ended(&item, 1_000), gone, "{label}");
        }
    }

    #[test]
    fn ttl_is_never_before_the_end() {
        for (millis, second) in [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (-1, 0), (-1_001, -1)] {
            assert_eq!(whole_seconds(millis), second, "{millis}");
        }
    }

    #[test]
    fn marks_differ() {
        assert_ne!(mark().unwrap(), mark().unwrap());
    }
}
