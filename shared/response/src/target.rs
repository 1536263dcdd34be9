//! What an incident is about, and what a step acts on.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A principal, a resource or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// An IAM user.
    User {
        /// Its name, without path.
        name: String,
    },
    /// An IAM role, behind one or more sessions.
    Role {
        /// Its name, without path.
        name: String,
        /// Whether its path or name says that an AWS service owns it, or IAM Identity Center does.
        managed: bool,
    },
    /// The account's root user.
    Root {
        /// The account.
        account: String,
    },
    /// A principal that no call on this account can contain: federated, of another account, a service.
    Foreign {
        /// What it is, in words.
        what: String,
    },
    /// An EC2 instance.
    Instance {
        /// `i-…`.
        id: String,
    },
    /// A Lambda function.
    Function {
        /// Its name.
        name: String,
    },
    /// An S3 bucket.
    Bucket {
        /// Its name.
        name: String,
    },
    /// A cluster of EKS or ECS.
    Cluster {
        /// Its name or ARN.
        name: String,
    },
    /// A database of RDS.
    Database {
        /// Its identifier.
        name: String,
    },
    /// A remote address.
    Address {
        /// The address.
        ip: IpAddr,
    },
    /// The GuardDuty finding itself.
    Finding {
        /// The detector that found it.
        detector: String,
        /// Its id.
        id: String,
    },
    /// The incident: what a notification is about.
    Incident,
}

/// A target's kind: which steps fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// [`Target::User`].
    User,
    /// [`Target::Role`].
    Role,
    /// [`Target::Instance`].
    Instance,
    /// [`Target::Function`].
    Function,
    /// [`Target::Bucket`].
    Bucket,
    /// [`Target::Address`].
    Address,
    /// [`Target::Finding`].
    Finding,
    /// [`Target::Incident`].
    Incident,
}

/// The family of an address: the WAF keeps one set for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Target {
    /// A role by its ARN or name.
    pub fn role(arn_or_name: &str) -> Self {
        let name = arn_or_name.rsplit('/').next().unwrap_or(arn_or_name).to_owned();
        let path_is = |path: &str| arn_or_name.contains(path);
        let managed = path_is(":role/aws-service-role/")
            || path_is(":role/aws-reserved/")
            || name.starts_with("AWSServiceRoleFor")
            || name.starts_with("AWSReservedSSO_");
        Self::Role { name, managed }
    }

    /// Which steps fit it; `None` for what no step can act on.
    pub const fn kind(&self) -> Option<TargetKind> {
        Some(match self {
            Self::User { .. } => TargetKind::User,
            Self::Role { .. } => TargetKind::Role,
            Self::Instance { .. } => TargetKind::Instance,
            Self::Function { .. } => TargetKind::Function,
            Self::Bucket { .. } => TargetKind::Bucket,
            Self::Address { .. } => TargetKind::Address,
            Self::Finding { .. } => TargetKind::Finding,
            Self::Incident => TargetKind::Incident,
            Self::Root { .. } | Self::Foreign { .. } | Self::Cluster { .. } | Self::Database { .. } => {
                return None;
            }
        })
    }

    /// Why no step can act on it, in words for people.
    pub fn out_of_reach(&self) -> Option<String> {
        Some(match self {
            Self::Root { account } => format!(
                "the root user of {account} cannot be contained through IAM: change its password, delete its keys and check its MFA by hand"
            ),
            Self::Foreign { what } => format!("{what} cannot be contained from this account"),
            Self::Cluster { name } => {
                format!("no step contains a cluster: {name} has to be looked at by hand")
            }
            Self::Database { name } => {
                format!("no step contains a database: {name} has to be looked at by hand")
            }
            Self::Role { name, managed: true } => format!(
                "role {name} belongs to an AWS service or to IAM Identity Center: IAM refuses changes to it, end its sessions there"
            ),
            _ => return None,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name } => write!(f, "user/{name}"),
            Self::Role { name, .. } => write!(f, "role/{name}"),
            Self::Root { account } => write!(f, "root/{account}"),
            Self::Foreign { what } => write!(f, "foreign/{what}"),
            Self::Instance { id } => write!(f, "instance/{id}"),
            Self::Function { name } => write!(f, "function/{name}"),
            Self::Bucket { name } => write!(f, "bucket/{name}"),
            Self::Cluster { name } => write!(f, "cluster/{name}"),
            Self::Database { name } => write!(f, "database/{name}"),
            Self::Address { ip } => write!(f, "address/{ip}"),
            Self::Finding { id, .. } => write!(f, "finding/{id}"),
            Self::Incident => f.write_str("incident"),
        }
    }
}

impl Family {
    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_iam_does_not_let_change_are_known() {
        for (role, managed) in [
            ("arn:aws:iam::111122223333:role/app", false),
            ("arn:aws:iam::111122223333:role/path/to/app", false),
            ("arn:aws:iam::1:role/aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForX", true),
            ("arn:aws:iam::1:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123", true),
            ("AWSReservedSSO_Admin_0123456789abcdef", true),
            ("AWSServiceRoleForSupport", true),
            ("my-AWSServiceRoleForX", false),
        ] {
            let target = Target::role(role);
            assert!(matches!(&target, Target::Role { managed: m, .. } if *m == managed), "{role}");
            assert_eq!(target.out_of_reach().is_some(), managed, "{role}");
        }
        assert_eq!(Target::role("arn:aws:iam::1:role/a/b").to_string(), "role/b");
    }
}
