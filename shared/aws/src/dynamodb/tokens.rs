//! The tokens table: what the token service and the authorizers share.
//!
//! | what | `pk` | `sk` | attributes |
//! |---|---|---|---|
//! | key ring | `ring` | `ring` | `ring` (S), `version` (N) |
//! | sealed signing key | `sealed-key#<kid>` | `sealed-key` | `sealed` (B) |
//! | revocation | `revocations` | `<time, 15 digits>#<random>` | see [`super::revocations`] |
//! | refresh family | `family#<id>` | `family` | `subject`, `client_id`, `scope` (S), `created_at`, `rotated_at`, `generation` (N), `current` (L of S), `revoked` (BOOL) |
//! | used once | `used#<digest of scope and id>` | `used` | |
//! | approval | `approval#<id>` | `approval` | `plan`, `approver`, `actor` (S), `issued_at` (N) |
//!
//! All but the first two have `ends_at` (N, milliseconds since the Unix epoch) and `expires_at` (N, seconds: the table's
//! TTL attribute); what was put under a condition has `mark` (S).
//!
//! Every read is strongly consistent: a key that was published, a family that was killed, a revocation must be seen.
//!
//! IAM: `dynamodb:GetItem`, `dynamodb:PutItem`, `dynamodb:DeleteItem`; `dynamodb:Query` for revocations alone, so that
//! an authorizer needs `GetItem`, `PutItem` (DPoP proofs) and `Query`.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_lc_rs::digest::{Context, SHA256};
use aws_sdk_dynamodb::types::AttributeValue;
use portcullis_base::{Clock, Timestamp};
use portcullis_token::{
    Approval, Approvals, Family, FamilyId, KeyRing, KeyRingStore, RefreshFamilies, ReplayWindow,
    SealedKeyStore, StoreError,
};

use super::item::{Item, Malformed, binary, number, string, take_binary, take_number, take_string};
use super::table::{Condition, Key, Table, ends, whole};

/// The token ports over a DynamoDB table.
#[derive(Clone)]
pub struct DynamoTokens(pub(super) Table);

impl DynamoTokens {
    /// Uses the table of this name or ARN. What has ended by `clock` is gone, deleted or not.
    pub fn new(config: &SdkConfig, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self(Table::new(config, table.into(), clock))
    }

    /// Adds what is never replaced.
    async fn add(
        &self,
        key: &Key<'_>,
        attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let added = self.0.put_if(key, attributes, condition).await?;
        if added { Ok(()) } else { Err(StoreError::Refused) }
    }
}

impl std::fmt::Debug for DynamoTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoTokens").field("table", &self.0.name).finish_non_exhaustive()
    }
}

impl KeyRingStore for DynamoTokens {
    async fn load(&self) -> Result<(KeyRing, u64), StoreError> {
        let Some(mut item) = self.0.item(&ring_key()).await? else { return Ok((KeyRing::default(), 0)) };
        let (text, version) = (take_string(&mut item, "ring")?, take_number(&mut item, "version")?);
        KeyRing::from_stored(&text).map(|ring| (ring, version)).ok_or(StoreError::Malformed)
    }

    async fn save(&self, ring: &KeyRing, expected: u64) -> Result<bool, StoreError> {
        let text = ring.to_stored().ok_or(StoreError::Refused)?;
        let attributes = [("ring", string(text)), ("version", whole(expected.saturating_add(1)))];
        self.0.put_if(&ring_key(), attributes, Condition::version(expected)).await
    }
}

impl SealedKeyStore for DynamoTokens {
    async fn add(&self, kid: &str, sealed: &[u8]) -> Result<(), StoreError> {
        DynamoTokens::add(self, &sealed_key(kid), [("sealed", binary(sealed))], Condition::absent()).await
    }

    async fn load(&self, kid: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.0.item(&sealed_key(kid)).await?;
        Ok(item.map(|mut item| take_binary(&mut item, "sealed")).transpose()?)
    }

