//! Sigma rules over `CloudTrail` records: which calls are attacks, how bad, which technique, and what may follow.
//! Decides; never acts.
//!
//! A record is read once, lazily ([`Record`], [`records`]); [`RuleSet::load`] reads rule files; [`Detector::judge`] says
//! which rules match. Correlation rules count matches behind a port, [`CorrelationState`]. Beside the record's own
//! fields, a rule may ask for what the record means in this account: `portcullis.*`, from the [`Context`].

mod address;
mod context;
mod correlation;
mod detector;
pub mod glob;
mod history;
mod hit;
mod hours;
mod index;
mod input;
mod load;
mod policy;
mod ports;
mod record;
mod rule;
mod shipped;
mod state;
mod tree;
mod view;

pub use context::{Context, ContextError};
pub use correlation::Pending;
pub use detector::{Detector, JudgeError, Verdict};
pub use history::{AuditProgress, EventHistory, HistoryError, HistoryPage, OpenWindow, ProgressStore};
pub use hit::{Actor, Hit};
pub use hours::HoursError;
pub use input::{DETAIL_TYPES, Records, Unreadable, records};
pub use load::{RuleErrors, RuleProblem, RuleSet};
pub use record::{MAX_RECORD_BYTES, Record, RecordError};
pub use rule::{IncidentType, RuleInfo, Severity};
pub use shipped::SHIPPED;
pub use state::{CorrelationState, MAX_OBSERVATIONS, MemoryState, Observation, Series, StateError};
