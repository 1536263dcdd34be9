//! From what is there to what is wanted, and back: which changes are missing. Pure; says the same however often a step
//! was cut short.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use portcullis_base::Timestamp;

use crate::incident::IncidentId;
use crate::policy::{deny_all, deny_sessions_before, same};
use crate::ports::{Group, PublicAccessBlock, Rule};
use crate::state::State;
use crate::step::StepKind;
use crate::target::{Family, Target};

/// One change of the account: one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members are the arguments of the port's method of the same name")]
pub enum Change {
    DeactivateKey { user: String, key: String },
    ActivateKey { user: String, key: String },
    PutRolePolicy { role: String, name: String, document: String },
    DeleteRolePolicy { role: String, name: String },
    PutUserPolicy { user: String, name: String, document: String },
    DeleteUserPolicy { user: String, name: String },
    DeleteLoginProfile { user: String },
    CreateLoginProfile { user: String, reset_required: bool },
    Tag { instance: String, key: String, value: String },
    Untag { instance: String, key: String },
    Protect { instance: String, protected: bool },
    Snapshot { volume: String, incident: String },
    CreateGroup { vpc: String, name: String },
    Authorize { group: String, rule: Rule },
    Revoke { group: String, rule: Rule },
    SetGroups { interface: String, groups: Vec<String> },
    Detach { instance: String, group: String },
    Attach { instance: String, group: String },
    PutConcurrency { function: String, reserved: u32 },
    DeleteConcurrency { function: String },
    List { family: Family, cidr: String, listed: bool },
    PutPublicAccessBlock { bucket: String, block: PublicAccessBlock },
    DeletePublicAccessBlock { bucket: String },
    Archive { detector: String, finding: String },
    Unarchive { detector: String, finding: String },
    Comment { detector: String, finding: String, text: String },
}

/// The changes that are missing for a step of `kind` on `target` to be done; empty when it is. They do not depend on
/// each other; what depends on them comes once they are read back.
pub fn needed(
    kind: StepKind,
    target: &Target,
    incident: &IncidentId,
    started: Timestamp,
    current: &State,
) -> Vec<Change> {
    match (kind, target, current) {
        (StepKind::DeactivateAccessKeys, Target::User { name }, State::Keys { keys }) => keys
            .iter()
            .filter(|(_, active)| **active)
            .map(|(key, _)| Change::DeactivateKey { user: name.clone(), key: key.clone() })
            .collect(),
        (StepKind::RevokeRoleSessions, Target::Role { name, .. }, State::Policy { document }) => {
            let wanted = deny_sessions_before(started);
            let change = Change::PutRolePolicy {
                role: name.clone(),
                name: policy_name(incident),
                document: wanted.clone(),
            };
            unless(document.as_ref().is_some_and(|found| same(found, &wanted)), change)
        }
        (StepKind::DenyUser, Target::User { name }, State::Policy { document }) => {
            let wanted = deny_all();
            let change = Change::PutUserPolicy {
                user: name.clone(),
                name: policy_name(incident),
                document: wanted.clone(),
            };
            unless(document.as_ref().is_some_and(|found| same(found, &wanted)), change)
        }
        (StepKind::DeleteLoginProfile, Target::User { name }, State::Login { reset_required }) => {
            unless(reset_required.is_none(), Change::DeleteLoginProfile { user: name.clone() })
        }
        (StepKind::CollectEvidence, Target::Instance { id }, state) => evidence(id, incident, state),
        (StepKind::IsolateInstance, _, state) => isolation(state),
        (StepKind::DetachFromAutoscaling, Target::Instance { id }, State::Scaling { group }) => {
            let detach = |group: &String| Change::Detach { instance: id.clone(), group: group.clone() };
            group.iter().map(detach).collect()
        }
        (StepKind::QuarantineFunction, Target::Function { name }, State::Concurrency { reserved }) => {
            unless(*reserved == Some(0), Change::PutConcurrency { function: name.clone(), reserved: 0 })
        }
        (StepKind::BlockAddress, _, State::Address { ip, listed, .. }) => unless(*listed, list(*ip, true)),
        (StepKind::BlockPublicAccess, Target::Bucket { name }, State::PublicAccess { block }) => {
            let change = Change::PutPublicAccessBlock { bucket: name.clone(), block: CLOSED };
            unless(*block == Some(CLOSED), change)
        }
        (StepKind::ArchiveFinding, Target::Finding { detector, id }, State::Finding { archived, .. }) => {
            unless(*archived, Change::Archive { detector: detector.clone(), finding: id.clone() })
        }
        (StepKind::CommentFinding, Target::Finding { detector, id }, State::Finding { comment, .. }) => {
            let text = comment_text(incident);
            let done = comment.as_deref() == Some(text.as_str());
            unless(done, Change::Comment { detector: detector.clone(), finding: id.clone(), text })
        }
        _ => Vec::new(),
    }
}

