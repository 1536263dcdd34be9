//! The audit table: one item a record, written once.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `pk` | S | partition key: the hour and a shard, `2026-11-22T07#a` |
//! | `sk` | S | sort key: the record's id, which sorts by time |
//! | `time` | N | milliseconds since the Unix epoch |
//! | `body` | S | the OCSF event |
//! | `expires_at` | N | seconds since the Unix epoch: the table's TTL attribute; absent where records are kept for ever |
//!
//! A partition takes a thousand writes of 1 KB a second, and one hour is written by everybody: sixteen shards, by the
//! last digit of the id, which is random. A reader of an hour, or of a part of it by `sk`, asks all sixteen.
//!
//! Append only: every write is conditional on there being no such item, and the function's role has no other action.
//!
//! IAM: `dynamodb:PutItem`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use futures_util::stream::{self, StreamExt};
use portcullis_audit::{AuditError, AuditRecord, AuditSink};

use super::item::{Item, number, string};
use crate::failure::{Call, Failure, classify};

/// [`AuditSink`] over a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoAudit {
    client: Client,
    table: String,
    retention: Option<Duration>,
}

impl DynamoAudit {
    /// Uses the table of this name or ARN; records are kept for ever. A call, its further attempts included, takes no
    /// longer than `timeout`: a request is waiting for it.
    pub fn new(config: &SdkConfig, table: impl Into<String>, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(timeout / 2)
            .operation_attempt_timeout(timeout / 2)
            .operation_timeout(timeout)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .build();
        Self { client: Client::from_conf(config), table: table.into(), retention: None }
    }

    /// Marks records to expire after so long.
    #[must_use]
    pub fn with_retention(self, retention: Option<Duration>) -> Self {
        Self { retention, ..self }
    }

    async fn put(&self, record: &AuditRecord) -> Result<(), AuditError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item_of(record, self.retention)))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            // An earlier attempt got through.
            Err(e)
                if e.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(e) => Err(match classify(PUT, &e) {
                Failure::Transient => AuditError::Unavailable,
                Failure::Rejected => AuditError::Refused,
            }),
        }
    }
}

impl AuditSink for DynamoAudit {
    /// One call a record: a batch write takes no conditions, and a transaction of DynamoDB costs twice and lets one
    /// record that is there already stop the others.
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        let puts: Vec<_> = records.iter().map(|record| self.put(record)).collect();
        all(puts).await
    }
}

/// Puts all of them, then judges: what can be kept is, whichever cannot.
async fn all(puts: Vec<impl Future<Output = Result<(), AuditError>>>) -> Result<(), AuditError> {
    let done: Vec<_> = stream::iter(puts).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

fn item_of(record: &AuditRecord, retention: Option<Duration>) -> Item {
    let id = record.id().to_string();
    let expires = retention.map(|retention| {
        let seconds = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        ("expires_at", number(record.time().as_second().saturating_add(seconds)))
    });
    [
        ("pk", string(partition(record, &id))),
        ("time", number(record.time().as_millisecond())),
        ("body", string(record.body())),
        ("sk", string(id)),
    ]
    .into_iter()
    .chain(expires)
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The hour of the record, in UTC, and the shard.
fn partition(record: &AuditRecord, id: &str) -> String {
    let hour: String = record.time().to_string().chars().take("2026-11-22T07".len()).collect();
    format!("{hour}#{}", id.chars().last().unwrap_or('0'))
}

const AT_ONCE: usize = 10;
const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use portcullis_audit::RecordId;

    use super::*;

    #[tokio::test]
    async fn a_record_that_cannot_be_kept_stops_no_other() {
        let kept = AtomicUsize::new(0);
        let put = async |fails: bool| {
            if fails {
                return Err(AuditError::Unavailable);
            }
            tokio::task::yield_now().await;
            kept.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let puts = (0..25).map(|i| put(i == 0)).collect();
        assert_eq!(all(puts).await, Err(AuditError::Unavailable));
        assert_eq!(kept.load(Ordering::SeqCst), 24);
        assert_eq!(all((0..25).map(|_| put(false)).collect()).await, Ok(()));
    }

    #[test]
    fn a_record_has_a_place_by_its_hour_and_its_random_part() {
        let time = "2026-11-22T07:59:59.999Z".parse().unwrap();
        let record = |random| AuditRecord::from_parts(RecordId::of(time, random), time, "{}").unwrap();
        let item = item_of(&record(0xa), Some(Duration::from_secs(60)));
        assert_eq!(item["pk"], string("2026-11-22T07#a"));
        assert_eq!(item["sk"], string(record(0xa).id().to_string()));
        assert_eq!(item["time"], number(time.as_millisecond()));
        assert_eq!(item["expires_at"], number(time.as_second() + 60));
        assert_eq!(item["body"], string("{}"));
        let kept = item_of(&record(0xb), None);
        assert_eq!(kept["pk"], string("2026-11-22T07#b"));
        assert!(!kept.contains_key("expires_at"));
    }
}
