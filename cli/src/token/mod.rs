//! `portcullis token`: tokens asked for, looked into and judged.

mod get;
mod inspect;
mod lines;
mod revoke;
mod verify;

use clap::Subcommand;
use portcullis_lambda::SystemClock;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(get::Args),
    Inspect(inspect::Args),
    Revoke(revoke::Args),
    Verify(verify::Args),
}

pub(crate) async fn run(command: Command, output: &Output, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Get(args) => get::run(&args, output, environment).await,
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Revoke(args) => revoke::run(&args, output, environment).await,
        Command::Verify(args) => verify::run(&args, output, &SystemClock),
    }
}
