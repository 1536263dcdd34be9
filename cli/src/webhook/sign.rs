//! `portcullis webhook sign`.

use std::path::PathBuf;

use serde_json::json;

use super::route::body_in;
use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::serve;

/// Prints the `X-Hub-Signature-256` header for the file's exact bytes, with the app secret of the local stack.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  curl -H \"$(portcullis webhook sign body.json)\" -H 'Content-Type: application/json' \\\n    --data-binary @body.json http://127.0.0.1:8787/webhook"
)]
pub(crate) struct Args {
    /// The body, or an API Gateway proxy event that holds one; - for standard input.
    file: PathBuf,
    #[command(flatten)]
    secrets: serve::SecretArgs,
}

pub(crate) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let body = body_in(&args.file)?;
    let secrets = args.secrets.webhook(environment).await?;
    let signature = secrets.sign(&body);
    output.line(&json!({"header": HEADER, "signature": signature}), || format!("{HEADER}: {signature}"))
}

pub(crate) const HEADER: &str = "X-Hub-Signature-256";
