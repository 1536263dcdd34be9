//! The scheduled audit: CloudTrail's own history, for what EventBridge lost.
//!
//! Each region is read in windows, oldest first; a window at most an hour long, so that its pages are done with long
//! before their tokens expire. A window ends fifteen minutes ago, since CloudTrail takes up to that long to show an event,
//! and begins ten minutes before the end of the last one, for those that take longer still. Progress is kept after each
//! page, and the begin of the first audit before any. What is read twice counts once: a correlation adds no observation a second time, and a hit is the incident that
//! it was before. A hit whose incident cannot be read any more (a damaged item) is the operator's: it holds up no page, since
//! it would for ever.
//!
//! Pages come newest first. A page is judged oldest first, so that a correlation's incident is named after the event that
//! completed it; across pages the order is not that of time, and need not be: what a correlation counts lies in a window
//! of the events' own times, whatever the order in which they are seen.

use std::time::Duration;

use portcullis_base::{Clock, Timestamp};
use portcullis_detection::{
    AuditProgress, EventHistory, HistoryError, HistoryPage, OpenWindow, ProgressStore, Record, RecordError,
    Unreadable,
};
use portcullis_lambda::Rest;
use portcullis_response::Wait;

use crate::judge::{Received, receive};
use crate::{Parts, Ports};

/// What an audit did.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    /// What became of the records of all regions.
    pub received: Received,
    /// How far each region is.
    pub regions: Vec<RegionAudit>,
}

/// How far the audit of a region is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionAudit {
    /// Which.
    pub region: String,
    /// How many pages were read.
    pub pages: usize,
    /// How long ago the time is up to which everything was judged.
    pub behind: Duration,
    /// Why it stopped, if something failed; what was not done is done the next time.
    pub failure: Option<HistoryError>,
}

impl Audited {
    /// Whether nothing failed. That time ran out is no failure.
    pub fn is_complete(&self) -> bool {
        self.received.unanswered + self.received.damaged == 0
            && self.regions.iter().all(|region| region.failure.is_none())
    }
}

/// Audits every region, a page of each in turn, while there is time.
pub(crate) async fn audit<P: Ports>(parts: &Parts<P>) -> Audited {
    let mut received = Received::default();
    let mut lanes = Vec::with_capacity(parts.audit.regions.len());
    for region in &parts.audit.regions {
        lanes.push(Lane::open(parts, region).await);
    }
    for _ in 0..MAX_PAGES {
        let mut busy = false;
        for lane in lanes.iter_mut().filter(|lane| lane.is_open()) {
            if parts.deadline.left(now(parts)) < MARGIN {
                break;
            }
            received.add(lane.step(parts).await);
            busy = true;
        }
        if !busy {
            break;
        }
    }
    Audited { received, regions: lanes.into_iter().map(|lane| lane.report(now(parts))).collect() }
}

fn now<P: Ports>(parts: &Parts<P>) -> Timestamp {
    parts.desk.responder.clock.now()
}

/// The audit of one region.
struct Lane {
    region: String,
    progress: AuditProgress,
    /// The end of what is read: fixed when the audit begins, so that it ends.
    until: Timestamp,
    pages: usize,
    /// When its last request was made.
    asked: Option<Timestamp>,
    /// Requests in a row that were throttled or had no answer.
    refused: u32,
    /// Whether a window was begun again because its page was no longer known.
    again: bool,
    end: Option<End>,
}

enum End {
    /// Everything that can be read was.
    UpToDate,
    /// Another container audits the region.
    Elsewhere,
    Failed(HistoryError),
}

impl Lane {
    async fn open<P: Ports>(parts: &Parts<P>, region: &str) -> Self {
        let stored = parts.progress.progress(region).await;
        let begun = now(parts);
        let begin = begun.checked_sub(parts.audit.lookback).unwrap_or(Timestamp::MIN);
        let until = to_the_second(begun.checked_sub(LATENESS).unwrap_or(Timestamp::MIN));
        let fresh = AuditProgress { done_to: to_the_second(begin), open: None, revision: 0 };
        let (stored, end) = match stored {
            Ok(stored) => (stored, None),
            Err(error) => (None, Some(End::Failed(error))),
        };
        let first = stored.is_none();
        let (region, progress) = (region.to_owned(), stored.unwrap_or_else(|| fresh.clone()));
        let mut lane = Self { region, progress, until, pages: 0, asked: None, refused: 0, again: false, end };
        if first && lane.is_open() {
            // Kept before anything is read: the begin of an audit that fails must not slide away with the clock.
            lane.save(parts, AuditProgress { revision: 1, ..fresh }).await;
        }
        lane
    }

    const fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// A page: asks, judges, answers, and keeps how far it came.
    async fn step<P: Ports>(&mut self, parts: &Parts<P>) -> Received {
        let Some(window) = self.window() else {
            self.end = Some(End::UpToDate);
            return Received::default();
        };
        let page = match self.ask(parts, &window).await {
            Ok(page) => page,
            Err(error) => {
                self.mishap(parts, error).await;
                return Received::default();
            }
        };
        (self.refused, self.pages) = (0, self.pages + 1);
        let received = receive(parts, page.records.iter().rev().map(|json| read(json))).await;
        if received.unanswered > 0 {
            // The page is read again the next time.
            self.end =
                Some(End::Failed(HistoryError::Refused("a hit was not answered to its end".to_owned())));
        } else {
            self.keep(parts, window, page.next).await;
        }
        received
    }

