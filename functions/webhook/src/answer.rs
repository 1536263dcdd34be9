//! The answers of the webhook.

use portcullis_base::Problem;
use portcullis_lambda::ProxyResponse;

/// Why a request was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchPath,
    MethodNotAllowed,
    ClientCertificate,
    Handshake,
    /// Missing, malformed or wrong signature, or a body that cannot be what was signed. Which one goes into the
    /// metrics under this word, never to the caller.
    Signature(&'static str),
    BodyTooLarge,
    NotJson,
    Secrets,
    Queue,
}

impl Refusal {
    /// A stable word for metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchPath => "no-such-path",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::ClientCertificate => "client-certificate",
            Self::Handshake => "handshake",
            Self::Signature(reason) => reason,
            Self::BodyTooLarge => "body-too-large",
            Self::NotJson => "not-json",
            Self::Secrets => "secrets-unavailable",
            Self::Queue => "queue-unavailable",
        }
    }

    const fn problem(self) -> Problem {
        match self {
            Self::NoSuchPath => Problem::new(404, "not-found", "Not found"),
            Self::MethodNotAllowed => Problem::new(405, "method-not-allowed", "Method not allowed"),
            Self::ClientCertificate => {
                Problem::new(403, "client-certificate-refused", "Client certificate refused")
            }
            Self::Handshake => Problem::new(403, "handshake-refused", "Handshake refused"),
            Self::Signature(_) => Problem::new(401, "invalid-signature", "Invalid signature"),
            Self::BodyTooLarge => Problem::new(413, "body-too-large", "The body is larger than 3 MB"),
            Self::NotJson => Problem::new(400, "not-json", "The body is not JSON"),
            Self::Secrets | Self::Queue => Problem::new(503, "try-again", "Temporarily unavailable"),
        }
    }
}

impl From<Refusal> for ProxyResponse {
    fn from(refusal: Refusal) -> Self {
        let answer = Self::problem(&refusal.problem());
        match refusal {
            Refusal::MethodNotAllowed => answer.with_header("Allow", "GET, POST"),
            Refusal::Secrets | Refusal::Queue => answer.with_header("Retry-After", RETRY_AFTER_SECONDS),
            _ => answer,
        }
    }
}

/// The answer to the handshake.
pub(crate) fn challenge(challenge: &str) -> ProxyResponse {
    ProxyResponse::new(200, "text/plain; charset=utf-8", challenge.to_owned())
}

/// The answer once every item of a batch is queued.
pub(crate) fn queued(items: usize) -> ProxyResponse {
    ProxyResponse::json(200, format!(r#"{{"queued":{items}}}"#))
}

const RETRY_AFTER_SECONDS: &str = "5";
