//! The limits table: one item a bucket.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `pk` | S | partition key: the bucket |
//! | `tat` | N | when the bucket is full again, microseconds since the Unix epoch |
//! | `expires_at` | N | seconds since the Unix epoch: the table's TTL attribute |
//!
//! An update cannot take the greater of two numbers, so there are two updates, and what the container saw last says
//! which to try first: one for a full bucket (`tat` absent or past: set it), one for another (`tat` ahead: add to it).
//! Each is conditional on what makes it right, so that whichever succeeds is exact. One that fails brings the item
//! (`ReturnValuesOnConditionCheckFailure`): then it is known whether the bucket is empty, or which update is next.
//! A refusal is one call, a grant one or two; more only while others take from the same bucket, and then there is
//! less in it each time, so that the attempts end.
//!
//! The clock is the container's. One that is minutes off cannot take anything: AWS refuses its signatures.
//!
//! IAM: `dynamodb:UpdateItem`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use portcullis_limit::{Ask, LimitStore, Rung, StoreError, Taken};

use super::item::{Item, number, string, take_number};
use crate::failure::{Call, Failure, classify};

/// [`LimitStore`] over a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoLimits {
    client: Client,
    table: String,
}

/// What one update came to.
enum Outcome {
    Done(i64),
    /// The condition did not hold; the TAT that the item had, if there was one.
    Found(Option<i64>),
}

impl DynamoLimits {
    /// Uses the table of this name or ARN. A call, its second attempt included, takes no longer than `timeout`: a
    /// request is waiting for it.
    pub fn new(config: &SdkConfig, table: impl Into<String>, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(timeout / 2)
            .operation_attempt_timeout(timeout / 2)
            .operation_timeout(timeout)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .build();
        Self { client: Client::from_conf(config), table: table.into() }
    }

    async fn update(&self, key: &str, ask: &Ask, rung: Rung, full: bool) -> Result<Outcome, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(key))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":now", number(ask.now()))
            .expression_attribute_values(":expires", number(expiry(ask)));
        let update = if full { when_full(update, ask, rung) } else { when_not_full(update, ask, rung) };
        outcome(update.send().await)
    }
}

impl LimitStore for DynamoLimits {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, StoreError> {
        let mut full = ask.expects_full();
        // Cells beyond the burst fit no bucket, not even a full one.
        let mut fitting = ask.rungs().iter().filter(|rung| fits_when_full(ask, rung));
        let Some(mut rung) = fitting.next().copied() else { return Ok(ask.answer(None)) };
        for _ in 0..MAX_UPDATES {
            match self.update(key, ask, rung, full).await? {
                Outcome::Done(tat) => return Ok(Taken { granted: rung.cells, tat }),
                Outcome::Found(tat) => {
                    let answer = ask.answer(tat);
                    match ask.rungs().iter().find(|rung| rung.cells == answer.granted) {
                        Some(fitting) => rung = *fitting,
                        None => return Ok(answer),
                    }
                    full = tat.is_none_or(|tat| tat <= ask.now());
                }
            }
        }
        tracing::warn!(service = "dynamodb", updates = MAX_UPDATES, "a limit is contended");
        Err(StoreError::Unavailable)
    }
}

fn fits_when_full(ask: &Ask, rung: &Rung) -> bool {
    ask.now().saturating_add(rung.cost) <= ask.ceiling()
}

fn when_full(update: UpdateItemFluentBuilder, ask: &Ask, rung: Rung) -> UpdateItemFluentBuilder {
    update
        .update_expression("SET tat = :after, expires_at = :expires")
        .condition_expression("attribute_not_exists(pk) OR tat <= :now")
        .expression_attribute_values(":after", number(ask.now().saturating_add(rung.cost)))
}

fn when_not_full(update: UpdateItemFluentBuilder, ask: &Ask, rung: Rung) -> UpdateItemFluentBuilder {
    update
        .update_expression("SET tat = tat + :cost, expires_at = :expires")
        .condition_expression("tat > :now AND tat <= :latest")
        .expression_attribute_values(":cost", number(rung.cost))
        .expression_attribute_values(":latest", number(ask.ceiling().saturating_sub(rung.cost)))
}

fn outcome(answer: Result<UpdateItemOutput, SdkError<UpdateItemError>>) -> Result<Outcome, StoreError> {
    match answer {
        Ok(output) => tat_of(output.attributes)?.map(Outcome::Done).ok_or(StoreError::Malformed),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                tat_of(failed.item.clone()).map(Outcome::Found)
            }
            _ => Err(match classify(UPDATE, &error) {
                Failure::Transient => StoreError::Unavailable,
                Failure::Rejected => StoreError::Refused,
            }),
        },
    }
}

/// The TAT of an item; an item without one is not ours.
fn tat_of(item: Option<Item>) -> Result<Option<i64>, StoreError> {
    item.filter(|item| !item.is_empty())
        .map(|mut item| take_number(&mut item, "tat").map_err(|_| StoreError::Malformed))
        .transpose()
}

/// A minute after the bucket is full at the latest, so that a container whose clock is behind finds it still.
fn expiry(ask: &Ask) -> i64 {
    ask.ceiling().div_euclid(1_000_000).saturating_add(61)
}

/// Enough for the ladder of a lease of 128 and a bucket that stops being full meanwhile.
const MAX_UPDATES: usize = 10;
const UPDATE: Call = Call { service: "dynamodb", operation: "UpdateItem" };
