//! What a function says happened.

use std::net::IpAddr;

use portcullis_base::Timestamp;

use crate::Kind;
use crate::text::{Text, list};

/// A security event, before it has an id and a time.
///
/// Holds identifiers only. Every text is cut at 256 bytes (as JSON) and every list at 32 entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    pub(crate) kind: Kind,
    pub(crate) subject: Text,
    pub(crate) actor: Option<Text>,
    pub(crate) roles: Vec<Text>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) session: Option<Session>,
    pub(crate) audience: Option<Text>,
    pub(crate) operation: Option<Text>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) privileges: Vec<Text>,
    pub(crate) policies: Vec<Text>,
    pub(crate) certificate: Option<CertificateRef>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) request_id: Option<Text>,
    pub(crate) details: Vec<(&'static str, Text)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) jti: Text,
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) kind: &'static str,
    pub(crate) id: Text,
}

/// What names a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRef {
    pub(crate) subject: Option<Text>,
    pub(crate) issuer: Text,
    pub(crate) serial: Text,
    pub(crate) sha256: Option<Text>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl CertificateRef {
    /// A certificate by its issuer's name and its serial number (hexadecimal).
    pub fn new(issuer: &str, serial: &str) -> Self {
        let or_unknown = |text| Text::some(text).unwrap_or_else(|| Text::new(UNKNOWN));
        Self {
            subject: None,
            issuer: or_unknown(issuer),
            serial: or_unknown(serial),
            sha256: None,
            expires_at: None,
        }
    }

    /// The name of its subject, or its SPIFFE id.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        Self { subject: Text::some(subject), ..self }
    }

    /// Its SHA-256 in hexadecimal.
    #[must_use]
    pub fn sha256(self, hex: &str) -> Self {
        Self { sha256: Text::some(hex), ..self }
    }

    /// When it expires.
    #[must_use]
    pub fn expires_at(self, at: Timestamp) -> Self {
        Self { expires_at: Some(at), ..self }
    }
}

impl SecurityEvent {
    /// An event about `subject`: the client or principal that authenticates, asks, acts or is acted upon. Where nobody
    /// is known, what the request claims to be, or `""`.
    pub fn new(kind: Kind, subject: &str) -> Self {
        Self {
            kind,
            subject: Text::some(subject).unwrap_or_else(|| Text::new(UNKNOWN)),
            actor: None,
            roles: Vec::new(),
            source: None,
            session: None,
            audience: None,
            operation: None,
            resources: Vec::new(),
            privileges: Vec::new(),
            policies: Vec::new(),
            certificate: None,
            reason: None,
            request_id: None,
            details: Vec::new(),
        }
    }

    /// What happened.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Who made it happen, where that is not the subject: an administrator, or the one that acts for it (`act`).
    #[must_use]
    pub fn actor(self, principal: &str) -> Self {
        Self { actor: Text::some(principal), ..self }
    }

    /// The roles under which it happened.
    #[must_use]
    pub fn roles<T: AsRef<str>>(self, roles: impl IntoIterator<Item = T>) -> Self {
        Self { roles: list(roles), ..self }
    }

    /// The address that connected; what is no address is left out.
    #[must_use]
    pub fn source(self, address: &str) -> Self {
        Self { source: address.parse().ok(), ..self }
    }

    /// The token: its `jti`, never the token itself, and when it expires.
    #[must_use]
    pub fn token(self, jti: &str, expires_at: Option<Timestamp>) -> Self {
        Self { session: Text::some(jti).map(|jti| Session { jti, expires_at }), ..self }
    }

    /// The service that it is about: the audience of a token.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        Self { audience: Text::some(audience), ..self }
    }

    /// The operation: `POST /sts/token`, with the path's template where it holds personal data.
    #[must_use]
    pub fn operation(self, operation: &str) -> Self {
        Self { operation: Text::some(operation), ..self }
    }

    /// A thing that it is about: a conversation, a key, a plan. `id` is a pseudonym where the thing is a person's.
    #[must_use]
    pub fn resource(mut self, kind: &'static str, id: &str) -> Self {
        if let Some(id) = Text::some(id).filter(|_| self.resources.len() < crate::text::MAX_LIST) {
            self.resources.push(Resource { kind, id });
        }
        self
    }

    /// The actions or scopes granted or refused: `read:signals`.
    #[must_use]
    pub fn privileges<T: AsRef<str>>(self, privileges: impl IntoIterator<Item = T>) -> Self {
        Self { privileges: list(privileges), ..self }
    }

    /// The policies that decided.
    #[must_use]
    pub fn policies<T: AsRef<str>>(self, policies: impl IntoIterator<Item = T>) -> Self {
        Self { policies: list(policies), ..self }
    }

    /// The client certificate.
    #[must_use]
    pub fn certificate(self, certificate: CertificateRef) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// Why, in a stable word (`status_detail`).
    #[must_use]
    pub fn reason(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The gateway's id of the request, by which its other events and log lines are found.
    #[must_use]
    pub fn request_id(self, id: &str) -> Self {
        Self { request_id: Text::some(id), ..self }
    }

    /// Something that OCSF has no attribute for (`unmapped`): an identifier or a number, never content. Of one name the
    /// last holds; at most 16 are kept.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: &str) -> Self {
        self.details.retain(|(known, _)| *known != name);
        if self.details.len() < MAX_DETAILS {
            self.details.push((name, Text::new(value)));
        }
        self
    }
}

pub(crate) const UNKNOWN: &str = "unknown";
const MAX_DETAILS: usize = 16;