/// The changes that are missing for everything to be as it was recorded, as far as it is still there.
///
/// None of them contains anything: a record that was read when an earlier incident held the target already is no state
/// to go back to, whichever of them is released last.
pub fn back(
    kind: StepKind,
    target: &Target,
    incident: &IncidentId,
    recorded: &State,
    current: &State,
) -> Vec<Change> {
    match (target, recorded, current) {
        (Target::User { name }, State::Keys { keys }, State::Keys { keys: found }) => keys
            .iter()
            .filter(|(key, active)| **active && found.get(*key) == Some(&false))
            .map(|(key, _)| Change::ActivateKey { user: name.clone(), key: key.clone() })
            .collect(),
        (target, State::Policy { document }, State::Policy { document: found }) => {
            policy_back(target, incident, document.as_deref(), found.as_deref())
        }
        (
            Target::User { name },
            State::Login { reset_required: Some(reset) },
            State::Login { reset_required: None },
        ) => {
            vec![Change::CreateLoginProfile { user: name.clone(), reset_required: *reset }]
        }
        (Target::Instance { id }, State::Evidence { .. }, State::Evidence { .. }) => {
            evidence_back(id, incident, recorded, current)
        }
        (_, State::Groups { interfaces, .. }, State::Groups { interfaces: found, .. }) => interfaces
            .iter()
            .filter(|(_, groups)| !current.cuts_off(groups))
            .filter(|(interface, groups)| found.get(*interface).is_some_and(|now| now != *groups))
            .map(|(interface, groups)| Change::SetGroups {
                interface: interface.clone(),
                groups: groups.clone(),
            })
            .collect(),
        (Target::Instance { id }, State::Scaling { group: Some(group) }, State::Scaling { group: None }) => {
            vec![Change::Attach { instance: id.clone(), group: group.clone() }]
        }
        (
            Target::Function { name },
            State::Concurrency { reserved },
            State::Concurrency { reserved: found },
        ) => {
            let function = name.clone();
            unless(
                reserved == found || *reserved == Some(0),
                match *reserved {
                    Some(reserved) => Change::PutConcurrency { function, reserved },
                    None => Change::DeleteConcurrency { function },
                },
            )
        }
        (_, State::Address { ip, listed: false, .. }, State::Address { listed: true, .. }) => {
            vec![list(*ip, false)]
        }
        (Target::Bucket { name }, State::PublicAccess { block }, State::PublicAccess { block: found }) => {
            let bucket = name.clone();
            unless(
                block == found || *block == Some(CLOSED),
                match *block {
                    Some(block) => Change::PutPublicAccessBlock { bucket, block },
                    None => Change::DeletePublicAccessBlock { bucket },
                },
            )
        }
        (
            Target::Finding { detector, id },
            State::Finding { archived: false, .. },
            State::Finding { archived: true, .. },
        ) if kind == StepKind::ArchiveFinding => {
            vec![Change::Unarchive { detector: detector.clone(), finding: id.clone() }]
        }
        _ => Vec::new(),
    }
}

fn evidence(instance: &str, incident: &IncidentId, state: &State) -> Vec<Change> {
    let State::Evidence { tag, protected, volumes, snapshots, .. } = state else { return Vec::new() };
    let mut changes = Vec::new();
    if !protected {
        changes.push(Change::Protect { instance: instance.to_owned(), protected: true });
    }
    if tag.as_deref() != Some(TAG_VALUE) {
        changes.push(Change::Tag {
            instance: instance.to_owned(),
            key: tag_key(incident),
            value: TAG_VALUE.to_owned(),
        });
    }
    changes.extend(
        volumes.iter().filter(|volume| !snapshots.contains_key(*volume)).map(|volume| Change::Snapshot {
            volume: volume.clone(),
            incident: incident.as_str().to_owned(),
        }),
    );
    changes
}

