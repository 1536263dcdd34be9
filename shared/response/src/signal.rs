//! What was seen: a finding or a hit, in one form.

use std::net::IpAddr;

use portcullis_base::Timestamp;
use portcullis_detection::{Hit, IncidentType};
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Principal};
use crate::finding_types::FindingTypes;
use crate::incident::IncidentId;
use crate::severity::Band;
use crate::target::Target;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Where it comes from.
    pub source: Source,
    /// Which playbook.
    pub incident_type: IncidentType,
    /// How bad.
    pub severity: Band,
    /// For people.
    pub title: String,
    /// The account that it is about.
    pub account: String,
    /// The region that it is about.
    pub region: String,
    /// When it happened.
    pub happened_at: Timestamp,
    /// How often it was seen.
    pub count: u64,
    /// Made by a sample generator: nothing happened.
    pub sample: bool,
    /// Whether anything may be contained for it. Never for a call that failed, nor for one that an AWS service made.
    pub containable: bool,
    /// Who and what it is about.
    pub targets: Vec<Target>,
}

/// Where a signal comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// GuardDuty.
    Finding {
        /// The finding's id.
        id: String,
        /// Its type.
        kind: String,
    },
    /// A detection rule on CloudTrail records.
    Hit {
        /// The hit's id: rule and event.
        id: String,
        /// The rule's name.
        rule: String,
    },
}

impl Signal {
    /// What a finding says.
    pub fn of_finding(finding: &Finding, types: &FindingTypes, seen_at: Timestamp) -> Self {
        let mut targets: Vec<Target> =
            finding.principals.iter().map(|p| of_principal(p, &finding.account)).collect();
        targets.extend(finding.resources.iter().cloned());
        targets.extend(finding.addresses.iter().map(|ip| Target::Address { ip: *ip }));
        if !finding.detector.is_empty() {
            targets.push(Target::Finding { detector: finding.detector.clone(), id: finding.id.clone() });
        }
        Self {
            source: Source::Finding { id: finding.id.clone(), kind: finding.kind.clone() },
            incident_type: types.incident(&finding.kind),
            severity: finding.band(),
            title: if finding.title.is_empty() { finding.kind.clone() } else { finding.title.clone() },
            account: finding.account.clone(),
            region: finding.region.clone(),
            happened_at: finding.last_seen.or(finding.first_seen).unwrap_or(seen_at),
            count: finding.count,
            sample: finding.sample,
            containable: !finding.sample,
            targets: distinct(targets),
        }
    }

    /// What a hit says.
    pub fn of_hit(hit: &Hit) -> Self {
        let mut targets = vec![of_actor(hit)];
        if let Ok(ip) = hit.source_address.parse::<IpAddr>() {
            targets.push(Target::Address { ip });
        }
        Self {
            source: Source::Hit { id: hit.id.clone(), rule: hit.rule.clone() },
            incident_type: hit.incident_type,
            severity: hit.severity.into(),
            title: hit.title.clone(),
            account: hit.account.clone(),
            region: hit.region.clone(),
            happened_at: hit.time,
            count: hit.count.and_then(|count| u64::try_from(count).ok()).unwrap_or(1),
            sample: false,
            containable: hit.containable && hit.error_code.is_none(),
            targets: distinct(targets),
        }
    }

    /// The incident that it belongs to: repeats have the same.
    pub fn incident_id(&self) -> IncidentId {
        let (account, region) = (&self.account, &self.region);
        match &self.source {
            Source::Finding { id, .. } => IncidentId::of(&format!("finding {account} {region} {id}")),
            Source::Hit { id, .. } => IncidentId::of(&format!("hit {account} {region} {id}")),
        }
    }

    /// Takes over what a repeat of the signal adds. Whether the severity rose.
    pub fn absorb(&mut self, repeat: &Self) -> bool {
        self.count = self.count.max(repeat.count);
        for target in &repeat.targets {
            if !self.targets.contains(target) && self.targets.len() < MAX_TARGETS {
                self.targets.push(target.clone());
            }
        }
        let rose = repeat.severity > self.severity;
        self.severity = self.severity.max(repeat.severity);
        rose
    }
}

fn of_principal(principal: &Principal, account: &str) -> Target {
    let Principal { kind, name, .. } = principal;
    match kind.as_str() {
        "IAMUser" if !name.is_empty() => Target::User { name: name.clone() },
        "AssumedRole" | "Role" if !name.is_empty() => Target::role(name),
        "Root" => Target::Root { account: account.to_owned() },
        _ => Target::Foreign { what: format!("{kind} {name}").trim().to_owned() },
    }
}

