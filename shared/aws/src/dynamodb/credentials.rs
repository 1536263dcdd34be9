//! The credentials table: what proves who a caller is, as hashes only, and who failed to prove it.
//!
//! | what | `pk` | `sk` | attributes |
//! |---|---|---|---|
//! | a client's secrets | `client#<id>` | `secrets` | `current` (S, hex), `other` (S, hex) and `other_until` (N, milliseconds since the Unix epoch) during a rotation, `version` (N), `mark` (S) |
//! | failures | `failures#<key>` | `failures` | `count` (N), `last` (N, milliseconds since the Unix epoch), `ends_at` (N, the same), `expires_at` (N, seconds: the table's TTL attribute) |
//! | API key | `api-key#<id>` | `api-key` | as the first, and `owner`, `scopes`, `tier` (S), `valid_until`, `revoked_at` (N, milliseconds since the Unix epoch) |
//!
//! An API key has no end of the table's: that it has expired is told apart from that it never was.
//!
//! Every read is strongly consistent: a secret that was replaced, a lock that has begun must be seen.
//!
//! IAM: `dynamodb:GetItem`; `dynamodb:PutItem` (secrets, API keys); `dynamodb:UpdateItem`, `dynamodb:DeleteItem` (failures).

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use portcullis_base::{Clock, Timestamp};
use portcullis_token::{
    ClientSecretStore, Failures, KnownSecrets, Lockouts, SecretHash, StoreError, StoredSecrets,
};

use super::item::{Item, Malformed, number, string, take_number, take_optional_string, take_string};
use super::table::{Condition, Key, Table, ends, store_error, whole};
use crate::failure::{Call, classify};

/// The credential ports over a DynamoDB table.
#[derive(Clone)]
pub struct DynamoCredentials(pub(super) Table);

impl DynamoCredentials {
    /// Uses the table of this name or ARN. What has ended by `clock` is gone, deleted or not.
    pub fn new(config: &SdkConfig, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self(Table::new(config, table.into(), clock))
    }

    /// One attempt to count a failure: where some are remembered, or where none are. `None`: it is the other case.
    async fn count(
        &self,
        key: &Key<'_>,
        now: Timestamp,
        forget_at: Timestamp,
        remembered: bool,
    ) -> Result<Option<u32>, StoreError> {
        let (update, condition) = if remembered { MORE } else { FIRST };
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .key("pk", string(&*key.pk))
            .key("sk", string(key.sk))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#last", "last")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .return_values(ReturnValue::UpdatedNew);
        let ends = ends(forget_at).into_iter();
        let update = ends.fold(update, |update, (name, value)| {
            update.expression_attribute_values(format!(":{name}"), value)
        });
        match update.send().await {
            Ok(answer) => Ok(Some(count_of(answer.attributes)?)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(store_error(classify(UPDATE, &error))),
            },
        }
    }
}

impl std::fmt::Debug for DynamoCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoCredentials").field("table", &self.0.name).finish_non_exhaustive()
    }
}

impl ClientSecretStore for DynamoCredentials {
    async fn load(&self, client: &str) -> Result<Option<KnownSecrets>, StoreError> {
        let item = self.0.item(&secrets_key(client)).await?;
        Ok(item.map(|mut item| take_secrets(&mut item)).transpose()?)
    }

    async fn replace(
        &self,
        client: &str,
        secrets: &StoredSecrets,
        expected: u64,
    ) -> Result<bool, StoreError> {
        let current =
            [("current", string(secrets.current.to_hex())), ("version", whole(expected.saturating_add(1)))];
        let other = secrets.other.iter().flat_map(|(hash, until)| {
            [("other", string(hash.to_hex())), ("other_until", number(until.as_millisecond()))]
        });
        let attributes = current.into_iter().chain(other);
        self.0.put_if(&secrets_key(client), attributes, Condition::version(expected)).await
    }
}

impl Lockouts for DynamoCredentials {
    async fn load(&self, key: &str) -> Result<Option<Failures>, StoreError> {
        let Some(mut item) = self.0.item(&failures_key(key)).await? else { return Ok(None) };
        let last = take_time(&mut item, "last")?;
        Ok(Some(Failures { count: count_of(Some(item))?, last }))
    }

