//! What a failed call means to the engine, whatever the service: one table of codes for all of them.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use portcullis_response::PortError;

use crate::failure::{Call, classify, printable};

/// The port's error for a failed call of the SDK that needed `action` (`iam:ListAccessKeys`), and a line in the log:
/// service, operation, code, request id.
pub(crate) fn failed<E: ProvideErrorMetadata>(
    action: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> PortError {
    let (service, operation) = action.split_once(':').unwrap_or((action, ""));
    classify(Call { service, operation }, error);
    match error {
        SdkError::ConstructionFailure(_) => PortError::Refused("the request cannot be made".to_owned()),
        SdkError::ServiceError(answer) => {
            meaning(action, answer.raw().status().as_u16(), answer.err().code().unwrap_or(""))
        }
        // Timeouts, broken connections, no credentials yet, and an answer that cannot be read.
        _ => PortError::Timeout,
    }
}

/// What an error answer means: its status, and the service's code. For those that call without the SDK, too.
pub(crate) fn meaning(action: &str, status: u16, code: &str) -> PortError {
    let is = |codes: &[&str]| codes.contains(&code);
    if status == 429 || is(THROTTLED) {
        PortError::Throttled
    } else if !(300..500).contains(&status) || is(PASSING) {
        // A success that cannot be read comes here too: it proves nothing.
        PortError::Timeout
    } else if is(CHANGED) {
        PortError::Conflict
    } else if is(MISSING) || code.ends_with(".NotFound") || (status == 404 && code.is_empty()) {
        PortError::NotFound
    } else if matches!(status, 401 | 403) || is(DENIED) {
        PortError::Denied(action.to_owned())
    } else {
        PortError::Refused(printable(code))
    }
}

/// Not done, because there were too many requests: ask again later.
const THROTTLED: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "KMSThrottling",
    "LimitExceededException.Throttling",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "WAFUnavailableEntityException",
];

/// May pass by itself: expired credentials are fetched anew for the next call.
const PASSING: &[&str] =
    &["ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeout", "RequestTimeoutException"];

/// Somebody else changed it, or is about to: read again.
const CHANGED: &[&str] = &[
    "ConcurrentModification",
    "ConcurrentModificationException",
    "DeleteConflict",
    "EntityAlreadyExists",
    "EntityTemporarilyUnmodifiable",
    "InvalidGroup.Duplicate",
    "OperationAborted",
    "PreconditionFailed",
    "ResourceConflictException",
    "ResourceContention",
    "WAFOptimisticLockException",
];

const MISSING: &[&str] = &[
    "NoSuchBucket",
    "NoSuchEntity",
    "NotFound",
    "NotFoundException",
    "ResourceNotFoundException",
    "WAFNonexistentItemException",
];

/// Answers that say so with another status than 401 or 403.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "AuthorizationErrorException",
    "InvalidClientTokenId",
    "KMSAccessDenied",
    "OptInRequired",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_means_one_thing() {
        use PortError::{Conflict, NotFound, Throttled, Timeout};
        let denied = || PortError::Denied("iam:PutUserPolicy".into());
        let refused = |code: &str| PortError::Refused(code.into());
        for (label, status, code, expected) in [
            ("IAM, too many", 400, "Throttling", Throttled),
            ("EC2, too many", 503, "RequestLimitExceeded", Throttled),
            ("Lambda, too many", 429, "TooManyRequestsException", Throttled),
            ("429 without a code", 429, "", Throttled),
            ("S3, too many", 503, "SlowDown", Throttled),
            ("WAF, not everywhere yet", 400, "WAFUnavailableEntityException", Throttled),
            ("a broken service", 500, "ServiceFailure", Timeout),
            ("a broken service that says denied", 500, "AccessDenied", Timeout),
            ("a success that cannot be read", 200, "", Timeout),
            ("S3 waited in vain", 400, "RequestTimeout", Timeout),
            ("credentials of an hour ago", 403, "ExpiredToken", Timeout),
            ("a stale lock token", 400, "WAFOptimisticLockException", Conflict),
            ("a password that changes", 409, "EntityTemporarilyUnmodifiable", Conflict),
            ("a second password", 409, "EntityAlreadyExists", Conflict),
            ("a function that changes", 409, "ResourceConflictException", Conflict),
            ("IAM, too many policies", 409, "LimitExceeded", refused("LimitExceeded")),
            ("IAM, no such user", 404, "NoSuchEntity", NotFound),
            ("EC2, no such instance", 400, "InvalidInstanceID.NotFound", NotFound),
            ("WAF, no such set", 400, "WAFNonexistentItemException", NotFound),
            ("404 without a code", 404, "", NotFound),
            (
                "no such page, whatever it is",
                404,
                "UnknownOperationException",
                refused("UnknownOperationException"),
            ),
            ("IAM, denied", 403, "AccessDenied", denied()),
            ("WAF, denied", 400, "AccessDeniedException", denied()),
            ("EC2, denied", 403, "UnauthorizedOperation", denied()),
            ("a wrong signature", 403, "SignatureDoesNotMatch", denied()),
            ("a code that nobody knows", 400, "MalformedPolicyDocument", refused("MalformedPolicyDocument")),
            ("a sentence for a code", 400, "user ana is not there", refused("no code")),
            ("no code", 400, "", refused("no code")),
        ] {
            assert_eq!(meaning("iam:PutUserPolicy", status, code), expected, "{label}");
        }
    }
}
