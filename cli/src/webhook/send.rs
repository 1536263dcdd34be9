//! `portcullis webhook send`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::route::body_in;
use super::sign::HEADER;
use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::serve;

/// Signs the file's bytes as Meta does and posts them. Exit code 0 when the validator took them, 1 when it did not.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis webhook send events/webhook/text.json --url http://127.0.0.1:8787/webhook"
)]
pub(crate) struct Args {
    /// The body, or an API Gateway proxy event that holds one; - for standard input.
    file: PathBuf,
    /// Where to post it.
    #[arg(long, default_value = "http://127.0.0.1:8787/webhook")]
    url: String,
    #[command(flatten)]
    secrets: serve::SecretArgs,
}

pub(crate) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let body = body_in(&args.file)?;
    let secrets = args.secrets.webhook(environment).await?;
    let signature = secrets.sign(&body);
    let answer = client()?
        .post(&args.url)
        .header(HEADER, signature)
        .header("Content-Type", "application/json")
        .body(body)
        .send()
        .await
        .map_err(|e| unreachable_stack(&args.url, &e))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|e| unreachable_stack(&args.url, &e))?;
    output.line(&json!({"status": status.as_u16(), "body": text}), || format!("{status}\n{text}"))?;
    if status.is_success() { Ok(()) } else { Err(Failure::refused(format!("refused: {status}"))) }
}

/// An HTTP client with bounded waiting.
pub(crate) fn client() -> Result<reqwest::Client, Failure> {
    client_builder().build().map_err(|e| Failure::usage(format!("no HTTP client: {e}")))
}

/// The same, for who adds to it.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        // Plaintext for a stack on this machine is nothing for a proxy.
        .no_proxy()
}

/// Says that nobody answers at `url`.
pub(crate) fn unreachable_stack(url: &str, error: &reqwest::Error) -> Failure {
    let why = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "nobody listens there; is `portcullis serve` running?"
    } else {
        "the request failed"
    };
    Failure::usage(format!("{url}: {why}"))
}
