//! `portcullis keys`: the signing keys of a running stack.

use portcullis_base::Timestamp;
use serde_json::{Value, json};

use crate::api::ApiArgs;
use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;

/// The subcommands of `portcullis keys`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(Args),
    Rotate(Rotate),
}

/// Lists the signing keys and where each is in its life: published, active, retiring, retired.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis keys list\n  portcullis keys list --json | jq -r '.keys[].kid'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    api: ApiArgs,
}

/// Publishes a new signing key for each algorithm. It signs once nobody holds a key set without it; the one before it
/// stays in the set until its last token has expired, so that no request fails. Asking again while a new key waits changes
/// nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis keys rotate\n  portcullis keys rotate --compromised 3q2-7w…   (takes that key out at once)"
)]
pub(crate) struct Rotate {
    /// Take this key out at once. The authorizer refuses every token of it within 30 seconds (two minutes while it cannot
    /// read its table; `portcullis serve`: ten); services that fetch the key set do so within about six minutes, or an hour
    /// while it cannot be fetched.
    #[arg(long, value_name = "KID")]
    compromised: Option<String>,
    #[command(flatten)]
    args: Args,
}

pub(crate) async fn run(
    command: &Command,
    output: &Output,
    environment: &Environment,
) -> Result<(), Failure> {
    match command {
        Command::List(args) => show(output, &args.api.connect(environment)?.get("/sts/keys").await?),
        Command::Rotate(Rotate { compromised, args }) => {
            let body = compromised.as_ref().map(|kid| json!({"compromised": kid}));
            let api = args.api.connect(environment)?;
            show(output, &api.post("/sts/rotate-keys", body.as_ref()).await?)
        }
    }
}

fn show(output: &Output, answer: &Value) -> Result<(), Failure> {
    output.line(answer, || {
        let mut table = table(&["Key", "Algorithm", "Stage", "Published", "Signs from", "Signs until"]);
        for key in answer.get("keys").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
            let time =
                |name: &str| key.get(name).and_then(Value::as_i64).map_or_else(|| "-".to_owned(), instant);
            table.add_row([
                text("kid"),
                text("alg"),
                text("stage"),
                time("published_at"),
                time("active_from"),
                time("signs_until"),
            ]);
        }
        let changes = answer.get("changes").and_then(Value::as_array).map(Vec::len);
        let done = match changes {
            None => String::new(),
            Some(0) => "\nNothing to do: a new key is waiting to sign already.".to_owned(),
            Some(n) => format!("\n{n} changes."),
        };
        format!("{table}{done}")
    })
}

fn instant(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| "-".to_owned(), |at| at.to_string())
}
