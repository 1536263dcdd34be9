//! The decision: which steps, on what, why, and how each is undone. Pure.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_base::Timestamp;
use serde::Serialize;

use crate::incident::{Incident, IncidentId, Step, StepStatus};
use crate::playbook::Playbook;
use crate::safety::Safety;
use crate::severity::Band;
use crate::step::{Mode, StepKind};
use crate::target::Target;

/// What is done about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which incident.
    pub incident: IncidentId,
    /// What, in order.
    pub steps: Vec<PlannedStep>,
    /// What no step can do, for people.
    pub notes: Vec<String>,
    /// What people do next.
    pub advice: Vec<String>,
    /// How long its addresses stay blocked, in hours.
    pub block_for_hours: u16,
    /// When it was decided.
    pub at: Timestamp,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// What.
    pub kind: StepKind,
    /// On what.
    pub target: Target,
    /// Whether.
    pub disposition: Disposition,
    /// Why, for people.
    pub why: String,
    /// How it is undone, for people.
    pub undone_by: &'static str,
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It runs by itself.
    Run,
    /// It runs on somebody's word.
    Approved,
    /// It began before, and goes on from its record.
    Resume,
    /// It waits for approval.
    Ask,
    /// It would run.
    DryRun,
    /// It never runs on this.
    Refuse,
}

/// What was read of the targets before the decision: their tags.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    tags: BTreeMap<Target, Tags>,
}

/// Tags of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// They were read.
    Known(BTreeMap<String, String>),
    /// They could not be read, or were not.
    Unknown,
}

impl Facts {
    /// Facts with the tags of these targets.
    pub fn of(tags: impl IntoIterator<Item = (Target, Tags)>) -> Self {
        Self { tags: tags.into_iter().collect() }
    }

    fn tags(&self, target: &Target) -> &Tags {
        self.tags.get(target).unwrap_or(&Tags::Unknown)
    }
}

impl Plan {
    /// Whether a step that changes the account would begin without anybody having been asked.
    pub fn needs_slot(&self) -> bool {
        self.steps.iter().any(|step| step.kind.changes() && step.disposition == Disposition::Run)
    }
}

/// Decides what the playbook does about the incident. The same input gives the same plan.
pub fn decide(
    incident: &Incident,
    playbook: &Playbook,
    safety: &Safety,
    facts: &Facts,
    now: Timestamp,
) -> Plan {
    let case = Case { incident, playbook, safety, facts };
    let mut steps: Vec<PlannedStep> = Vec::new();
    for step in playbook.steps.iter().filter(|step| step.mode != Mode::Off) {
        for target in targets(incident, step.step) {
            let (disposition, why) = case.judge(step.step, step.mode, target);
            steps.push(planned(step.step, target.clone(), disposition, why));
        }
    }
    // What began under another playbook or version of it is still carried through.
    for begun in incident.steps.iter().filter(|step| step.has_begun()) {
        if !steps.iter().any(|step| step.kind == begun.kind && step.target == begun.target) {
            steps.push(planned(begun.kind, begun.target.clone(), Disposition::Resume, begun.why.clone()));
        }
    }
    Plan {
        incident: incident.id.clone(),
        steps,
        notes: case.notes(),
        advice: playbook.next_steps.clone(),
        block_for_hours: playbook.block_for_hours,
        at: now,
    }
}

fn planned(kind: StepKind, target: Target, disposition: Disposition, why: String) -> PlannedStep {
    PlannedStep { kind, target, disposition, why, undone_by: kind.undone_by() }
}

fn targets(incident: &Incident, kind: StepKind) -> Vec<&Target> {
    if kind == StepKind::Notify {
        return vec![&Target::Incident];
    }
    let fits = |target: &&Target| target.kind() == Some(kind.acts_on());
    incident.signal.targets.iter().filter(fits).take(MAX_TARGETS).collect()
}

struct Case<'a> {
    incident: &'a Incident,
    playbook: &'a Playbook,
    safety: &'a Safety,
    facts: &'a Facts,
}

