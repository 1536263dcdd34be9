//! The errors of the incident API, as problem details.

use portcullis_base::Problem;
use portcullis_lambda::{AttendError, ProxyResponse};
use portcullis_response::RespondError;

pub(crate) const UNAUTHENTICATED: Problem =
    Problem::new(401, "unauthenticated", "No caller is known for this request");
pub(crate) const FORBIDDEN: Problem = Problem::new(403, "forbidden", "This caller may not do this");
pub(crate) const NOT_FOUND: Problem = Problem::new(404, "not-found", "There is nothing here");
pub(crate) const BAD_REQUEST: Problem =
    Problem::new(400, "bad-request", "The request is not of the documented form");
pub(crate) const BUSY: Problem =
    Problem::new(409, "incident-busy", "Somebody else works on the incident: try again in two minutes");
pub(crate) const CHANGED: Problem = Problem::new(
    409,
    "incident-changed",
    "The incident is not as it was when it was shown: look at it again",
);
pub(crate) const RELEASED: Problem =
    Problem::new(409, "incident-released", "The incident was released: nothing more is done about it");
pub(crate) const UNAVAILABLE: Problem = Problem::new(503, "unavailable", "Try again later");

const METHOD: Problem = Problem::new(405, "method-not-allowed", "This method is not allowed here");

pub(crate) fn method_not_allowed(allow: &'static str) -> ProxyResponse {
    ProxyResponse::problem(&METHOD).with_header("Allow", allow)
}

/// What a caller is told when an incident could not be worked on.
pub(crate) const fn of(error: &AttendError) -> Problem {
    match error {
        AttendError::Respond(RespondError::Unknown) => NOT_FOUND,
        AttendError::Respond(RespondError::Busy | RespondError::Conflict) => BUSY,
        AttendError::Respond(RespondError::Changed) => CHANGED,
        AttendError::Respond(RespondError::Released) => RELEASED,
        AttendError::Respond(RespondError::Unnamed) => FORBIDDEN,
        AttendError::Respond(RespondError::Store(_)) | AttendError::Unrecorded => UNAVAILABLE,
    }
}
