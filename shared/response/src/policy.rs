//! The two policies that containment puts on a principal.

use portcullis_base::Timestamp;
use serde_json::json;

/// Refuses everything: for a user, whose keys, sessions and password all act under it.
pub fn deny_all() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Sid": "PortcullisDenyAll", "Effect": "Deny", "Action": "*", "Resource": "*"}],
    })
    .to_string()
}

/// Refuses everything to sessions whose token was issued before `at`; sessions that begin later are not touched.
///
/// Source: IAM User Guide, "Revoke IAM role temporary security credentials".
pub fn deny_sessions_before(at: Timestamp) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "PortcullisRevokeSessions",
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()}},
        }],
    })
    .to_string()
}

/// Whether two documents say the same: IAM may hand one back in another spelling.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one == other
        || matches!(
            (crate::json::parse(one.as_bytes()), crate::json::parse(other.as_bytes())),
            (Some(one), Some(other)) if one == other
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_revoked_to_the_millisecond() {
        let policy = deny_sessions_before("2026-11-22T10:20:30.456789Z".parse().unwrap());
        let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
        let condition = &policy["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"];
        assert_eq!(condition, "2026-11-22T10:20:30.456Z");
        assert_eq!(policy["Statement"][0]["Effect"], "Deny");
    }

    #[test]
    fn documents_are_compared_by_what_they_say() {
        assert!(same(r#"{"a":1,"b":[2]}"#, r#"{ "b":[2], "a":1 }"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#) && !same("x", "y") && same("x", "x"));
    }
}
