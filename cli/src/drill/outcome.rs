//! What became of an attack, held against what was expected.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use comfy_table::Table;
use portcullis_base::Timestamp;
use portcullis_detection::{RuleSet, SHIPPED};
use portcullis_response::{Incident, Source, Status, Step, StepStatus};
use serde::Serialize;

use super::attack::{Attack, Expected};
use super::play::Played;
use crate::incident::between;
use crate::table::{keep_whole, printable, table};

/// What became of an attack.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(super) attack: String,
    pub(super) title: String,
    pub(super) technique: Option<String>,
    pub(super) seen: Vec<Seen>,
    /// Steps that are done and take something away from somebody, as `kind target`.
    pub(super) contained: Vec<String>,
    /// How many steps wait for approval.
    pub(super) waiting: usize,
    pub(super) milliseconds: Spans,
    pub(super) as_expected: bool,
    pub(super) why_not: Vec<String>,
    #[serde(skip)]
    shown: [String; 3],
}

/// An incident that was opened.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    by: String,
    severity: String,
    incident: String,
    status: Status,
}

/// From the activity (of events that were recorded before the last one: from when they were sent) to the incident, and from
/// the incident to the first message and to containment.
#[derive(Debug, Default, Serialize)]
pub(super) struct Spans {
    detect: Option<i64>,
    notify: Option<i64>,
    contain: Option<i64>,
}

impl Outcome {
    pub(super) fn of(attack: &Attack, played: &Played) -> Self {
        let incidents = &played.incidents;
        let contained: Vec<String> =
            incidents.iter().flat_map(|i| i.steps.iter().filter(|s| is_contained(s)).map(name)).collect();
        let seen: Vec<Seen> = incidents.iter().map(Seen::of).collect();
        let waits = |step: &&Step| step.status == StepStatus::AwaitingApproval;
        let why_not = match &attack.expected {
            Some(expected) => against(expected, &seen, &contained),
            None => unfinished(incidents),
        };
        // The one that was contained says how long containment took.
        let main = incidents.iter().find(|i| i.times.contained.is_some()).or(incidents.first());
        let technique = attack.technique.clone().or_else(|| technique(incidents.first()?));
        Self {
            attack: attack.name.clone(),
            title: attack.title.clone(),
            technique,
            waiting: incidents.iter().flat_map(|i| &i.steps).filter(waits).count(),
            milliseconds: main.map(|main| Spans::of(main, played.sent_at)).unwrap_or_default(),
            shown: main.map(|main| spans(main, played.sent_at)).unwrap_or_default(),
            as_expected: why_not.is_empty(),
            why_not,
            seen,
            contained,
        }
    }
}

impl Seen {
    fn of(incident: &Incident) -> Self {
        Self {
            by: source(incident).to_owned(),
            severity: incident.signal.severity.to_string(),
            incident: incident.id.to_string(),
            status: incident.status,
        }
    }
}

impl Spans {
    fn of(incident: &Incident, sent_at: Timestamp) -> Self {
        let times = &incident.times;
        let millis = |from: Timestamp, to: Timestamp| (to.as_millisecond() - from.as_millisecond()).max(0);
        Self {
            detect: Some(millis(times.happened.max(sent_at), times.detected)),
            notify: times.notified.map(|at| millis(times.detected, at)),
            contain: times.contained.map(|at| millis(times.detected, at)),
        }
    }
}

fn spans(incident: &Incident, sent_at: Timestamp) -> [String; 3] {
    let times = &incident.times;
    let since = |at: Option<Timestamp>| at.map(|at| between(times.detected, at)).unwrap_or_default();
    [between(times.happened.max(sent_at), times.detected), since(times.notified), since(times.contained)]
}

/// A recording says which rules see it and which steps contain it: nothing less, and of containment nothing more.
fn against(expected: &Expected, seen: &[Seen], contained: &[String]) -> Vec<String> {
    let mut why = Vec::new();
    let missed = expected.seen_by.iter().filter(|by| !seen.iter().any(|s| s.by == **by));
    why.extend(missed.map(|by| format!("not seen by {by}")));
    if expected.seen_by.is_empty() {
        why.extend(seen.iter().map(|s| format!("seen by {}, and harmless", s.by)));
    }
    let left = expected.contained.iter().filter(|step| !contained.contains(step));
    why.extend(left.map(|step| format!("not done: {step}")));
    let more = contained.iter().filter(|step| !expected.contained.contains(step));
    why.extend(more.map(|step| format!("done, and not expected: {step}")));
    why
}

