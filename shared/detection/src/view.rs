//! A record and its context as the rule engine sees them: the record's fields, and `portcullis.*`.

use std::borrow::Cow;
use std::cell::OnceCell;

use rsigma_eval::{Event, EventValue};
use serde_json::Value;

use crate::address::{Origin, origin};
use crate::context::Context;
use crate::policy::{Grants, grants};
use crate::ports::world_ports;
use crate::record::{PARTS, Record, text};
use crate::tree::Node;

/// One record to judge.
pub(crate) struct View<'r, 'a> {
    pub(crate) record: &'r Record<'a>,
    context: &'r Context,
    grants: OnceCell<Grants>,
}

impl<'r, 'a> View<'r, 'a> {
    pub(crate) const fn new(record: &'r Record<'a>, context: &'r Context) -> Self {
        Self { record, context, grants: OnceCell::new() }
    }

    /// The strings that a field has: several where its path goes through an array.
    pub(crate) fn strings(&self, field: &str) -> Vec<String> {
        match self.get_field(field) {
            Some(EventValue::Array(values)) => {
                values.iter().filter_map(|value| value.as_str().map(Cow::into_owned)).collect()
            }
            Some(value) => value.as_str().map(Cow::into_owned).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Who acted, as one name that stays the same over their calls: a user, or the role behind a session. People who
    /// come through IAM Identity Center share a role: their session names them.
    pub(crate) fn principal(&self) -> Cow<'_, str> {
        let identity = self.record.identity();
        let (arn, issuer) = (text(identity.arn.as_ref()), self.issuer());
        if !issuer.is_empty() && !issuer.contains(":user/") && !issuer.contains("/AWSReservedSSO_") {
            return Cow::Borrowed(issuer);
        }
        if !arn.is_empty() {
            return Cow::Borrowed(arn);
        }
        let name = [&identity.user_name, &identity.principal_id, &identity.invoked_by, &identity.kind];
        let name = name
            .into_iter()
            .map(|name| text(name.as_ref()))
            .find(|name| !name.is_empty())
            .unwrap_or("unknown");
        Cow::Owned(format!("{}:{name}", self.record.account()))
    }

    pub(crate) fn issuer(&self) -> &str {
        let session = self.record.identity().session_context.as_ref();
        text(session.and_then(|s| s.session_issuer.as_ref()).and_then(|issuer| issuer.arn.as_ref()))
    }

    /// Whether an AWS service acted: by itself, or for somebody.
    pub(crate) fn is_by_service(&self) -> bool {
        let head = self.record.head();
        text(head.event_type.as_ref()) == "AwsServiceEvent"
            || text(head.identity.kind.as_ref()) == "AWSService"
            || head.identity.invoked_by.is_some()
    }

    fn derived(&self, name: &str) -> Option<EventValue<'_>> {
        let record = self.record;
        Some(match name {
            "principal" => EventValue::Str(self.principal()),
            "failed" => EventValue::Bool(record.failed()),
            "byService" => EventValue::Bool(self.is_by_service()),
            "automation" => EventValue::Bool(
                self.context.is_automation([self.issuer(), text(record.identity().arn.as_ref())]),
            ),
            "offHours" => EventValue::Bool(self.context.hours.as_ref()?.is_off(record.time())),
            "origin" => EventValue::Str(Cow::Borrowed(
                match origin(record.source_address(), &self.context.networks) {
                    Origin::Service => "service",
                    Origin::Known => "known",
                    Origin::Private => "private",
                    Origin::Public => "public",
                },
            )),
            "networksKnown" => EventValue::Bool(!self.context.networks.is_empty()),
            "instanceSession" => EventValue::Bool(self.is_instance_session()),
            "otherUser" => EventValue::Bool(self.is_about_another_user()),
            "grantsPublic" => EventValue::Bool(self.grants().public),
            "grantsForeign" => EventValue::Bool(self.grants().foreign),
            "grantsAdmin" => EventValue::Bool(self.grants().admin),
            "sharedWith" => {
                let outside = self.shared_with();
                EventValue::Array(
                    outside.into_iter().map(|name| EventValue::Str(Cow::Borrowed(name))).collect(),
                )
            }
            "worldPorts" => {
                let ports = self.record.parameters().map(world_ports).unwrap_or_default();
                EventValue::Array(ports.into_iter().map(|port| EventValue::Str(Cow::Owned(port))).collect())
            }
            _ => return None,
        })
    }

    fn grants(&self) -> Grants {
        *self.grants.get_or_init(|| grants(self.record, self.context))
    }