    async fn add(&self, key: &str, now: Timestamp, forget_at: Timestamp) -> Result<Failures, StoreError> {
        let key = failures_key(key);
        let mut remembered = true;
        // Each of the two conditions is the other's opposite: only a record that comes or goes between two attempts
        // makes another turn.
        for _ in 0..MAX_UPDATES {
            if let Some(count) = self.count(&key, now, forget_at, remembered).await? {
                return Ok(Failures { count, last: now });
            }
            remembered = !remembered;
        }
        Err(StoreError::Unavailable)
    }

    async fn clear(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(&failures_key(key)).await
    }
}

fn secrets_key(client: &str) -> Key<'static> {
    Key { pk: format!("client#{client}"), sk: "secrets" }
}

fn failures_key(key: &str) -> Key<'static> {
    Key { pk: format!("failures#{key}"), sk: "failures" }
}

/// Reads secrets and the version that they come with.
pub(super) fn take_secrets(item: &mut Item) -> Result<KnownSecrets, Malformed> {
    let hash = |text: String| SecretHash::parse(&text).ok_or(Malformed);
    let current = take_string(item, "current").and_then(hash)?;
    let other = match take_optional_string(item, "other")? {
        None => None,
        Some(text) => Some((hash(text)?, take_time(item, "other_until")?)),
    };
    let secrets = StoredSecrets { current, other };
    Ok(KnownSecrets { secrets, version: take_number(item, "version")? })
}

pub(super) fn take_time(item: &mut Item, name: &str) -> Result<Timestamp, Malformed> {
    Timestamp::from_millisecond(take_number(item, name)?).map_err(|_| Malformed)
}

/// More than a `u32` holds is as many as it holds.
fn count_of(item: Option<Item>) -> Result<u32, Malformed> {
    let count: u64 = take_number(&mut item.unwrap_or_default(), "count")?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Update and condition where failures are remembered.
const MORE: (&str, &str) =
    ("SET #last = :now, ends_at = :ends_at, expires_at = :expires_at ADD #count :one", "ends_at > :now");
/// Update and condition where none are.
const FIRST: (&str, &str) = (
    "SET #count = :one, #last = :now, ends_at = :ends_at, expires_at = :expires_at",
    "attribute_not_exists(pk) OR ends_at <= :now",
);
const MAX_UPDATES: usize = 6;
const UPDATE: Call = Call { service: "dynamodb", operation: "UpdateItem" };

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn secrets_from(mut item: Item) -> Result<KnownSecrets, Malformed> {
        take_secrets(&mut item)
    }

    fn item() -> Item {
        [
            ("current", string("a".repeat(64))),
            ("other", string("b".repeat(64))),
            ("other_until", number(5)),
            ("version", number(3)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    #[test]
    fn secrets_are_read_whole_or_not_at_all() {
        let known = secrets_from(item()).unwrap();
        assert_eq!((known.version, known.secrets.current.to_hex()), (3, "a".repeat(64)));
        let (other, until) = known.secrets.other.unwrap();
        assert_eq!((other.to_hex(), until.as_millisecond()), ("b".repeat(64), 5));
        let mut alone = item();
        alone.remove("other");
        assert!(secrets_from(alone).unwrap().secrets.other.is_none());

        let bad = [
            ("current", string("a".repeat(63))),
            ("current", string("plain secret")),
            ("other", string("")),
            ("other", number(1)),
            ("other_until", string("5")),
            ("version", number(-1)),
        ];
        for (name, value) in bad {
            let mut item = item();
            item.insert(name.to_owned(), value.clone());
            assert!(secrets_from(item).is_err(), "{name}: {value:?}");
        }
        for name in ["current", "other_until", "version"] {
            let mut item = item();
            item.remove(name);
            assert!(secrets_from(item).is_err(), "without {name}");
        }
    }

    #[test]
    fn counts_saturate() {
        let of = |text: &str| {
            count_of(Some([("count".to_owned(), AttributeValue::N(text.to_owned()))].into())).ok()
        };
        assert_eq!((of("7"), of("4294967296"), of("-1")), (Some(7), Some(u32::MAX), None));
        assert!(count_of(None).is_err());
    }
}
