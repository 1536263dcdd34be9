//! `portcullis keys`: the signing keys of a running stack.

use std::path::PathBuf;

use comfy_table::{ContentArrangement, Table, presets};
use portcullis_base::Timestamp;
use serde_json::{Value, json};

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::service::{self, CredentialArgs};

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
    /// Where the stack is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    url: String,
    /// The identity that asks: a security admin.
    #[arg(long, value_name = "ID", default_value = "ops.security-admin")]
    service: String,
    #[command(flatten)]
    credential: CredentialArgs,
    /// Root key of the local stack. Default: portcullis/root.key in your configuration folder.
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
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
        Command::List(args) => show(output, &args.ask("GET", "/sts/keys", None, environment).await?),
        Command::Rotate(Rotate { compromised, args }) => {
            let body = compromised.as_ref().map(|kid| json!({"compromised": kid}));
            show(output, &args.ask("POST", "/sts/rotate-keys", body, environment).await?)
        }
    }
}

impl Args {
    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        environment: &Environment,
    ) -> Result<Value, Failure> {
        let client =
            self.credential.connect(&self.url, &self.service, self.root_key.as_deref(), environment)?;
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let request = if method == "GET" { client.get(&url) } else { client.post(&url) };
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let answer = request.send().await.map_err(|e| service::failed(&url, &e))?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|e| service::failed(&url, &e))?;
        if status.is_success() { Ok(body) } else { Err(Failure::refused(format!("{url}: {status}"))) }
    }
}

fn show(output: &Output, answer: &Value) -> Result<(), Failure> {
    output.line(answer, || {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["Key", "Algorithm", "Stage", "Published", "Signs from", "Signs until"]);
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
