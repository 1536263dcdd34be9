//! What people and systems are told: a short subject, a body to read, and the same as JSON.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::incident::{Incident, Status, StepStatus};
use crate::report::{actions_taken, durations, next_steps};

/// When in an incident's life a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It was opened, and this is the plan.
    Opened,
    /// It was decided about anew: approval, or a rise in severity.
    Changed,
    /// This was done.
    Outcome,
    /// It was released.
    Released,
    /// It was seen again after its release.
    SeenAgain,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The same when the message is sent again: for receivers that do not want it twice.
    pub id: String,
    /// One line of printable ASCII, at most [`MAX_SUBJECT`] characters: what SNS takes.
    pub subject: String,
    /// For people.
    pub body: String,
    /// For systems: an object.
    pub json: String,
}

/// The message of an incident as it stands.
pub fn message(incident: &Incident, phase: Phase) -> Message {
    Message {
        id: format!("{}-{}-{}", incident.id, incident.round, phase.name()),
        subject: subject(incident, phase),
        body: body(incident, phase),
        json: structured(incident, phase),
    }
}

impl Message {
    /// The message for SNS with `MessageStructure: json`: text for people, JSON for queues, functions and HTTP.
    ///
    /// Source: SNS API reference, Publish, `MessageStructure`.
    pub fn sns(&self) -> String {
        let both = format!("{}\n\n{}\n", self.body, self.json);
        json!({
            "default": self.json, "email": both, "email-json": self.json, "sms": self.subject,
            "sqs": self.json, "lambda": self.json, "http": self.json, "https": self.json, "firehose": self.json,
        })
        .to_string()
    }
}

impl Phase {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Outcome => "outcome",
            Self::Released => "released",
            Self::SeenAgain => "seen-again",
        }
    }
}

fn subject(incident: &Incident, phase: Phase) -> String {
    let signal = &incident.signal;
    let sample = if signal.sample { "SAMPLE " } else { "" };
    let status =
        if phase == Phase::SeenAgain { "SEEN AGAIN".to_owned() } else { incident.status.to_string() };
    let text = format!(
        "[Portcullis] {sample}{} {} {status} {}: {}",
        signal.severity,
        type_name(incident),
        signal.account,
        signal.title
    );
    let printable = text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' });
    printable.take(MAX_SUBJECT).collect::<String>().trim_end().to_owned()
}

fn body(incident: &Incident, phase: Phase) -> String {
    let signal = &incident.signal;
    let times = durations(incident);
    let mut lines = vec![
        plain(&signal.title),
        String::new(),
        format!("Incident:  {}", incident.id),
        format!("Status:    {} ({})", incident.status, phase.name()),
        format!("Type:      {}", type_name(incident)),
        format!("Severity:  {}", signal.severity),
        format!("Account:   {} in {}", plain(&signal.account), plain(&signal.region)),
        format!("Happened:  {} (seen {} times)", incident.times.happened, signal.count),
        format!("Detected:  {} ({} s later)", incident.times.detected, times.to_detect),
    ];
    if signal.sample {
        lines.push("This is a sample: nothing happened.".to_owned());
    }
    let mut section = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            lines.push(String::new());
            lines.push(format!("{title}:"));
            let hidden = items.len().saturating_sub(MAX_ITEMS);
            lines.extend(items.iter().take(MAX_ITEMS).map(|item| format!("- {}", plain(item))));
            if hidden > 0 {
                lines.push(format!("- and {hidden} more"));
            }
        }
    };
    section("About", signal.targets.iter().map(ToString::to_string).collect());
    section("Done", actions_taken(incident));
    section("Planned", planned(incident));
    section("Next steps", next_steps(incident));
    if incident.status == Status::AwaitingApproval {
        section("To approve", vec![format!("portcullis incident approve {}", incident.id)]);
    }
    if incident.times.contained.is_some() && incident.status != Status::Released {
        section("To undo", vec![format!("portcullis incident release {}", incident.id)]);
    }
    lines.join("\n")
}

