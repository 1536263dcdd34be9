//! Metrics in CloudWatch's Embedded Metric Format: a log line that CloudWatch turns into metrics.
//!
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_base::Timestamp;
use serde_json::{Map, Value, json};

// The CloudWatch namespace of every metric of the stack.
pub(crate) const NAMESPACE: &str = "Portcullis";

/// Where a function's metrics go.
#[derive(Debug, Clone)]
pub struct Metrics {
    function: &'static str,
    sink: Sink,
}

#[derive(Debug, Clone)]
enum Sink {
    Stdout,
    Off,
    Memory(Arc<Mutex<Vec<String>>>),
}

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Metric name, in CloudWatch's PascalCase.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
}

/// CloudWatch units that the stack uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Reading {
    /// A number of things.
    pub const fn count(name: &'static str, value: f64) -> Self {
        Self { name, value, unit: Unit::Count }
    }

    /// A duration in milliseconds.
    pub const fn millis(name: &'static str, value: f64) -> Self {
        Self { name, value, unit: Unit::Milliseconds }
    }

    /// A duration in seconds.
    pub const fn seconds(name: &'static str, value: f64) -> Self {
        Self { name, value, unit: Unit::Seconds }
    }
}

impl Metrics {
    /// Metrics as log lines on standard output: what a Lambda does.
    pub const fn stdout(function: &'static str) -> Self {
        Self { function, sink: Sink::Stdout }
    }

    /// No metrics.
    pub const fn off(function: &'static str) -> Self {
        Self { function, sink: Sink::Off }
    }

    /// Metrics kept in memory, and the handle to read them: for tests.
    pub fn memory(function: &'static str) -> (Self, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        (Self { function, sink: Sink::Memory(Arc::clone(&lines)) }, lines)
    }

    /// Emits one line with all `readings`. `dimensions` must have few values each (a reason, a kind): never an id.
    pub fn emit(&self, now: Timestamp, dimensions: &[(&'static str, &str)], readings: &[Reading]) {
        if readings.is_empty() || matches!(self.sink, Sink::Off) {
            return;
        }
        let line = emf_line(self.function, now, dimensions, readings);
        match &self.sink {
            Sink::Off => {}
            // A full or closed log must not fail a request.
            Sink::Stdout => drop(writeln!(std::io::stdout().lock(), "{line}")),
            Sink::Memory(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
        }
    }
}

fn emf_line(
    function: &str,
    now: Timestamp,
    dimensions: &[(&'static str, &str)],
    readings: &[Reading],
) -> String {
    let mut names = vec!["Function"];
    names.extend(dimensions.iter().map(|(name, _)| *name));
    let metrics: Vec<Value> =
        readings.iter().map(|r| json!({"Name": r.name, "Unit": r.unit.as_str()})).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics}],
        }),
    );
    line.insert("Function".to_owned(), function.into());
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
    line.extend(readings.iter().map(|r| (r.name.to_owned(), Value::from(r.value))));
    Value::Object(line).to_string()
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_members_that_cloudwatch_reads() {
        let (metrics, lines) = Metrics::memory("webhook");
        metrics.emit(
            Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            &[("Reason", "signature")],
            &[Reading::count("Rejected", 1.0), Reading::millis("Latency", 2.5)],
        );
        let line: Value = serde_json::from_str(&lines.lock().unwrap()[0]).unwrap();
        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 1_700_000_000_123_i64, "CloudWatchMetrics": [{
                    "Namespace": "Portcullis", "Dimensions": [["Function", "Reason"]],
                    "Metrics": [{"Name": "Rejected", "Unit": "Count"}, {"Name": "Latency", "Unit": "Milliseconds"}],
                }]},
                "Function": "webhook", "Reason": "signature", "Rejected": 1.0, "Latency": 2.5,
            })
        );
    }

    #[test]
    fn nothing_measured_means_no_line() {
        let (metrics, lines) = Metrics::memory("webhook");
        metrics.emit(Timestamp::UNIX_EPOCH, &[], &[]);
        assert!(lines.lock().unwrap().is_empty());
    }
}
