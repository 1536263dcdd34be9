//! The safety check: the only way from a plan to something that may be executed.

use crate::decide::{Disposition, Plan, PlannedStep};
use crate::incident::{Incident, IncidentId, Step, StepStatus};
use crate::store::Slot;

/// A plan that passed the safety check. Consumed by containment, and made nowhere else.
#[derive(Debug)]
pub struct ApprovedPlan {
    incident: IncidentId,
    steps: Vec<Step>,
    notes: Vec<String>,
    advice: Vec<String>,
    block_for_hours: u16,
}

/// Checks a plan against the incident that it is for and the cap: where there is no slot left, every step that would
/// begin to change the account waits for approval instead.
///
/// `None` where the plan is for another incident, or the incident was released, or is to be.
pub fn approve(plan: Plan, incident: &Incident, slot: Slot) -> Option<ApprovedPlan> {
    if plan.incident != incident.id || incident.is_given_back() {
        return None;
    }
    let granted = slot == Slot::Granted;
    let steps = plan.steps.into_iter().map(|step| checked(step, incident, granted)).collect();
    Some(ApprovedPlan {
        incident: plan.incident,
        steps,
        notes: plan.notes,
        advice: plan.advice,
        block_for_hours: plan.block_for_hours,
    })
}

fn checked(planned: PlannedStep, incident: &Incident, granted: bool) -> Step {
    let PlannedStep { kind, target, disposition, why, .. } = planned;
    let begun =
        incident.steps.iter().find(|step| step.kind == kind && step.target == target && step.has_begun());
    match (disposition, begun) {
        (Disposition::Resume, Some(begun)) => begun.clone(),
        // Tried again from its own record: what was there before the first try is what is restored one day.
        (Disposition::Run | Disposition::Approved, Some(begun)) => {
            Step { status: StepStatus::Running, failures: Vec::new(), ..begun.clone() }
        }
        (Disposition::Run, None) if kind.changes() && !granted => Step::new(
            kind,
            target,
            StepStatus::AwaitingApproval,
            "the cap of containments in an hour is reached",
        ),
        (Disposition::Run | Disposition::Approved, None) => Step::new(kind, target, StepStatus::Planned, why),
        (Disposition::DryRun, _) => Step::new(kind, target, StepStatus::DryRun, why),
        (Disposition::Refuse, _) => Step::new(kind, target, StepStatus::Refused, why),
        (Disposition::Ask | Disposition::Resume, _) => {
            Step::new(kind, target, StepStatus::AwaitingApproval, why)
        }
    }
}

impl ApprovedPlan {
    /// Writes the plan into its incident. `None` if it is another's.
    pub(crate) fn into_incident(self, incident: &mut Incident) -> Option<u16> {
        if self.incident != incident.id {
            return None;
        }
        incident.steps = self.steps;
        incident.notes = self.notes;
        incident.advice = self.advice;
        Some(self.block_for_hours)
    }
}
