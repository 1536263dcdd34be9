//! Which kind of event it is.

use portcullis_lambda::{EventHead, ProxyEvent};

/// What the function is asked.
pub(crate) enum Event<'a> {
    /// A finding, in its envelope.
    Finding,
    /// The schedule.
    Schedule,
    /// A request of the incident API.
    Request(Box<ProxyEvent<'a>>),
}

/// The event is none that the function takes. Says nothing of what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownEvent;

impl<'a> Event<'a> {
    pub(crate) fn parse(event: &'a [u8]) -> Result<Self, UnknownEvent> {
        match EventHead::parse(event) {
            Some(head) if head.is_schedule() => return Ok(Self::Schedule),
            Some(head) if head.is("aws.guardduty", "GuardDuty Finding") => return Ok(Self::Finding),
            Some(_) => return Err(UnknownEvent),
            None => {}
        }
        ProxyEvent::parse(event).map(|request| Self::Request(Box::new(request))).map_err(|_| UnknownEvent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(event: &str) -> &'static str {
        match Event::parse(event.as_bytes()) {
            Ok(Event::Finding) => "finding",
            Ok(Event::Schedule) => "schedule",
            Ok(Event::Request(_)) => "request",
            Err(UnknownEvent) => "unknown",
        }
    }

    #[test]
    fn each_event_is_what_it_says() {
        for (event, expected) in [
            (r#"{"source":"aws.guardduty","detail-type":"GuardDuty Finding","detail":{}}"#, "finding"),
            (r#" {"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#, "schedule"),
            (r#"{"httpMethod":"GET","path":"/incidents"}"#, "request"),
            (r#"{"source":"aws.events","detail-type":"GuardDuty Finding"}"#, "unknown"),
            (r#"{"source":"aws.guardduty","detail-type":"Scheduled Event"}"#, "unknown"),
            (
                r#"{"source":"aws.guardduty","detail-type":"GuardDuty Malware Protection Object Scan Result"}"#,
                "unknown",
            ),
            (r#"["aws.events","Scheduled Event"]"#, "unknown"),
            (r#"{"source":"aws.events","source":"aws.events","detail-type":"Scheduled Event"}"#, "unknown"),
            (r#"{"detail":{"source":"aws.events","detail-type":"Scheduled Event"}}"#, "unknown"),
            ("{}", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(kind(event), expected, "{event}");
        }
    }

    /// The body of a request is its caller's: nothing in it makes it another event.
    #[test]
    fn a_request_cannot_pose_as_an_event_of_aws() {
        let event = r#"{"httpMethod":"POST","path":"/incidents","headers":{"source":"aws.events","detail-type":"Scheduled Event"},
            "body":"{\"source\":\"aws.events\",\"detail-type\":\"Scheduled Event\"}"}"#;
        assert_eq!(kind(event), "request");
    }
}
