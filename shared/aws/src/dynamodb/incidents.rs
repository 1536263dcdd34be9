//! The incidents table: incidents, who holds which resource, the cap of containments, and the audit's progress.
//!
//! | what | `pk` | `sk` | attributes |
//! |---|---|---|---|
//! | incident | `incident#<id>` | `incident` | `body` (S, JSON), `revision` (N), `status` (S), `detected` (N, nanoseconds since the Unix epoch), `mark` (S); while it is left (`Incident::left_at`) `watch` (S, `left`) and since when `due` (N, nanoseconds), otherwise with an end to its blocks `watch` (S, `due`) and that as `due`; with a retention `expires_at` (N, seconds: the table's TTL attribute) |
//! | holders | `hold#<digest of the resource>` | `hold` | `body` (S, JSON: the ids in order) |
//! | cap | `cap` | `cap` | `body` (S, JSON: the slots with their times) |
//! | progress | `progress#<region>` | `progress` | `body` (S, JSON), `revision` (N), `mark` (S) |
//!
//! | index | partition key | sort key | projection |
//! |---|---|---|---|
//! | `by-status` | `status` (S) | `detected` (N) | keys only |
//! | `by-due` | `watch` (S) | `due` (N) | keys only |
//!
//! `by-due` is sparse, and a write that changes neither status nor end nor lease costs the indexes nothing. They lag behind; what
//! a list holds, and whether an end has come, is read from the table itself, consistently. Incidents hold personal data (names, addresses): the
//! table's KMS key protects them, as it does the audit table.
//!
//! Holders and slots are one item each, whose whole text is exchanged for the next one if it is still what was read:
//! the text is all there is of their state, so an exchange is exact whoever else is at it, and one whose answer got
//! lost is settled by the next read.
//!
//! IAM: `dynamodb:GetItem`, `dynamodb:PutItem`, `dynamodb:DeleteItem` (holders), `dynamodb:Query` on both indexes.

mod desk;
#[cfg(feature = "history")]
mod progress;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_lc_rs::rand;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use portcullis_base::{Clock, Timestamp};
use portcullis_response::{
    Created, Incident, IncidentId, IncidentStore, MAX_INCIDENT_BYTES, PortError, PortResult, Saved, Status,
};

use super::item::{Item, Malformed, number, string, take_number, take_string};
use crate::failure::{Call, Failure, classify};

/// [`IncidentStore`], `Holds`, `CapStore` and (with the feature `history`) `ProgressStore` over a DynamoDB table.
#[derive(Clone)]
pub struct DynamoIncidents {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
    retention: Option<Duration>,
}

impl DynamoIncidents {
    /// Uses the table of this name or ARN. Incidents are kept for ever.
    pub fn new(config: &SdkConfig, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { client: Client::new(config), table: table.into(), clock, retention: None }
    }

    /// Marks incidents to be deleted so long after their last change, while nothing of them is in effect: those that
    /// are contained, or wait, hold the way back.
    #[must_use]
    pub fn with_retention(self, retention: Option<Duration>) -> Self {
        Self { retention, ..self }
    }

