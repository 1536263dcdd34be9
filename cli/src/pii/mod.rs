//! `portcullis pii`: detectors and the envelope on files.

mod cipher;
mod scan;

use clap::Subcommand;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find personal data: one line per hit.
    Scan(scan::Args),
    /// Encrypt records field by field.
    Encrypt(cipher::Args),
    /// Decrypt records that `pii encrypt` wrote.
    Decrypt(cipher::Args),
}

pub(crate) async fn run(command: Command, output: &Output, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Scan(args) => scan::run(&args, output),
        Command::Encrypt(args) => cipher::run(&args, cipher::Direction::Encrypt, output, environment).await,
        Command::Decrypt(args) => cipher::run(&args, cipher::Direction::Decrypt, output, environment).await,
    }
}
