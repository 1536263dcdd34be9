//! What an EventBridge envelope says of itself, before its detail is looked at.
//!
//! Format: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events.html>

use serde::Deserialize;

use crate::Text;

/// Where an event comes from and what kind it is.
#[derive(Debug, Deserialize)]
pub struct EventHead<'a> {
    #[serde(borrow)]
    source: Text<'a>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Text<'a>,
}

impl<'a> EventHead<'a> {
    /// The head of an envelope; `None` where the event is none.
    pub fn parse(event: &'a [u8]) -> Option<Self> {
        // serde would also take an array of the members in order.
        let object = event.trim_ascii_start().first() == Some(&b'{');
        object.then(|| serde_json::from_slice(event).ok()).flatten()
    }

    /// Whether it is of this source and kind.
    pub fn is(&self, source: &str, detail_type: &str) -> bool {
        self.source.0 == source && self.detail_type.0 == detail_type
    }

    /// Whether an EventBridge schedule sent it.
    pub fn is_schedule(&self) -> bool {
        self.is("aws.events", "Scheduled Event")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_with_both_members_once_is_an_envelope() {
        for (label, event, schedule) in [
            (
                "a schedule",
                r#" {"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#,
                Some(true),
            ),
            ("with escapes", r#"{"source":"aws\u002eevents","detail-type":"Scheduled Event"}"#, Some(true)),
            ("another", r#"{"source":"aws.guardduty","detail-type":"GuardDuty Finding"}"#, Some(false)),
            ("an array", r#"["aws.events","Scheduled Event"]"#, None),
            (
                "twice",
                r#"{"source":"aws.events","source":"aws.events","detail-type":"Scheduled Event"}"#,
                None,
            ),
            ("inside", r#"{"detail":{"source":"aws.events","detail-type":"Scheduled Event"}}"#, None),
            ("half", r#"{"source":"aws.events"}"#, None),
            ("nothing", "", None),
        ] {
            let head = EventHead::parse(event.as_bytes());
            assert_eq!(head.map(|head| head.is_schedule()), schedule, "{label}");
        }
    }
}