    /// The item, read consistently.
    async fn item(&self, pk: &str, sk: &str) -> PortResult<Option<Item>> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = get.key("pk", string(pk)).key("sk", string(sk)).send().await;
        Ok(answer.map_err(|e| failed(GET, &e))?.item)
    }

    /// Puts an item that bears a mark of its own, if the condition holds for the one that is there.
    ///
    /// The SDK sends a request again when no answer came; by then the first one may have done its work, and the
    /// condition fails on our own item. The mark on it tells: a write of ours is never taken for another's.
    async fn put(&self, mut item: Item, condition: &Condition) -> PortResult<Put> {
        let mark = mark()?;
        item.insert(MARK.to_owned(), string(&mark));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match condition {
            Condition::Absent => put.condition_expression("attribute_not_exists(pk)"),
            Condition::Revision(revision) => put
                .condition_expression("revision = :revision")
                .expression_attribute_values(":revision", whole(*revision)),
        };
        match put.send().await {
            Ok(_) => Ok(Put::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    let there = refused.item.clone().unwrap_or_default();
                    let own = there.get(MARK).and_then(|there| there.as_s().ok()) == Some(&mark);
                    Ok(if own { Put::Done } else { Put::Found(there) })
                }
                _ => Err(failed(PUT, &error)),
            },
        }
    }

    fn item_of(&self, incident: &Incident) -> PortResult<Item> {
        let body = serde_json::to_string(incident).map_err(|e| PortError::Refused(e.to_string()))?;
        check_size(&body)?;
        let left = incident.left_at().map(|at| (LEFT, at));
        let watch = left.or(incident.expires_at.map(|at| (DUE, at)));
        let due = watch.map(|(watch, at)| [("watch", string(watch)), ("due", nanoseconds(at))]);
        let attributes = [
            ("pk", string(incident_key(&incident.id))),
            ("sk", string(INCIDENT)),
            ("body", string(body)),
            ("revision", whole(incident.revision)),
            ("status", string(incident.status.to_string())),
            ("detected", nanoseconds(incident.times.detected)),
        ];
        let attributes = attributes.into_iter().chain(due.into_iter().flatten());
        let attributes = attributes.chain(self.end_of(incident).map(|end| ("expires_at", number(end))));
        Ok(attributes.map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// When it may be deleted: seconds since the Unix epoch.
    fn end_of(&self, incident: &Incident) -> Option<i64> {
        let seconds = i64::try_from(self.retention?.as_secs()).unwrap_or(i64::MAX);
        let over = matches!(incident.status, Status::Detected | Status::Released);
        over.then(|| self.clock.now().as_second().saturating_add(seconds))
    }

    /// Ids of incidents in a status with when they were detected, newest first, at most `limit`.
    async fn newest(&self, status: Status, limit: usize) -> PortResult<Vec<(i128, IncidentId)>> {
        let query = self
            .query("by-status")
            .scan_index_forward(false)
            .key_condition_expression("#status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", string(status.to_string()));
        let items = pages(query, limit).await?;
        items
            .into_iter()
            .map(|mut item| Ok((take_number(&mut item, "detected")?, id_of(&mut item)?)))
            .collect()
    }

    /// The incidents as they stand: an index may not know yet what the table says, that an end was put off above all.
    async fn fresh(&self, ids: Vec<IncidentId>) -> PortResult<Vec<Incident>> {
        let loads = stream::iter(ids)
            .map(|id| async move { self.item(&incident_key(&id), INCIDENT).await })
            .buffered(AT_ONCE);
        let items: Vec<Option<Item>> = loads.try_collect().await?;
        Ok(items.into_iter().flatten().filter_map(readable).collect())
    }

    /// Ids of incidents in a part of `by-due` up to `now`: the earliest end first, the latest that is left first.
    async fn watched(&self, watch: &str, now: Timestamp, limit: usize) -> PortResult<Vec<IncidentId>> {
        let query = self
            .query("by-due")
            .scan_index_forward(watch == DUE)
            .key_condition_expression("watch = :watch AND due <= :now")
            .expression_attribute_values(":watch", string(watch))
            .expression_attribute_values(":now", nanoseconds(now));
        let items = pages(query, limit).await?;
        items.into_iter().map(|mut item| Ok(id_of(&mut item)?)).collect()
    }

    fn query(&self, index: &str) -> QueryFluentBuilder {
        self.client.query().table_name(&self.table).index_name(index)
    }
}

impl std::fmt::Debug for DynamoIncidents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoIncidents").field("table", &self.table).finish_non_exhaustive()
    }
}

impl IncidentStore for DynamoIncidents {
    async fn create(&self, incident: &Incident) -> PortResult<Created> {
        match self.put(self.item_of(incident)?, &Condition::Absent).await? {
            Put::Done => Ok(Created::New),
            Put::Found(there) => Ok(Created::Exists(Box::new(incident_from(there)?))),
        }
    }

    async fn load(&self, id: &IncidentId) -> PortResult<Option<Incident>> {
        self.item(&incident_key(id), INCIDENT).await?.map(incident_from).transpose()
    }

    async fn save(&self, incident: &Incident, expected: u64) -> PortResult<Saved> {
        match self.put(self.item_of(incident)?, &Condition::Revision(expected)).await? {
            Put::Done => Ok(Saved::Yes),
            Put::Found(_) => Ok(Saved::Conflict),
        }
    }

    /// Every status is asked for by itself: an index of all incidents would be written with each of them.
    async fn list(&self, status: Option<Status>, limit: usize) -> PortResult<Vec<Incident>> {
        let statuses = status.map_or(Status::ALL.to_vec(), |status| vec![status]);
        let found = try_join_all(statuses.into_iter().map(|status| self.newest(status, limit))).await?;
        let newest = newest_of(found, limit);
        let mut fresh = self.fresh(newest).await?;
        fresh.retain(|incident| status.is_none_or(|status| incident.status == status));
        Ok(fresh)
    }

    async fn expired(&self, now: Timestamp, limit: usize) -> PortResult<Vec<IncidentId>> {
        let mut ids = self.watched(DUE, now, limit).await?;
        // One that is left stands in the index as such: its end has to be looked for.
        ids.extend(self.watched(LEFT, Timestamp::MAX, limit).await?);
        let mut fresh = self.fresh(ids).await?;
        fresh.retain(|incident| incident.expires_at.is_some_and(|at| at <= now));
        // Between the two questions it may have gone from the one to the other.
        fresh.sort_by(|a, b| (a.expires_at, &a.id).cmp(&(b.expires_at, &b.id)));
        fresh.dedup_by(|a, b| a.id == b.id);
        Ok(fresh.into_iter().take(limit).map(|incident| incident.id).collect())
    }

