//! A CloudTrail record: what every rule asks for is read at once, the rest when a rule asks for it.
//!
//! Source: AWS CloudTrail User Guide, "CloudTrail record contents".

use std::borrow::Cow;
use std::cell::OnceCell;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::tree::{Node, Text};

/// One CloudTrail record, borrowing from the JSON it was read from.
#[derive(Debug)]
pub struct Record<'a> {
    json: &'a str,
    head: Head<'a>,
    time: Timestamp,
    parts: [Lazy<'a>; PARTS.len()],
    tree: Lazy<'a>,
}

/// A value that is parsed when a rule asks for it.
type Lazy<'a> = OnceCell<Result<Node<'a>, String>>;

/// Why bytes are no CloudTrail record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not UTF-8, not JSON, not an object, or a member of the wrong type.
    #[error("not a CloudTrail record: {0}")]
    Malformed(String),
    /// A record always has these.
    #[error("not a CloudTrail record: {0} is missing")]
    Missing(&'static str),
    /// `eventTime` is no RFC 3339 time.
    #[error("not a CloudTrail record: eventTime is no time")]
    Time,
    /// Larger than [`MAX_RECORD_BYTES`].
    #[error("record of more than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    /// An EventBridge envelope of another kind: its `detail` is no CloudTrail record.
    #[error("not an event of CloudTrail: detail-type {0:?}")]
    OtherEvent(String),
}

impl<'a> Record<'a> {
    /// Reads one record (no envelope, no array).
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn parse(json: &'a [u8]) -> Result<Self, RecordError> {
        if json.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        Self::parse_str(std::str::from_utf8(json).map_err(|e| RecordError::Malformed(e.to_string()))?)
    }

    pub(crate) fn parse_str(json: &'a str) -> Result<Self, RecordError> {
        if json.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        let head: Head<'a> = serde_json::from_str(json).map_err(|e| RecordError::Malformed(e.to_string()))?;
        let Some(id) = &head.event_id else { return Err(RecordError::Missing("eventID")) };
        if id.0.is_empty() {
            return Err(RecordError::Missing("eventID"));
        }
        let Some(time) = &head.event_time else { return Err(RecordError::Missing("eventTime")) };
        let time = time.0.parse().map_err(|_| RecordError::Time)?;
        // Insights events describe many calls: they name none.
        if head.event_name.is_none() && head.event_type.as_ref().is_none_or(|t| t.0 != INSIGHT) {
            return Err(RecordError::Missing("eventName"));
        }
        Ok(Self { json, head, time, parts: Default::default(), tree: OnceCell::new() })
    }

    /// `eventID`: unique, and the same when the record is delivered again.
    pub fn id(&self) -> &str {
        text(self.head.event_id.as_ref())
    }

    /// `eventTime`.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// `eventName`, such as `CreateUser`; empty in Insights events.
    pub fn name(&self) -> &str {
        text(self.head.event_name.as_ref())
    }

    /// `eventSource`, such as `iam.amazonaws.com`.
    pub fn source(&self) -> &str {
        text(self.head.event_source.as_ref())
    }

    /// `awsRegion`.
    pub fn region(&self) -> &str {
        text(self.head.aws_region.as_ref())
    }

    /// `sourceIPAddress`: an address, or the name of an AWS service.
    pub fn source_address(&self) -> &str {
        text(self.head.source_ip_address.as_ref())
    }

    /// `errorCode`, where the call failed.
    pub fn error_code(&self) -> Option<&str> {
        self.head.error_code.as_ref().map(|code| &*code.0)
    }

    /// The account that owns the record: `recipientAccountId`, or else the caller's.
    pub fn account(&self) -> &str {
        let recipient = text(self.head.recipient_account_id.as_ref());
        if recipient.is_empty() { text(self.head.identity.account_id.as_ref()) } else { recipient }
    }

