//! `portcullis pii`: detectors and the envelope on files.

mod cipher;
mod scan;

use clap::Subcommand;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Scan(scan::Args),
    /// Encrypts records field by field.
    ///
    /// Reads one JSON object a line and writes one a line, in the form of `POST /pii/encrypt`:
    /// {"subject", "record", "fields": {name: text}} in, {"record", "header", "fields"} out.
    Encrypt(cipher::Args),
    /// Decrypts records that `pii encrypt` wrote.
    ///
    /// Reads one JSON object a line, what `pii encrypt` wrote with its "subject" added, and writes one a line, in the form
    /// of `POST /pii/decrypt`. A line that does not open is named on standard error; the others are still written.
    Decrypt(cipher::Args),
}

pub(crate) async fn run(command: Command, output: &Output, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Scan(args) => scan::run(&args, output),
        Command::Encrypt(args) => cipher::run(&args, cipher::Direction::Encrypt, output, environment).await,
        Command::Decrypt(args) => cipher::run(&args, cipher::Direction::Decrypt, output, environment).await,
    }
}