    async fn left(&self, now: Timestamp, limit: usize) -> PortResult<Vec<Incident>> {
        let mut fresh = self.fresh(self.watched(LEFT, now, limit).await?).await?;
        fresh.retain(|incident| incident.left_at().is_some_and(|at| at <= now));
        fresh.sort_by_key(|incident| std::cmp::Reverse(incident.left_at()));
        Ok(fresh)
    }
}

enum Condition {
    /// There is no item.
    Absent,
    /// The item has that revision.
    Revision(u64),
}

/// What a conditional put came to.
enum Put {
    Done,
    /// The condition does not hold for this item; empty where there is none.
    Found(Item),
}

/// Everything that a query finds, page by page, at most `limit`.
async fn pages(query: QueryFluentBuilder, limit: usize) -> PortResult<Vec<Item>> {
    let (mut found, mut start) = (Vec::new(), None);
    while found.len() < limit {
        let missing = i32::try_from(limit - found.len()).unwrap_or(i32::MAX).min(PAGE);
        let page = query.clone().limit(missing).set_exclusive_start_key(start).send().await;
        let page = page.map_err(|e| failed(QUERY, &e))?;
        found.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// One that changed its status in between is in two lists, or twice in one.
fn newest_of(found: Vec<Vec<(i128, IncidentId)>>, limit: usize) -> Vec<IncidentId> {
    let mut all: Vec<_> = found.into_iter().flatten().collect();
    all.sort_by(|a, b| b.cmp(a));
    all.dedup();
    all.into_iter().take(limit).map(|(_, id)| id).collect()
}

/// One that cannot be read (damaged, or written by a later version) must not keep the others from being listed or ended:
/// the operator is told, and it stays where it is.
fn readable(item: Item) -> Option<Incident> {
    let key = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
    let read = incident_from(item);
    read.inspect_err(|error| tracing::error!(incident = key, %error, "an incident cannot be read")).ok()
}

fn incident_from(mut item: Item) -> PortResult<Incident> {
    parsed(&take_string(&mut item, "body")?)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> PortResult<T> {
    serde_json::from_str(text).map_err(|_| Malformed.into())
}

fn incident_key(id: &IncidentId) -> String {
    format!("{ID_PREFIX}{id}")
}

fn id_of(item: &mut Item) -> Result<IncidentId, Malformed> {
    let key = take_string(item, "pk")?;
    let id = key.strip_prefix(ID_PREFIX).ok_or(Malformed)?;
    IncidentId::try_from(id.to_owned()).map_err(|_| Malformed)
}

fn check_size(body: &str) -> PortResult<()> {
    if body.len() <= MAX_INCIDENT_BYTES {
        return Ok(());
    }
    Err(PortError::Refused(format!("{} bytes in one item: at most {MAX_INCIDENT_BYTES} fit", body.len())))
}

fn nanoseconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_nanosecond().to_string())
}

fn whole(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A name that no other write has.
fn mark() -> PortResult<String> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| PortError::Refused("no random numbers".to_owned()))?;
    Ok(u128::from_be_bytes(random).to_string())
}

impl From<Malformed> for PortError {
    fn from(_: Malformed) -> Self {
        Self::Unreadable
    }
}

fn failed<E: ProvideErrorMetadata>(call: Call, error: &SdkError<E, HttpResponse>) -> PortError {
    meaning(call, classify(call, error), error.code().unwrap_or(""))
}

/// What the engine makes of a failed call.
fn meaning(call: Call, failure: Failure, code: &str) -> PortError {
    match failure {
        Failure::Transient if THROTTLED.contains(&code) => PortError::Throttled,
        Failure::Transient => PortError::Timeout,
        Failure::Rejected if code == "AccessDeniedException" => {
            PortError::Denied(format!("dynamodb:{}", call.operation))
        }
        Failure::Rejected => {
            // A code as the service writes them; anything else may be a text with somebody's data.
            let plain =
                !code.is_empty() && code.len() <= 80 && code.bytes().all(|b| b.is_ascii_alphanumeric());
            PortError::Refused(if plain { code } else { "no code" }.to_owned())
        }
    }
}

const ID_PREFIX: &str = "incident#";
const INCIDENT: &str = "incident";
const DUE: &str = "due";
const LEFT: &str = "left";
const MARK: &str = "mark";
const PAGE: i32 = 1000;
const AT_ONCE: usize = 8;
const GET: Call = Call { service: "dynamodb", operation: "GetItem" };
const PUT: Call = Call { service: "dynamodb", operation: "PutItem" };
const DELETE: Call = Call { service: "dynamodb", operation: "DeleteItem" };
const QUERY: Call = Call { service: "dynamodb", operation: "Query" };
const THROTTLED: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "LimitExceededException",
];

