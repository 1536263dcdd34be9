//! Security events on an EventBridge bus, for a SIEM and for rules: source `portcullis.audit`, detail type
//! `Security Event`, the OCSF event as the detail.
//!
//! A bus delivers at least once and keeps no record of what it took: a consumer knows a repeat by `metadata.uid`.
//!
//! IAM: `events:PutEvents` on the bus.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{AsyncSleep, SharedAsyncSleep};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use portcullis_audit::{AuditError, AuditRecord, AuditSink};

use crate::failure::{Call, Failure, classify};

/// [`AuditSink`] over an EventBridge bus.
#[derive(Debug, Clone)]
pub struct EventBridgeAudit {
    client: Client,
    bus: String,
    sleep: Option<SharedAsyncSleep>,
}

impl EventBridgeAudit {
    /// Sends to the bus of this name or ARN. Each call takes no longer than `timeout`.
    pub fn new(config: &SdkConfig, bus: impl Into<String>, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(timeout / 2)
            .operation_attempt_timeout(timeout / 2)
            .operation_timeout(timeout)
            .build();
        let sleep = config.sleep_impl();
        let config = aws_sdk_eventbridge::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .build();
        Self { client: Client::from_conf(config), bus: bus.into(), sleep }
    }

    /// Sends a batch; what the bus did not take for a reason that may pass, again.
    async fn send(&self, batch: &[&AuditRecord]) -> Result<(), AuditError> {
        let mut left = batch.to_vec();
        for pause in PAUSES {
            left = self.put(&left).await?;
            if left.is_empty() {
                return Ok(());
            }
            if let Some(sleep) = self.sleep.as_ref().filter(|_| !pause.is_zero()) {
                sleep.sleep(pause).await;
            }
        }
        Err(AuditError::Unavailable)
    }

    /// One call; the records that the bus did not take.
    async fn put<'r>(&self, records: &[&'r AuditRecord]) -> Result<Vec<&'r AuditRecord>, AuditError> {
        let entries = records.iter().map(|record| self.entry(record)).collect();
        let answer = self.client.put_events().set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| match classify(PUT, &error) {
            Failure::Transient => AuditError::Unavailable,
            Failure::Rejected => AuditError::Refused,
        })?;
        let mut left = Vec::new();
        for (at, record) in records.iter().enumerate() {
            // An entry is taken only if the answer names its event: the answers are in the order of the entries.
            let entry = answer.entries().get(at);
            if entry.is_some_and(|entry| entry.error_code().is_none() && entry.event_id().is_some()) {
                continue;
            }
            let code = entry.and_then(|entry| entry.error_code()).unwrap_or("no-answer");
            tracing::warn!(service = PUT.service, operation = PUT.operation, code, "entry refused");
            if !["no-answer", "ThrottlingException", "InternalFailure", "InternalException"].contains(&code) {
                return Err(AuditError::Refused);
            }
            left.push(*record);
        }
        Ok(left)
    }

    fn entry(&self, record: &AuditRecord) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(DETAIL_TYPE)
            .time(DateTime::from_millis(record.time().as_millisecond()))
            .detail(record.body())
            .build()
    }
}

impl AuditSink for EventBridgeAudit {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        for batch in batches(records) {
            self.send(&batch).await?;
        }
        Ok(())
    }
}

/// Cuts records into what one call takes. A record alone always fits: its body is bounded far below.
fn batches(records: &[AuditRecord]) -> Vec<Vec<&AuditRecord>> {
    let mut batches: Vec<Vec<&AuditRecord>> = Vec::new();
    let mut room = 0;
    for record in records {
        let size = size_of_entry(record);
        match batches.last_mut().filter(|batch| batch.len() < MAX_ENTRIES && size <= room) {
            Some(batch) => batch.push(record),
            None => {
                batches.push(vec![record]);
                room = MAX_BYTES;
            }
        }
        room = room.saturating_sub(size);
    }
    batches
}

/// As EventBridge counts: the time 14 bytes, texts in UTF-8.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
fn size_of_entry(record: &AuditRecord) -> usize {
    14 + SOURCE.len() + DETAIL_TYPE.len() + record.body().len()
}

const SOURCE: &str = "portcullis.audit";
const DETAIL_TYPE: &str = "Security Event";
/// Entries and bytes of one call: the limits of EventBridge.
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 * 1024;
/// The pause after each attempt to send what was not taken. The last is followed by none.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::ZERO];
const PUT: Call = Call { service: "eventbridge", operation: "PutEvents" };

#[cfg(test)]
mod tests {
    use portcullis_audit::RecordId;
    use portcullis_base::Timestamp;

    use super::*;

    fn records(sizes: &[usize]) -> Vec<AuditRecord> {
        let record = |(n, size): (usize, &usize)| {
            let id = RecordId::of(Timestamp::UNIX_EPOCH, n as u128);
            AuditRecord::from_parts(id, Timestamp::UNIX_EPOCH, "x".repeat(*size)).unwrap()
        };
        sizes.iter().enumerate().map(record).collect()
    }

    #[test]
    fn batches_keep_to_the_limits_of_one_call() {
        let max = AuditRecord::MAX_BODY;
        for (label, sizes, expected) in [
            ("none", vec![], vec![]),
            ("one", vec![100], vec![1]),
            ("ten", vec![100; 10], vec![10]),
            ("eleven", vec![100; 11], vec![10, 1]),
            ("large ones", vec![max; 5], vec![2, 2, 1]),
            ("large after small", vec![max, 100, max, 100, max], vec![4, 1]),
        ] {
            let records = records(&sizes);
            let batches = batches(&records);
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{label}");
            let bytes = |batch: &Vec<&AuditRecord>| batch.iter().map(|r| size_of_entry(r)).sum::<usize>();
            assert!(batches.iter().all(|batch| bytes(batch) <= MAX_BYTES), "{label}");
            assert!(batches.concat().into_iter().eq(&records), "{label}: all, in order");
        }
    }
}