fn evidence_back(instance: &str, incident: &IncidentId, recorded: &State, current: &State) -> Vec<Change> {
    let (
        State::Evidence { tag, protected, .. },
        State::Evidence { tag: found, protected: protected_now, .. },
    ) = (recorded, current)
    else {
        return Vec::new();
    };
    let (instance, key) = (instance.to_owned(), tag_key(incident));
    let mut changes = Vec::new();
    if tag != found {
        changes.push(match tag {
            Some(value) => Change::Tag { instance: instance.clone(), key, value: value.clone() },
            None => Change::Untag { instance: instance.clone(), key },
        });
    }
    if !protected && *protected_now {
        changes.push(Change::Protect { instance, protected: false });
    }
    changes
}

/// Connections that a security group tracks outlive a change of groups, unless the group before allowed everything: so
/// every interface goes through such a group first.
///
/// Source: EC2 User Guide, "Amazon EC2 security group connection tracking", untracked connections.
fn isolation(state: &State) -> Vec<Change> {
    let State::Groups { vpc, interfaces, untracked, isolated } = state else { return Vec::new() };
    let missing = |group: &Option<Group>, name: &str| {
        group.is_none().then(|| Change::CreateGroup { vpc: vpc.clone(), name: name.to_owned() })
    };
    let create: Vec<Change> =
        [missing(untracked, UNTRACKED), missing(isolated, ISOLATED)].into_iter().flatten().collect();
    let (Some(untracked), Some(isolated)) = (untracked, isolated) else { return create };
    let open = allow_all();
    // Whoever changed the groups since an earlier incident must not have weakened them.
    let rules: Vec<Change> = open
        .iter()
        .filter(|rule| !untracked.rules.contains(*rule))
        .map(|rule| Change::Authorize { group: untracked.id.clone(), rule: rule.clone() })
        .chain(
            isolated
                .rules
                .iter()
                .map(|rule| Change::Revoke { group: isolated.id.clone(), rule: rule.clone() }),
        )
        .collect();
    if !rules.is_empty() {
        return rules;
    }
    let (first, second) = (vec![untracked.id.clone()], vec![isolated.id.clone()]);
    interfaces
        .iter()
        .filter(|(_, groups)| **groups != second)
        .map(|(interface, groups)| Change::SetGroups {
            interface: interface.clone(),
            groups: if *groups == first { second.clone() } else { first.clone() },
        })
        .collect()
}

fn policy_back(target: &Target, incident: &IncidentId, was: Option<&str>, is: Option<&str>) -> Vec<Change> {
    let name = policy_name(incident);
    let unchanged = match (was, is) {
        (None, None) => true,
        (Some(was), Some(is)) => same(was, is),
        _ => false,
    };
    if unchanged {
        return Vec::new();
    }
    match (target, was.map(str::to_owned)) {
        (Target::Role { name: role, .. }, Some(document)) => {
            vec![Change::PutRolePolicy { role: role.clone(), name, document }]
        }
        (Target::Role { name: role, .. }, None) => {
            vec![Change::DeleteRolePolicy { role: role.clone(), name }]
        }
        (Target::User { name: user }, Some(document)) => {
            vec![Change::PutUserPolicy { user: user.clone(), name, document }]
        }
        (Target::User { name: user }, None) => vec![Change::DeleteUserPolicy { user: user.clone(), name }],
        _ => Vec::new(),
    }
}

fn unless(done: bool, change: Change) -> Vec<Change> {
    if done { Vec::new() } else { vec![change] }
}

fn list(ip: IpAddr, listed: bool) -> Change {
    Change::List { family: Family::of(ip), cidr: cidr(ip), listed }
}

