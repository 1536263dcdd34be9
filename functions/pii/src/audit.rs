//! Who saw whose data: what an answer shows or refuses, as a security event.
//!
//! Recorded before the answer: reading, searching, decrypting and encrypting for a caller, and refusals of these. Not
//! recorded: what the consumer seals (the stored record is its own trace, and every message would cost a second write),
//! and classification (nothing is kept or shown that the caller did not send).

use std::borrow::Cow;

use portcullis_audit::{Kind, SecurityEvent};
use portcullis_base::Problem;
use portcullis_lambda::{ProxyEvent, ProxyResponse};

use crate::{Caller, problems};

/// An answer, and what it shows of somebody's data.
pub(crate) struct Done {
    pub(crate) answer: ProxyResponse,
    pub(crate) seen: Vec<Seen>,
}

impl From<ProxyResponse> for Done {
    /// An answer that shows nobody's data.
    fn from(answer: ProxyResponse) -> Self {
        Self { answer, seen: Vec::new() }
    }
}

/// Whose data, by pseudonym, and how much of them.
pub(crate) struct Seen {
    kind: Kind,
    resource: Option<(&'static str, String)>,
    reason: Option<&'static str>,
    details: Vec<(&'static str, Cow<'static, str>)>,
}

impl Seen {
    pub(crate) fn new(kind: Kind, resource: &'static str, pseudonym: &str) -> Self {
        let resource = Some((resource, pseudonym.to_owned()));
        Self { kind, resource, reason: None, details: Vec::new() }
    }

    /// Of a person, by blind index.
    pub(crate) fn of_subject(kind: Kind, pseudonym: &str) -> Self {
        Self::new(kind, "subject", pseudonym)
    }

    fn refused(reason: &'static str) -> Self {
        Self { kind: Kind::PiiRefused, resource: None, reason: Some(reason), details: Vec::new() }
    }

    /// Records of a conversation that do not open, and why: with the slug of [`problems::CANNOT_OPEN`] somebody moved or
    /// changed them, with [`KEY_REPLACED`] that may be so. `None` where there are none.
    pub(crate) fn unreadable(conversation: &str, reason: &'static str, items: &[&str]) -> Option<Self> {
        let resource = Some(("conversation", conversation.to_owned()));
        let named = items.get(..items.len().min(MAX_NAMED)).unwrap_or_default().join(" ");
        let refused = Self { resource, ..Self::refused(reason) };
        (!items.is_empty()).then(|| refused.with("messages", items.len().to_string()).with("items", named))
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub(crate) fn into_event(self, caller: Option<&Caller>, origin: &Origin<'_>) -> SecurityEvent {
        let event = SecurityEvent::new(self.kind, caller.map_or("", |caller| &caller.id))
            .roles(caller.into_iter().flat_map(|caller| &caller.roles))
            .source(origin.address)
            .request_id(origin.request_id)
            .operation(&origin.operation);
        let event = self.resource.into_iter().fold(event, |event, (kind, id)| event.resource(kind, &id));
        let event = self.reason.into_iter().fold(event, SecurityEvent::reason);
        self.details.into_iter().fold(event, |event, (name, value)| event.detail(name, &value))
    }
}

/// What there is to record about an outcome, and the outcome.
pub(crate) fn outcome_to_record(
    outcome: Result<Done, Problem>,
) -> (Vec<Seen>, Result<ProxyResponse, Problem>) {
    match outcome {
        Ok(Done { answer, seen }) => (seen, Ok(answer)),
        Err(problem) => {
            // A ciphertext that belongs to another record is one that somebody moved.
            let recorded = [problems::UNAUTHENTICATED, problems::FORBIDDEN, problems::CANNOT_OPEN];
            let seen = recorded.contains(&problem).then(|| Seen::refused(problem.slug()));
            (seen.into_iter().collect(), Err(problem))
        }
    }
}

/// Where a request came from.
pub(crate) struct Origin<'a> {
    operation: Cow<'static, str>,
    address: &'a str,
    request_id: &'a str,
}

impl<'a> Origin<'a> {
    pub(crate) fn of(event: &'a ProxyEvent<'_>) -> Self {
        let path = match event.path.as_ref() {
            known @ ("/pii/encrypt" | "/pii/decrypt" | "/pii/classify" | "/conversations/search") => known,
            path if path.starts_with("/conversations/") => "/conversations/{id}",
            _ => "/{unknown}",
        };
        Self {
            operation: format!("{} {path}", event.method).into(),
            address: event.context.identity.source_ip.as_deref().unwrap_or_default(),
            request_id: event.context.request_id.as_deref().unwrap_or_default(),
        }
    }

    /// Not over HTTP: the command line.
    pub(crate) const fn encrypt() -> Self {
        Self { operation: Cow::Borrowed("pii encrypt"), address: "", request_id: "" }
    }

    /// Not over HTTP: the command line.
    pub(crate) const fn decrypt() -> Self {
        Self { operation: Cow::Borrowed("pii decrypt"), address: "", request_id: "" }
    }
}

/// Why a record does not open that may have been sealed before its subject's key was made: after an erasure, or, of the
/// first messages of a person, because somebody moved or changed it. No record says which key sealed it.
pub(crate) const KEY_REPLACED: &str = "key-replaced";
/// Pseudonyms of items that one event names.
const MAX_NAMED: usize = 5;
