//! CloudTrail's history, and the progress of its audit, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_detection::{AuditProgress, EventHistory, HistoryError, HistoryPage, ProgressStore};
use serde_json::Value;

/// Events of regions, shown newest first, a few a page, and each only after it was delivered.
pub(crate) struct History {
    clock: Arc<ManualClock>,
    inner: Mutex<Inner>,
}

struct Inner {
    events: Vec<Event>,
    page: usize,
    /// What the next requests answer instead.
    mishaps: VecDeque<HistoryError>,
    /// How long an answer takes.
    takes: i64,
    requests: Vec<Request>,
}

struct Event {
    region: String,
    at: Timestamp,
    delivered: Timestamp,
    json: String,
}

/// What was asked, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) at: Timestamp,
    pub(crate) region: String,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) page: Option<String>,
}

impl History {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        let inner = Inner { events: vec![], page: 50, mishaps: VecDeque::new(), takes: 0, requests: vec![] };
        Self { clock, inner: Mutex::new(inner) }
    }

    /// Keeps a record that CloudTrail shows at once.
    pub(crate) fn add(&self, record: &Value) {
        self.add_late(record, 0);
    }

    /// Keeps a record that CloudTrail shows so many seconds after it happened.
    pub(crate) fn add_late(&self, record: &Value, seconds: i64) {
        let at: Timestamp = record["eventTime"].as_str().unwrap().parse().unwrap();
        let delivered = at.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let region = record["awsRegion"].as_str().unwrap().to_owned();
        self.inner.lock().unwrap().events.push(Event { region, at, delivered, json: record.to_string() });
    }

    /// Keeps what is no record.
    pub(crate) fn add_text(&self, at: Timestamp, json: &str) {
        let event = Event { region: "eu-west-1".to_owned(), at, delivered: at, json: json.to_owned() };
        self.inner.lock().unwrap().events.push(event);
    }

    pub(crate) fn page_of(&self, records: usize) {
        self.inner.lock().unwrap().page = records;
    }

    pub(crate) fn next_fails(&self, errors: impl IntoIterator<Item = HistoryError>) {
        self.inner.lock().unwrap().mishaps.extend(errors);
    }

    pub(crate) fn takes(&self, millis: i64) {
        self.inner.lock().unwrap().takes = millis;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.inner.lock().unwrap().requests.clone()
    }
}

impl EventHistory for History {
    async fn lookup(
        &self,
        region: &str,
        from: Timestamp,
        to: Timestamp,
        page: Option<&str>,
    ) -> Result<HistoryPage, HistoryError> {
        let mut inner = self.inner.lock().unwrap();
        let now = self.clock.now();
        let request = Request { at: now, region: region.to_owned(), from, to, page: page.map(str::to_owned) };
        inner.requests.push(request);
        self.clock.advance(inner.takes);
        if let Some(mishap) = inner.mishaps.pop_front() {
            return Err(mishap);
        }
        let seen = |e: &&Event| e.region == region && e.delivered <= now && e.at >= from && e.at <= to;
        let mut found: Vec<&Event> = inner.events.iter().filter(seen).collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.at));
        // A token is good for its window only.
        let begin = match page {
            None => 0,
            Some(token) => {
                let (of, at) = token.split_once('@').unwrap();
                assert_eq!(at, format!("{from}/{to}"), "the token of another window");
                of.parse().unwrap()
            }
        };
        let end = found.len().min(begin + inner.page);
        let records = found[begin..end].iter().map(|event| event.json.clone()).collect();
        let next = (end < found.len()).then(|| format!("{end}@{from}/{to}"));
        Ok(HistoryPage { records, next })
    }
}

/// Progress in memory, conditional as in any store.
#[derive(Default)]
pub(crate) struct Progress(Mutex<BTreeMap<String, AuditProgress>>, Mutex<VecDeque<HistoryError>>);

impl Progress {
    pub(crate) fn of(&self, region: &str) -> Option<AuditProgress> {
        self.0.lock().unwrap().get(region).cloned()
    }

    pub(crate) fn put(&self, region: &str, progress: AuditProgress) {
        self.0.lock().unwrap().insert(region.to_owned(), progress);
    }

    pub(crate) fn next_fails(&self, errors: impl IntoIterator<Item = HistoryError>) {
        self.1.lock().unwrap().extend(errors);
    }
}

impl ProgressStore for Progress {
    async fn progress(&self, region: &str) -> Result<Option<AuditProgress>, HistoryError> {
        Ok(self.of(region))
    }

    async fn save_progress(&self, region: &str, progress: &AuditProgress) -> Result<(), HistoryError> {
        if let Some(error) = self.1.lock().unwrap().pop_front() {
            return Err(error);
        }
        let mut all = self.0.lock().unwrap();
        let stored = all.get(region).map_or(0, |progress| progress.revision);
        if stored + 1 != progress.revision {
            return Err(HistoryError::Conflict);
        }
        all.insert(region.to_owned(), progress.clone());
        Ok(())
    }
}