/// The address as the WAF lists it.
pub(crate) fn cidr(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

/// The name of the incident's inline policies.
pub(crate) fn policy_name(incident: &IncidentId) -> String {
    format!("portcullis-{incident}")
}

/// The key of the incident's tag on an instance.
pub(crate) fn tag_key(incident: &IncidentId) -> String {
    format!("portcullis:evidence:{incident}")
}

fn comment_text(incident: &IncidentId) -> String {
    format!("Portcullis incident {incident}")
}

fn allow_all() -> BTreeSet<Rule> {
    let rule = |ingress: bool, peer: &str| Rule {
        ingress,
        protocol: "-1".to_owned(),
        from_port: None,
        to_port: None,
        peer: peer.to_owned(),
    };
    [true, false].into_iter().flat_map(|way| [rule(way, "0.0.0.0/0"), rule(way, "::/0")]).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeactivateKey { user, key } => write!(f, "deactivated access key {key} of user {user}"),
            Self::ActivateKey { user, key } => write!(f, "activated access key {key} of user {user}"),
            Self::PutRolePolicy { role, name, .. } => write!(f, "put policy {name} on role {role}"),
            Self::DeleteRolePolicy { role, name } => write!(f, "removed policy {name} from role {role}"),
            Self::PutUserPolicy { user, name, .. } => write!(f, "put policy {name} on user {user}"),
            Self::DeleteUserPolicy { user, name } => write!(f, "removed policy {name} from user {user}"),
            Self::DeleteLoginProfile { user } => write!(f, "deleted the console password of user {user}"),
            Self::CreateLoginProfile { user, .. } => {
                write!(f, "created a login profile with a random password for user {user}")
            }
            Self::Tag { instance, key, .. } => write!(f, "tagged instance {instance} with {key}"),
            Self::Untag { instance, key } => write!(f, "removed tag {key} from instance {instance}"),
            Self::Protect { instance, protected: true } => {
                write!(f, "protected instance {instance} from termination")
            }
            Self::Protect { instance, protected: false } => {
                write!(f, "let instance {instance} be terminated again")
            }
            Self::Snapshot { volume, .. } => write!(f, "took a snapshot of volume {volume}"),
            Self::CreateGroup { vpc, name } => write!(f, "created security group {name} in {vpc}"),
            Self::Authorize { group, rule } => write!(f, "let {} through in {group}", rule.peer),
            Self::Revoke { group, rule } => write!(f, "revoked {} from {group}", rule.peer),
            Self::SetGroups { interface, groups } => {
                write!(f, "set the security groups of {interface} to {}", groups.join(", "))
            }
            Self::Detach { instance, group } => write!(f, "detached instance {instance} from {group}"),
            Self::Attach { instance, group } => write!(f, "attached instance {instance} to {group}"),
            Self::PutConcurrency { function, reserved } => {
                write!(f, "set the reserved concurrency of function {function} to {reserved}")
            }
            Self::DeleteConcurrency { function } => {
                write!(f, "removed the reserved concurrency of function {function}")
            }
            Self::List { cidr, listed: true, .. } => write!(f, "blocked {cidr} at the WAF"),
            Self::List { cidr, listed: false, .. } => write!(f, "let {cidr} through the WAF again"),
            Self::PutPublicAccessBlock { bucket, block } if *block == CLOSED => {
                write!(f, "blocked public access to bucket {bucket}")
            }
            Self::PutPublicAccessBlock { bucket, .. } | Self::DeletePublicAccessBlock { bucket } => {
                write!(f, "restored the public access settings of bucket {bucket}")
            }
            Self::Archive { finding, .. } => write!(f, "archived finding {finding}"),
            Self::Unarchive { finding, .. } => write!(f, "unarchived finding {finding}"),
            Self::Comment { finding, .. } => write!(f, "commented finding {finding}"),
        }
    }
}

/// The group of the first step of isolation, one in each VPC.
pub(crate) const UNTRACKED: &str = "portcullis-untracked";

/// The group of the second step of isolation, one in each VPC.
pub(crate) const ISOLATED: &str = "portcullis-isolated";

const TAG_VALUE: &str = "evidence";

pub(crate) const CLOSED: PublicAccessBlock =
    PublicAccessBlock { block_acls: true, ignore_acls: true, block_policy: true, restrict_buckets: true };
