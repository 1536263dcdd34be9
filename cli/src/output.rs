//! What people and scripts read: answers on standard output, errors on standard error.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// How answers are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// One answer: a JSON line, or `text`.
    ///
    /// # Errors
    /// When nobody reads any more (a closed pipe) or the disk is full.
    pub(crate) fn line(self, answer: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let line = if self.json {
            serde_json::to_string(answer)
                .map_err(|e| Failure::usage(format!("answer cannot be written: {e}")))?
        } else {
            text()
        };
        self.text(&line)
    }

    /// A line as it is.
    pub(crate) fn text(self, line: &str) -> Result<(), Failure> {
        writeln!(io::stdout().lock(), "{line}").map_err(|e| Failure::usage(format!("standard output: {e}")))
    }

    /// Tells the user what went wrong.
    pub(crate) fn error(self, failure: &Failure) {
        // Where standard error is closed too, the exit code still tells.
        let _told = if self.json {
            writeln!(io::stderr().lock(), "{}", serde_json::json!({"error": failure.to_string()}))
        } else {
            writeln!(io::stderr().lock(), "portcullis: {failure}")
        };
    }
}
