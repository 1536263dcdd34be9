//! What a detection says: which event, who, which rule, and whether something may be done about it.

use jiff::Timestamp;
use serde::Serialize;

use crate::record::text;
use crate::rule::{IncidentType, RuleInfo, Severity};
use crate::view::View;

/// A rule matched a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Rule and event: the same whenever the same event comes again, so that it alerts once.
    pub id: String,
    /// `eventID` of the record; of a correlation, of the record that completed it.
    pub event_id: String,
    /// When it happened.
    pub time: Timestamp,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Who acted, as one name over all calls.
    pub principal: String,
    /// Who acted, in parts: what a playbook contains.
    pub actor: Actor,
    /// The account that owns the record.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// `eventSource`.
    pub event_source: String,
    /// `eventName`.
    pub event_name: String,
    /// `sourceIPAddress`.
    pub source_address: String,
    /// `errorCode` where the call failed.
    pub error_code: Option<String>,
    /// The rule's Sigma id.
    pub rule_id: String,
    /// The rule's short name.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The rule's level.
    pub severity: Severity,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Which playbook.
    pub incident_type: IncidentType,
    /// Whether a playbook may act without being asked. Never after a call that failed or that an AWS service made.
    pub containable: bool,
    /// How many observations a correlation counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

/// `userIdentity`, as far as a playbook needs it. What the record does not have is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// `IAMUser`, `AssumedRole`, `Root`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// The ARN of the user or of the session.
    pub arn: String,
    /// The account of the caller: another one than the record's where it came from outside.
    pub account: String,
    /// The user's name.
    pub user_name: String,
    /// The key that signed the call.
    pub access_key_id: String,
    /// The role (or user) behind temporary credentials.
    pub role_arn: String,
}

impl Hit {
    pub(crate) fn new(view: &View<'_, '_>, rule: &RuleInfo, now: Timestamp, count: Option<usize>) -> Self {
        let record = view.record;
        let own = |name: &str| name.to_owned();
        Self {
            id: format!("{}:{}", rule.id, record.id()),
            event_id: own(record.id()),
            time: record.time(),
            seen_at: now,
            principal: view.principal().into_owned(),
            actor: actor(view),
            account: own(record.account()),
            region: own(record.region()),
            event_source: own(record.source()),
            event_name: own(record.name()),
            source_address: own(record.source_address()),
            error_code: record.error_code().map(str::to_owned),
            rule_id: rule.id.clone(),
            rule: rule.name.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            techniques: rule.techniques.clone(),
            incident_type: rule.incident_type,
            containable: rule.contain && !record.failed() && !view.is_by_service(),
            count,
        }
    }
}

fn actor(view: &View<'_, '_>) -> Actor {
    let identity = view.record.identity();
    let own = |member: &Option<_>| text(member.as_ref()).to_owned();
    Actor {
        kind: own(&identity.kind),
        arn: own(&identity.arn),
        account: own(&identity.account_id),
        user_name: own(&identity.user_name),
        access_key_id: own(&identity.access_key_id),
        role_arn: view.issuer().to_owned(),
    }
}