    async fn remove(&self, kid: &str) -> Result<(), StoreError> {
        self.0.delete(&sealed_key(kid)).await
    }
}

impl RefreshFamilies for DynamoTokens {
    async fn load(&self, id: FamilyId) -> Result<Option<Family>, StoreError> {
        let item = self.0.item(&family_key(id)).await?;
        Ok(item.map(family_from).transpose()?)
    }

    async fn create(&self, id: FamilyId, family: &Family, until: Timestamp) -> Result<(), StoreError> {
        let attributes = family_attributes(family).into_iter().chain(ends(until));
        let condition = Condition::absent_or_ended(self.0.now());
        DynamoTokens::add(self, &family_key(id), attributes, condition).await
    }

    async fn replace(
        &self,
        id: FamilyId,
        seen: &Family,
        next: &Family,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let attributes = family_attributes(next).into_iter().chain(ends(until));
        self.0.put_if(&family_key(id), attributes, still(seen, self.0.now())).await
    }
}

impl ReplayWindow for DynamoTokens {
    async fn first_use(&self, scope: &str, id: &str, until: Timestamp) -> Result<bool, StoreError> {
        let key = Key { pk: format!("used#{}", digest_of(scope, id)), sk: "used" };
        self.0.put_if(&key, ends(until), Condition::absent_or_ended(self.0.now())).await
    }
}

impl Approvals for DynamoTokens {
    async fn add(&self, approval: &Approval) -> Result<(), StoreError> {
        let end = Timestamp::from_millisecond(approval.expires_at).map_err(|_| StoreError::Refused)?;
        let attributes = [
            ("plan", string(&approval.plan)),
            ("approver", string(&approval.approver)),
            ("actor", string(&approval.actor)),
            ("issued_at", number(approval.issued_at)),
        ];
        let condition = Condition::absent_or_ended(self.0.now());
        let attributes = attributes.into_iter().chain(ends(end));
        DynamoTokens::add(self, &approval_key(&approval.id), attributes, condition).await
    }

    async fn take(&self, id: &str, actor: &str, now: Timestamp) -> Result<Option<Approval>, StoreError> {
        let values = vec![("actor", string(actor)), ("now", number(now.as_millisecond()))];
        let open = Condition::new("#actor = :actor AND #ends_at > :now", &["actor", "ends_at"], values);
        let item = self.0.take_if(&approval_key(id), open).await?;
        Ok(item.map(|item| approval_from(id, item)).transpose()?)
    }

    async fn withdraw(&self, id: &str) -> Result<(), StoreError> {
        self.0.delete(&approval_key(id)).await
    }

    async fn peek(&self, id: &str) -> Result<Option<Approval>, StoreError> {
        let item = self.0.item(&approval_key(id)).await?;
        Ok(item.map(|item| approval_from(id, item)).transpose()?)
    }
}

fn ring_key() -> Key<'static> {
    Key { pk: "ring".to_owned(), sk: "ring" }
}

fn sealed_key(kid: &str) -> Key<'static> {
    Key { pk: format!("sealed-key#{kid}"), sk: "sealed-key" }
}

fn family_key(id: FamilyId) -> Key<'static> {
    Key { pk: format!("family#{id}"), sk: "family" }
}

fn approval_key(id: &str) -> Key<'static> {
    Key { pk: format!("approval#{id}"), sk: "approval" }
}

