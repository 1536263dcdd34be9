//! `portcullis incident`: what was detected and contained, and the way back.

mod list;
mod text;

use portcullis_response::{Incident, StepStatus};
use serde_json::Value;

use crate::api::{Api, ApiArgs};
use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) use text::{between, incident_text, steps_table};

/// The subcommands of `portcullis incident`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Show(Show),
    Approve(Approve),
    Release(Release),
}

/// Shows an incident: what was seen, each step with what was there before it and what it changed, what people do next, how
/// long each took, and what happened in order.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis incident show inc-0123456789abcdef0123\n  portcullis incident show inc-0123456789abcdef0123 --json | jq .steps"
)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
}

/// Lets the steps run that wait for approval now, in the name of the identity that asks; none that come later. Exit code 1
/// where something could not be done.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis incident approve inc-0123456789abcdef0123 --revision \\\n    $(portcullis incident show inc-0123456789abcdef0123 --json | jq .revision)"
)]
pub(crate) struct Approve {
    #[command(flatten)]
    which: Which,
    /// The revision that `incident show` printed: what changed since is not approved. Without it, the one that stands
    /// when the command begins.
    #[arg(long)]
    revision: Option<u64>,
}

/// Restores what was there before each step, last step first, and says what it could not restore and why. Exit code 1 where
/// something is left.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis incident release inc-0123456789abcdef0123")]
pub(crate) struct Release {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The incident's id: `portcullis incident list` names it.
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl Which {
    /// The path of the incident. What is no id finds nothing, and reaches no other path.
    fn path(&self) -> Result<String, Failure> {
        let word = self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if word && !self.id.is_empty() {
            return Ok(format!("/incidents/{}", self.id));
        }
        Err(Failure::usage(format!(
            "{:?} is no id of an incident: `inc-` and 20 digits of hexadecimal",
            self.id
        )))
    }
}

pub(crate) async fn run(
    command: &Command,
    output: &Output,
    environment: &Environment,
) -> Result<(), Failure> {
    match command {
        Command::List(args) => list::run(args, output, environment).await,
        Command::Show(Show { which }) => {
            let answer = which.api.connect(environment)?.get(&which.path()?).await?;
            let incident = read(&answer)?;
            output.line(&answer, || incident_text(&incident))
        }
        Command::Approve(Approve { which, revision }) => {
            let (api, path) = (which.api.connect(environment)?, which.path()?);
            let seen = match revision {
                Some(revision) => *revision,
                None => read(&api.get(&path).await?)?.revision,
            };
            let answer = api.send(&format!("{path}/approve?revision={seen}"), Vec::new()).await?;
            let incident = read(&answer)?;
            output.line(&answer, || incident_text(&incident))?;
            left(&undone(&incident))
        }
        Command::Release(Release { which }) => {
            let api = which.api.connect(environment)?;
            let released = release(&api, &which.path()?).await?;
            output.line(&released.answer, || text::release_text(&released))?;
            left(&released.not_released)
        }
    }
}

/// What a release did.
pub(crate) struct Released {
    /// The incident as it stands now.
    pub(crate) incident: Incident,
    /// What is not restored, and why.
    pub(crate) not_released: Vec<String>,
    /// What is restored, but not entirely.
    pub(crate) remarks: Vec<String>,
    answer: Value,
}

/// Releases the incident at that path.
pub(crate) async fn release(api: &Api, path: &str) -> Result<Released, Failure> {
    let answer = api.send(&format!("{path}/release"), Vec::new()).await?;
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = list("not_released");
    let not_released = steps.iter().map(|step| {
        let why: Vec<String> =
            step.get("why").and_then(Value::as_array).into_iter().flatten().map(text).collect();
        let kind = step.get("kind").map(text).unwrap_or_default();
        format!("{kind}: {}", why.join("; "))
    });
    Ok(Released {
        incident: read(answer.get("incident").unwrap_or(&Value::Null))?,
        not_released: not_released.collect(),
        remarks: list("remarks").iter().map(text).collect(),
        answer: answer.clone(),
    })
}

/// An incident as the API shows it.
pub(crate) fn read(answer: &Value) -> Result<Incident, Failure> {
    let mut kept = answer.clone();
    if let Some(members) = kept.as_object_mut() {
        SAID_BESIDES.iter().for_each(|name| drop(members.remove(*name)));
    }
    serde_json::from_value(kept)
        .map_err(|e| Failure::usage(format!("the answer is no incident as this version knows it: {e}")))
}

/// The steps that could not be done.
pub(crate) fn undone(incident: &Incident) -> Vec<String> {
    let failed = incident.steps.iter().filter(|step| step.status == StepStatus::Failed);
    failed.map(|step| format!("{} {}: {}", step.kind, step.target, step.failures.join("; "))).collect()
}

fn left(what: &[String]) -> Result<(), Failure> {
    match what {
        [] => Ok(()),
        some => Err(Failure::refused(format!("not everything could be done: {}", some.join("; ")))),
    }
}

/// What the API says of an incident besides the incident.
const SAID_BESIDES: [&str; 3] = ["durations", "actions_taken", "next_steps"];