    /// The record as it was delivered.
    pub const fn json(&self) -> &'a str {
        self.json
    }

    /// Whether the call did not succeed. A console login has no `errorCode`: its answer says so.
    pub fn failed(&self) -> bool {
        self.head.error_code.is_some()
            || (self.head.event_type.as_ref().is_some_and(|t| t.0 == SIGN_IN) && self.sign_in_failed())
    }

    fn sign_in_failed(&self) -> bool {
        match self.part("responseElements") {
            Some(Node::Object(answers)) => answers
                .iter()
                .any(|(_, answer)| answer.as_str().is_some_and(|a| a.eq_ignore_ascii_case("failure"))),
            // Without an answer it succeeded only if nothing else says that it did not.
            _ => {
                self.tree().map_or(true, |tree| tree.member("errorMessage").is_some_and(|m| *m != Node::Null))
            }
        }
    }

    pub(crate) const fn identity(&self) -> &Identity<'a> {
        &self.head.identity
    }

    pub(crate) const fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// `requestParameters`: by far the part that most rules ask for.
    pub(crate) fn parameters(&self) -> Option<&Node<'a>> {
        self.part("requestParameters")
    }

    /// One of the large members of a record, parsed alone; nothing where it is absent or cannot be read.
    pub(crate) fn part(&self, name: &str) -> Option<&Node<'a>> {
        let number = PARTS.iter().position(|part| *part == name)?;
        let raw =
            [self.head.request_parameters, self.head.response_elements, self.head.additional_event_data];
        let json = raw.get(number).copied().flatten()?.get();
        read(self.parts.get(number)?, json).ok()
    }

    /// The whole record.
    ///
    /// # Errors
    /// When what the head skipped is no JSON after all: too deep, or half of a surrogate pair.
    pub(crate) fn tree(&self) -> Result<&Node<'a>, &str> {
        read(&self.tree, self.json)
    }

    /// Why some rule could not have what it asked for.
    pub(crate) fn unreadable(&self) -> Option<&str> {
        let asked = self.parts.iter().chain([&self.tree]).filter_map(OnceCell::get);
        asked.filter_map(|part| part.as_ref().err()).map(String::as_str).next()
    }
}

fn read<'l, 'a>(lazy: &'l Lazy<'a>, json: &'a str) -> Result<&'l Node<'a>, &'l str> {
    let parse = || serde_json::from_str(json).map_err(|e| e.to_string());
    lazy.get_or_init(parse).as_ref().map_err(String::as_str)
}

/// The members that are large and often asked for, in the order of [`Record::part`].
pub(crate) const PARTS: [&str; 3] = ["requestParameters", "responseElements", "additionalEventData"];

/// The members that nearly every rule looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head<'a> {
    #[serde(borrow, rename = "eventID")]
    pub(crate) event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) event_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) event_source: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) event_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) event_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) error_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) aws_region: Option<Text<'a>>,
    #[serde(borrow, rename = "sourceIPAddress")]
    pub(crate) source_ip_address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) recipient_account_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) response_elements: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) additional_event_data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "userIdentity", deserialize_with = "or_default")]
    pub(crate) identity: Identity<'a>,
}

/// `userIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) principal_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) account_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) access_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) user_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) invoked_by: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) session_context: Option<Session<'a>>,
}

/// `userIdentity.sessionContext`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session<'a> {
    #[serde(borrow)]
    pub(crate) session_issuer: Option<Issuer<'a>>,
    /// There where the credentials came from an instance's metadata service. A string or a number.
    #[serde(borrow)]
    pub(crate) ec2_role_delivery: Option<&'a RawValue>,
}

/// `userIdentity.sessionContext.sessionIssuer`: the role (or user) behind temporary credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issuer<'a> {
    #[serde(borrow)]
    pub(crate) arn: Option<Text<'a>>,
}

