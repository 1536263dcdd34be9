//! CloudTrail's past events, for the scheduled audit.
//!
//! IAM: `cloudtrail:LookupEvents`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_config::retry::RetryConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsError;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime;
use portcullis_base::Timestamp;
use portcullis_detection::{EventHistory, HistoryError, HistoryPage};

use crate::failure::{Call, Failure, classify, printable};

/// [`EventHistory`] over `LookupEvents`: 50 events a page, the newest first, of management events alone. One attempt a
/// call: the audit keeps to two requests a second itself.
#[derive(Debug)]
pub struct CloudTrailHistory {
    sdk: SdkConfig,
    reads: bool,
    /// By region.
    clients: Mutex<BTreeMap<String, Client>>,
}

impl CloudTrailHistory {
    /// Reads the account of `sdk`. A region's client is made at its first page.
    pub fn new(sdk: &SdkConfig) -> Self {
        let sdk = sdk.clone().into_builder().retry_config(RetryConfig::disabled()).build();
        Self { sdk, reads: true, clients: Mutex::default() }
    }

    /// Whether calls that only read are asked for too. `LookupEvents` takes one attribute: here it is `ReadOnly`.
    #[must_use]
    pub fn with_reads(self, reads: bool) -> Self {
        Self { reads, ..self }
    }

    fn attributes(&self) -> Option<Vec<LookupAttribute>> {
        let attribute = LookupAttribute::builder().attribute_key(LookupAttributeKey::ReadOnly);
        let writes = attribute.attribute_value("false").build();
        if self.reads { None } else { writes.ok().map(|writes| vec![writes]) }
    }

    fn client(&self, region: &str) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(region) {
            return client.clone();
        }
        let sdk = self.sdk.clone().into_builder().region(Region::new(region.to_owned())).build();
        let client = Client::new(&sdk);
        clients.insert(region.to_owned(), client.clone());
        client
    }
}

impl EventHistory for CloudTrailHistory {
    async fn lookup(
        &self,
        region: &str,
        from: Timestamp,
        to: Timestamp,
        page: Option<&str>,
    ) -> Result<HistoryPage, HistoryError> {
        let call = self.client(region).lookup_events();
        let call = call
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(to.as_second()));
        let call = call.set_lookup_attributes(self.attributes());
        let call = call.max_results(PAGE).set_next_token(page.map(str::to_owned));
        let answer = call.send().await.map_err(|e| meaning(&e))?;
        let records = answer.events.unwrap_or_default().into_iter().map(record).collect();
        Ok(HistoryPage { records, next: answer.next_token })
    }
}

/// An event without its record is one that cannot be read: whoever reads the records counts it as such.
fn record(event: Event) -> String {
    event.cloud_trail_event.unwrap_or_default()
}

fn meaning(error: &SdkError<LookupEventsError>) -> HistoryError {
    let failure = classify(LOOKUP, error);
    let status = error.raw_response().map_or(0, |answer| answer.status().as_u16());
    let code = error.code().unwrap_or_default();
    if code == "InvalidNextTokenException" {
        HistoryError::PageExpired
    } else if status == 429 || THROTTLED.contains(&code) {
        HistoryError::Throttled
    } else if failure == Failure::Transient {
        HistoryError::Timeout
    } else if matches!(status, 401 | 403) || DENIED.contains(&code) {
        HistoryError::Denied("cloudtrail:LookupEvents".to_owned())
    } else {
        HistoryError::Refused(printable(code))
    }
}

/// The most that a page holds.
const PAGE: i32 = 50;
const LOOKUP: Call = Call { service: "cloudtrail", operation: "LookupEvents" };
const THROTTLED: [&str; 4] =
    ["ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"];
const DENIED: [&str; 5] = [
    "AccessDenied",
    "AccessDeniedException",
    "InvalidClientTokenId",
    "OperationNotPermittedException",
    "UnrecognizedClientException",
];