/// Ids come from outside and may be long: the digest is a key of fixed length, and another one for every cut.
fn digest_of(scope: &str, id: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&(scope.len() as u64).to_be_bytes());
    context.update(scope.as_bytes());
    context.update(id.as_bytes());
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn family_attributes(family: &Family) -> [(&'static str, AttributeValue); 8] {
    [
        ("subject", string(&family.subject)),
        ("client_id", string(&family.client_id)),
        ("scope", string(&family.scope)),
        ("created_at", number(family.created_at)),
        ("rotated_at", number(family.rotated_at)),
        ("generation", number(family.generation.into())),
        ("current", strings(&family.current)),
        ("revoked", AttributeValue::Bool(family.revoked)),
    ]
}

/// What changes in the life of a family is as it was read, and its end has not come. The rest never changes.
fn still(seen: &Family, now: i64) -> Condition {
    Condition::new(
        "#generation = :generation AND #rotated_at = :rotated_at AND #current = :current \
         AND #revoked = :revoked AND #ends_at > :now",
        &["generation", "rotated_at", "current", "revoked", "ends_at"],
        vec![
            ("generation", number(seen.generation.into())),
            ("rotated_at", number(seen.rotated_at)),
            ("current", strings(&seen.current)),
            ("revoked", AttributeValue::Bool(seen.revoked)),
            ("now", number(now)),
        ],
    )
}

fn family_from(mut item: Item) -> Result<Family, Malformed> {
    Ok(Family {
        subject: take_string(&mut item, "subject")?,
        client_id: take_string(&mut item, "client_id")?,
        scope: take_string(&mut item, "scope")?,
        created_at: take_number(&mut item, "created_at")?,
        rotated_at: take_number(&mut item, "rotated_at")?,
        generation: take_number(&mut item, "generation")?,
        current: take_strings(&mut item, "current")?,
        revoked: take_bool(&mut item, "revoked")?,
    })
}

fn approval_from(id: &str, mut item: Item) -> Result<Approval, Malformed> {
    Ok(Approval {
        id: id.to_owned(),
        plan: take_string(&mut item, "plan")?,
        approver: take_string(&mut item, "approver")?,
        actor: take_string(&mut item, "actor")?,
        issued_at: take_number(&mut item, "issued_at")?,
        expires_at: take_number(&mut item, "ends_at")?,
    })
}

fn strings(values: &[String]) -> AttributeValue {
    AttributeValue::L(values.iter().map(string).collect())
}

fn take_strings(item: &mut Item, name: &str) -> Result<Vec<String>, Malformed> {
    let Some(AttributeValue::L(values)) = item.remove(name) else { return Err(Malformed) };
    let text = |value| match value {
        AttributeValue::S(text) => Ok(text),
        _ => Err(Malformed),
    };
    values.into_iter().map(text).collect()
}

fn take_bool(item: &mut Item, name: &str) -> Result<bool, Malformed> {
    match item.remove(name) {
        Some(AttributeValue::Bool(value)) => Ok(value),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Family {
        Family {
            subject: "user".into(),
            client_id: "svc.bff".into(),
            scope: "read:signals".into(),
            created_at: 1,
            rotated_at: 2,
            generation: u32::MAX,
            current: vec!["a".into(), "b".into()],
            revoked: false,
        }
    }

    fn item(attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> Item {
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_family_survives_the_table_and_nothing_less_is_one() {
        for family in [family(), family().killed()] {
            assert_eq!(family_from(item(family_attributes(&family))), Ok(family));
        }
        for (name, _) in family_attributes(&family()) {
            let mut without = item(family_attributes(&family()));
            without.remove(name);
            assert_eq!(family_from(without), Err(Malformed), "without {name}");
            let mut other = item(family_attributes(&family()));
            other.insert(name.to_owned(), binary(b"x"));
            assert_eq!(family_from(other), Err(Malformed), "{name} of another type");
        }
        let mut mixed = item(family_attributes(&family()));
        mixed.insert("current".to_owned(), AttributeValue::L(vec![string("a"), number(1)]));
        assert_eq!(family_from(mixed), Err(Malformed));
    }

    #[test]
    fn scope_and_id_are_told_apart() {
        let of = digest_of("dpop", "x");
        assert_eq!(of.len(), 64);
        assert_eq!(of, digest_of("dpop", "x"));
        for (scope, id) in [("dpo", "px"), ("", "dpopx"), ("dpopx", ""), ("dpop", "y")] {
            assert_ne!(of, digest_of(scope, id), "{scope} {id}");
        }
    }
}
