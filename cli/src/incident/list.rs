//! `portcullis incident list`.

use serde_json::Value;

use crate::api::ApiArgs;
use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::{keep_whole, printable, table};

/// Lists incidents, newest first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis incident list --status awaiting-approval\n  portcullis incident list --json | jq -r .id"
)]
pub(crate) struct Args {
    /// Only those that stand so.
    #[arg(long, value_enum)]
    status: Option<Standing>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    #[command(flatten)]
    api: ApiArgs,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Standing {
    /// Seen; nothing is contained, and nothing waits.
    Detected,
    /// Steps wait for approval.
    AwaitingApproval,
    /// Steps run.
    Containing,
    /// Every planned step is done.
    Contained,
    /// Something could not be done.
    Partial,
    /// Everything that could be restored is.
    Released,
}

impl Standing {
    const fn name(self) -> &'static str {
        match self {
            Self::Detected => "DETECTED",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Containing => "CONTAINING",
            Self::Contained => "CONTAINED",
            Self::Partial => "PARTIAL",
            Self::Released => "RELEASED",
        }
    }
}

pub(crate) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let status = args.status.map(|status| format!("&status={}", status.name())).unwrap_or_default();
    let path = format!("/incidents?limit={}{status}", args.limit);
    let answer = args.api.connect(environment)?.get(&path).await?;
    let found = answer.get("incidents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if output.is_json() {
        return found.iter().try_for_each(|incident| output.line(incident, String::new));
    }
    if found.is_empty() {
        return output.text("No incidents.");
    }
    let mut rows = table(&["Incident", "Status", "Severity", "Detected", "What"]);
    for incident in found {
        let text = |name: &str| printable(incident.get(name).and_then(Value::as_str).unwrap_or("-"));
        let minute: String = text("detected_at").replace('T', " ").chars().take(16).collect();
        rows.add_row([
            text("id"),
            text("status").replace('_', " "),
            text("severity").to_uppercase(),
            minute,
            text("title"),
        ]);
    }
    keep_whole(&mut rows, 0);
    output.text(&rows.to_string())
}
