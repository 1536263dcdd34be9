//! The errors of the PII endpoints, as problem details.

use portcullis_base::Problem;
use portcullis_lambda::ProxyResponse;
use portcullis_pii::{KeyError, RecordError};

pub(crate) const UNAUTHENTICATED: Problem =
    Problem::new(401, "unauthenticated", "No caller is known for this request");
pub(crate) const FORBIDDEN: Problem = Problem::new(403, "forbidden", "This caller may not do this");
pub(crate) const NOT_FOUND: Problem = Problem::new(404, "not-found", "There is nothing here");
pub(crate) const TOO_LARGE: Problem = Problem::new(413, "body-too-large", "The body is too large");
pub(crate) const BAD_REQUEST: Problem =
    Problem::new(400, "bad-request", "The request is not of the documented form");
pub(crate) const CANNOT_OPEN: Problem =
    Problem::new(422, "cannot-decrypt", "The ciphertext does not belong to this record, subject and field");
pub(crate) const ERASED: Problem = Problem::new(410, "erased", "The key of this data subject does not exist");
pub(crate) const UNAVAILABLE: Problem = Problem::new(503, "unavailable", "Try again later");
pub(crate) const INTERNAL: Problem = Problem::new(500, "internal", "The request could not be processed");

const METHOD: Problem = Problem::new(405, "method-not-allowed", "This method is not allowed here");

pub(crate) fn method_not_allowed(allow: &'static str) -> ProxyResponse {
    ProxyResponse::problem(&METHOD).with_header("Allow", allow)
}

/// What a caller is told when keys could not be had.
pub(crate) fn of_key_error(error: KeyError) -> Problem {
    match error {
        KeyError::Unavailable => UNAVAILABLE,
        KeyError::Missing => ERASED,
        KeyError::Invalid => CANNOT_OPEN,
        KeyError::Refused => INTERNAL,
    }
}

/// What a caller is told when the table could not be read.
pub(crate) fn of_record_error(error: RecordError) -> Problem {
    match error {
        RecordError::Unavailable => UNAVAILABLE,
        RecordError::Refused | RecordError::NotTaken | RecordError::Malformed => INTERNAL,
    }
}
