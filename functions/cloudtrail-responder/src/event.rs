//! Which kind of event it is.

use portcullis_lambda::EventHead;

/// Whether it is an event of an EventBridge schedule; everything else is records, or is to be. A schedule's event has no
/// large detail.
pub(crate) fn is_schedule(event: &[u8]) -> bool {
    event.len() <= MAX_SCHEDULE && EventHead::parse(event).is_some_and(|head| head.is_schedule())
}

const MAX_SCHEDULE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_schedule_is_one() {
        for (label, event, schedule) in [
            (
                "a schedule",
                r#" {"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#,
                true,
            ),
            ("another source", r#"{"source":"aws.iam","detail-type":"Scheduled Event"}"#, false),
            ("another type", r#"{"source":"aws.events","detail-type":"AWS API Call via CloudTrail"}"#, false),
            ("an array", r#"["aws.events","Scheduled Event"]"#, false),
            (
                "twice",
                r#"{"source":"aws.events","source":"aws.events","detail-type":"Scheduled Event"}"#,
                false,
            ),
            ("inside", r#"{"detail":{"source":"aws.events","detail-type":"Scheduled Event"}}"#, false),
            ("nothing", "", false),
        ] {
            assert_eq!(is_schedule(event.as_bytes()), schedule, "{label}");
        }
        let long = format!(
            r#"{{"source":"aws.events","detail-type":"Scheduled Event","x":"{}"}}"#,
            "x".repeat(20_000)
        );
        assert!(!is_schedule(long.as_bytes()));
    }
}
