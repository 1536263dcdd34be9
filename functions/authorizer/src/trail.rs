//! What is recorded and counted of a decision.

use portcullis_access::{AccessDecision, Route};
use portcullis_audit::{AuditUnavailable, CertificateRef, Kind, SecurityEvent};
use portcullis_base::{Clock, Timestamp};
use portcullis_lambda::Reading;

use crate::judge::{Judge, Who};
use crate::{GrantRecords, Ports, Request, address};

/// Whom an event is about before anybody is known.
pub(crate) const NOBODY: &str = "unknown";

impl<P: Ports> Judge<P> {
    fn event(&self, kind: Kind, subject: &str, request: &Request<'_>) -> SecurityEvent {
        let event = SecurityEvent::new(kind, subject).request_id(&request.request_id).operation(&format!(
            "{} {}",
            request.method,
            self.route_name(request)
        ));
        let viewer = self.parts.settings.viewer_address_header.as_deref();
        match address::address(request, viewer) {
            Some(address) => event.source(&address.to_string()),
            None => event,
        }
    }

    /// The template, not the path: a path holds pseudonyms and whatever a client writes.
    fn route_name(&self, request: &Request<'_>) -> &str {
        let route = self.parts.guard.routes().find(&request.method, &request.path);
        route.map_or("unknown", |route| route.path.as_str())
    }

    /// Credentials that were shown and not taken.
    pub(crate) async fn record_refusal(
        &self,
        kind: Kind,
        reason: &'static str,
        request: &Request<'_>,
    ) -> Result<(), AuditUnavailable> {
        self.count("Refused", reason);
        self.parts.auditor.record(self.event(kind, NOBODY, request).reason(reason)).await
    }

    /// A certificate that is missing, or not the caller's.
    pub(crate) async fn record_certificate(
        &self,
        subject: &str,
        reason: &'static str,
        certificate: Option<CertificateRef>,
        refused: bool,
        request: &Request<'_>,
    ) -> Result<(), AuditUnavailable> {
        self.count(if refused { "Refused" } else { "MtlsWouldRefuse" }, reason);
        let now = self.parts.clock.now();
        let known = format!("certificate\n{subject}\n{reason}");
        if !refused && self.recorded.knows(&known, now) {
            return Ok(());
        }
        let mode = if refused { "strict" } else { "permissive" };
        let event =
            self.event(Kind::CertificateRefused, subject, request).reason(reason).detail("mode", mode);
        let event = match certificate {
            Some(certificate) => event.certificate(certificate),
            None => event,
        };
        self.parts.auditor.record(event).await?;
        self.recorded.note(known, self.later(now, REPORT_MILLIS), now);
        Ok(())
    }

    /// A limit that refused. Repeats within its time are counted only: a flood must not become one of records.
    pub(crate) async fn record_rate(
        &self,
        subject: &str,
        what: &'static str,
        retry_after: u64,
        request: &Request<'_>,
    ) -> Result<(), AuditUnavailable> {
        self.count("RateLimited", what);
        let now = self.parts.clock.now();
        // By the address that the limit counts: behind CloudFront the one that connected is everybody's.
        let viewer = self.parts.settings.viewer_address_header.as_deref();
        let whom = match subject {
            NOBODY => address::limit_key(request, viewer).to_string(),
            subject => subject.to_owned(),
        };
        let known = format!("rate\n{what}\n{whom}");
        if self.recorded.knows(&known, now) {
            return Ok(());
        }
        self.parts.auditor.record(self.event(Kind::RateLimited, subject, request).reason(what)).await?;
        let millis = i64::try_from(retry_after).unwrap_or(i64::MAX).saturating_mul(1_000);
        self.recorded.note(known, self.later(now, millis.clamp(1_000, REPORT_MILLIS)), now);
        Ok(())
    }

    /// What was granted: the token once, and the permission once a route, or every time.
    pub(crate) async fn record_grant(
        &self,
        who: &Who,
        decision: &AccessDecision,
        route: &Route,
        request: &Request<'_>,
    ) -> Result<(), AuditUnavailable> {
        self.count("Allowed", "permitted");
        let now = self.parts.clock.now();
        let granted =
            ["grant", &who.credential, &who.principal, &request.method, route.path.as_str()].join("\n");
        let every = self.parts.settings.grants == GrantRecords::Every;
        // Whoever was granted this had the token recorded with it, until the same time.
        if !every && self.recorded.knows(&granted, now) {
            return Ok(());
        }
        let token = ["token", &who.credential].join("\n");
        let mut events = Vec::with_capacity(2);
        if every || !self.recorded.knows(&token, now) {
            events.push(self.about(who, Kind::TokenValidated, request));
        }
        events.push(self.about(who, Kind::PermissionGranted, request).policies(&decision.policies));
        self.parts.auditor.record_all(&events).await?;
        let until = self.later(now, GRANT_MILLIS);
        self.recorded.note(token, until, now);
        self.recorded.note(granted, until, now);
        Ok(())
    }

    /// What was denied, with the policies that did.
    pub(crate) async fn record_denial(
        &self,
        who: &Who,
        decision: Option<&AccessDecision>,
        request: &Request<'_>,
    ) -> Result<(), AuditUnavailable> {
        let reason = decision.map_or("no-route", |decision| decision.because.as_str());
        self.count("Forbidden", reason);
        let policies = decision.map(|decision| decision.policies.as_slice()).unwrap_or_default();
        let event = self.about(who, Kind::PermissionDenied, request).reason(reason).policies(policies);
        self.parts.auditor.record(event).await
    }

    fn about(&self, who: &Who, kind: Kind, request: &Request<'_>) -> SecurityEvent {
        let event = self.event(kind, &who.principal, request).roles(&who.roles).privileges(who.scopes.iter());
        let event = match &who.jti {
            Some(jti) => event.token(jti, who.expires_at),
            None => event,
        };
        match &who.actor {
            Some(actor) => event.actor(actor),
            None => event,
        }
    }

    fn later(&self, now: Timestamp, millis: i64) -> Timestamp {
        Timestamp::from_millisecond(now.as_millisecond().saturating_add(millis)).unwrap_or(Timestamp::MAX)
    }

    /// A key that was taken, by its tier: there are few tiers and many keys. Whose key it was is in the audit trail.
    pub(crate) fn count_key(&self, tier: &str) {
        self.parts.metrics.emit(
            self.parts.clock.now(),
            &[("Tier", tier)],
            &[Reading::count("ApiKeyUses", 1.0)],
        );
    }

    pub(crate) fn count(&self, name: &'static str, reason: &str) {
        self.parts.metrics.emit(self.parts.clock.now(), &[("Reason", reason)], &[Reading::count(name, 1.0)]);
    }
}

// A token lives at most fifteen minutes: one record in each of them, and one more should it be shown again.
const GRANT_MILLIS: i64 = 900_000;
const REPORT_MILLIS: i64 = 60_000;
