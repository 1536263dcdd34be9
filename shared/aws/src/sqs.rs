//! The queues: items out to two FIFO queues, poison items to their two dead-letter queues.
//!
//! IAM: `sqs:SendMessage` on the queues named, which covers `SendMessageBatch` too, and `kms:GenerateDataKey` on
//! the key that encrypts them.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use portcullis_pii::{DeadLetter, DeadLetterError, DeadLetters};
use portcullis_webhook::{ItemQueue, Lane, Outgoing, QueueError, SendFailure};

use crate::failure::{Call, Failure, classify, may_pass};

/// [`ItemQueue`] over a FIFO queue per lane.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Client,
    urls: Urls,
}

impl SqsQueues {
    /// Sends to the queues with these URLs.
    pub fn new(config: &SdkConfig, text_url: impl Into<String>, media_url: impl Into<String>) -> Self {
        Self { client: Client::new(config), urls: Urls { text: text_url.into(), media: media_url.into() } }
    }
}

impl ItemQueue for SqsQueues {
    async fn send_batch(&self, lane: Lane, items: &[Outgoing]) -> Result<Vec<SendFailure>, QueueError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        if items.len() > BATCH {
            return Err(QueueError::Refused);
        }
        let answer = self
            .client
            .send_message_batch()
            .queue_url(self.urls.of(lane.as_str()).ok_or(QueueError::Refused)?)
            .set_entries(Some(entries(items)?))
            .send()
            .await
            .map_err(|e| match classify(SEND_BATCH, &e) {
                Failure::Transient => QueueError::Unavailable,
                Failure::Rejected => QueueError::Refused,
            })?;
        Ok(failures(items.len(), &answer))
    }
}

/// [`DeadLetters`] over a FIFO dead-letter queue per lane. The reason travels as the message attribute `reason`.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    client: Client,
    urls: Urls,
}

impl SqsDeadLetters {
    /// Sends to the dead-letter queues with these URLs.
    pub fn new(config: &SdkConfig, text_url: impl Into<String>, media_url: impl Into<String>) -> Self {
        Self { client: Client::new(config), urls: Urls { text: text_url.into(), media: media_url.into() } }
    }
}

impl DeadLetters for SqsDeadLetters {
    async fn put(&self, item: &DeadLetter<'_>) -> Result<(), DeadLetterError> {
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(item.reason)
            .build()
            .map_err(|_| DeadLetterError)?;
        self.client
            .send_message()
            .queue_url(self.urls.of(item.lane).ok_or(DeadLetterError)?)
            .message_group_id(item.group)
            .message_deduplication_id(item.dedup_id)
            .message_body(item.body)
            .message_attributes(REASON, reason)
            .send()
            .await
            .map_err(|e| {
                classify(SEND, &e);
                DeadLetterError
            })?;
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Urls {
    text: String,
    media: String,
}

impl Urls {
    fn of(&self, lane: &str) -> Option<&str> {
        match lane {
            "text" => Some(&self.text),
            "media" => Some(&self.media),
            _ => None,
        }
    }
}

/// The entries of a batch; the id of each is its index.
fn entries(items: &[Outgoing]) -> Result<Vec<SendMessageBatchRequestEntry>, QueueError> {
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_group_id(&item.group)
                .message_deduplication_id(&item.dedup_id)
                .message_body(&item.body)
                .build()
                .map_err(|_| QueueError::Refused)
        })
        .collect()
}

/// An entry is sent only if the answer says so: one that it names as failed, or does not name at all, is a failure.
fn failures(sent: usize, answer: &SendMessageBatchOutput) -> Vec<SendFailure> {
    let index = |id: &str| id.parse::<usize>().ok();
    (0..sent)
        .filter(|i| !answer.successful().iter().any(|entry| index(entry.id()) == Some(*i)))
        .map(|i| {
            let fault = answer.failed().iter().find(|entry| index(entry.id()) == Some(i));
            if let Some(fault) = fault {
                let (code, sender_fault) = (fault.code(), fault.sender_fault());
                tracing::warn!(
                    service = "sqs",
                    operation = "SendMessageBatch",
                    code,
                    sender_fault,
                    "entry refused"
                );
            }
            SendFailure {
                index: i,
                retryable: !fault.is_some_and(|f| f.sender_fault() && !may_pass(f.code())),
            }
        })
        .collect()
}

/// Entries that SQS takes in one call.
const BATCH: usize = 10;
const REASON: &str = "reason";
const SEND_BATCH: Call = Call { service: "sqs", operation: "SendMessageBatch" };
const SEND: Call = Call { service: "sqs", operation: "SendMessage" };

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchResultEntry};

    use super::*;

    fn sent(id: &str) -> SendMessageBatchResultEntry {
        SendMessageBatchResultEntry::builder()
            .id(id)
            .message_id("m")
            .md5_of_message_body("x")
            .build()
            .unwrap()
    }

    fn failed(id: &str, sender_fault: bool) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).code("c").sender_fault(sender_fault).build().unwrap()
    }

    #[test]
    fn only_what_the_answer_names_as_sent_is_sent() {
        type Case = (&'static str, Vec<&'static str>, Vec<(&'static str, bool)>, Vec<(usize, bool)>);
        let cases: [Case; 6] = [
            ("all sent", vec!["0", "1", "2"], vec![], vec![]),
            ("one throttled", vec!["0", "2"], vec![("1", false)], vec![(1, true)]),
            ("one at fault", vec!["0", "2"], vec![("1", true)], vec![(1, false)]),
            (
                "failures come in order",
                vec!["1"],
                vec![("2", true), ("0", false)],
                vec![(0, true), (2, false)],
            ),
            ("unnamed entries may be retried", vec!["0"], vec![], vec![(1, true), (2, true)]),
            ("foreign ids are no proof", vec!["00x", "7", ""], vec![], vec![(0, true), (1, true), (2, true)]),
        ];
        for (label, ok, bad, expected) in cases {
            let answer = SendMessageBatchOutput::builder()
                .set_successful(Some(ok.into_iter().map(sent).collect()))
                .set_failed(Some(bad.into_iter().map(|(id, fault)| failed(id, fault)).collect()))
                .build()
                .unwrap();
            let got: Vec<_> = failures(3, &answer).iter().map(|f| (f.index, f.retryable)).collect();
            assert_eq!(got, expected, "{label}");
        }
    }

    #[test]
    fn what_throttles_the_key_may_be_retried_though_sqs_blames_the_sender() {
        for (code, retryable) in [("KMS.ThrottlingException", true), ("KMS.DisabledException", false)] {
            let entry =
                BatchResultErrorEntry::builder().id("0").code(code).sender_fault(true).build().unwrap();
            let answer = SendMessageBatchOutput::builder()
                .set_successful(Some(vec![]))
                .set_failed(Some(vec![entry]))
                .build()
                .unwrap();
            assert_eq!(
                failures(1, &answer).iter().map(|f| f.retryable).collect::<Vec<_>>(),
                [retryable],
                "{code}"
            );
        }
    }

    #[test]
    fn only_the_two_lanes_have_a_queue() {
        let urls = Urls { text: "t".into(), media: "m".into() };
        for (lane, url) in [("text", Some("t")), ("media", Some("m")), ("Text", None), ("", None)] {
            assert_eq!(urls.of(lane), url, "{lane}");
        }
    }
}
