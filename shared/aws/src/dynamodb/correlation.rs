//! The correlation table: what detection rules that count have seen, shared by every container.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `pk` | S | partition key: digest of the series |
//! | `sk` | S | sort key: `o#<time>#<digest of the key>` of an observation, `c#<slice>` of a claim |
//! | `value` | S | observation: what is counted |
//! | `event` | S | claim: who holds it |
//! | `at` | N | claim: milliseconds since the Unix epoch |
//! | `expires_at` | N | seconds since the Unix epoch: the table's TTL attribute |
//!
//! An observation is an item of its own: putting it again changes nothing, and a series that floods costs no other one
//! anything. A claim stands for one slice of time as long as the window: two claims of a slice always collide, and one
//! of a neighbouring slice collides when it is nearer than a window, so three conditions in one transaction decide.
//!
//! IAM: `dynamodb:PutItem` (observations, and the claim of a transaction), `dynamodb:Query`,
//! `dynamodb:ConditionCheckItem`.

use aws_config::SdkConfig;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConditionCheck, Put, TransactWriteItem};
use portcullis_detection::{CorrelationState, MAX_OBSERVATIONS, Observation, Series, StateError};

use super::item::{Item, Malformed, number, string, take_string};
use crate::failure::{Call, Failure, classify};

/// [`CorrelationState`] over a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoCorrelation {
    client: Client,
    table: String,
}

