//! `portcullis webhook`: what Meta would send, and what the validator makes of it.

mod route;
mod send;
mod sign;

pub(crate) use route::body_of;
pub(crate) use send::{client, client_builder, unreachable_stack};
pub(crate) use sign::HEADER;

use clap::Subcommand;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Sign(sign::Args),
    Send(send::Args),
    Route(route::Args),
}

pub(crate) async fn run(command: Command, output: &Output, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Sign(args) => sign::run(&args, output, environment).await,
        Command::Send(args) => send::run(&args, output, environment).await,
        Command::Route(args) => route::run(&args, output, environment).await,
    }
}
