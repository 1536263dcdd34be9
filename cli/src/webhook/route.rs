//! `portcullis webhook route`.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_lambda::ProxyEvent;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::{input, serve};

/// Prints a line for every queue item: queue, kind, id, group (the conversation's pseudonym), deduplication id.
/// The file is a webhook body, or an API Gateway proxy event that holds one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis webhook route events/webhook/text.json --json")]
pub(crate) struct Args {
    /// The body or event, or - for standard input.
    file: PathBuf,
    #[command(flatten)]
    secrets: serve::SecretArgs,
}

pub(crate) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let body = body_in(&args.file)?;
    let items = args.secrets.webhook(environment).await?.route(&body)?;
    items.iter().try_for_each(|item| {
        output
            .line(item, || [item.queue, &item.kind, &item.id, &item.conversation, &item.dedup_id].join("\t"))
    })
}

/// The body in a file: that of a proxy event, or the file's bytes.
pub(super) fn body_in(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = input::read(file, MAX_FILE)?;
    match ProxyEvent::parse(&bytes) {
        Ok(event) => body_of(&event).ok_or_else(|| Failure::refused("the event's body is not base64")),
        Err(_) => Ok(bytes),
    }
}

/// The bytes that a proxy event's client sent; `None` where they are not the base64 that the event says they are.
pub(crate) fn body_of(event: &ProxyEvent<'_>) -> Option<Vec<u8>> {
    let body = event.body.as_deref().unwrap_or_default();
    if event.is_base64 { BASE64_STANDARD.decode(body).ok() } else { Some(body.as_bytes().to_vec()) }
}

/// A webhook body is at most 3 MB; more is read so that the validator's own limit can be tried.
const MAX_FILE: u64 = 16 * 1024 * 1024;
