//! What the scheduled audit needs: past events, page by page, and how far it came.

use std::future::Future;

use portcullis_base::Timestamp;
use serde::{Deserialize, Serialize};

/// Why past events could not be read, or the progress not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Too many requests: `CloudTrail` answers two a second, account and region.
    #[error("throttled")]
    Throttled,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The page's token is no longer good: begin the window again.
    #[error("the page is no longer known")]
    PageExpired,
    /// No permission; holds the IAM action.
    #[error("access denied: {0}")]
    Denied(String),
    /// Somebody else moved the progress on.
    #[error("changed by somebody else in between")]
    Conflict,
    /// The service refused, for a reason that will not pass. Never holds personal data or secrets.
    #[error("refused: {0}")]
    Refused(String),
}

/// A page of past events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// The events' records as JSON (`CloudTrailEvent`), newest first.
    pub records: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Past management events: `CloudTrail` keeps 90 days.
pub trait EventHistory: Send + Sync {
    /// `cloudtrail:LookupEvents` of `region`, from `from` to `to`, both to the second and inclusive.
    fn lookup(
        &self,
        region: &str,
        from: Timestamp,
        to: Timestamp,
        page: Option<&str>,
    ) -> impl Future<Output = Result<HistoryPage, HistoryError>> + Send;
}

/// How far the audit of a region came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditProgress {
    /// Every event before this was judged.
    pub done_to: Timestamp,
    /// The window that is under way: where it ends, and the page that comes next.
    pub open: Option<OpenWindow>,
    /// Counts the saves: 0 has never been saved.
    pub revision: u64,
}

/// A window that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenWindow {
    /// Its end; it begins where the progress is done to.
    pub to: Timestamp,
    /// The page that comes next; `None` for the first.
    pub page: Option<String>,
}

/// Keeps how far the audit came.
pub trait ProgressStore: Send + Sync {
    /// The progress of a region, consistently; `None` before the first audit.
    fn progress(
        &self,
        region: &str,
    ) -> impl Future<Output = Result<Option<AuditProgress>, HistoryError>> + Send;
    /// Keeps the progress of a region, if the stored revision is one less than this one's:
    /// [`HistoryError::Conflict`] otherwise.
    fn save_progress(
        &self,
        region: &str,
        progress: &AuditProgress,
    ) -> impl Future<Output = Result<(), HistoryError>> + Send;
}
