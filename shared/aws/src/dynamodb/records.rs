//! The conversations table.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `conversation` | S | partition key |
//! | `item` | S | sort key: digest of the exactly-once key |
//! | `position` | S | sort key of the local index `by-position` |
//! | `subject` | S | blind index; absent where no person is concerned |
//! | `kind`, `class` | S | |
//! | `received_at` | N | milliseconds since the Unix epoch |
//! | `expires_at` | N | seconds since the Unix epoch: the table's TTL attribute |
//! | `header` | B | |
//! | `fields` | M of B | |
//! | `outside` | M of M | fields that rest elsewhere, each with `object` (S), `bytes` (N), `sha256` (S); absent where none does |
//!
//! Local index `by-position`: partition key `conversation`, sort key `position`, all attributes; listings read it,
//! consistently. Global index `subject-index`: partition key `subject`, sort key `conversation`, `KEYS_ONLY`.
//!
//! IAM: `dynamodb:PutItem` on the table for the consumer; `dynamodb:Query` on the two indexes for readers.

use std::collections::{BTreeMap, HashMap};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::types::AttributeValue;
use portcullis_pii::{
    MAX_RECORD_BYTES, Outside, Page, PageRequest, PutOutcome, RecordError, Records, StoredRecord,
};

use super::item::{
    Item, Malformed, binaries, binary, number, string, take_binaries, take_binary, take_number,
    take_optional_string, take_string,
};
use crate::failure::{Call, Failure, classify};

/// [`Records`] over a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoRecords {
    client: Client,
    table: String,
}

impl DynamoRecords {
    /// Uses the table of this name or ARN.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    /// The first conversation of a subject after `last`, in order of name. The index follows the table with a
    /// delay, usually well under a second.
    async fn conversation_after(
        &self,
        subject: &str,
        last: Option<&str>,
    ) -> Result<Option<String>, RecordError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(SUBJECT_INDEX)
            .expression_attribute_names("#s", "subject")
            .expression_attribute_values(":s", string(subject))
            .limit(1);
        let query = match last {
            None => query.key_condition_expression("#s = :s"),
            Some(last) => query
                .key_condition_expression("#s = :s AND #c > :c")
                .expression_attribute_names("#c", "conversation")
                .expression_attribute_values(":c", string(last)),
        };
        let answer = query.send().await.map_err(|e| query_error(&e))?;
        let Some(mut item) = answer.items.unwrap_or_default().into_iter().next() else { return Ok(None) };
        take_string(&mut item, "conversation").map(Some).map_err(malformed)
    }
}

impl Records for DynamoRecords {
    async fn put_if_absent(&self, record: &StoredRecord) -> Result<PutOutcome, RecordError> {
        // DynamoDB would say so too; emulators do not count the index.
        if record.size() > MAX_RECORD_BYTES {
            return Err(RecordError::NotTaken);
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item_of(record)))
            .condition_expression("attribute_not_exists(#c)")
            .expression_attribute_names("#c", "conversation")
            .send()
            .await;
        match put {
            Ok(_) => Ok(PutOutcome::Stored),
            Err(e)
                if e.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(PutOutcome::AlreadyThere)
            }
            Err(e) => Err(match classify(PUT, &e) {
                Failure::Transient => RecordError::Unavailable,
                Failure::Rejected if e.code() == Some("ValidationException") => RecordError::NotTaken,
                Failure::Rejected => RecordError::Refused,
            }),
        }
    }

    async fn conversation(&self, conversation: &str, page: &PageRequest) -> Result<Page, RecordError> {
        let limit = page.limit.min(MAX_PAGE);
        if limit == 0 || conversation.is_empty() {
            return Ok(Page::default());
        }
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(POSITION_INDEX)
            .consistent_read(true)
            .expression_attribute_names("#c", "conversation")
            .expression_attribute_values(":c", string(conversation))
            // One more than asked for: tells the last page from one that is followed by nothing.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX));
        let query = match page.after.as_deref() {
            None | Some("") => query.key_condition_expression("#c = :c"),
            Some(after) => query
                .key_condition_expression("#c = :c AND #p > :p")
                .expression_attribute_names("#p", "position")
                .expression_attribute_values(":p", string(after)),
        };
        let answer = query.send().await.map_err(|e| query_error(&e))?;
        page_of(answer.items.unwrap_or_default(), limit, answer.last_evaluated_key.is_some())
    }

    async fn conversations_of(&self, subject: &str, limit: usize) -> Result<Vec<String>, RecordError> {
        let mut found: Vec<String> = Vec::new();
        if subject.is_empty() {
            return Ok(found);
        }
        while found.len() < limit {
            match self.conversation_after(subject, found.last().map(String::as_str)).await? {
                Some(next) => found.push(next),
                None => break,
            }
        }
        Ok(found)
    }
}

