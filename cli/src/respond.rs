//! `portcullis respond`: what the playbooks would do about what was seen, or, by a running stack, do.

use std::path::{Path, PathBuf};

use portcullis_base::{Clock, Timestamp};
use portcullis_detection::{Detector, MemoryState, records};
use portcullis_response::{
    Facts, Finding, FindingTypes, Incident, PLAYBOOKS, Plan, Playbooks, SAFETY, Safety, Signal, TYPES, decide,
};
use serde::Serialize;

use crate::api::ApiArgs;
use crate::config::Environment;
use crate::detect::{self, DetectorArgs};
use crate::drill;
use crate::failure::Failure;
use crate::incident::{self, steps_table};
use crate::input;
use crate::output::Output;
use crate::table::{printable, table};

/// Print the plan for every incident in these logs and findings, or let a running stack carry it out.
///
/// A plan says which steps, on what, why, and how each is undone. Files hold CloudTrail records, as `portcullis detect` takes
/// them, or a GuardDuty finding as EventBridge delivers it.
///
/// Without --apply nothing is changed and no account is asked: tags are unknown, so that steps that they could forbid ask
/// first; exit code 1 where there are incidents. With --apply the events go to a running local stack, whose own rules and
/// playbooks decide, and what it did is printed; exit code 1 where something could not be done.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis respond finding.json logs/*.json.gz\n  portcullis respond logs/*.json --playbooks my-playbooks/ --json\n  portcullis respond finding.json --apply --url http://127.0.0.1:8787"
)]
pub(crate) struct Args {
    /// Files with CloudTrail records or findings, or - for standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Let a running stack do it: what is in the files is sent to its /events.
    #[arg(long, conflicts_with_all = ["playbooks", "safety", "rules", "context"])]
    apply: bool,
    /// Folder of playbooks (*.yml) in place of the shipped ones.
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
    /// What may never be done, in place of the shipped config/response.yml.
    #[arg(long, value_name = "FILE")]
    safety: Option<PathBuf>,
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten, next_help_heading = "With --apply")]
    api: ApiArgs,
}

/// An incident and what would be done about it.
#[derive(Debug, Serialize)]
struct Answer {
    signal: Signal,
    plan: Plan,
}

struct Planner {
    detector: Detector,
    state: MemoryState,
    playbooks: Playbooks,
    safety: Safety,
    types: FindingTypes,
}

pub(crate) async fn run(
    args: &Args,
    output: &Output,
    environment: &Environment,
    clock: &impl Clock,
) -> Result<(), Failure> {
    if args.apply { apply(args, output, environment).await } else { plan(args, output, clock).await }
}

/// Sends the files to the stack and prints what it did.
async fn apply(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let api = args.api.connect(environment)?;
    let (mut unanswered, mut unreadable, mut left) = (0, 0, Vec::new());
    for file in &args.files {
        let events = detect::read(file)?;
        for why in not_read(&events) {
            unreadable += 1;
            output.error(&input::wrong(file, &printable(&why)));
        }
        let played = drill::send(&api, events).await?;
        unanswered += played.unanswered;
        for (incident, answer) in played.incidents.iter().zip(&played.answers) {
            output.line(answer, || {
                let title = printable(&incident.signal.title);
                let (status, severity) = (incident.status, incident.signal.severity);
                format!("{}  {status}  {severity}\n{title}\n{}", incident.id, steps_table(incident))
            })?;
            left.extend(incident::undone(incident));
        }
    }
    match (unreadable, unanswered, &*left) {
        (0, 0, []) => Ok(()),
        (0, 0, left) => Err(Failure::refused(format!("not everything could be done: {}", left.join("; ")))),
        (unreadable, unanswered, _) => {
            Err(Failure::usage(format!("unreadable: {unreadable}, not answered to their end: {unanswered}")))
        }
    }
}

/// What of the events is neither a finding nor a record.
fn not_read(events: &[u8]) -> Vec<String> {
    if Finding::parse(events).is_ok() {
        return Vec::new();
    }
    records(events).filter_map(|record| record.err().map(|e| e.to_string())).collect()
}

