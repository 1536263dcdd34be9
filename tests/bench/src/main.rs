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

mod authorize;
mod detect;
mod measure;
mod pii;
mod scan;
mod sign;
mod webhook;

use std::process::ExitCode;

use measure::Job;
use portcullis_token::Algorithm;

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
        "detect" => detect::run(&job),
        other if let Some(algorithm) = named(other, "jwt-verify:") => authorize::run(&job, algorithm),
        other if let Some(algorithm) = named(other, "jwt-sign:") => sign::run(&job, algorithm),
        other => {
            eprintln!("unknown task {other}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// The algorithm of a task that is called by it.
fn named(task: &str, kind: &str) -> Option<Algorithm> {
    task.strip_prefix(kind).and_then(Algorithm::parse)
}