pub(crate) fn text<'t>(value: Option<&'t Text<'_>>) -> &'t str {
    value.map_or("", |text| &text.0)
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

/// Largest record that is read. CloudTrail's own limit is 256 KB; EventBridge's, for the whole envelope, is 1 MB.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The `eventType` of a sign-in to the console.
const SIGN_IN: &str = "AwsConsoleSignIn";
/// The `eventType` of an Insights event.
const INSIGHT: &str = "AwsCloudTrailInsight";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"eventID":"e1","eventTime":"2026-01-02T03:04:05Z","eventName":"CreateUser",
        "eventSource":"iam.amazonaws.com","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::1:user/a"},
        "recipientAccountId":"111122223333","requestParameters":{"userName":"b"}}"#;

    #[test]
    fn a_record_says_what_happened() {
        let record = Record::parse(GOOD.as_bytes()).unwrap();
        assert_eq!((record.id(), record.name(), record.source()), ("e1", "CreateUser", "iam.amazonaws.com"));
        assert_eq!(record.time().as_second(), 1_767_323_045);
        assert_eq!(record.account(), "111122223333");
        assert!(!record.failed());
        assert_eq!(
            record.tree().unwrap().member("requestParameters").unwrap().member("userName").unwrap().as_str(),
            Some("b")
        );
    }

    #[test]
    fn what_is_no_record_says_why() {
        for (case, json, why) in [
            ("empty", "", "EOF"),
            ("array", "[]", "not a CloudTrail record"),
            ("no id", r#"{"eventTime":"2026-01-02T03:04:05Z","eventName":"X"}"#, "eventID is missing"),
            (
                "empty id",
                r#"{"eventID":"","eventTime":"2026-01-02T03:04:05Z","eventName":"X"}"#,
                "eventID is missing",
            ),
            ("no time", r#"{"eventID":"e","eventName":"X"}"#, "eventTime is missing"),
            ("bad time", r#"{"eventID":"e","eventTime":"yesterday","eventName":"X"}"#, "no time"),
            ("no name", r#"{"eventID":"e","eventTime":"2026-01-02T03:04:05Z"}"#, "eventName is missing"),
            (
                "twice",
                r#"{"eventID":"e","eventID":"f","eventTime":"2026-01-02T03:04:05Z","eventName":"X"}"#,
                "duplicate",
            ),
            (
                "name no string",
                r#"{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventName":[]}"#,
                "invalid type",
            ),
        ] {
            let error = Record::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{case}: {error}");
        }
        assert_eq!(Record::parse(&[b' '; MAX_RECORD_BYTES + 1]).unwrap_err(), RecordError::TooLarge);
        assert!(matches!(Record::parse(b"\xff"), Err(RecordError::Malformed(_))));
    }

    #[test]
    fn a_call_fails_by_its_error_code_and_a_login_by_its_answer() {
        let login = |more: &str| {
            format!(
                r#"{{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventName":"ConsoleLogin","eventType":"AwsConsoleSignIn"{more}}}"#
            )
        };
        for (case, more, failed) in [
            ("denied", r#","errorCode":"AccessDenied""#, true),
            ("failed login", r#","responseElements":{"ConsoleLogin":"Failure"}"#, true),
            ("login", r#","responseElements":{"ConsoleLogin":"Success"}"#, false),
            (
                "no answer, an error",
                r#","errorMessage":"Failed authentication","responseElements":null"#,
                true,
            ),
        ] {
            let json = login(more);
            assert_eq!(Record::parse(json.as_bytes()).unwrap().failed(), failed, "{case}");
        }
    }

    #[test]
    fn what_only_the_tree_sees_as_broken_is_not_taken_for_empty() {
        let deep = format!(
            r#"{{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventName":"X","requestParameters":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let record = Record::parse(deep.as_bytes()).unwrap();
        assert_eq!(record.unreadable(), None);
        assert!(record.tree().is_err());
        assert!(record.unreadable().is_some());
    }

    #[test]
    fn insights_and_records_without_an_identity_are_records() {
        for json in [
            r#"{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventType":"AwsCloudTrailInsight"}"#,
            r#"{"eventID":"e","eventTime":"2026-01-02T03:04:05Z","eventName":"X","userIdentity":null,"userAgent":null}"#,
        ] {
            assert!(Record::parse(json.as_bytes()).is_ok(), "{json}");
        }
    }
}
