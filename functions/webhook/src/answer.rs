//! The answers of the webhook.

use portcullis_base::Problem;
use portcullis_lambda::ProxyResponse;
use portcullis_webhook::json::write_number;

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
    /// A refusal that could not be recorded, where that is required.
    Audit,
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
            Self::Audit => "audit-unavailable",
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
            Self::Secrets | Self::Queue | Self::Audit => {
                Problem::new(503, "try-again", "Temporarily unavailable")
            }
        }
    }
}

impl From<Refusal> for ProxyResponse {
    fn from(refusal: Refusal) -> Self {
        let answer = Self::problem(&refusal.problem());
        match refusal {
            Refusal::MethodNotAllowed => answer.with_header("Allow", "GET, POST"),
            Refusal::Secrets | Refusal::Queue | Refusal::Audit => {
                answer.with_header("Retry-After", RETRY_AFTER_SECONDS)
            }
            _ => answer,
        }
    }
}

/// What a request is answered with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Every one of so many items is queued.
    Queued(usize),
    /// Anything else.
    Other(ProxyResponse),
}

impl Answer {
    /// The answer to the handshake.
    pub(crate) fn challenge(challenge: &str) -> Self {
        Self::Other(ProxyResponse::new(200, "text/plain; charset=utf-8", challenge.to_owned()))
    }

    /// As [`ProxyResponse::to_json`]. The frequent answer is written straight from its form.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Other(answer) => answer.to_json(),
            Self::Queued(items) => {
                let mut json = String::with_capacity(QUEUED_HEAD.len() + 20 + QUEUED_TAIL.len());
                json.push_str(QUEUED_HEAD);
                write_number(&mut json, *items as u64);
                json.push_str(QUEUED_TAIL);
                json.into_bytes()
            }
        }
    }
}

impl From<Answer> for ProxyResponse {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Other(answer) => answer,
            Answer::Queued(items) => Self::json(200, format!(r#"{{"queued":{items}}}"#)),
        }
    }
}

const QUEUED_HEAD: &str = r#"{"statusCode":200,"headers":{"Content-Type":"application/json","Cache-Control":"no-store","X-Content-Type-Options":"nosniff"},"body":"{\"queued\":"#;
const QUEUED_TAIL: &str = r#"}","isBase64Encoded":false}"#;

const RETRY_AFTER_SECONDS: &str = "5";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_answer_has_the_form_of_every_other() {
        for items in [0, 1, 20_000] {
            let quick = Answer::Queued(items).to_json();
            assert_eq!(quick, ProxyResponse::from(Answer::Queued(items)).to_json());
        }
    }

    #[test]
    fn a_signature_is_refused_in_the_same_words_whatever_is_wrong_with_it() {
        let one = ProxyResponse::from(Refusal::Signature("signature-missing"));
        assert_eq!(one, ProxyResponse::from(Refusal::Signature("body-not-base64")));
        assert_eq!(one.status, 401);
    }
}