async fn plan(args: &Args, output: &Output, clock: &impl Clock) -> Result<(), Failure> {
    let planner = Planner {
        detector: args.detector.detector()?,
        state: MemoryState::default(),
        playbooks: playbooks(args.playbooks.as_deref())?,
        safety: safety(args.safety.as_deref())?,
        types: FindingTypes::parse(TYPES).map_err(|e| Failure::usage(e.to_string()))?,
    };
    let (mut incidents, mut unreadable) = (0_usize, 0_usize);
    for file in &args.files {
        for signal in planner.signals(file, clock.now()).await? {
            match signal {
                Ok(signal) => {
                    incidents += 1;
                    print(output, &planner.answer(signal, clock.now()))?;
                }
                Err(why) => {
                    unreadable += 1;
                    output.error(&input::wrong(file, &printable(&why)));
                }
            }
        }
    }
    match (unreadable, incidents) {
        (0, 0) => Ok(()),
        (0, n) => Err(Failure::refused(format!("incidents: {n}"))),
        (unreadable, n) => Err(Failure::usage(format!("unreadable: {unreadable}, incidents: {n}"))),
    }
}

impl Planner {
    /// What a file says: a finding, or the hits on its records.
    async fn signals(&self, file: &Path, now: Timestamp) -> Result<Vec<Result<Signal, String>>, Failure> {
        let bytes = detect::read(file)?;
        if let Ok(finding) = Finding::parse(&bytes) {
            return Ok(vec![Ok(Signal::of_finding(&finding, &self.types, now))]);
        }
        let mut signals = Vec::new();
        for record in records(&bytes) {
            let examined = match record {
                Ok(record) => {
                    self.detector.examine(&record, &self.state, now).await.map_err(|e| e.to_string())
                }
                Err(unreadable) => Err(unreadable.to_string()),
            };
            match examined {
                Ok(hits) => signals.extend(hits.iter().map(|hit| Ok(Signal::of_hit(hit)))),
                Err(why) => signals.push(Err(why)),
            }
        }
        Ok(signals)
    }

    fn answer(&self, signal: Signal, now: Timestamp) -> Answer {
        let incident = Incident::open(signal.clone(), now);
        let playbook = self.playbooks.of(signal.incident_type);
        let plan = decide(&incident, playbook, &self.safety, &Facts::default(), now);
        Answer { signal, plan }
    }
}

fn print(output: &Output, answer: &Answer) -> Result<(), Failure> {
    let text = || {
        let Answer { signal, plan } = answer;
        let head = format!(
            "{}  {}  {}  {}\n{}",
            plan.incident,
            signal.incident_type.as_str(),
            signal.severity,
            signal.happened_at,
            printable(&signal.title),
        );
        let mut table = table(&["Step", "On", "Is", "Why", "Undone by"]);
        for step in &plan.steps {
            let is = serde_json::to_value(step.disposition).unwrap_or_default();
            table.add_row([
                step.kind.to_string(),
                printable(&step.target.to_string()),
                is.as_str().unwrap_or_default().replace('_', " "),
                printable(&step.why),
                step.undone_by.to_owned(),
            ]);
        }
        let lines = |title: &str, lines: &[String]| match lines {
            [] => String::new(),
            some => format!(
                "\n{title}\n{}",
                some.iter().map(|l| format!("  - {}\n", printable(l))).collect::<String>()
            ),
        };
        format!(
            "{head}\n{table}{}{}",
            lines("Not possible:", &plan.notes),
            lines("Next, for people:", &plan.advice)
        )
    };
    output.line(answer, text)
}

/// The playbooks of a folder, or the shipped ones.
pub(crate) fn playbooks(folder: Option<&Path>) -> Result<Playbooks, Failure> {
    let Some(folder) = folder else {
        return Playbooks::load(PLAYBOOKS).map_err(|e| Failure::usage(format!("shipped playbooks: {e}")));
    };
    let files = input::folder(folder)?.into_iter().filter(|file| input::ends_with(file, &["yml", "yaml"]));
    let texts = files
        .map(|file| Ok((file.display().to_string(), input::text(&file, MAX_FILE)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    Playbooks::load(texts).map_err(|e| input::wrong(folder, &e))
}

/// The safety rules of a file, or the shipped ones.
pub(crate) fn safety(file: Option<&Path>) -> Result<Safety, Failure> {
    match file {
        None => Safety::parse(SAFETY).map_err(|e| Failure::usage(e.to_string())),
        Some(file) => Safety::parse(&input::text(file, MAX_FILE)?).map_err(|e| input::wrong(file, &e)),
    }
}

const MAX_FILE: u64 = 256 * 1024;
