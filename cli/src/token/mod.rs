//! `portcullis token`: tokens asked for, looked into and judged.

mod get;
mod inspect;
mod lines;
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
    Verify(verify::Args),
}

pub(crate) async fn run(command: Command, output: &Output, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Get(args) => get::run(&args, output, environment).await,
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Verify(args) => verify::run(&args, output, &SystemClock),
    }
}
