//! The subject-keys table: wrapped keys only.
//!
//! | key | `pk` | `sk` | attributes |
//! |---|---|---|---|
//! | branch key | `branch#<purpose>` | `v#<version, 10 digits>` | `wrapped` (B), `created_at` (N) |
//! | subject key | `subject#<blind index>` | `<purpose>` | `wrapped` (B), `created_at` (N), `branch_version` (N) |
//! | blind index key | `index` | `key` | `wrapped` (B) |
//!
//! Every read is strongly consistent: a key that another container has just made must be seen, or two would seal
//! under two keys.
//!
//! IAM: `dynamodb:Query` (branch keys), `dynamodb:GetItem` (subject and index keys), `dynamodb:PutItem`.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use portcullis_pii::{KeyError, KeyStore, Purpose, StoredBranchKey, StoredSubjectKey};

use super::item::{Item, Malformed, binary, number, string, take_binary, take_number, take_string};
use crate::failure::{Call, Failure, classify};

/// [`KeyStore`] over a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoKeys {
    client: Client,
    table: String,
}

impl DynamoKeys {
    /// Uses the table of this name or ARN.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    async fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>, KeyError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key("pk", string(pk))
            .key("sk", string(sk))
            .send()
            .await
            .map_err(|e| key_error(GET, &e))?;
        Ok(answer.item)
    }

    async fn add<const N: usize>(
        &self,
        pk: &str,
        sk: &str,
        attributes: [(&str, AttributeValue); N],
    ) -> Result<bool, KeyError> {
        let put =
            self.client.put_item().table_name(&self.table).item("pk", string(pk)).item("sk", string(sk));
        let put = attributes
            .into_iter()
            .fold(put, |put, (name, value)| put.item(name, value))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(e)
                if e.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(e) => Err(key_error(PUT, &e)),
        }
    }
}

impl KeyStore for DynamoKeys {
    async fn branch_key(
        &self,
        purpose: Purpose,
        version: Option<u32>,
    ) -> Result<Option<StoredBranchKey>, KeyError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(1)
            .expression_attribute_values(":pk", string(branch_pk(purpose)));
        let query = match version {
            None => query.key_condition_expression("pk = :pk"),
            Some(version) => query
                .key_condition_expression("pk = :pk AND sk = :sk")
                .expression_attribute_values(":sk", string(branch_sk(version))),
        };
        let answer = query.send().await.map_err(|e| key_error(QUERY, &e))?;
        let item = answer.items.unwrap_or_default().into_iter().next();
        item.map(|item| branch_key_from(purpose, item)).transpose().map_err(malformed)
    }

    async fn add_branch_key(&self, key: &StoredBranchKey) -> Result<bool, KeyError> {
        let attributes = [("wrapped", binary(&key.wrapped)), ("created_at", number(key.created_at))];
        self.add(&branch_pk(key.purpose), &branch_sk(key.version), attributes).await
    }

    async fn subject_key(
        &self,
        subject: &str,
        purpose: Purpose,
    ) -> Result<Option<StoredSubjectKey>, KeyError> {
        let item = self.get(&subject_pk(subject), purpose.as_str()).await?;
        item.map(|item| subject_key_from(subject, purpose, item)).transpose().map_err(malformed)
    }

    async fn add_subject_key(&self, key: &StoredSubjectKey) -> Result<bool, KeyError> {
        let attributes = [
            ("wrapped", binary(&key.wrapped)),
            ("created_at", number(key.created_at)),
            ("branch_version", number(key.branch_version.into())),
        ];
        self.add(&subject_pk(&key.subject), key.purpose.as_str(), attributes).await
    }

    async fn index_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        let item = self.get(INDEX_PK, INDEX_SK).await?;
        item.map(|mut item| take_binary(&mut item, "wrapped")).transpose().map_err(malformed)
    }

    async fn add_index_key(&self, wrapped: &[u8]) -> Result<bool, KeyError> {
        self.add(INDEX_PK, INDEX_SK, [("wrapped", binary(wrapped))]).await
    }
}

fn branch_pk(purpose: Purpose) -> String {
    format!("branch#{}", purpose.as_str())
}

/// Ten digits hold any `u32`, so that the order of strings is the order of versions.
fn branch_sk(version: u32) -> String {
    format!("v#{version:010}")
}

fn subject_pk(subject: &str) -> String {
    format!("subject#{subject}")
}

fn branch_key_from(purpose: Purpose, mut item: Item) -> Result<StoredBranchKey, Malformed> {
    let sk = take_string(&mut item, "sk")?;
    let version = sk.strip_prefix("v#").and_then(|digits| digits.parse().ok()).ok_or(Malformed)?;
    Ok(StoredBranchKey {
        purpose,
        version,
        wrapped: take_binary(&mut item, "wrapped")?,
        created_at: take_number(&mut item, "created_at")?,
    })
}

fn subject_key_from(subject: &str, purpose: Purpose, mut item: Item) -> Result<StoredSubjectKey, Malformed> {
    Ok(StoredSubjectKey {
        subject: subject.to_owned(),
        purpose,
        branch_version: take_number(&mut item, "branch_version")?,
        wrapped: take_binary(&mut item, "wrapped")?,
        created_at: take_number(&mut item, "created_at")?,
    })
}

fn key_error<E: ProvideErrorMetadata>(call: Call, error: &SdkError<E>) -> KeyError {
    match classify(call, error) {
        Failure::Transient => KeyError::Unavailable,
        Failure::Rejected => KeyError::Refused,
    }
}

fn malformed(_: Malformed) -> KeyError {
    KeyError::Invalid
}

const INDEX_PK: &str = "index";
const INDEX_SK: &str = "key";
const GET: Call = Call { service: "dynamodb", operation: "GetItem" };
const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };
const QUERY: Call = Call { service: "dynamodb", operation: "Query" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_sort_keys_is_order_of_versions() {
        let versions = [1, 9, 10, 99, 1_000_000_000, u32::MAX];
        let keys: Vec<_> = versions.iter().map(|v| branch_sk(*v)).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(keys.iter().all(|key| key.len() == 12), "{keys:?}");
    }

    #[test]
    fn what_is_not_a_key_is_malformed() {
        let good = || -> Item {
            [
                ("sk".to_owned(), string("v#0000000007")),
                ("wrapped".to_owned(), binary(b"w")),
                ("created_at".to_owned(), number(5)),
                ("branch_version".to_owned(), number(7)),
            ]
            .into()
        };
        let key = branch_key_from(Purpose::Media, good()).unwrap();
        assert_eq!((key.version, key.created_at, key.wrapped), (7, 5, b"w".to_vec()));
        assert_eq!(subject_key_from("s", Purpose::Media, good()).unwrap().branch_version, 7);

        let bad = [
            ("sk", string("0000000007")),
            ("sk", string("v#-1")),
            ("sk", string("v#4294967296")),
            ("wrapped", string("w")),
            ("created_at", number_text("1.5")),
        ];
        for (name, value) in bad {
            let mut item = good();
            item.insert(name.to_owned(), value.clone());
            assert_eq!(branch_key_from(Purpose::Media, item), Err(Malformed), "{name} {value:?}");
        }
        for version in ["-1", "4294967296", ""] {
            let mut item = good();
            item.insert("branch_version".to_owned(), number_text(version));
            assert_eq!(subject_key_from("s", Purpose::Media, item), Err(Malformed), "{version}");
        }
    }

    fn number_text(text: &str) -> AttributeValue {
        AttributeValue::N(text.to_owned())
    }
}
