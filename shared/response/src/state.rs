//! What a step reads: before its first change this is the rollback record, afterwards it is the proof.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ports::{AddressSet, Group, PublicAccessBlock};

/// The state of one target, as far as one step changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum State {
    /// Keys of a user, and whether each is active.
    Keys {
        /// By key id.
        keys: BTreeMap<String, bool>,
    },
    /// An inline policy of a role or user under the incident's name.
    Policy {
        /// Its document, if there is one.
        document: Option<String>,
    },
    /// A console password.
    Login {
        /// Whether it has to be changed at the next login; none without a password.
        reset_required: Option<bool>,
    },
    /// What evidence of an instance there is.
    Evidence {
        /// The value of the incident's tag.
        tag: Option<String>,
        /// Whether it is protected from termination.
        protected: bool,
        /// Its volumes.
        volumes: BTreeSet<String>,
        /// Volume to snapshot taken for this incident.
        snapshots: BTreeMap<String, String>,
        /// What describes it.
        description: BTreeMap<String, String>,
    },
    /// Security groups of an instance.
    Groups {
        /// Its VPC.
        vpc: String,
        /// By interface.
        interfaces: BTreeMap<String, Vec<String>>,
        /// The allow-all group of the first step, if it exists.
        untracked: Option<Group>,
        /// The empty group of the second step, if it exists.
        isolated: Option<Group>,
    },
    /// The Auto Scaling group that an instance is in.
    Scaling {
        /// Its name.
        group: Option<String>,
    },
    /// Reserved concurrency of a function.
    Concurrency {
        /// None: not reserved.
        reserved: Option<u32>,
    },
    /// Whether an address is in the WAF's set.
    Address {
        /// The address.
        ip: IpAddr,
        /// Whether it is in.
        listed: bool,
        /// The set that was read: needed for a write, and no part of the record.
        #[serde(skip)]
        set: AddressSet,
    },
    /// The public access block of a bucket.
    PublicAccess {
        /// None: not set.
        block: Option<PublicAccessBlock>,
    },
    /// The finding itself.
    Finding {
        /// Whether it is archived.
        archived: bool,
        /// The comment of its feedback.
        comment: Option<String>,
    },
}

impl State {
    /// The state as it is written down.
    #[must_use]
    pub fn recorded(&self) -> Self {
        match self {
            Self::Address { ip, listed, .. } => {
                Self::Address { ip: *ip, listed: *listed, set: AddressSet::default() }
            }
            other => other.clone(),
        }
    }

    /// The record, widened by what appeared since it was written: an access key, an interface, a volume. `None` where
    /// nothing did. What is recorded already never changes.
    #[must_use]
    pub fn widened(&self, current: &Self) -> Option<Self> {
        let mut wide = self.clone();
        let grew = match (&mut wide, current) {
            (Self::Keys { keys }, Self::Keys { keys: seen }) => add_missing(keys, seen),
            (Self::Groups { interfaces, .. }, Self::Groups { interfaces: seen, .. }) => {
                add_missing(interfaces, seen)
            }
            (Self::Evidence { volumes, .. }, Self::Evidence { volumes: seen, .. }) => {
                let before = volumes.len();
                volumes.extend(seen.iter().cloned());
                volumes.len() > before
            }
            _ => false,
        };
        grew.then_some(wide)
    }

    /// What was recorded and is no longer there to be restored, for people.
    pub fn lost(&self, current: &Self) -> Vec<String> {
        match (self, current) {
            (Self::Keys { keys }, Self::Keys { keys: seen }) => keys
                .iter()
                .filter(|(key, active)| **active && !seen.contains_key(*key))
                .map(|(key, _)| format!("access key {key} was deleted in the meantime"))
                .collect(),
            (Self::Groups { interfaces, .. }, Self::Groups { interfaces: seen, .. }) => interfaces
                .keys()
                .filter(|interface| !seen.contains_key(*interface))
                .map(|interface| format!("interface {interface} is no longer attached to the instance"))
                .collect(),
            (Self::Login { reset_required: Some(_) }, Self::Login { reset_required: None }) => vec![
                "the former password cannot be restored: the login profile has a random one, set another by hand"
                    .to_owned(),
            ],
            (Self::Scaling { group: Some(group) }, Self::Scaling { group: None }) => vec![format!(
                "{group} launched a replacement in the meantime, and attaching raises its desired capacity by one"
            )],
            _ => Vec::new(),
        }
    }
}

fn add_missing<V: Clone>(recorded: &mut BTreeMap<String, V>, seen: &BTreeMap<String, V>) -> bool {
    let before = recorded.len();
    for (name, value) in seen {
        if !recorded.contains_key(name) {
            recorded.insert(name.clone(), value.clone());
        }
    }
    recorded.len() > before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, bool)]) -> State {
        State::Keys { keys: pairs.iter().map(|(key, active)| ((*key).to_owned(), *active)).collect() }
    }

    #[test]
    fn a_record_grows_and_never_changes() {
        let recorded = keys(&[("a", true)]);
        assert_eq!(recorded.widened(&keys(&[("a", false)])), None);
        assert_eq!(
            recorded.widened(&keys(&[("a", false), ("b", true)])),
            Some(keys(&[("a", true), ("b", true)]))
        );
        assert_eq!(recorded.widened(&keys(&[])), None);
        let policy = State::Policy { document: None };
        assert_eq!(policy.widened(&State::Policy { document: Some("x".into()) }), None);
    }

    #[test]
    fn what_vanished_is_told() {
        assert_eq!(keys(&[("a", true), ("b", false)]).lost(&keys(&[])).len(), 1);
        assert!(keys(&[("a", true)]).lost(&keys(&[("a", false)])).is_empty());
    }
}
