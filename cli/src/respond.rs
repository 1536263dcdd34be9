//! `portcullis respond`: what the playbooks would do about what was seen.

use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use portcullis_base::{Clock, Timestamp};
use portcullis_detection::{Detector, MemoryState, records};
use portcullis_response::{
    Facts, Finding, FindingTypes, Incident, PLAYBOOKS, Plan, Playbooks, SAFETY, Safety, Signal, TYPES, decide,
};
use serde::Serialize;

use crate::detect::{self, DetectorArgs, printable};
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// Prints the plan for every incident in these files: which steps, on what, why, and how each is undone. Reads CloudTrail
/// records as `portcullis detect` does, and GuardDuty findings as EventBridge delivers them, one a file. Changes nothing and
/// asks no account: tags are unknown, so that steps that they could forbid ask first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis respond finding.json logs/*.json.gz\n  portcullis respond logs/*.json --playbooks my-playbooks/ --json"
)]
pub(crate) struct Args {
    /// Files with CloudTrail records or findings, or - for standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder of playbooks (*.yml) in place of the shipped ones.
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
    /// What may never be done, in place of the shipped config/response.yml.
    #[arg(long, value_name = "FILE")]
    safety: Option<PathBuf>,
    #[command(flatten)]
    detector: DetectorArgs,
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

pub(crate) async fn run(args: &Args, output: &Output, clock: &impl Clock) -> Result<(), Failure> {
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
                    output.error(&Failure::usage(format!("{}: {}", file.display(), printable(&why))));
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
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["Step", "On", "Is", "Why", "Undone by"]);
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

fn playbooks(folder: Option<&Path>) -> Result<Playbooks, Failure> {
    let Some(folder) = folder else {
        return Playbooks::load(PLAYBOOKS).map_err(|e| Failure::usage(format!("shipped playbooks: {e}")));
    };
    let entries = std::fs::read_dir(folder).map_err(|e| input::unreadable(folder, &e))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yml" || e == "yaml"))
        .collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| Ok((file.display().to_string(), text(file)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    Playbooks::load(texts).map_err(|e| Failure::usage(format!("{}: {e}", folder.display())))
}

fn safety(file: Option<&Path>) -> Result<Safety, Failure> {
    match file {
        None => Safety::parse(SAFETY).map_err(|e| Failure::usage(e.to_string())),
        Some(file) => {
            Safety::parse(&text(file)?).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))
        }
    }
}

fn text(file: &Path) -> Result<String, Failure> {
    let bytes = input::read(file, MAX_FILE)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{}: not UTF-8", file.display())))
}

const MAX_FILE: u64 = 256 * 1024;
