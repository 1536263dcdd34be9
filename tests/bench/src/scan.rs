//! A chat line in, spans of personal data out: every detector on.

use std::collections::HashSet;

use portcullis_pii::{Detector, Hit, PiiKind};
use serde_json::json;

use crate::measure::Job;

pub(crate) fn run(job: &Job) {
    let detector = Detector::new();
    let lines = job.lines("corpus.txt");
    let labels: HashSet<(usize, usize, usize, String)> =
        String::from_utf8_lossy(&job.read("corpus.labels.tsv"))
            .lines()
            .map(|line| {
                let mut f = line.split('\t');
                let mut number = || f.next().and_then(|n| n.parse().ok()).expect("a number");
                let (line, start, end) = (number(), number(), number());
                (line, start, end, f.next().expect("a kind").to_owned())
            })
            .collect();
    job.run(
        &lines,
        |line| line.len() + 1,
        |line| {
            let mut hits = Vec::new();
            detector.scan_into(line, &mut hits);
            hits
        },
        |answers| {
            // The corpus labels three kinds only; what the other detectors find in it is not judged here.
            let (mut right, mut wrong) = (0, 0);
            for (line, hits) in answers.enumerate() {
                for Hit { start, end, kind, .. } in hits {
                    let kind = match kind {
                        PiiKind::Card => "CARD",
                        PiiKind::Ssn => "SSN",
                        PiiKind::Email => "EMAIL",
                        _ => continue,
                    };
                    if labels.contains(&(line, start, end, kind.to_owned())) {
                        right += 1;
                    } else {
                        wrong += 1;
                    }
                }
            }
            json!({"tp": right, "fp": wrong, "fn": labels.len() - right})
        },
    );
}
