//! Incidents: from a finding or a hit to a plan, its execution, and the way back.
//!
//! A [`Signal`] is what was seen: a `GuardDuty` [`Finding`] or a detection's hit. [`decide`] turns an [`Incident`] and a
//! [`Playbook`] into a [`Plan`], and touches nothing. Only [`approve`] makes an [`ApprovedPlan`], and only `contain`
//! consumes one. What a step changes is written down before it changes anything ([`State`]); each step then goes from
//! what it reads to what it wants, one change at a time, and is done when it reads what it wanted. So a step that was
//! cut short anywhere, or whose answer got lost, goes on from what is really there. [`Responder`] puts it together.

mod approve;
mod both;
mod change;
mod contain;
mod decide;
mod engine;
mod finding;
mod finding_types;
mod handover;
mod holders;
mod incident;
mod json;
mod memory;
mod notification;
mod perform;
mod playbook;
mod policy;
mod ports;
mod read;
mod release;
mod report;
mod respond;
mod safety;
mod severity;
mod shipped;
mod signal;
pub mod simulation;
mod slots;
mod state;
mod step;
mod store;
mod target;
mod webhook;

pub use approve::{ApprovedPlan, approve};
pub use both::Both;
pub use change::{Change, back, needed};
pub use decide::{Disposition, Facts, Plan, PlannedStep, Tags, decide};
pub use finding::{Finding, FindingError, MAX_FINDING_BYTES, Principal};
pub use finding_types::{FindingTypes, FindingTypesError};
pub use holders::Holders;
pub use incident::{
    Approval, Asked, Entry, Incident, IncidentId, Lease, Owed, Recorded, Status, Step, StepStatus, Times,
};
pub use memory::MemoryDesk;
pub use notification::{MAX_SUBJECT, Message, Phase, message};
pub use playbook::{Playbook, PlaybookErrors, PlaybookStep, Playbooks};
pub use policy::{deny_all, deny_sessions_before};
pub use ports::*;
pub use release::{Expired, NotReleased, Released};
pub use report::{Durations, actions_taken, durations, next_steps};
pub use respond::{RespondError, Responder};
pub use safety::{Safety, SafetyError};
pub use severity::Band;
pub use shipped::{PLAYBOOKS, SAFETY, TYPES};
pub use signal::{Signal, Source};
pub use slots::Slots;
pub use state::State;
pub use step::{Mode, StepKind};
pub use store::{CapStore, Created, Holds, IncidentStore, MAX_INCIDENT_BYTES, Saved, Slot};
pub use target::{Family, Target, TargetKind};
pub use webhook::{SignedHeaders, WebhookKeyError, WebhookSigner};
