//! Log lines: JSON for CloudWatch, readable for a terminal.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line on standard output, as CloudWatch Logs Insights reads it.
    Json,
    /// One readable line on standard error.
    Human,
}

/// Starts logging. `level` is a `tracing` filter such as `info` or `webhook=debug,info`; one that does not parse
/// counts as `info`. Whatever it says, crates through which whole requests pass log nothing below `info`. A second call
/// changes nothing.
pub fn init_logging(format: LogFormat, level: &str) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level));
    // Fails only when a subscriber is already set: then that one stays.
    let _already_set = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_ansi(false)
            .finish()
            .with(Capped)
            .try_init(),
        LogFormat::Human => {
            builder.with_target(false).with_writer(std::io::stderr).finish().with(Capped).try_init()
        }
    };
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Says no to everything below `info` of the [`CAPPED`] crates, whichever of their modules a filter names: among the
/// directives of one filter the most specific wins, and between layers every no counts.
struct Capped;

impl<S: Subscriber> Layer<S> for Capped {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // `tracing` calls more detail a higher level.
        *metadata.level() <= Level::INFO || !is_capped(metadata.target())
    }
}

fn is_capped(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or_default();
    CAPPED.contains(&name) || CAPPED_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// At `trace` these write whole requests, with messages and credentials in them, or parts of them.
const CAPPED: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "lambda_runtime",
    "lambda_runtime_api_client",
    "reqwest",
    "rustls",
];
/// The SDK, its runtime, and a client of every service.
const CAPPED_FAMILIES: [&str; 1] = ["aws_"];

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written of one event at each level from crates of ours and of others.
    fn written(level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(level))
            .with_writer(move || writer.clone())
            .finish()
            .with(Capped);
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "orchestrator-trace");
            tracing::debug!(target: "aws_smithy_runtime", "runtime-debug");
            tracing::trace!(target: "aws_sdk_secretsmanager::operation", "operation-trace");
            tracing::trace!(target: "hyper::proto::h1::io", "io-trace");
            tracing::trace!(target: "rustls::client", "tls-trace");
            tracing::warn!(target: "aws_smithy_runtime::client", "client-warn");
            tracing::trace!(target: "webhook_function::dispatch", "ours-trace");
            tracing::info!(target: "webhook_function", "ours-info");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_filter_makes_the_sdk_write_requests() {
        for level in [
            "trace",
            "info,aws_smithy_runtime::client::orchestrator=trace",
            "aws_smithy_runtime=trace,aws_sdk_secretsmanager::operation=trace,info",
            "hyper::proto=trace,rustls=trace,[{message}]=trace,info",
        ] {
            let text = written(level);
            for secret in ["orchestrator-trace", "runtime-debug", "operation-trace", "io-trace", "tls-trace"]
            {
                assert!(!text.contains(secret), "{level}: {text}");
            }
            assert!(text.contains("client-warn") && text.contains("ours-info"), "{level}: {text}");
        }
    }

    #[test]
    fn our_own_crates_write_what_the_filter_says() {
        for (level, ours) in
            [("info", false), ("webhook_function=trace", true), ("trace", true), ("=;no filter", false)]
        {
            let text = written(level);
            assert_eq!(text.contains("ours-trace"), ours, "{level}: {text}");
            assert!(text.contains("ours-info"), "{level}: {text}");
        }
    }
}