#[cfg(test)]
mod tests {
    use portcullis_base::ManualClock;
    use portcullis_response::simulation::example_signal;

    use super::*;

    fn store(retention: Option<u64>) -> DynamoIncidents {
        let config =
            SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::v2026_01_12()).build();
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_000).unwrap()));
        DynamoIncidents::new(&config, "t", clock).with_retention(retention.map(Duration::from_secs))
    }

    fn incident(status: Status) -> Incident {
        let at = Timestamp::from_nanosecond(-1_000_000_001).unwrap();
        let incident = Incident { status, ..Incident::open(example_signal("f"), at) };
        Incident { recorded: Some(incident.to_record()), ..incident }
    }

    #[test]
    fn an_incident_that_cannot_be_read_does_not_hide_the_others() {
        let whole = incident(Status::Partial);
        let item = store(None).item_of(&whole).unwrap();
        let (mut damaged, mut later, mut empty) = (item.clone(), item.clone(), item.clone());
        damaged.insert("body".to_owned(), string("{"));
        later.insert("body".to_owned(), string(r#"{"of_a_later_version":true}"#));
        empty.remove("body");
        let read: Vec<Incident> = [damaged, item, later, empty].into_iter().filter_map(readable).collect();
        assert_eq!(read, [whole]);
    }

    #[test]
    fn an_incident_is_in_an_index_only_where_it_has_the_keys() {
        let plain = store(None).item_of(&incident(Status::Partial)).unwrap();
        assert_eq!(plain["status"], string("PARTIAL"));
        assert_eq!(plain["detected"], AttributeValue::N("-1000000001".to_owned()));
        assert!(
            !plain.contains_key("due") && !plain.contains_key("watch") && !plain.contains_key("expires_at")
        );
        let due = Incident { expires_at: Some(Timestamp::MAX), ..incident(Status::Partial) };
        let item = store(None).item_of(&due).unwrap();
        assert_eq!(item["watch"], string("due"));
        assert_eq!(item["due"], AttributeValue::N(Timestamp::MAX.as_nanosecond().to_string()));
        assert_eq!(incident_from(item), Ok(due.clone()));
        let mut left = due;
        left.take_lease(Timestamp::UNIX_EPOCH);
        let item = store(None).item_of(&left).unwrap();
        assert_eq!(
            (&item["watch"], &item["due"]),
            (&string("left"), &nanoseconds(left.lease.unwrap().until))
        );
    }

    #[test]
    fn only_what_has_no_effect_any_more_may_be_deleted() {
        for status in Status::ALL {
            let item = store(Some(60)).item_of(&incident(status)).unwrap();
            let over = matches!(status, Status::Detected | Status::Released);
            assert_eq!(item.get("expires_at"), over.then(|| number(1_060)).as_ref(), "{status}");
        }
    }

    #[test]
    fn newest_come_first_and_once() {
        let id = |name: &str| IncidentId::of(name);
        let lists = vec![vec![(9, id("a")), (3, id("b"))], vec![(9, id("a")), (5, id("c"))], vec![]];
        assert_eq!(newest_of(lists.clone(), 9), [id("a"), id("c"), id("b")]);
        assert_eq!(newest_of(lists, 2), [id("a"), id("c")]);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for (label, item) in [
            ("empty", Item::new()),
            ("no JSON", Item::from([("body".to_owned(), string("{"))])),
            ("another thing", Item::from([("body".to_owned(), string("[]"))])),
            ("a number", Item::from([("body".to_owned(), number(1))])),
        ] {
            assert!(matches!(incident_from(item), Err(PortError::Unreadable)), "{label}");
        }
        for key in ["incident", "incident#", "incident#inc-x", "hold#inc-ca978112ca1bbdcafac2"] {
            assert_eq!(id_of(&mut Item::from([("pk".to_owned(), string(key))])), Err(Malformed), "{key}");
        }
    }

    #[test]
    fn failures_are_told_as_the_engine_needs_them() {
        let of = |failure, code| meaning(PUT, failure, code);
        for (failure, code, expected) in [
            (Failure::Transient, "ThrottlingException", PortError::Throttled),
            (Failure::Transient, "ProvisionedThroughputExceededException", PortError::Throttled),
            (Failure::Transient, "InternalServerError", PortError::Timeout),
            (Failure::Transient, "", PortError::Timeout),
            (Failure::Rejected, "AccessDeniedException", PortError::Denied("dynamodb:PutItem".to_owned())),
            (Failure::Rejected, "ValidationException", PortError::Refused("ValidationException".to_owned())),
            (Failure::Rejected, "user ana@example.com", PortError::Refused("no code".to_owned())),
        ] {
            assert_eq!(of(failure, code), expected, "{code}");
        }
    }
}
