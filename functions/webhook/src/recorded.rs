//! Which refusals go on record, and how often.
//!
//! An accepted batch does not: its trace is the queued message, it is counted in the metrics, and a write for each would
//! double what a message costs. A refused signature, handshake or client certificate does, but anybody may send those,
//! as fast as the firewall lets them: so the first of each reason and source within a minute is recorded, up to sixty in
//! all; the others are counted, and the next record tells how many. What is refused for its path, method, size or form
//! says nothing of who sent it, and is counted in the metrics alone.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_base::Timestamp;

use crate::answer::Refusal;
use crate::request::Request;

/// What a container has recorded lately.
#[derive(Default)]
pub(crate) struct Recorded(Mutex<Window>);

#[derive(Default)]
struct Window {
    /// Milliseconds since the Unix epoch.
    began: i64,
    known: HashSet<(&'static str, Option<IpAddr>)>,
    /// Refusals without a record of their own since the last record.
    unrecorded: u64,
}

impl Recorded {
    /// The event of a refusal, if it is to be recorded now.
    pub(crate) fn event(
        &self,
        refusal: Refusal,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Option<SecurityEvent> {
        let kind = kind(refusal)?;
        let source = request.source.as_deref().unwrap_or_default();
        let unrecorded = self.window().admit((refusal.as_str(), network(source)), now.as_millisecond())?;
        let event = SecurityEvent::new(kind, SENDER)
            .reason(refusal.as_str())
            .source(source)
            .request_id(request.request_id.as_deref().unwrap_or_default())
            .operation(if request.method == "GET" { "GET /webhook" } else { "POST /webhook" });
        Some(if unrecorded > 0 { event.detail("unrecorded", &unrecorded.to_string()) } else { event })
    }

    /// Takes back that a refusal was recorded: the next of its like is tried again.
    pub(crate) fn forget(&self, refusal: Refusal, request: &Request<'_>) {
        let source = network(request.source.as_deref().unwrap_or_default());
        let mut window = self.window();
        window.known.remove(&(refusal.as_str(), source));
        window.unrecorded += 1;
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Whether to record one more, and how many were not recorded before it.
    fn admit(&mut self, key: (&'static str, Option<IpAddr>), now: i64) -> Option<u64> {
        if !(0..WINDOW_MILLIS).contains(&(now - self.began)) {
            self.began = now;
            self.known.clear();
        }
        if self.known.len() >= MAX_RECORDS || !self.known.insert(key) {
            self.unrecorded += 1;
            return None;
        }
        Some(std::mem::take(&mut self.unrecorded))
    }
}

const fn kind(refusal: Refusal) -> Option<Kind> {
    match refusal {
        Refusal::Signature(_) => Some(Kind::WebhookRefused),
        Refusal::ClientCertificate => Some(Kind::CertificateRefused),
        Refusal::Handshake => Some(Kind::HandshakeRefused),
        Refusal::NoSuchPath
        | Refusal::MethodNotAllowed
        | Refusal::BodyTooLarge
        | Refusal::NotJson
        | Refusal::Secrets
        | Refusal::Queue
        | Refusal::Audit => None,
    }
}

/// An address, of IPv6 its /64: whoever has one has them all.
fn network(address: &str) -> Option<IpAddr> {
    match address.parse().ok()? {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() >> 64 << 64;
            Some(IpAddr::V6(bits.into()))
        }
        v4 @ IpAddr::V4(_) => Some(v4),
    }
}

/// Who a webhook claims to come from.
const SENDER: &str = "meta";
const WINDOW_MILLIS: i64 = 60_000;
const MAX_RECORDS: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str) -> Request<'_> {
        Request { source: Some(source.into()), method: "POST".into(), ..Request::default() }
    }

    fn event(recorded: &Recorded, refusal: Refusal, source: &str, millis: i64) -> Option<SecurityEvent> {
        recorded.event(refusal, &of(source), Timestamp::from_millisecond(millis).unwrap())
    }

    #[test]
    fn one_record_a_minute_for_each_reason_and_source() {
        let recorded = Recorded::default();
        let (missing, wrong) =
            (Refusal::Signature("signature-missing"), Refusal::Signature("signature-wrong"));
        for (label, refusal, source, millis, expected) in [
            ("the first", missing, "192.0.2.1", 1_000, true),
            ("its like", missing, "192.0.2.1", 60_999, false),
            ("another reason", wrong, "192.0.2.1", 2_000, true),
            ("another address", missing, "192.0.2.2", 2_000, true),
            ("IPv6", missing, "2001:db8::1", 2_000, true),
            ("the same network", missing, "2001:db8::2", 2_000, false),
            ("another network", missing, "2001:db8:0:1::1", 2_000, true),
            ("no address", missing, "", 2_000, true),
            ("no address either", missing, "nowhere", 2_000, false),
            ("a minute later", missing, "192.0.2.1", 61_000, true),
            ("a clock that was set back", missing, "192.0.2.1", 1_000, true),
        ] {
            assert_eq!(event(&recorded, refusal, source, 1_000_000 + millis).is_some(), expected, "{label}");
        }
    }

    #[test]
    fn a_flood_costs_sixty_records_a_minute_and_the_rest_is_counted() {
        let recorded = Recorded::default();
        let refusal = Refusal::Signature("signature-wrong");
        let flood = |minute: i64| {
            let sources = (0..250).map(|n| format!("198.51.100.{n}"));
            sources.filter_map(|s| event(&recorded, refusal, &s, minute * 60_000)).collect::<Vec<_>>()
        };
        assert_eq!(flood(1).len(), 60);
        let next = flood(2);
        assert_eq!(next.len(), 60);
        let source = SecurityEvent::new(Kind::WebhookRefused, "meta").reason("signature-wrong");
        let source = source.source("198.51.100.0").operation("POST /webhook");
        assert_eq!(next[0], source.detail("unrecorded", "190"));
    }

    #[test]
    fn what_could_not_be_recorded_is_tried_again() {
        let recorded = Recorded::default();
        assert!(event(&recorded, Refusal::Handshake, "192.0.2.1", 0).is_some());
        recorded.forget(Refusal::Handshake, &of("192.0.2.1"));
        assert!(event(&recorded, Refusal::Handshake, "192.0.2.1", 1).is_some());
        assert!(event(&recorded, Refusal::Handshake, "192.0.2.1", 2).is_none());
    }

    #[test]
    fn what_says_nothing_of_the_sender_is_not_recorded() {
        for refusal in [
            Refusal::NoSuchPath,
            Refusal::MethodNotAllowed,
            Refusal::BodyTooLarge,
            Refusal::NotJson,
            Refusal::Secrets,
            Refusal::Queue,
            Refusal::Audit,
        ] {
            assert_eq!(event(&Recorded::default(), refusal, "192.0.2.1", 0), None, "{refusal:?}");
        }
    }
}