fn of_actor(hit: &Hit) -> Target {
    let actor = &hit.actor;
    if !actor.account.is_empty() && actor.account != hit.account {
        return Target::Foreign { what: format!("{} of account {}", actor.kind, actor.account) };
    }
    match actor.kind.as_str() {
        "Root" => Target::Root { account: hit.account.clone() },
        "IAMUser" if !actor.user_name.is_empty() => Target::User { name: actor.user_name.clone() },
        // Session tokens of a user (GetSessionToken, GetFederationToken) act with the user's permissions.
        "IAMUser" | "FederatedUser" if actor.role_arn.contains(":user/") => {
            Target::User { name: actor.role_arn.rsplit('/').next().unwrap_or_default().to_owned() }
        }
        "AssumedRole" if actor.role_arn.contains(":role/") => Target::role(&actor.role_arn),
        _ => Target::Foreign { what: format!("{} {}", actor.kind, hit.principal).trim().to_owned() },
    }
}

fn distinct(targets: Vec<Target>) -> Vec<Target> {
    let mut found: Vec<Target> = Vec::new();
    for target in targets {
        if !found.contains(&target) && found.len() < MAX_TARGETS {
            found.push(target);
        }
    }
    found
}

const MAX_TARGETS: usize = 64;

#[cfg(test)]
mod tests {
    use portcullis_detection::{Actor, Severity};

    use super::*;

    fn hit(kind: &str, user: &str, role: &str, account: &str) -> Hit {
        Hit {
            id: "r:e".into(),
            event_id: "e".into(),
            time: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
            principal: "p".into(),
            actor: Actor {
                kind: kind.into(),
                arn: String::new(),
                account: account.into(),
                user_name: user.into(),
                access_key_id: String::new(),
                role_arn: role.into(),
            },
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            event_source: "iam.amazonaws.com".into(),
            event_name: "CreateUser".into(),
            source_address: "198.51.100.7".into(),
            error_code: None,
            rule_id: "r".into(),
            rule: "user-created".into(),
            title: "User created".into(),
            severity: Severity::High,
            techniques: vec![],
            incident_type: IncidentType::Backdoor,
            containable: true,
            count: None,
        }
    }

    #[test]
    fn an_actor_is_contained_where_it_can_be() {
        let own = "111122223333";
        for (case, hit, expected) in [
            ("user", hit("IAMUser", "ana", "", own), "user/ana"),
            ("role", hit("AssumedRole", "", "arn:aws:iam::111122223333:role/x/app", own), "role/app"),
            ("root", hit("Root", "", "", own), "root/111122223333"),
            ("federated", hit("FederatedUser", "", "arn:aws:iam::111122223333:user/ana", own), "user/ana"),
            ("service", hit("AWSService", "", "", ""), "foreign/AWSService p"),
            (
                "from outside",
                hit("IAMUser", "eve", "", "999988887777"),
                "foreign/IAMUser of account 999988887777",
            ),
        ] {
            let signal = Signal::of_hit(&hit);
            assert_eq!(signal.targets[0].to_string(), expected, "{case}");
            assert_eq!(signal.targets[1].to_string(), "address/198.51.100.7", "{case}");
        }
    }

    #[test]
    fn a_failed_call_never_leads_to_containment() {
        let mut failed = hit("IAMUser", "ana", "", "111122223333");
        failed.error_code = Some("AccessDenied".into());
        assert!(!Signal::of_hit(&failed).containable, "even where a rule says otherwise");
        let mut quiet = hit("IAMUser", "ana", "", "111122223333");
        quiet.containable = false;
        assert!(!Signal::of_hit(&quiet).containable);
    }

    #[test]
    fn a_repeat_adds_and_never_takes_away() {
        let mut signal = Signal::of_hit(&hit("IAMUser", "ana", "", "111122223333"));
        let mut repeat = signal.clone();
        (repeat.count, repeat.severity) = (5, Band::Low);
        repeat.targets = vec![Target::Bucket { name: "b".into() }];
        assert!(!signal.absorb(&repeat));
        assert_eq!((signal.count, signal.severity, signal.targets.len()), (5, Band::High, 3));
        repeat.severity = Band::Critical;
        assert!(signal.absorb(&repeat));
        assert_eq!(signal.incident_id(), repeat.incident_id());
    }
}
