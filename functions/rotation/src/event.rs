//! The events that the function takes.

use serde::Deserialize;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step of the rotation of a secret.
    Rotate(Rotate),
    /// The schedule.
    Schedule,
}

/// A step, as Secrets Manager asks for it.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Rotate {
    pub(crate) step: Step,
    /// The secret's ARN.
    pub(crate) secret_id: String,
    /// The version that is to be the current one.
    pub(crate) client_request_token: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Step {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

impl Step {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }
}

/// An event of an EventBridge schedule.
#[derive(Deserialize)]
struct Scheduled {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
}

/// The event is none that the function takes. Says nothing of what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownEvent;

impl Event {
    pub(crate) fn parse(event: &[u8]) -> Result<Self, UnknownEvent> {
        // serde would also take an array of the members in order.
        if event.trim_ascii_start().first() != Some(&b'{') {
            return Err(UnknownEvent);
        }
        if let Ok(rotate) = serde_json::from_slice::<Rotate>(event) {
            let bounded =
                rotate.secret_id.len() <= MAX_ID && (32..=64).contains(&rotate.client_request_token.len());
            return if bounded { Ok(Self::Rotate(rotate)) } else { Err(UnknownEvent) };
        }
        match serde_json::from_slice(event) {
            Ok(Scheduled { source, detail_type })
                if source == "aws.events" && detail_type == "Scheduled Event" =>
            {
                Ok(Self::Schedule)
            }
            _ => Err(UnknownEvent),
        }
    }
}

/// Secrets Manager's own limit.
const MAX_ID: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "6f9d1b1e-0000-4000-8000-000000000001";

    #[test]
    fn a_step_is_read_as_secrets_manager_writes_it() {
        for (word, step) in [
            ("createSecret", Step::Create),
            ("setSecret", Step::Set),
            ("testSecret", Step::Test),
            ("finishSecret", Step::Finish),
        ] {
            let event = format!(
                r#" {{"Step":"{word}","SecretId":"arn","ClientRequestToken":"{TOKEN}","RotationToken":"x"}}"#
            );
            let expected =
                Rotate { step, secret_id: "arn".to_owned(), client_request_token: TOKEN.to_owned() };
            assert_eq!(Event::parse(event.as_bytes()), Ok(Event::Rotate(expected)));
            assert_eq!(step.as_str(), word);
        }
        let schedule =
            br#"{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#;
        assert_eq!(Event::parse(schedule), Ok(Event::Schedule));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "x".repeat(2_049);
        for (label, event) in [
            ("empty", String::new()),
            ("no JSON", "{".to_owned()),
            ("an array", format!(r#"["createSecret","arn","{TOKEN}"]"#)),
            (
                "an unknown step",
                format!(r#"{{"Step":"dropSecret","SecretId":"a","ClientRequestToken":"{TOKEN}"}}"#),
            ),
            ("no token", r#"{"Step":"setSecret","SecretId":"a"}"#.to_owned()),
            ("a short token", r#"{"Step":"setSecret","SecretId":"a","ClientRequestToken":"x"}"#.to_owned()),
            (
                "two steps",
                format!(
                    r#"{{"Step":"setSecret","Step":"testSecret","SecretId":"a","ClientRequestToken":"{TOKEN}"}}"#
                ),
            ),
            (
                "a long id",
                format!(r#"{{"Step":"setSecret","SecretId":"{long}","ClientRequestToken":"{TOKEN}"}}"#),
            ),
            ("another source", r#"{"source":"aws.s3","detail-type":"Scheduled Event"}"#.to_owned()),
            ("another type", r#"{"source":"aws.events","detail-type":"Other"}"#.to_owned()),
            ("a schedule as an array", r#"["aws.events","Scheduled Event"]"#.to_owned()),
        ] {
            assert_eq!(Event::parse(event.as_bytes()), Err(UnknownEvent), "{label}");
        }
    }
}
