//! `portcullis api-keys`: the API keys of a running stack.

use portcullis_base::Timestamp;
use serde_json::{Value, json};

use crate::api::ApiArgs;
use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::{printable, table};

/// The subcommands of `portcullis api-keys`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Create(Create),
    List(List),
    Rotate(Rotate),
    Revoke(Revoke),
}

/// Makes a key that stands for an identity, and shows it this once: only its hash is kept.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis api-keys create --owner svc.bff --scope read:conversations --days 30\n  curl -H \"X-Portcullis-Key: pk.…\" http://127.0.0.1:8787/conversations/…"
)]
pub(crate) struct Create {
    /// The identity that it stands for.
    #[arg(long, value_name = "ID")]
    owner: String,
    /// What it may be used for, of what its owner may; may be given more than once.
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<String>,
    /// Whose rate it has: a tier of the file of rates.
    #[arg(long, value_name = "TIER", default_value = "standard")]
    tier: String,
    /// When it ends, in days.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
    #[command(flatten)]
    api: ApiArgs,
}

/// Lists all keys, without their secrets.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    api: ApiArgs,
}

/// Gives a key a new secret, shown this once, and a new end. The old secret stays good beside it for a while.
///
/// The authorizer takes the new one within three seconds. Until the old one ends the key gets no third.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis api-keys rotate 5f0c9a3be1d24c7788990a1b --grace-hours 48")]
pub(crate) struct Rotate {
    /// The key's id: the part between the dots of it.
    #[arg(value_name = "ID")]
    id: String,
    /// When it ends, in days.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
    /// How long the old secret stays good.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=168))]
    grace_hours: u16,
    #[command(flatten)]
    api: ApiArgs,
}

/// Ends a key: the authorizer refuses it within three seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis api-keys revoke 5f0c9a3be1d24c7788990a1b")]
pub(crate) struct Revoke {
    /// The key's id: the part between the dots of it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) async fn run(
    command: &Command,
    output: &Output,
    environment: &Environment,
) -> Result<(), Failure> {
    match command {
        Command::Create(create) => {
            let order = json!({
                "owner": create.owner, "scopes": create.scope.join(" "), "tier": create.tier,
                "expires_in_days": create.days,
            });
            let made = create.api.connect(environment)?.post("/sts/api-keys", Some(&order)).await?;
            output.line(&made, || shown(&made))
        }
        Command::List(list) => {
            let answer = list.api.connect(environment)?.get("/sts/api-keys").await?;
            output.line(&answer, || listed(&answer))
        }
        Command::Rotate(rotate) => {
            let order = json!({
                "id": rotate.id, "expires_in_days": rotate.days, "grace_hours": rotate.grace_hours,
            });
            let made = rotate.api.connect(environment)?.post("/sts/api-keys/rotate", Some(&order)).await?;
            output.line(&made, || shown(&made))
        }
        Command::Revoke(revoke) => {
            let which = json!({"id": revoke.id});
            let ended = revoke.api.connect(environment)?.post("/sts/api-keys/revoke", Some(&which)).await?;
            output
                .line(&ended, || format!("{}: revoked at {}", text(&ended, "id"), time(&ended, "revoked_at")))
        }
    }
}

fn shown(made: &Value) -> String {
    format!(
        "{}\n\nA key of {} for {}, until {}. It is not shown again.",
        text(made, "api_key"),
        text(made, "owner"),
        text(made, "scopes"),
        time(made, "expires_at")
    )
}

fn listed(answer: &Value) -> String {
    let mut table = table(&["Key", "Owner", "Scopes", "Tier", "Ends", "Revoked"]);
    for key in answer.get("api_keys").and_then(Value::as_array).into_iter().flatten() {
        table.add_row([
            text(key, "id"),
            text(key, "owner"),
            text(key, "scopes"),
            text(key, "tier"),
            time(key, "expires_at"),
            time(key, "revoked_at"),
        ]);
    }
    table.to_string()
}

fn text(key: &Value, name: &str) -> String {
    printable(key.get(name).and_then(Value::as_str).unwrap_or("-"))
}

fn time(key: &Value, name: &str) -> String {
    let seconds = key.get(name).and_then(Value::as_i64);
    seconds.and_then(|s| Timestamp::from_second(s).ok()).map_or_else(|| "-".to_owned(), |at| at.to_string())
}
