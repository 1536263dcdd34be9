//! What serving one request needs, and the trail that it leaves.

use std::sync::atomic::{AtomicI64, Ordering};

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::Reading;

use crate::own_tokens::OwnTokens;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::{Parts, Ports};

/// One request being served.
pub(crate) struct Context<'r, P: Ports> {
    pub(crate) parts: &'r Parts<P>,
    pub(crate) own: &'r OwnTokens,
    pub(crate) request: &'r Request<'r>,
    pub(crate) now: Timestamp,
    /// Who asks, as far as it is known: what it claims to be before it is authenticated.
    pub(crate) caller: String,
    trail: Vec<SecurityEvent>,
    readings: Vec<Reading>,
    /// When this container last noted a refusal for rate, in milliseconds since the epoch.
    limited_at: &'r AtomicI64,
}

impl<'r, P: Ports> Context<'r, P> {
    pub(crate) fn new(
        parts: &'r Parts<P>,
        own: &'r OwnTokens,
        limited_at: &'r AtomicI64,
        request: &'r Request<'r>,
    ) -> Self {
        let (trail, readings) = (Vec::new(), Vec::new());
        let now = parts.clock.now();
        Self { parts, own, request, now, caller: String::new(), trail, readings, limited_at }
    }

    /// Whether this is the first refusal for rate within a second: of more than one a second nobody learns anything.
    pub(crate) fn is_first_in_a_while(&self) -> bool {
        let now = self.now.as_millisecond();
        let before = self.limited_at.load(Ordering::Relaxed);
        now.abs_diff(before) >= 1_000
            && self.limited_at.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// An event of this request.
    pub(crate) fn event(&self, kind: Kind, subject: &str) -> SecurityEvent {
        SecurityEvent::new(kind, subject)
            .source(&self.request.address.to_string())
            .request_id(self.request.request_id())
            .operation(self.request.operation)
    }

    /// Takes note of an event: it is recorded before the answer, with the others of this request in one call.
    pub(crate) fn note(&mut self, event: SecurityEvent) {
        self.trail.push(event);
    }

    pub(crate) const fn has_noted(&self) -> bool {
        !self.trail.is_empty()
    }

    /// Counts something, for the metrics of this request.
    pub(crate) fn count(&mut self, name: &'static str) {
        self.readings.push(Reading::count(name, 1.0));
    }

    pub(crate) fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// Records what was noted.
    pub(crate) async fn record(&mut self) -> Result<(), Refusal> {
        let trail = std::mem::take(&mut self.trail);
        if trail.is_empty() {
            return Ok(());
        }
        Ok(self.parts.auditor.record_all(&trail).await?)
    }
}