    /// Credentials that an EC2 instance got from its metadata service: the session is named after the instance.
    fn is_instance_session(&self) -> bool {
        let identity = self.record.identity();
        let delivered = identity.session_context.as_ref().is_some_and(|s| s.ec2_role_delivery.is_some());
        let session = text(identity.arn.as_ref()).rsplit_once('/').map_or("", |(_, session)| session);
        delivered || (text(identity.kind.as_ref()) == "AssumedRole" && is_instance_id(session))
    }

    fn is_about_another_user(&self) -> bool {
        let target = self.record.parameters().and_then(|p| p.member("userName"));
        target
            .and_then(Node::as_str)
            .is_some_and(|name| name != text(self.record.identity().user_name.as_ref()))
    }

    /// Accounts outside the user's with which a snapshot or image is shared, `all` for everybody.
    fn shared_with(&self) -> Vec<&str> {
        let Some(parameters) = self.record.parameters() else { return Vec::new() };
        let mut found = Vec::new();
        for path in SHARES {
            parameters.find(path, &mut found);
        }
        let names = found.into_iter().flat_map(|node| node.items()).filter_map(Node::as_str);
        names.filter(|name| self.context.is_foreign(name, self.record.account())).collect()
    }

    fn tree(&self) -> Option<&Node<'a>> {
        self.record.tree().ok()
    }
}

impl Event for View<'_, '_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        let head = self.record.head();
        let quick = match path {
            "eventName" => head.event_name.as_ref(),
            "eventSource" => head.event_source.as_ref(),
            "eventType" => head.event_type.as_ref(),
            "errorCode" => head.error_code.as_ref(),
            "userAgent" => head.user_agent.as_ref(),
            "userIdentity.type" => head.identity.kind.as_ref(),
            "userIdentity.arn" => head.identity.arn.as_ref(),
            "userIdentity.invokedBy" => head.identity.invoked_by.as_ref(),
            _ => {
                return match path.strip_prefix(PREFIX) {
                    Some(name) => self.derived(name),
                    None => self.slow(path),
                };
            }
        };
        quick.map(|found| EventValue::Str(Cow::Borrowed(&found.0)))
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        self.tree().is_some_and(|tree| tree.any_str(pred))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut found = Vec::new();
        if let Some(tree) = self.tree() {
            tree.strings(&mut found);
        }
        found
    }

    fn to_json(&self) -> Value {
        serde_json::from_str(self.record.json()).unwrap_or_default()
    }
}

impl View<'_, '_> {
    fn slow(&self, path: &str) -> Option<EventValue<'_>> {
        let mut found = Vec::new();
        match path.split_once('.') {
            Some((part, rest)) if PARTS.contains(&part) => self.record.part(part)?.find(rest, &mut found),
            _ => self.tree()?.find(path, &mut found),
        }
        match found.as_slice() {
            [] => None,
            [one] => Some(one.value()),
            several => Some(EventValue::Array(several.iter().map(|node| node.value()).collect())),
        }
    }
}

