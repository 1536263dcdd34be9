//! `portcullis pii scan`.

use std::io::BufRead;
use std::path::PathBuf;

use portcullis_pii::{Detector, Hit};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::{input, progress};

/// Prints a line for every hit: line number (from 1), start and end in bytes within the line, kind, confidence.
/// The text itself is never printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis pii scan chat.txt --json | jq -r .kind | sort | uniq -c")]
pub(crate) struct Args {
    /// Text file, or - for standard input.
    file: PathBuf,
}

#[derive(Serialize)]
struct Line {
    line: u64,
    start: usize,
    end: usize,
    kind: &'static str,
    confidence: f32,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let (mut reader, size) = input::open(&args.file)?;
    let bar = progress::bytes(size);
    let detector = Detector::new();
    let (mut bytes, mut hits, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes).map_err(|e| input::unreadable(&args.file, &e))?;
        if read == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        number += 1;
        bar.inc(read as u64);
        hits.clear();
        detector.scan_into(&bytes, &mut hits);
        for hit in &hits {
            print(output, number, hit)?;
        }
    }
}

fn print(output: &Output, line: u64, hit: &Hit) -> Result<(), Failure> {
    let row =
        Line { line, start: hit.start, end: hit.end, kind: hit.kind.as_str(), confidence: hit.confidence };
    output.line(&row, || {
        format!("{}\t{}\t{}\t{}\t{:.2}", row.line, row.start, row.end, row.kind, row.confidence)
    })
}