fn structured(incident: &Incident, phase: Phase) -> String {
    let signal = &incident.signal;
    let bounded = |items: Vec<String>| items.into_iter().take(MAX_ITEMS).collect::<Vec<_>>();
    json!({
        "schema": "portcullis.incident.v1",
        "incident_id": incident.id.as_str(),
        "phase": phase.name(),
        "status": incident.status,
        "incident_type": signal.incident_type,
        "severity": signal.severity.name(),
        "title": signal.title,
        "source": signal.source,
        "sample": signal.sample,
        "account": signal.account,
        "region": signal.region,
        "count": signal.count,
        "happened_at": incident.times.happened,
        "detected_at": incident.times.detected,
        "targets": bounded(signal.targets.iter().map(ToString::to_string).collect()),
        "actions_taken": bounded(actions_taken(incident)),
        "next_steps": bounded(next_steps(incident)),
        "seconds": durations(incident),
    })
    .to_string()
}

fn planned(incident: &Incident) -> Vec<String> {
    let open = incident.steps.iter().filter_map(|step| {
        let how = match step.status {
            StepStatus::Planned | StepStatus::Running => "now",
            StepStatus::AwaitingApproval => "after approval",
            StepStatus::DryRun => "not done: dry run",
            _ => return None,
        };
        step.kind.changes().then(|| format!("{} ({}): {how}", step.kind.says(), step.target))
    });
    open.collect()
}

fn type_name(incident: &Incident) -> String {
    let name = serde_json::to_value(incident.signal.incident_type).unwrap_or_default();
    name.as_str().unwrap_or("GENERIC").to_owned()
}

/// Names and titles come from outside: no line of theirs may look like one of ours.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LINE).collect()
}

/// Longest subject that SNS takes: fewer than 100 characters.
///
/// Source: SNS API reference, Publish, `Subject`.
pub const MAX_SUBJECT: usize = 99;

const MAX_ITEMS: usize = 40;
const MAX_LINE: usize = 500;

#[cfg(test)]
mod tests {
    use portcullis_base::Timestamp;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::simulation::example_signal;

    fn opened(title: &str) -> Incident {
        let mut signal = example_signal("f");
        signal.title = title.to_owned();
        Incident::open(signal, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_message_reads_and_parses() {
        let message = message(&opened("Keys used from Tor"), Phase::Opened);
        assert!(
            message
                .subject
                .starts_with("[Portcullis] HIGH COMPROMISED_CREDENTIALS DETECTED 111122223333: Keys")
        );
        assert!(message.body.contains("Incident:  inc-") && message.body.contains("user/ana"));
        let json: Value = serde_json::from_str(&message.json).unwrap();
        assert_eq!(json["incident_type"], "COMPROMISED_CREDENTIALS");
        assert_eq!(json["status"], "DETECTED");
        assert!(json["actions_taken"].is_array() && json["next_steps"].is_array());
        let sns: Value = serde_json::from_str(&message.sns()).unwrap();
        assert_eq!(sns["default"], message.json);
        assert!(sns["email"].as_str().unwrap().contains("Incident:"));
    }

    #[test]
    fn a_title_from_outside_writes_no_line_of_its_own() {
        let message = message(&opened("x\nStatus:    RELEASED\r\n\u{1b}[2J"), Phase::Opened);
        assert!(!message.subject.contains('\n'));
        assert_eq!(message.body.lines().filter(|line| line.starts_with("Status:")).count(), 1);
        assert!(!message.body.contains('\u{1b}'));
    }

    #[test]
    fn a_subject_has_fewer_than_a_hundred_characters() {
        assert_eq!(message(&opened(&"x".repeat(300)), Phase::Opened).subject.len(), 99);
    }

    #[test]
    fn a_sample_says_so() {
        let mut incident = opened("t");
        incident.signal.sample = true;
        let message = message(&incident, Phase::Opened);
        assert!(message.subject.contains("SAMPLE") && message.body.contains("nothing happened"));
    }

    proptest! {
        #[test]
        fn sns_takes_every_subject(title in "\\PC{0,300}|[\\x00-\\x20\u{e9}]{0,200}") {
            let subject = message(&opened(&title), Phase::Outcome).subject;
            prop_assert!(subject.len() < 100);
            prop_assert!(subject.bytes().all(|b| (0x20..0x7f).contains(&b)));
        }
    }
}
