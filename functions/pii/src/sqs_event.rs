//! SQS events, parsed from bytes: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use portcullis_lambda::Text;
use serde::{Deserialize, Serialize};

/// A batch from one queue.
#[derive(Debug, Deserialize)]
pub(crate) struct SqsEvent<'a> {
    #[serde(rename = "Records", borrow)]
    pub(crate) records: Vec<SqsRecord<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SqsRecord<'a> {
    #[serde(borrow)]
    pub(crate) message_id: Text<'a>,
    #[serde(borrow)]
    pub(crate) body: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) attributes: SqsAttributes<'a>,
    #[serde(borrow, rename = "eventSourceARN")]
    pub(crate) source: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SqsAttributes<'a> {
    #[serde(borrow, default)]
    pub(crate) message_group_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) message_deduplication_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) sequence_number: Option<Text<'a>>,
}

/// Which items of the batch stay in the queue.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchAnswer<'a> {
    pub(crate) batch_item_failures: Vec<BatchItemFailure<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchItemFailure<'a> {
    pub(crate) item_identifier: &'a str,
}