/// Of a recording that expects nothing: that it is seen, and that what was begun comes to its end.
fn unfinished(incidents: &[Incident]) -> Vec<String> {
    if incidents.is_empty() {
        return vec!["not seen".to_owned()];
    }
    let open =
        |step: &&Step| matches!(step.status, StepStatus::Planned | StepStatus::Running | StepStatus::Failed);
    let steps = incidents.iter().flat_map(|i| &i.steps).filter(open);
    steps.map(|step| format!("not done: {} ({})", name(step), step.failures.join("; "))).collect()
}

fn is_contained(step: &Step) -> bool {
    step.kind.contains() && step.status == StepStatus::Done
}

/// Whether there is something to release, or to call off.
pub(super) fn is_open(incident: &Incident) -> bool {
    let waits = |step: &Step| step.status == StepStatus::AwaitingApproval;
    incident.steps.iter().any(|step| waits(step) || (step.kind.changes() && step.has_begun()))
}

fn name(step: &Step) -> String {
    format!("{} {}", step.kind, step.target)
}

fn source(incident: &Incident) -> &str {
    match &incident.signal.source {
        Source::Finding { kind, .. } => kind,
        Source::Hit { rule, .. } => rule,
    }
}

/// The first technique of the shipped rule that saw it.
fn technique(incident: &Incident) -> Option<String> {
    static TECHNIQUES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
        let rules = RuleSet::load(SHIPPED);
        let infos = rules.iter().flat_map(RuleSet::infos);
        infos.filter_map(|info| Some((info.name.clone(), info.techniques.first()?.clone()))).collect()
    });
    TECHNIQUES.get(source(incident)).cloned()
}

/// The outcomes as a table.
pub(crate) fn outcomes_table(outcomes: &[Outcome]) -> Table {
    let mut rows = table(&["Attack", "Seen as", "Contained", "Took", "OK"]);
    for outcome in outcomes {
        let attack = format!("{}\n{}", outcome.title, outcome.technique.as_deref().unwrap_or_default());
        let mut seen: Vec<String> =
            outcome.seen.iter().map(|seen| format!("{}\n({})", broken(&seen.by), seen.severity)).collect();
        // Many events of one kind are one line.
        seen.dedup();
        let mut contained: Vec<String> =
            outcome.contained.iter().map(|step| step.replacen(' ', "\n", 1)).collect();
        if outcome.waiting > 0 {
            contained.push(format!("{} wait for approval", outcome.waiting));
        }
        let took =
            ["detect", "notify", "contain"].iter().zip(&outcome.shown).filter(|(_, span)| !span.is_empty());
        rows.add_row([
            lines(&[attack], ""),
            lines(&seen, "nothing"),
            lines(&contained, "nothing"),
            took.map(|(what, span)| format!("{what:<7} {span}")).collect::<Vec<_>>().join("\n"),
            if outcome.as_expected { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    keep_whole(&mut rows, 3);
    rows
}

/// A finding's type is long: its parts are lines.
fn broken(kind: &str) -> String {
    kind.replacen(':', ":\n", 1).replacen('.', "\n.", 1)
}

fn lines(texts: &[String], nothing: &str) -> String {
    if texts.is_empty() {
        return nothing.to_owned();
    }
    texts.iter().flat_map(|text| text.lines()).map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(by: &str) -> Seen {
        Seen { by: by.into(), severity: "HIGH".into(), incident: "i".into(), status: Status::Contained }
    }

    #[test]
    fn an_outcome_is_as_expected_or_it_is_said_why_not() {
        let of = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (label, seen_by, wanted, was_seen, done, why) in [
            ("as it says", &["a"][..], &["k t"][..], &["a"][..], &["k t"][..], &[][..]),
            ("another rule besides", &["a"], &[], &["a", "b"], &[], &[]),
            ("missed", &["a"], &[], &["b"], &[], &["not seen by a"]),
            ("not contained", &["a"], &["k t"], &["a"], &[], &["not done: k t"]),
            ("contained too much", &["a"], &[], &["a"], &["k t"], &["done, and not expected: k t"]),
            ("silent", &[], &[], &[], &[], &[]),
            ("not silent", &[], &[], &["a"], &[], &["seen by a, and harmless"]),
        ] {
            let expected = Expected { seen_by: of(seen_by), contained: of(wanted) };
            let was_seen: Vec<_> = was_seen.iter().map(|by| seen(by)).collect();
            assert_eq!(against(&expected, &was_seen, &of(done)), of(why), "{label}");
        }
        assert_eq!(unfinished(&[]), ["not seen"]);
    }
}