    /// The window that is under way, or the next one; `None` where everything was read.
    fn window(&self) -> Option<OpenWindow> {
        let next = || {
            let done_to = self.progress.done_to;
            let to = self.until.min(done_to.checked_add(LONGEST_WINDOW).ok()?);
            // Of what this audit begins, the last window may be short; one that is nearly up to date waits for the next.
            let worth = self.pages > 0 || done_to.checked_add(SHORTEST_WINDOW).ok()? <= self.until;
            (worth && to > done_to).then_some(OpenWindow { to, page: None })
        };
        self.progress.open.clone().or_else(next)
    }

    async fn ask<P: Ports>(
        &mut self,
        parts: &Parts<P>,
        window: &OpenWindow,
    ) -> Result<HistoryPage, HistoryError> {
        if let Some(asked) = self.asked {
            let since = Duration::try_from(asked.duration_until(now(parts))).unwrap_or_default();
            parts.rest.rest(BETWEEN_REQUESTS.saturating_sub(since)).await;
        }
        self.asked = Some(now(parts));
        let from = self.progress.done_to.checked_sub(OVERLAP).unwrap_or(Timestamp::MIN);
        parts.history.lookup(&self.region, from, window.to, window.page.as_deref()).await
    }

    /// What may pass is asked again; a window whose page is no longer known is begun again, once.
    async fn mishap<P: Ports>(&mut self, parts: &Parts<P>, error: HistoryError) {
        tracing::warn!(region = self.region, %error, "history not read");
        match error {
            HistoryError::Throttled | HistoryError::Timeout if self.refused < MAX_TRIES => {
                self.refused += 1;
                parts.desk.responder.wait.pause(self.refused).await;
            }
            HistoryError::PageExpired if !self.again => {
                self.again = true;
                if let Some(open) = &mut self.progress.open {
                    open.page = None;
                }
            }
            error => self.end = Some(End::Failed(error)),
        }
    }

    async fn keep<P: Ports>(&mut self, parts: &Parts<P>, window: OpenWindow, next: Option<String>) {
        let revision = self.progress.revision.saturating_add(1);
        let progress = match next {
            Some(page) => {
                let open = Some(OpenWindow { page: Some(page), ..window });
                AuditProgress { done_to: self.progress.done_to, open, revision }
            }
            None => AuditProgress { done_to: window.to, open: None, revision },
        };
        self.save(parts, progress).await;
    }

    async fn save<P: Ports>(&mut self, parts: &Parts<P>, progress: AuditProgress) {
        let mut attempt = 1;
        loop {
            match parts.progress.save_progress(&self.region, &progress).await {
                Ok(()) => {
                    self.progress = progress;
                    return;
                }
                Err(HistoryError::Throttled | HistoryError::Timeout) if attempt < MAX_TRIES => {
                    parts.desk.responder.wait.pause(attempt).await;
                    attempt += 1;
                }
                // Also where an answer got lost: the next audit goes on from what is kept.
                Err(HistoryError::Conflict) => {
                    tracing::info!(region = self.region, "the audit goes on elsewhere");
                    self.end = Some(End::Elsewhere);
                    return;
                }
                Err(error) => {
                    self.end = Some(End::Failed(error));
                    return;
                }
            }
        }
    }

    fn report(self, now: Timestamp) -> RegionAudit {
        let behind = Duration::try_from(self.progress.done_to.duration_until(now)).unwrap_or_default();
        let failure = match self.end {
            Some(End::Failed(error)) => Some(error),
            Some(End::UpToDate | End::Elsewhere) | None => None,
        };
        RegionAudit { region: self.region, pages: self.pages, behind, failure }
    }
}

fn read(json: &str) -> Result<Record<'_>, Unreadable> {
    Record::parse(json.as_bytes()).map_err(|reason: RecordError| Unreadable { at: 0, reason })
}

fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// CloudTrail shows an event about five minutes after the call on average, and up to fifteen.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html>
const LATENESS: Duration = Duration::from_secs(15 * 60);
const OVERLAP: Duration = Duration::from_secs(10 * 60);
const LONGEST_WINDOW: Duration = Duration::from_secs(60 * 60);

/// The schedule comes every five minutes, so that an audit that is behind has three times the requests of one a quarter of
/// an hour. One that keeps up reads each other time: every window reads the overlap again.
const SHORTEST_WINDOW: Duration = Duration::from_secs(9 * 60);

/// CloudTrail answers two requests a second, account and region.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>
const BETWEEN_REQUESTS: Duration = Duration::from_millis(500);

/// What a page of fifty events and the answers to its hits may take: begun with less, it might not be kept.
const MARGIN: Duration = Duration::from_secs(10);

/// Pages of a region in one audit, where no deadline ends it.
const MAX_PAGES: usize = 10_000;

const MAX_TRIES: u32 = 5;