/// Cuts what was read to `limit`. There is more if something was cut off, or if DynamoDB stopped early (a page is
/// at most 1 MB).
fn page_of(mut items: Vec<Item>, limit: usize, stopped_early: bool) -> Result<Page, RecordError> {
    let more = items.len() > limit || stopped_early;
    items.truncate(limit);
    let records: Vec<_> = items.into_iter().map(record_from).collect::<Result<_, _>>().map_err(malformed)?;
    let next = records.last().filter(|_| more).map(|record| record.position.clone());
    Ok(Page { records, next })
}

fn item_of(record: &StoredRecord) -> Item {
    let subject = record.subject.as_ref().map(|subject| ("subject".to_owned(), string(subject)));
    let outside =
        (!record.outside.is_empty()).then(|| ("outside".to_owned(), outside_attribute(&record.outside)));
    [
        ("conversation", string(&record.conversation)),
        ("item", string(&record.item)),
        ("position", string(&record.position)),
        ("kind", string(&record.kind)),
        ("class", string(&record.class)),
        ("received_at", number(record.received_at)),
        ("expires_at", number(record.expires_at)),
        ("header", binary(&record.header)),
        ("fields", binaries(&record.fields)),
    ]
    .into_iter()
    .map(|(name, value): (&str, AttributeValue)| (name.to_owned(), value))
    .chain(subject)
    .chain(outside)
    .collect()
}

fn outside_attribute(fields: &BTreeMap<String, Outside>) -> AttributeValue {
    let members = |field: &Outside| {
        AttributeValue::M(HashMap::from([
            ("object".to_owned(), string(&field.object)),
            ("bytes".to_owned(), AttributeValue::N(field.bytes.to_string())),
            ("sha256".to_owned(), string(&field.sha256)),
        ]))
    };
    AttributeValue::M(fields.iter().map(|(name, field)| (name.clone(), members(field))).collect())
}

fn take_outside(item: &mut Item) -> Result<BTreeMap<String, Outside>, Malformed> {
    let fields = match item.remove("outside") {
        None => return Ok(BTreeMap::new()),
        Some(AttributeValue::M(fields)) => fields,
        Some(_) => return Err(Malformed),
    };
    let field = |(name, value)| {
        let AttributeValue::M(mut members) = value else { return Err(Malformed) };
        let field = Outside {
            object: take_string(&mut members, "object")?,
            bytes: take_number(&mut members, "bytes")?,
            sha256: take_string(&mut members, "sha256")?,
        };
        Ok((name, field))
    };
    fields.into_iter().map(field).collect()
}

fn record_from(mut item: Item) -> Result<StoredRecord, Malformed> {
    Ok(StoredRecord {
        conversation: take_string(&mut item, "conversation")?,
        item: take_string(&mut item, "item")?,
        position: take_string(&mut item, "position")?,
        subject: take_optional_string(&mut item, "subject")?,
        kind: take_string(&mut item, "kind")?,
        class: take_string(&mut item, "class")?,
        received_at: take_number(&mut item, "received_at")?,
        expires_at: take_number(&mut item, "expires_at")?,
        header: take_binary(&mut item, "header")?,
        fields: take_binaries(&mut item, "fields")?,
        outside: take_outside(&mut item)?,
    })
}

