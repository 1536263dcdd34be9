//! What a step reads: before its first change this is the rollback record, afterwards it is the proof.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::change::CLOSED;
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

    /// What two incidents recorded of one target, as one record: what was there before either of them. Where only one
    /// has it, that; where both do, what no containment made; else what the earlier one has. `self` is the earlier one.
    ///
    /// Which of two that were at it at once has read first is not known: the state that containment makes is never
    /// preferred, so the order does not matter where one of them read the other's work.
    #[must_use]
    pub fn joined(&self, later: &Self, current: &Self) -> Self {
        let mut joined = self.clone();
        match (&mut joined, later) {
            (Self::Keys { keys }, Self::Keys { keys: others }) => {
                for (key, active) in others {
                    *keys.entry(key.clone()).or_default() |= active;
                }
            }
            (Self::Login { reset_required }, Self::Login { reset_required: other }) => {
                *reset_required = reset_required.or(*other);
            }
            (Self::Scaling { group }, Self::Scaling { group: other }) => {
                *group = group.take().or_else(|| other.clone());
            }
            (Self::Concurrency { reserved }, Self::Concurrency { reserved: other })
                if *reserved == Some(0) =>
            {
                *reserved = *other;
            }
            (Self::Address { listed, .. }, Self::Address { listed: other, .. }) => *listed &= other,
            (Self::PublicAccess { block }, Self::PublicAccess { block: other }) if *block == Some(CLOSED) => {
                *block = *other;
            }
            (Self::Evidence { protected, .. }, Self::Evidence { protected: other, .. }) => {
                *protected &= other;
            }
            (Self::Groups { interfaces, .. }, Self::Groups { interfaces: others, .. }) => {
                for (interface, groups) in others {
                    let was = interfaces.entry(interface.clone()).or_insert_with(|| groups.clone());
                    if current.cuts_off(was) {
                        was.clone_from(groups);
                    }
                }
            }
            _ => {}
        }
        joined
    }

    /// The record with what it shares with others as it is in `joined`.
    #[must_use]
    pub(crate) fn with_shared(&self, joined: &Self) -> Self {
        match joined {
            Self::Evidence { .. } => self.own_part(joined),
            shared => shared.clone(),
        }
    }

    /// Whether those are the groups of an isolation, or of the step before it.
    pub(crate) fn cuts_off(&self, groups: &[String]) -> bool {
        let Self::Groups { untracked, isolated, .. } = self else { return false };
        [untracked, isolated].into_iter().flatten().any(|group| *groups == [group.id.clone()])
    }

    /// The record as far as it is the incident's alone, whoever else holds the target: the rest stays as it is.
    #[must_use]
    pub fn own_part(&self, current: &Self) -> Self {
        match (self, current) {
            (Self::Evidence { .. }, Self::Evidence { protected, .. }) => {
                let mut own = self.clone();
                if let Self::Evidence { protected: kept, .. } = &mut own {
                    *kept = *protected;
                }
                own
            }
            _ => current.clone(),
        }
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

    fn groups(of: &[(&str, &str)]) -> State {
        let group = |id: &str| Some(Group { id: id.to_owned(), rules: BTreeSet::new() });
        State::Groups {
            vpc: "v".into(),
            interfaces: of.iter().map(|(eni, sg)| ((*eni).to_owned(), vec![(*sg).to_owned()])).collect(),
            untracked: group("untracked"),
            isolated: group("isolated"),
        }
    }

    fn address(listed: bool) -> State {
        State::Address { ip: [198, 51, 100, 7].into(), listed, set: AddressSet::default() }
    }

    fn evidence(tag: &str, protected: bool) -> State {
        let tag = Some(tag.to_owned());
        let (volumes, snapshots, description) = <_>::default();
        State::Evidence { tag, protected, volumes, snapshots, description }
    }

    #[test]
    fn two_records_are_what_was_there_before_either() {
        let reserved = |reserved| State::Concurrency { reserved };
        let login = |reset_required| State::Login { reset_required };
        let scaling = |group: Option<&str>| State::Scaling { group: group.map(str::to_owned) };
        let open = PublicAccessBlock { block_acls: false, ..CLOSED };
        let public = |block| State::PublicAccess { block };
        for (case, earlier, later, joined) in [
            ("both read it before", keys(&[("a", true)]), keys(&[("a", true)]), keys(&[("a", true)])),
            (
                "the later one found it done",
                keys(&[("a", true)]),
                keys(&[("a", false)]),
                keys(&[("a", true)]),
            ),
            ("the earlier one did", keys(&[("a", false)]), keys(&[("a", true)]), keys(&[("a", true)])),
            ("a key made since", keys(&[]), keys(&[("b", true)]), keys(&[("b", true)])),
            ("never active", keys(&[("a", false)]), keys(&[("a", false)]), keys(&[("a", false)])),
            ("reserved", reserved(Some(5)), reserved(Some(0)), reserved(Some(5))),
            ("reserved, late", reserved(Some(0)), reserved(None), reserved(None)),
            ("changed since", reserved(Some(5)), reserved(Some(9)), reserved(Some(5))),
            ("a password", login(Some(true)), login(None), login(Some(true))),
            ("a password, late", login(None), login(Some(false)), login(Some(false))),
            ("in a group", scaling(Some("g")), scaling(None), scaling(Some("g"))),
            ("in a group, late", scaling(None), scaling(Some("g")), scaling(Some("g"))),
            ("listed", address(false), address(true), address(false)),
            ("listed, late", address(true), address(false), address(false)),
            ("listed by others", address(true), address(true), address(true)),
            ("open", public(None), public(Some(CLOSED)), public(None)),
            ("open, late", public(Some(CLOSED)), public(Some(open)), public(Some(open))),
            ("tags are each one's own", evidence("x", false), evidence("y", true), evidence("x", false)),
            ("isolated", groups(&[("e", "sg")]), groups(&[("e", "isolated")]), groups(&[("e", "sg")])),
            ("isolated, late", groups(&[("e", "untracked")]), groups(&[("e", "sg")]), groups(&[("e", "sg")])),
            (
                "an interface more",
                groups(&[("e", "sg")]),
                groups(&[("e", "isolated"), ("f", "sg2")]),
                groups(&[("e", "sg"), ("f", "sg2")]),
            ),
        ] {
            let current = groups(&[]);
            assert_eq!(earlier.joined(&later, &current), joined, "{case}");
            assert_eq!(joined.joined(&later, &current), joined, "{case}: again");
        }
    }

    #[test]
    fn while_another_holds_it_only_what_is_its_own_goes_back() {
        assert_eq!(evidence("x", false).own_part(&evidence("y", true)), evidence("x", true));
        assert_eq!(keys(&[("a", true)]).own_part(&keys(&[("a", false)])), keys(&[("a", false)]));
    }

    #[test]
    fn what_vanished_is_told() {
        assert_eq!(keys(&[("a", true), ("b", false)]).lost(&keys(&[])).len(), 1);
        assert!(keys(&[("a", true)]).lost(&keys(&[("a", false)])).is_empty());
    }
}
