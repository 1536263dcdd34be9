//! `portcullis-bench`: the benchmark protocol of the peer runner over the code paths of the Lambdas. Never shipped.
//!
//! Called as `portcullis-bench TASK DATA-DIR SECONDS [OPS]`, prints one JSON line.
#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a measuring program for our own machines: it reads the clock, prints, and stops at what it did not expect"
)]

mod measure;
mod pii;
mod scan;
mod webhook;

use std::process::ExitCode;

use measure::Job;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(job) = Job::from_args(&args) else {
        eprintln!("usage: portcullis-bench TASK DATA-DIR SECONDS [OPS]");
        return ExitCode::from(2);
    };
    match job.task.as_str() {
        "webhook" | "webhook-256k" => webhook::run(&job),
        "pii-encrypt" => pii::encrypt(&job),
        "pii-decrypt" => pii::decrypt(&job),
        "pii-scan" => scan::run(&job),
        other => {
            eprintln!("unknown task {other}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