fn query_error(error: &SdkError<QueryError>) -> RecordError {
    match classify(QUERY, error) {
        Failure::Transient => RecordError::Unavailable,
        Failure::Rejected => RecordError::Refused,
    }
}

fn malformed(_: Malformed) -> RecordError {
    RecordError::Malformed
}

/// Records in one page at most.
const MAX_PAGE: usize = 1_000;
const POSITION_INDEX: &str = "by-position";
const SUBJECT_INDEX: &str = "subject-index";
const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };
const QUERY: Call = Call { service: "dynamodb", operation: "Query" };

#[cfg(test)]
mod tests {
    use super::*;

    fn record(position: &str) -> StoredRecord {
        StoredRecord {
            conversation: "c".into(),
            item: format!("digest of {position}"),
            position: position.into(),
            subject: Some("s".into()),
            kind: "text".into(),
            class: "PII".into(),
            received_at: 1,
            expires_at: 2,
            header: vec![0, 255],
            fields: [("body".to_owned(), vec![1, 2]), ("empty".to_owned(), vec![])].into(),
            outside: BTreeMap::new(),
        }
    }

    fn outside() -> BTreeMap<String, Outside> {
        let field = Outside { object: "records/7/ab".into(), bytes: 3_000_000, sha256: "ab".into() };
        [("item".to_owned(), field)].into()
    }

    #[test]
    fn a_record_survives_the_table() {
        for (subject, outside) in [(Some("s".to_owned()), BTreeMap::new()), (None, outside())] {
            let record = StoredRecord { subject, outside, ..record("1") };
            assert_eq!(record_from(item_of(&record)), Ok(record));
        }
    }

    #[test]
    fn what_is_not_a_record_is_malformed() {
        let whole = item_of(&StoredRecord { subject: None, ..record("1") });
        for name in whole.keys() {
            let mut item = item_of(&record("1"));
            item.remove(name);
            assert_eq!(record_from(item), Err(Malformed), "without {name}");
            let mut item = item_of(&record("1"));
            item.insert(name.clone(), AttributeValue::Bool(true));
            assert_eq!(record_from(item), Err(Malformed), "{name} of another type");
        }
        let mut item = item_of(&record("1"));
        item.insert("received_at".into(), AttributeValue::N("1e40".into()));
        assert_eq!(record_from(item), Err(Malformed), "number out of range");
        let mut item = item_of(&record("1"));
        item.insert("fields".into(), AttributeValue::M([("body".to_owned(), string("x"))].into()));
        assert_eq!(record_from(item), Err(Malformed), "field that is not bytes");
        for name in ["object", "bytes", "sha256"] {
            let mut item = item_of(&StoredRecord { outside: outside(), ..record("1") });
            let Some(AttributeValue::M(fields)) = item.get_mut("outside") else { panic!("a map") };
            let Some(AttributeValue::M(field)) = fields.get_mut("item") else { panic!("a map") };
            field.remove(name);
            assert_eq!(record_from(item), Err(Malformed), "a field outside without {name}");
        }
    }

    #[test]
    fn a_page_has_a_next_exactly_when_there_is_more() {
        let cases = [
            ("nothing", 0, 2, false, 0, None),
            ("fewer than asked", 1, 2, false, 1, None),
            ("exactly as many", 2, 2, false, 2, None),
            ("one more than asked", 3, 2, true, 2, Some("1")),
            ("stopped at 1 MB", 1, 2, true, 1, Some("0")),
        ];
        for (label, read, limit, stopped, kept, next) in cases {
            let items = (0..read).map(|i| item_of(&record(&i.to_string()))).collect();
            let page = page_of(items, limit, stopped).unwrap();
            assert_eq!((page.records.len(), page.next.as_deref()), (kept, next), "{label}");
        }
    }
}