impl DynamoCorrelation {
    /// Uses the table of this name or ARN.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    async fn put(&self, series: &str, new: &Observation, expires_at: i64) -> Result<(), StateError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", string(series))
            .item("sk", string(sort_key(new)))
            .item("key", string(&new.key))
            .item("value", string(bounded(&new.value)))
            .item("expires_at", number(expires_at));
        put.send().await.map(drop).map_err(|e| failed(PUT, &e))
    }

    /// Observations from `from` to `to`, both included, in order of time. Of too many the latest: the new one is among
    /// them, and the window that it ends.
    async fn between(&self, series: &str, from: i64, to: i64) -> Result<Vec<Observation>, StateError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .scan_index_forward(false)
                .key_condition_expression("pk = :series AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":series", string(series))
                .expression_attribute_values(":from", string(format!("o#{}", time_key(from))))
                // `~` sorts after every digest.
                .expression_attribute_values(":to", string(format!("o#{}#~", time_key(to))))
                .limit(PAGE)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|e| failed(QUERY, &e))?;
            for item in page.items.unwrap_or_default() {
                found.push(observation(item).map_err(|_| StateError(MALFORMED.to_owned()))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= MAX_OBSERVATIONS {
                found.truncate(MAX_OBSERVATIONS);
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// No claim in `slice` stands nearer to the new one than `condition` says.
    fn neighbour(
        &self,
        series: &str,
        slice: i64,
        condition: &str,
        limit: i64,
    ) -> Result<TransactWriteItem, StateError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key("pk", string(series))
            .key("sk", string(claim_key(slice)))
            .condition_expression(format!("attribute_not_exists(pk) OR #at {condition} :limit"))
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":limit", number(limit))
            .build()
            .map_err(|_| StateError(UNBUILT.to_owned()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn own(&self, series: &str, claim: &Claim<'_>) -> Result<TransactWriteItem, StateError> {
        let put = Put::builder()
            .table_name(&self.table)
            .item("pk", string(series))
            .item("sk", string(claim_key(claim.slice)))
            .item("event", string(claim.event))
            .item("at", number(claim.at))
            .item("expires_at", number(claim.expires_at))
            .condition_expression("attribute_not_exists(pk) OR #event = :event")
            .expression_attribute_names("#event", "event")
            .expression_attribute_values(":event", string(claim.event))
            .build()
            .map_err(|_| StateError(UNBUILT.to_owned()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl CorrelationState for DynamoCorrelation {
    async fn observe(
        &self,
        series: &Series,
        observations: &[Observation],
        window: i64,
        expires_at: i64,
    ) -> Result<Vec<Observation>, StateError> {
        let partition = partition(series);
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        for new in observations {
            from = from.min(new.at.saturating_sub(window));
            to = to.max(new.at.saturating_add(window));
            self.put(&partition, new, expires_at).await?;
        }
        if observations.is_empty() { Ok(Vec::new()) } else { self.between(&partition, from, to).await }
    }

    async fn claim(
        &self,
        series: &Series,
        event_id: &str,
        at: i64,
        window: i64,
        expires_at: i64,
    ) -> Result<bool, StateError> {
        let (partition, slice) = (partition(series), at.div_euclid(window.max(1)));
        let claim = Claim { event: event_id, at, slice, expires_at };
        for _ in 0..MAX_TRIES {
            let answer = self
                .client
                .transact_write_items()
                .transact_items(self.own(&partition, &claim)?)
                .transact_items(self.neighbour(&partition, slice - 1, "<=", at.saturating_sub(window))?)
                .transact_items(self.neighbour(&partition, slice + 1, ">=", at.saturating_add(window))?)
                .send()
                .await;
            match answer {
                Ok(_) => return Ok(true),
                Err(error) => match refusal(&error) {
                    Some(Refusal::Taken) => return Ok(false),
                    // Another container was at it in the same moment: what it did decides the next try.
                    Some(Refusal::Conflict) => {}
                    None => return Err(failed(CLAIM, &error)),
                },
            }
        }
        tracing::warn!(service = "dynamodb", tries = MAX_TRIES, "a claim is contended");
        Err(StateError(UNAVAILABLE.to_owned()))
    }
}

struct Claim<'c> {
    event: &'c str,
    at: i64,
    slice: i64,
    expires_at: i64,
}

enum Refusal {
    /// A condition did not hold.
    Taken,
    /// Another transaction or write was under way.
    Conflict,
}

fn refusal<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<Refusal> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.as_service_error()? else {
        return None;
    };
    let has = |code| cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some(code));
    if has("TransactionConflict") {
        Some(Refusal::Conflict)
    } else if has("ConditionalCheckFailed") {
        Some(Refusal::Taken)
    } else {
        None
    }
}

fn observation(mut item: Item) -> Result<Observation, Malformed> {
    let sort = take_string(&mut item, "sk")?;
    let time = sort.strip_prefix("o#").and_then(|rest| rest.split_once('#')).ok_or(Malformed)?.0;
    let at = time.parse::<i128>().ok().and_then(|t| i64::try_from(t + i128::from(i64::MIN)).ok());
    Ok(Observation {
        at: at.ok_or(Malformed)?,
        key: take_string(&mut item, "key")?,
        value: take_string(&mut item, "value")?,
    })
}

fn failed<E>(
    call: Call,
    error: &SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
) -> StateError
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
{
    let words = match classify(call, error) {
        Failure::Transient => UNAVAILABLE,
        Failure::Rejected => "the table refuses",
    };
    StateError(words.to_owned())
}

/// A digest: groups hold principals and addresses of any length.
fn partition(series: &Series) -> String {
    // The length keeps two parts from running into each other.
    short_digest(&format!("{}/{}{}", series.rule.len(), series.rule, series.group))
}

fn sort_key(observation: &Observation) -> String {
    format!("o#{}#{}", time_key(observation.at), short_digest(&observation.key))
}

/// Twenty digits that sort as the numbers do, those before 1970 included.
fn time_key(at: i64) -> String {
    format!("{:020}", i128::from(at) - i128::from(i64::MIN))
}

fn claim_key(slice: i64) -> String {
    format!("c#{slice}")
}

/// What is counted are distinct values: a digest of a long one is as distinct.
fn bounded(value: &str) -> String {
    if value.len() <= MAX_VALUE { value.to_owned() } else { short_digest(value) }
}

/// 128 bits: collisions are out of reach, and an attacker gains nothing by one but a count that is too low by one.
fn short_digest(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };
const QUERY: Call = Call { service: "dynamodb", operation: "Query" };
const CLAIM: Call = Call { service: "dynamodb", operation: "TransactWriteItems" };
const UNAVAILABLE: &str = "the table does not answer";
const MALFORMED: &str = "an item of the table is not as it was written";
const UNBUILT: &str = "a request cannot be built";
/// Longer values are counted by their digest.
const MAX_VALUE: usize = 512;
const MAX_TRIES: usize = 5;
const PAGE: i32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_numbers() {
        let times = [i64::MIN, -1, 0, 1, 999, 1000, 1_732_000_000_000, i64::MAX];
        assert!(times.is_sorted_by_key(|at| time_key(*at)));
        assert!(times.iter().all(|at| time_key(*at).len() == 20));
    }

    #[test]
    fn series_whose_parts_run_together_are_apart() {
        let of = |rule: &str, group: &str| partition(&Series { rule: rule.into(), group: group.into() });
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a", ""), of("", "a"));
        assert_eq!(of("a", "b"), of("a", "b"));
    }

    #[test]
    fn a_written_time_is_read_back() {
        for at in [i64::MIN, -1, 0, 1_732_000_000_000, i64::MAX] {
            let new = Observation { at, key: "k".into(), value: "v".into() };
            let item = [("sk", sort_key(&new)), ("key", "k".into()), ("value", "v".into())];
            let item: Item = item.into_iter().map(|(n, v)| (n.to_owned(), string(v))).collect();
            assert_eq!(observation(item), Ok(new));
        }
    }
}
