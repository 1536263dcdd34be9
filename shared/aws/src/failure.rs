//! What a failed SDK call means, whatever the service.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// The service and operation that was called, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// `sqs`, `kms`, ….
    pub(crate) service: &'static str,
    /// As in the API reference: `SendMessageBatch`, ….
    pub(crate) operation: &'static str,
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Throttled, timed out, unreachable, or the service failed: may pass.
    Transient,
    /// The service answered, and its answer will not change by asking again.
    Rejected,
}

/// Classifies a failed call and logs it: service, operation, error code and request id. Never the message of the
/// error, because services quote the request in it.
pub(crate) fn classify<E: ProvideErrorMetadata>(call: Call, error: &SdkError<E, HttpResponse>) -> Failure {
    let failure = failure_of(error);
    tracing::warn!(
        service = call.service,
        operation = call.operation,
        code = code_of(error),
        request_id = error.meta().extra(REQUEST_ID).unwrap_or(""),
        transient = failure == Failure::Transient,
        "aws call failed"
    );
    failure
}

fn failure_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Failure {
    match error {
        SdkError::ConstructionFailure(_) => Failure::Rejected,
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or("");
            // A success that cannot be read comes here too: it proves nothing, so the call may be made again.
            if !(300..500).contains(&status) || status == 429 || may_pass(code) {
                Failure::Transient
            } else {
                Failure::Rejected
            }
        }
        // Timeouts, broken connections, no credentials yet, and an answer that cannot be read.
        _ => Failure::Transient,
    }
}

/// Whether a call that a service refused with this code may succeed later, whoever it says is at fault.
pub(crate) fn may_pass(code: &str) -> bool {
    TRANSIENT_CODES.contains(&code)
}

/// The service's error code, or how the call broke before there was one.
fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    match error {
        SdkError::ConstructionFailure(_) => "construction-failure",
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(_) => "dispatch-failure",
        SdkError::ResponseError(_) => "unreadable-answer",
        SdkError::ServiceError(answer) if answer.raw().status().is_success() => "unreadable-answer",
        _ => error.code().unwrap_or("unknown"),
    }
}

/// A code as services write them, fit for an error of ours. Anything else may be a text with somebody's data.
#[cfg(any(feature = "history", feature = "response"))]
pub(crate) fn printable(code: &str) -> String {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_code = (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(fits);
    if is_code { code } else { "no code" }.to_owned()
}

#[cfg(any(feature = "history", feature = "response"))]
const MAX_CODE: usize = 80;

/// Where the SDK keeps the request id among an error's metadata.
const REQUEST_ID: &str = "aws_request_id";

/// Codes that services answer with a 4xx status although the same call may succeed later.
///
/// Expired credentials are among them: the SDK fetches new ones for the next call. What SQS calls `KmsThrottled` reaches
/// us under the name of its older protocol, which the SDK takes from the header `x-amzn-query-error`.
const TRANSIENT_CODES: &[&str] = &[
    "BandwidthLimitExceeded",
    "ExpiredToken",
    "ExpiredTokenException",
    "KMS.ThrottlingException",
    "KmsThrottled",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttled",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];
