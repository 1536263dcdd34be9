//! Log lines: JSON for CloudWatch, readable for a terminal.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line on standard output, as CloudWatch Logs Insights reads it.
    Json,
    /// One readable line on standard error.
    Human,
}

/// Starts logging. `level` is a `tracing` filter such as `info` or `webhook=debug,info`; one that does not parse
/// counts as `info`. A second call changes nothing.
pub fn init_logging(format: LogFormat, level: &str) {
    let mut filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    for directive in CAPPED {
        // Fixed words that parse.
        filter = directive.parse().map_or(filter.clone(), |d| filter.clone().add_directive(d));
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    // Fails only when a subscriber is already set: then that one stays.
    let _already_set = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_ansi(false)
            .try_init(),
        LogFormat::Human => builder.with_target(false).with_writer(std::io::stderr).try_init(),
    };
}

/// At `trace` these write whole requests, with messages and credentials in them: they never get to.
const CAPPED: [&str; 9] = [
    "aws_config=info",
    "aws_runtime=info",
    "aws_sigv4=info",
    "aws_smithy_http_client=info",
    "aws_smithy_runtime=info",
    "aws_smithy_runtime_api=info",
    "lambda_runtime=info",
    "hyper=info",
    "h2=info",
];
