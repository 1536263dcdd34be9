//! Reading what a step is about.

use crate::change::{ISOLATED, UNTRACKED, cidr, policy_name, tag_key};
use crate::incident::IncidentId;
use crate::ports::{Account, PortError, PortResult};
use crate::state::State;
use crate::step::StepKind;
use crate::target::{Family, Target};

/// The present state of a target, as far as a step of that kind changes it.
pub(crate) async fn read<A: Account>(
    account: &A,
    kind: StepKind,
    target: &Target,
    incident: &IncidentId,
) -> PortResult<State> {
    match (kind, target) {
        (StepKind::DeactivateAccessKeys, Target::User { name }) => {
            Ok(State::Keys { keys: account.access_keys(name).await? })
        }
        (StepKind::DenyUser, Target::User { name }) => {
            Ok(State::Policy { document: account.user_policy(name, &policy_name(incident)).await? })
        }
        (StepKind::RevokeRoleSessions, Target::Role { name, .. }) => {
            Ok(State::Policy { document: account.role_policy(name, &policy_name(incident)).await? })
        }
        (StepKind::DeleteLoginProfile, Target::User { name }) => {
            Ok(State::Login { reset_required: account.login_profile(name).await? })
        }
        (StepKind::CollectEvidence, Target::Instance { id }) => evidence(account, id, incident).await,
        (StepKind::IsolateInstance, Target::Instance { id }) => groups(account, id).await,
        (StepKind::DetachFromAutoscaling, Target::Instance { id }) => {
            Ok(State::Scaling { group: account.scaling_group(id).await? })
        }
        (StepKind::QuarantineFunction, Target::Function { name }) => {
            Ok(State::Concurrency { reserved: account.reserved_concurrency(name).await? })
        }
        (StepKind::BlockAddress, Target::Address { ip }) => {
            let set = account.address_set(Family::of(*ip)).await?;
            Ok(State::Address { ip: *ip, listed: set.addresses.contains(&cidr(*ip)), set })
        }
        (StepKind::BlockPublicAccess, Target::Bucket { name }) => {
            Ok(State::PublicAccess { block: account.public_access_block(name).await? })
        }
        (StepKind::CommentFinding | StepKind::ArchiveFinding, Target::Finding { detector, id }) => {
            let found = account.finding(detector, id).await?;
            Ok(State::Finding { archived: found.archived, comment: found.comment })
        }
        _ => Err(PortError::Refused(format!("{kind} does not act on {target}"))),
    }
}

async fn evidence<A: Account>(account: &A, id: &str, incident: &IncidentId) -> PortResult<State> {
    let instance = account.instance(id).await?;
    let protected = account.termination_protected(id).await?;
    let snapshots = account.snapshots(incident.as_str()).await?;
    let mut description = instance.description;
    description.insert("vpc".to_owned(), instance.vpc);
    for (interface, groups) in &instance.interfaces {
        description.insert(format!("groups of {interface}"), groups.join(" "));
    }
    Ok(State::Evidence {
        tag: instance.tags.get(&tag_key(incident)).cloned(),
        protected,
        volumes: instance.volumes,
        snapshots,
        description,
    })
}

async fn groups<A: Account>(account: &A, id: &str) -> PortResult<State> {
    let instance = account.instance(id).await?;
    let untracked = account.group(&instance.vpc, UNTRACKED).await?;
    let isolated = account.group(&instance.vpc, ISOLATED).await?;
    Ok(State::Groups { vpc: instance.vpc, interfaces: instance.interfaces, untracked, isolated })
}
