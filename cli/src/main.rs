//! `portcullis`: the stack on a laptop, and its pieces as commands.

mod access;
mod api;
mod api_keys;
mod certs;
mod config;
mod detect;
mod drill;
mod failure;
mod incident;
mod input;
mod keys;
mod output;
mod pii;
mod progress;
mod respond;
mod serve;
mod service;
mod table;
mod token;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

/// Serverless security stack: WhatsApp webhook validation and field-level PII encryption.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    /// Print JSON lines on standard output, for scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    /// Sign, send and route WhatsApp webhook bodies.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Find, encrypt and decrypt personal data.
    #[command(subcommand)]
    Pii(pii::Command),
    /// Say who may do what, and why.
    #[command(subcommand)]
    Access(access::Command),
    /// Make, list and revoke the API keys of a running stack.
    #[command(subcommand)]
    ApiKeys(api_keys::Command),
    /// List and rotate the signing keys of a running stack.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Ask for access tokens, look into them, verify them.
    #[command(subcommand)]
    Token(token::Command),
    /// Make and manage certificates for mutual TLS between services.
    #[command(subcommand)]
    Certs(certs::Command),
    /// Judge CloudTrail records by the detection rules: one line per hit (event id, time, principal, rule id, title,
    /// severity, ATT&CK techniques, incident type).
    Detect(detect::Args),
    Respond(respond::Args),
    /// List, show, approve and release what was detected and contained.
    #[command(subcommand)]
    Incident(incident::Command),
    Drill(drill::Args),
}

/// Exit codes: 0 done; 1 done, and the answer is no (a request was refused, a decryption failed); 2 could not be done
/// (usage, unreadable input, unreachable stack).
fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    let environment = Environment::read();
    let result = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::usage(format!("the runtime does not start: {e}")))
        .and_then(|runtime| runtime.block_on(run(cli.command, &output, &environment)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.error(&failure);
            ExitCode::from(failure.code())
        }
    }
}

async fn run(command: Command, output: &Output, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, output, environment).await,
        Command::Webhook(command) => webhook::run(command, output, environment).await,
        Command::Pii(command) => pii::run(command, output, environment).await,
        Command::Access(command) => access::run(&command, output),
        Command::ApiKeys(command) => api_keys::run(&command, output, environment).await,
        Command::Keys(command) => keys::run(&command, output, environment).await,
        Command::Token(command) => token::run(command, output, environment).await,
        Command::Certs(command) => certs::run(command, *output, &portcullis_lambda::SystemClock),
        Command::Respond(args) => {
            respond::run(&args, output, environment, &portcullis_lambda::SystemClock).await
        }
        Command::Incident(command) => incident::run(&command, output, environment).await,
        Command::Drill(args) => drill::run(&args, output, environment).await,
        Command::Detect(args) => detect::run(&args, output, &portcullis_lambda::SystemClock).await,
    }
}
