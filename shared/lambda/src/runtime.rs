//! The loop around a [`Handler`]: raw event bytes in, raw answer bytes out.

use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use portcullis_base::{Clock, Timestamp};
use serde_json::value::RawValue;

use crate::{Failure, Handler, Invocation, SystemClock};

/// Any error of start-up.
pub type BoxError = lambda_runtime::Error;

/// Serves invocations until Lambda ends the process. A panic in the handler becomes an error answer.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn run(handler: impl Handler) -> Result<(), BoxError> {
    let handler = Arc::new(handler);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let handler = Arc::clone(&handler);
        async move {
            let (payload, context) = event.into_parts();
            let deadline = deadline(context.deadline, SystemClock.now());
            let invocation = Invocation { request_id: context.request_id, deadline };
            let answer = handler.handle(payload.get().as_bytes(), &invocation).await?;
            raw_json(answer)
        }
    }))
    .await
}

/// When the invocation is stopped. One that begins after its deadline has none that we know: `cargo lambda watch` sends
/// a duration in the place of the instant. What the handler waits for is bounded by its own settings too.
fn deadline(millis: u64, now: Timestamp) -> Timestamp {
    let told = i64::try_from(millis).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    told.filter(|at| *at > now).unwrap_or(Timestamp::MAX)
}

fn raw_json(bytes: Vec<u8>) -> Result<Box<RawValue>, Failure> {
    const BAD_ANSWER: Failure = Failure { kind: "BadAnswer", message: "the handler's answer is not JSON" };
    let text = String::from_utf8(bytes).map_err(|_| BAD_ANSWER)?;
    RawValue::from_string(text).map_err(|_| BAD_ANSWER)
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_not_json_is_refused() {
        assert!(raw_json(b"{\"a\":1}".to_vec()).is_ok());
        for bad in [&b"{"[..], b"\xff", b""] {
            assert_eq!(raw_json(bad.to_vec()).unwrap_err().kind, "BadAnswer");
        }
    }

    #[test]
    fn a_deadline_counts_only_while_it_is_to_come() {
        let now = Timestamp::from_millisecond(1_000_000).unwrap();
        for (label, told, at) in [
            ("to come", 1_000_001, Timestamp::from_millisecond(1_000_001).unwrap()),
            ("now", 1_000_000, Timestamp::MAX),
            ("a duration", 60_000, Timestamp::MAX),
            ("none", 0, Timestamp::MAX),
            ("beyond time", u64::MAX, Timestamp::MAX),
        ] {
            assert_eq!(deadline(told, now), at, "{label}");
        }
    }

    #[test]
    fn a_failure_tells_lambda_its_fixed_words_only() {
        let d = Diagnostic::from(Failure { kind: "K", message: "m" });
        assert_eq!((d.error_type.as_str(), d.error_message.as_str()), ("K", "m"));
    }
}
