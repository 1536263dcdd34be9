//! API keys: see [`super::credentials`] for their items. Beside each stands one with `pk` `api-keys` and its id as `sk`, by
//! which they are listed.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use portcullis_access::{ApiKey, ApiKeyStore, KnownApiKey, MAX_LISTED};
use portcullis_base::Timestamp;
use portcullis_token::{KnownSecrets, Scope, StoreError, StoredSecrets};

use super::credentials::{DynamoCredentials, take_secrets, take_time};
use super::item::{Item, Malformed, number, string, take_string};
use super::table::{Condition, Key, store_error, whole};
use crate::failure::{Call, classify};

impl ApiKeyStore for DynamoCredentials {
    async fn load(&self, id: &str) -> Result<Option<KnownApiKey>, StoreError> {
        let item = self.0.item(&key_of(id)).await?;
        Ok(item.map(|item| known_from(id, item)).transpose()?)
    }

    async fn replace(&self, key: &ApiKey, expected: u64) -> Result<bool, StoreError> {
        if expected == 0 {
            // First: a crash in between leaves an id that leads nowhere, and never a key that no list shows.
            let _there_before = self.0.put_if(&listed(&key.id), end(key), Condition::absent()).await?;
        }
        let attributes = attributes(key, expected.saturating_add(1));
        self.0.put_if(&key_of(&key.id), attributes, Condition::version(expected)).await
    }

    async fn list(&self) -> Result<Vec<KnownApiKey>, StoreError> {
        let ids = stream::iter(self.ids().await?);
        let loads = ids.map(|id| async move { ApiKeyStore::load(self, &id).await }).buffered(AT_ONCE);
        let keys: Vec<Option<KnownApiKey>> = loads.try_collect().await?;
        Ok(keys.into_iter().flatten().collect())
    }
}

impl DynamoCredentials {
    /// The ids of keys, in order.
    async fn ids(&self) -> Result<Vec<String>, StoreError> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let answer = self
                .0
                .client
                .query()
                .table_name(&self.0.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", string(LIST))
                .projection_expression("sk")
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|e| store_error(classify(QUERY, &e)))?;
            for mut item in answer.items.unwrap_or_default() {
                ids.push(take_string(&mut item, "sk")?);
            }
            after = answer.last_evaluated_key;
            if after.is_none() || ids.len() >= MAX_LISTED {
                ids.truncate(MAX_LISTED);
                return Ok(ids);
            }
        }
    }
}

fn key_of(id: &str) -> Key<'static> {
    Key { pk: format!("api-key#{id}"), sk: "api-key" }
}

/// The item that says that there is such a key.
fn listed(id: &str) -> Key<'_> {
    Key { pk: LIST.to_owned(), sk: id }
}

fn attributes(key: &ApiKey, version: u64) -> Vec<(&'static str, AttributeValue)> {
    let mut attributes = secrets_attributes(&key.secrets, version);
    attributes.push(("owner", string(&key.owner)));
    attributes.push(("scopes", string(key.scopes.to_string())));
    attributes.push(("tier", string(&key.tier)));
    attributes.extend(end(key));
    for (name, time) in [(VALID_UNTIL, key.expires_at), (REVOKED_AT, key.revoked_at)] {
        attributes.extend(time.map(|time| (name, number(time.as_millisecond()))));
    }
    attributes
}

/// The table's TTL attribute: seconds since the Unix epoch.
fn end(key: &ApiKey) -> Option<(&'static str, AttributeValue)> {
    key.forgotten_at().map(|at| ("expires_at", number(at.as_second())))
}

/// Secrets and the version that they come with.
fn secrets_attributes(secrets: &StoredSecrets, version: u64) -> Vec<(&'static str, AttributeValue)> {
    let mut attributes = vec![("current", string(secrets.current.to_hex())), ("version", whole(version))];
    if let Some((hash, until)) = &secrets.other {
        attributes.push(("other", string(hash.to_hex())));
        attributes.push(("other_until", number(until.as_millisecond())));
    }
    attributes
}

fn known_from(id: &str, mut item: Item) -> Result<KnownApiKey, Malformed> {
    let KnownSecrets { secrets, version } = take_secrets(&mut item)?;
    let key = ApiKey {
        id: id.to_owned(),
        owner: take_string(&mut item, "owner")?,
        scopes: Scope::parse(&take_string(&mut item, "scopes")?).map_err(|_| Malformed)?,
        tier: take_string(&mut item, "tier")?,
        secrets,
        expires_at: take_optional_time(&mut item, VALID_UNTIL)?,
        revoked_at: take_optional_time(&mut item, REVOKED_AT)?,
    };
    Ok(KnownApiKey { key, version })
}

fn take_optional_time(item: &mut Item, name: &str) -> Result<Option<Timestamp>, Malformed> {
    item.contains_key(name).then(|| take_time(item, name)).transpose()
}

const AT_ONCE: usize = 16;
const LIST: &str = "api-keys";
const QUERY: Call = Call { service: "dynamodb", operation: "Query" };
const VALID_UNTIL: &str = "valid_until";
const REVOKED_AT: &str = "revoked_at";

#[cfg(test)]
mod tests {
    use portcullis_token::SecretHash;

    use super::*;

    fn key() -> ApiKey {
        let hash = SecretHash::parse(&"a".repeat(64)).unwrap();
        ApiKey {
            id: "abcdefgh".into(),
            owner: "svc.bff".into(),
            scopes: Scope::parse("read:signals write:insights").unwrap(),
            tier: "standard".into(),
            secrets: StoredSecrets { current: hash, other: None },
            expires_at: Timestamp::from_second(8).ok(),
            revoked_at: Timestamp::from_second(9).ok(),
        }
    }

    fn item(key: &ApiKey) -> Item {
        attributes(key, 3).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_key_survives_the_table_and_nothing_less_is_one() {
        let bare = ApiKey { scopes: Scope::default(), expires_at: None, revoked_at: None, ..key() };
        for key in [key(), bare] {
            let known = KnownApiKey { key: key.clone(), version: 3 };
            let read = known_from("abcdefgh", item(&key)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{known:?}"));
        }
        for name in ["current", "version", "owner", "scopes", "tier"] {
            let mut without = item(&key());
            without.remove(name);
            assert!(known_from("abcdefgh", without).is_err(), "without {name}");
        }
        // A revocation that cannot be read must not count as none.
        for (name, value) in
            [(REVOKED_AT, string("yes")), (VALID_UNTIL, string("")), ("scopes", string("a  b"))]
        {
            let mut other = item(&key());
            other.insert(name.to_owned(), value);
            assert!(known_from("abcdefgh", other).is_err(), "{name}");
        }
    }
}
