//! What a playbook can do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::target::TargetKind;

/// One kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Tell people and systems.
    Notify,
    /// Deactivate every access key of the user, not only the one that was seen.
    DeactivateAccessKeys,
    /// Refuse everything to sessions of the role that began before now.
    RevokeRoleSessions,
    /// Refuse everything to the user.
    DenyUser,
    /// Take the user's console password away.
    DeleteLoginProfile,
    /// Keep evidence of the instance: tags, snapshots of its volumes, a description, protection from termination.
    CollectEvidence,
    /// Take the instance out of its Auto Scaling group, which would end it for failing health checks.
    DetachFromAutoscaling,
    /// Cut every network interface of the instance off, in two steps.
    IsolateInstance,
    /// Let the function run no more.
    QuarantineFunction,
    /// Block the remote address at the WAF, for a time.
    BlockAddress,
    /// Close the bucket to the public.
    BlockPublicAccess,
    /// Say on the finding what is being done.
    CommentFinding,
    /// Archive the finding, once everything before it is done.
    ArchiveFinding,
}

/// Whether a step of a playbook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By itself.
    Automatic,
    /// When somebody approved.
    Approval,
    /// Never.
    Off,
}

impl StepKind {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 13] = [
        Self::Notify,
        Self::DeactivateAccessKeys,
        Self::RevokeRoleSessions,
        Self::DenyUser,
        Self::DeleteLoginProfile,
        Self::CollectEvidence,
        Self::DetachFromAutoscaling,
        Self::IsolateInstance,
        Self::QuarantineFunction,
        Self::BlockAddress,
        Self::BlockPublicAccess,
        Self::CommentFinding,
        Self::ArchiveFinding,
    ];

    /// What it acts on.
    pub const fn acts_on(self) -> TargetKind {
        match self {
            Self::Notify => TargetKind::Incident,
            Self::DeactivateAccessKeys | Self::DenyUser | Self::DeleteLoginProfile => TargetKind::User,
            Self::RevokeRoleSessions => TargetKind::Role,
            Self::CollectEvidence | Self::DetachFromAutoscaling | Self::IsolateInstance => {
                TargetKind::Instance
            }
            Self::QuarantineFunction => TargetKind::Function,
            Self::BlockAddress => TargetKind::Address,
            Self::BlockPublicAccess => TargetKind::Bucket,
            Self::CommentFinding | Self::ArchiveFinding => TargetKind::Finding,
        }
    }

    /// Whether it takes something away from somebody. Only then is an incident contained by it.
    pub const fn contains(self) -> bool {
        !matches!(self, Self::Notify | Self::CollectEvidence | Self::CommentFinding | Self::ArchiveFinding)
    }

    /// Whether it changes the account: what protection, dry run, approval and the cap are about.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Notify | Self::CommentFinding)
    }

    /// Whether what it changes can be changed by another incident at the same time. Policies carry the incident's name.
    pub const fn shares(self) -> bool {
        self.changes() && !matches!(self, Self::RevokeRoleSessions | Self::DenyUser | Self::ArchiveFinding)
    }

    /// What it does, for people.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Notify => "notify people and systems",
            Self::DeactivateAccessKeys => "deactivate all access keys",
            Self::RevokeRoleSessions => "revoke the sessions that exist",
            Self::DenyUser => "deny every action",
            Self::DeleteLoginProfile => "delete the console password",
            Self::CollectEvidence => {
                "collect evidence (tags, snapshots, description, termination protection)"
            }
            Self::DetachFromAutoscaling => "detach from the Auto Scaling group",
            Self::IsolateInstance => "isolate every network interface",
            Self::QuarantineFunction => "set reserved concurrency to 0",
            Self::BlockAddress => "block at the WAF",
            Self::BlockPublicAccess => "block public access",
            Self::CommentFinding => "comment the finding",
            Self::ArchiveFinding => "archive the finding",
        }
    }

    /// How it is undone, for people.
    pub const fn undone_by(self) -> &'static str {
        match self {
            Self::Notify => "nothing to undo",
            Self::DeactivateAccessKeys => "keys that were active are activated again",
            Self::RevokeRoleSessions | Self::DenyUser => "the inline policy is removed",
            Self::DeleteLoginProfile => {
                "a login profile is created with a random password that nobody knows; set one by hand"
            }
            Self::CollectEvidence => "tags and termination protection are restored; snapshots are kept",
            Self::DetachFromAutoscaling => "the instance is attached again",
            Self::IsolateInstance => "each interface gets its own security groups back",
            Self::QuarantineFunction => "the former reserved concurrency is restored",
            Self::BlockAddress => "the address is removed again, at the latest when the block expires",
            Self::BlockPublicAccess => "the former settings are restored",
            Self::CommentFinding => "the comment stays",
            Self::ArchiveFinding => "the finding is unarchived",
        }
    }

    /// The name in a playbook.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::DeactivateAccessKeys => "deactivate_access_keys",
            Self::RevokeRoleSessions => "revoke_role_sessions",
            Self::DenyUser => "deny_user",
            Self::DeleteLoginProfile => "delete_login_profile",
            Self::CollectEvidence => "collect_evidence",
            Self::DetachFromAutoscaling => "detach_from_autoscaling",
            Self::IsolateInstance => "isolate_instance",
            Self::QuarantineFunction => "quarantine_function",
            Self::BlockAddress => "block_address",
            Self::BlockPublicAccess => "block_public_access",
            Self::CommentFinding => "comment_finding",
            Self::ArchiveFinding => "archive_finding",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_file_format() {
        for kind in StepKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
