//! Security events as [OCSF](https://schema.ocsf.io/1.5.0/) 1.5.0 JSON, written before the answer that they record.
//!
//! A function says what happened as a [`SecurityEvent`]; an [`Auditor`] gives it an id and a time, makes it an
//! [`AuditRecord`] and appends that to an [`AuditSink`]. Whether the answer is withheld when that fails is
//! [`OnAuditFailure`].
//!
//! An event holds identifiers only: principals, `jti`s, key ids, pseudonyms, addresses. Never a token, a secret, a
//! message or a phone number. Reasons and names of details are `&'static str`, so that nothing of a request gets in by
//! them; every other text is cut at a length, so that an event's size is bounded whatever a request holds.

mod auditor;
mod event;
mod json;
mod kind;
mod memory;
mod mirror;
mod ocsf;
mod record;
mod sink;
mod text;
mod trail;

pub use auditor::{AuditUnavailable, Auditor, AuditorSettings, OnAuditFailure};
pub use event::{CertificateRef, SecurityEvent};
pub use kind::{Class, Kind, Severity, Status};
pub use memory::MemoryAudit;
pub use mirror::{MirrorFailure, Mirrored};
pub use ocsf::OCSF_VERSION;
pub use record::{AuditRecord, MalformedRecord, RecordId};
pub use sink::{AuditError, AuditSink};
pub use trail::TrailSettings;
