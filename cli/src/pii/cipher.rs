//! `portcullis pii encrypt` and `pii decrypt`.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use pii_function::{Caller, PiiFunction};
use portcullis_client::Client;
use portcullis_lambda::ProxyResponse;
use serde_json::{Value, json};

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::serve::{DataArgs, LocalPorts, Stack};
use crate::service::{self, CredentialArgs};
use crate::{input, progress};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  echo '{\"subject\":\"+5511987654321\",\"record\":\"r1\",\"fields\":{\"note\":\"hi\"}}' | portcullis pii encrypt -"
)]
pub(crate) struct Args {
    /// JSON lines, or - for standard input.
    file: PathBuf,
    /// Ask a running stack instead of opening the data directory.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The identity that asks it.
    #[arg(long, value_name = "ID", default_value = "ops.pii-reader", requires = "url")]
    service: String,
    #[command(flatten)]
    credential: CredentialArgs,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Encrypt,
    Decrypt,
}

enum Backend {
    Local(Box<PiiFunction<LocalPorts>>, Caller),
    Remote(Box<Client>, String),
}

pub(crate) async fn run(
    args: &Args,
    direction: Direction,
    output: &Output,
    environment: &Environment,
) -> Result<(), Failure> {
    let backend = match &args.url {
        Some(url) => {
            let client = args.credential.connect(url, &args.service, args.data.root_key(), environment)?;
            Backend::Remote(Box::new(client), format!("{}{}", url.trim_end_matches('/'), direction.path()))
        }
        None => {
            let stack = Stack::open(&args.data, environment)?;
            Backend::Local(Box::new(stack.pii()), Stack::holder())
        }
    };
    let (mut reader, size) = input::open(&args.file)?;
    let bar = progress::bytes(size);
    let (mut line, mut number, mut refused) = (Vec::new(), 0_u64, 0_u64);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|e| input::unreadable(&args.file, &e))?;
        if read == 0 {
            break;
        }
        number += 1;
        bar.inc(read as u64);
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (status, answer) = backend.ask(direction, &line).await?;
        if status == 200 {
            output.text(&answer)?;
        } else {
            refused += 1;
            report(output, &args.file, number, status, &answer);
        }
    }
    bar.finish_and_clear();
    if refused == 0 {
        Ok(())
    } else {
        Err(Failure::refused(format!("{refused} of {number} lines were refused")))
    }
}

fn report(output: &Output, file: &Path, line: u64, status: u16, answer: &str) {
    let problem: Value = serde_json::from_str(answer).unwrap_or_else(|_| json!({"status": status}));
    let title = problem.get("title").and_then(Value::as_str).unwrap_or("refused");
    output.error(&Failure::refused(format!("{}:{line}: {status} {title}", file.display())));
}

impl Backend {
    async fn ask(&self, direction: Direction, line: &[u8]) -> Result<(u16, String), Failure> {
        match self {
            Self::Local(function, caller) => {
                let ProxyResponse { status, body, .. } = match direction {
                    Direction::Encrypt => function.encrypt(caller, line).await,
                    Direction::Decrypt => function.decrypt(caller, line).await,
                };
                Ok((status, body.into_owned()))
            }
            Self::Remote(client, url) => {
                let request = client.post(url).header("Content-Type", "application/json").body(line.to_vec());
                let answer = request.send().await.map_err(|e| service::failed(url, &e))?;
                let status = answer.status().as_u16();
                let body = answer.bytes().await.map_err(|e| service::failed(url, &e))?;
                Ok((status, String::from_utf8_lossy(&body).into_owned()))
            }
        }
    }
}

impl Direction {
    const fn path(self) -> &'static str {
        match self {
            Self::Encrypt => "/pii/encrypt",
            Self::Decrypt => "/pii/decrypt",
        }
    }
}