/// `i-` and 8 or 17 hexadecimal digits.
fn is_instance_id(text: &str) -> bool {
    text.strip_prefix("i-")
        .is_some_and(|id| matches!(id.len(), 8 | 17) && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Fields that are Portcullis's, not `CloudTrail`'s.
pub(crate) const PREFIX: &str = "portcullis.";

/// The names after [`PREFIX`]: a rule that asks for another is refused.
pub(crate) const DERIVED: [&str; 14] = [
    "principal",
    "failed",
    "byService",
    "automation",
    "offHours",
    "origin",
    "networksKnown",
    "instanceSession",
    "otherUser",
    "grantsPublic",
    "grantsForeign",
    "grantsAdmin",
    "sharedWith",
    "worldPorts",
];

/// Request parameters that name with whom something is shared.
const SHARES: [&str; 8] = [
    "createVolumePermission.add.items.userId",
    "createVolumePermission.add.items.group",
    "launchPermission.add.items.userId",
    "launchPermission.add.items.group",
    "launchPermission.add.items.organizationArn",
    "valuesToAdd",
    "accountsToAdd",
    "userIds",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(members: &str, field: &str) -> Vec<String> {
        let json = format!(
            r#"{{"eventID":"e","eventTime":"2026-01-03T03:04:05Z","eventName":"X","recipientAccountId":"111122223333",{members}}}"#
        );
        let record = Record::parse(json.as_bytes()).unwrap();
        let context = Context::parse(
            "networks: [203.0.113.0/24]\nautomation: ['arn:aws:iam::*:role/ci']\naccounts: ['222233334444']\n\
             hours: {time_zone: UTC, from: '08:00', to: '18:00'}",
        )
        .unwrap();
        View::new(&record, &context).strings(&format!("{PREFIX}{field}"))
    }

    #[test]
    fn a_principal_has_one_name_over_all_its_calls() {
        let session = |role: &str, name: &str| {
            format!(
                r#""userIdentity":{{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/{role}/{name}","sessionContext":{{"sessionIssuer":{{"arn":"arn:aws:iam::1:role/{role}"}}}}}}"#
            )
        };
        for (case, members, expected) in [
            (
                "user",
                r#""userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::1:user/a"}"#.to_owned(),
                "arn:aws:iam::1:user/a",
            ),
            ("role, whatever its session", session("app", "x"), "arn:aws:iam::1:role/app"),
            (
                "a person of Identity Center",
                session("x/AWSReservedSSO_Admin_1", "ana"),
                "arn:aws:sts::1:assumed-role/x/AWSReservedSSO_Admin_1/ana",
            ),
            (
                "failed login",
                r#""userIdentity":{"type":"IAMUser","userName":"ana"}"#.to_owned(),
                "111122223333:ana",
            ),
            ("nobody", r#""userIdentity":{}"#.to_owned(), "111122223333:unknown"),
        ] {
            assert_eq!(ask(&members, "principal"), [expected], "{case}");
        }
    }

    #[test]
    fn a_rule_can_ask_for_what_the_record_means_here() {
        let instance = r#""userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/app/i-0123456789abcdef0"}"#;
        for (case, members, field, expected) in [
            ("Saturday", r#""awsRegion":"x""#, "offHours", "true"),
            ("known", r#""sourceIPAddress":"203.0.113.4""#, "origin", "known"),
            ("told which networks", r#""awsRegion":"x""#, "networksKnown", "true"),
            ("an instance", instance, "instanceSession", "true"),
            (
                "no instance",
                r#""userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/app/i-am-ana"}"#,
                "instanceSession",
                "false",
            ),
            (
                "automation",
                r#""userIdentity":{"sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/ci"}}}"#,
                "automation",
                "true",
            ),
            (
                "another's",
                r#""userIdentity":{"userName":"a"},"requestParameters":{"userName":"b"}"#,
                "otherUser",
                "true",
            ),
            (
                "one's own",
                r#""userIdentity":{"userName":"a"},"requestParameters":{"userName":"a"}"#,
                "otherUser",
                "false",
            ),
            (
                "one's own, unnamed",
                r#""userIdentity":{"userName":"a"},"requestParameters":null"#,
                "otherUser",
                "false",
            ),
            (
                "for a service",
                r#""userIdentity":{"type":"Root","invokedBy":"support.amazonaws.com"}"#,
                "byService",
                "true",
            ),
            ("by root", r#""userIdentity":{"type":"Root"}"#, "byService", "false"),
            ("denied", r#""errorCode":"AccessDenied""#, "failed", "true"),
            (
                "public",
                r#""requestParameters":{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\"}}"}"#,
                "grantsPublic",
                "true",
            ),
        ] {
            assert_eq!(ask(members, field), [expected], "{case}");
        }
    }

    #[test]
    fn sharing_counts_only_outside_the_users_accounts() {
        let share = |items: &str| {
            format!(r#""requestParameters":{{"createVolumePermission":{{"add":{{"items":[{items}]}}}}}}"#)
        };
        assert_eq!(
            ask(&share(r#"{"userId":"999988887777"},{"userId":"222233334444"}"#), "sharedWith"),
            ["999988887777"]
        );
        assert_eq!(ask(&share(r#"{"group":"all"}"#), "sharedWith"), ["all"]);
        assert!(ask(&share(r#"{"userId":"111122223333"}"#), "sharedWith").is_empty());
        assert_eq!(ask(r#""requestParameters":{"valuesToAdd":["all"]}"#, "sharedWith"), ["all"]);
    }

    #[test]
    fn every_derived_field_has_an_answer() {
        // Fields that a rule may ask for, and fields that are answered, are one list.
        for name in DERIVED {
            let json = r#"{"eventID":"e","eventTime":"2026-01-03T03:04:05Z","eventName":"X"}"#;
            let record = Record::parse(json.as_bytes()).unwrap();
            let context = Context::parse("hours: {time_zone: UTC, from: '08:00', to: '18:00'}").unwrap();
            assert!(View::new(&record, &context).derived(name).is_some(), "{name}");
        }
    }
}