impl Case<'_> {
    fn judge(&self, kind: StepKind, mode: Mode, target: &Target) -> (Disposition, String) {
        if let Some(step) = self.step(kind, target)
            && step.has_begun()
        {
            // Approval is also the word to try again what failed.
            let again = step.status == StepStatus::Failed && self.approver(kind, target).is_some();
            return (if again { Disposition::Approved } else { Disposition::Resume }, step.why.clone());
        }
        if kind == StepKind::Notify {
            return (Disposition::Run, "the playbook says so".to_owned());
        }
        if let Some(why) = self.never(kind, target) {
            return (Disposition::Refuse, why);
        }
        if !kind.changes() {
            return (Disposition::Run, "the playbook says so".to_owned());
        }
        if self.playbook.dry_run || self.safety.dry_run {
            return (
                Disposition::DryRun,
                "dry run: turned on in the playbook or the safety rules".to_owned(),
            );
        }
        if self.untold(target) && !self.approves_untold(kind, target) {
            return (Disposition::Ask, UNTOLD.to_owned());
        }
        if let Some(by) = self.approver(kind, target) {
            return (Disposition::Approved, format!("approved by {by}"));
        }
        match self.asks(mode) {
            Some(why) => (Disposition::Ask, why),
            None => (Disposition::Run, "the playbook says so".to_owned()),
        }
    }

    /// Why it is never done, approved or not.
    fn never(&self, kind: StepKind, target: &Target) -> Option<String> {
        let signal = &self.incident.signal;
        if signal.sample {
            return Some("a sample: nothing happened".to_owned());
        }
        if !kind.changes() {
            return None;
        }
        if !signal.containable {
            return Some(
                "the call failed, an AWS service made it, or the rule only alerts: never contained"
                    .to_owned(),
            );
        }
        if let Some(why) = self.safety.elsewhere(target, &signal.account, &signal.region) {
            return Some(why);
        }
        let tagged = || match self.facts.tags(target) {
            Tags::Known(tags) => self.safety.protects_tagged(tags),
            Tags::Unknown => None,
        };
        target.out_of_reach().or_else(|| self.safety.protects(target)).or_else(tagged)
    }

    /// Why it is not done without being asked.
    fn asks(&self, mode: Mode) -> Option<String> {
        let (severity, from): (Band, Band) = (self.incident.signal.severity, self.playbook.automatic_from);
        if mode == Mode::Approval {
            Some("the playbook asks".to_owned())
        } else if severity < from {
            Some(format!("severity {severity} is below {from}, from which the playbook acts by itself"))
        } else {
            None
        }
    }

    /// Whether a protection by tag may be there that could not be read.
    fn untold(&self, target: &Target) -> bool {
        self.safety.protected_tag.is_some() && has_tags(target) && *self.facts.tags(target) == Tags::Unknown
    }

    fn approves_untold(&self, kind: StepKind, target: &Target) -> bool {
        self.incident.approval.as_ref().is_some_and(|approval| approval.covers_untold(kind, target))
    }

    fn approver(&self, kind: StepKind, target: &Target) -> Option<&str> {
        let approval = self.incident.approval.as_ref()?;
        approval.covers(kind, target).then_some(approval.by.as_str())
    }

    fn step(&self, kind: StepKind, target: &Target) -> Option<&Step> {
        self.incident.steps.iter().find(|step| step.kind == kind && step.target == *target)
    }

    fn notes(&self) -> Vec<String> {
        let notes: BTreeSet<String> =
            self.incident.signal.targets.iter().filter_map(Target::out_of_reach).collect();
        notes.into_iter().collect()
    }
}

/// Whether it is of a kind that has tags.
pub(crate) const fn has_tags(target: &Target) -> bool {
    matches!(
        target,
        Target::User { .. }
            | Target::Role { .. }
            | Target::Instance { .. }
            | Target::Function { .. }
            | Target::Bucket { .. }
    )
}

/// Why a step waits whose target may be protected.
pub(crate) const UNTOLD: &str = "its tags could not be read: it may be protected";

/// How many targets a step takes: an attack sequence may name many instances.
const MAX_TARGETS: usize = 32;
