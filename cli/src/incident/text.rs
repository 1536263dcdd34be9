//! An incident in words.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::Table;
use portcullis_base::Timestamp;
use portcullis_response::{
    Incident, PublicAccessBlock, Source, State, Step, StepKind, StepStatus, actions_taken, next_steps,
};

use super::Released;
use crate::table::{printable, table};

/// An incident with its steps, what comes next, and what happened.
pub(crate) fn incident_text(incident: &Incident) -> String {
    let signal = &incident.signal;
    let mut text = format!(
        "{}  {}  {}  {}\n{}\n\nRevision  {}\nSeen by   {}\nAccount   {} in {}\nAbout     {}\n{}",
        incident.id,
        incident.status,
        signal.incident_type.as_str(),
        signal.severity,
        printable(&signal.title),
        incident.revision,
        source(&signal.source),
        printable(&signal.account),
        printable(&signal.region),
        printable(&signal.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        times(incident),
    );
    if !incident.steps.is_empty() {
        section(&mut text, &format!("\n{}", steps_table(incident)));
    }
    list(&mut text, "Done", &actions_taken(incident));
    list(&mut text, "Next, for people", &next_steps(incident));
    let happened: Vec<String> =
        incident.timeline.iter().map(|entry| format!("{}  {}", clock(entry.at), entry.what)).collect();
    list(&mut text, "What happened", &happened);
    text
}

/// What a release did, and what it could not.
pub(crate) fn release_text(released: &Released) -> String {
    let mut text = format!(
        "{}  {}\n\n{}",
        released.incident.id,
        released.incident.status,
        steps_table(&released.incident)
    );
    list(&mut text, "Not restored", &released.not_released);
    list(&mut text, "Remarks", &released.remarks);
    text
}

/// The steps, each with what was there before.
pub(crate) fn steps_table(incident: &Incident) -> Table {
    let mut rows = table(&["Step, on", "Is", "Before", "Changed, or why not"]);
    for step in &incident.steps {
        let is = serde_json::to_value(step.status).unwrap_or_default();
        rows.add_row([
            format!("{}\n{}", step.kind, printable(&step.target.to_string())),
            is.as_str().unwrap_or_default().replace('_', " "),
            step.before.as_ref().map(|state| printable(&before(state))).unwrap_or_default(),
            printable(&outcome(step)),
        ]);
    }
    rows
}

fn outcome(step: &Step) -> String {
    let changed = match step.status {
        StepStatus::Released => vec![step.kind.undone_by().to_owned()],
        _ => step.changed.clone(),
    };
    match (&*changed, &*step.failures) {
        ([], []) if step.kind == StepKind::Notify => String::new(),
        ([], []) => step.why.clone(),
        (changed, failures) => [changed, failures].concat().join("; "),
    }
}

/// What a step recorded before it changed anything.
fn before(state: &State) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    match state {
        State::Keys { keys } => {
            pairs(keys, |active| if *active { "active".to_owned() } else { "inactive".to_owned() })
        }
        State::Policy { document } => {
            if document.is_some() { "policy there" } else { "no policy" }.to_owned()
        }
        State::Login { reset_required } => {
            if reset_required.is_some() { "console password" } else { "no console password" }.to_owned()
        }
        State::Evidence { protected, volumes, .. } => {
            let end =
                if *protected { "protected from termination" } else { "not protected from termination" };
            format!("{}, {end}", count(volumes.len(), "volume"))
        }
        State::Groups { interfaces, .. } => pairs(interfaces, |groups| groups.join(" ")),
        State::Scaling { group } => or_none(group.clone()),
        State::Concurrency { reserved } => {
            reserved.map_or_else(|| "not reserved".to_owned(), |n| format!("{n} reserved"))
        }
        State::Address { listed, .. } => if *listed { "listed" } else { "not listed" }.to_owned(),
        State::PublicAccess { block } => block.map_or_else(|| "none".to_owned(), settings),
        State::Finding { archived, .. } => if *archived { "archived" } else { "not archived" }.to_owned(),
    }
}

fn settings(block: PublicAccessBlock) -> String {
    let all = [block.block_acls, block.ignore_acls, block.block_policy, block.restrict_buckets];
    format!("{} of 4 on", all.iter().filter(|on| **on).count())
}

fn pairs<V>(all: &BTreeMap<String, V>, say: impl Fn(&V) -> String) -> String {
    match all.is_empty() {
        true => "none".to_owned(),
        false => {
            all.iter().map(|(name, value)| format!("{name}: {}", say(value))).collect::<Vec<_>>().join(", ")
        }
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn source(source: &Source) -> String {
    match source {
        Source::Finding { kind, .. } => format!("GuardDuty finding {}", printable(kind)),
        Source::Hit { rule, .. } => format!("rule {}", printable(rule)),
    }
}

fn times(incident: &Incident) -> String {
    let times = &incident.times;
    let after = |what: &str, at: Option<Timestamp>| {
        at.map(|at| format!(", {what} {} later", between(times.detected, at))).unwrap_or_default()
    };
    format!(
        "Happened  {}, detected {} later{}{}{}",
        clock(times.happened),
        between(times.happened, times.detected),
        after("told", times.notified),
        after("contained", times.contained),
        after("released", times.released),
    )
}

/// How long it was from one to the other. A clock that stands a little behind another is no time before.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> String {
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond()).max(0);
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..120 => format!("{seconds}.{} s", millis % 1000 / 100),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// To the second.
fn clock(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn list(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        section(text, &format!("\n{title}:"));
        lines.iter().for_each(|line| section(text, &format!("  - {}", printable(line))));
    }
}

fn section(text: &mut String, line: &str) {
    // A String takes everything.
    let _written = write!(text, "\n{line}");
}

#[cfg(test)]
mod tests {
    use portcullis_response::simulation::example_signal;

    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let start = Timestamp::UNIX_EPOCH;
        for (millis, said) in [
            (-5, "0 ms"),
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (61_950, "61.9 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(between(start, Timestamp::from_millisecond(millis).unwrap()), said);
        }
    }

    #[test]
    fn what_was_there_before_is_said_of_every_state() {
        let keys = |pairs: &[(&str, bool)]| pairs.iter().map(|(k, a)| ((*k).to_owned(), *a)).collect();
        for (state, said) in [
            (State::Keys { keys: keys(&[("A", true), ("B", false)]) }, "A: active, B: inactive"),
            (State::Keys { keys: keys(&[]) }, "none"),
            (State::Policy { document: None }, "no policy"),
            (State::Login { reset_required: Some(false) }, "console password"),
            (State::Scaling { group: Some("asg".into()) }, "asg"),
            (State::Concurrency { reserved: Some(5) }, "5 reserved"),
            (State::Concurrency { reserved: None }, "not reserved"),
            (
                State::Address {
                    ip: [198, 51, 100, 7].into(),
                    listed: false,
                    set: portcullis_response::AddressSet::default(),
                },
                "not listed",
            ),
            (State::PublicAccess { block: None }, "none"),
            (State::Finding { archived: false, comment: None }, "not archived"),
        ] {
            assert_eq!(before(&state), said);
        }
    }

    #[test]
    fn names_from_outside_move_no_cursor() {
        let mut signal = example_signal("f");
        signal.title = "x\u{1b}[2J\ny".to_owned();
        let text = incident_text(&Incident::open(signal, Timestamp::UNIX_EPOCH));
        assert!(
            !text.contains('\u{1b}') && text.lines().any(|line| line.starts_with('x') && line.ends_with('y'))
        );
    }
}
