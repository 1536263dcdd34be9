//! What the account consists of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::incident::IncidentId;
use crate::ports::{AddressSet, FindingState, PublicAccessBlock, Rule};
use crate::target::{Family, Target};

/// The whole account: comparable, so that a test can say that it is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// IAM users by name.
    pub users: BTreeMap<String, SimulatedUser>,
    /// IAM roles by name.
    pub roles: BTreeMap<String, SimulatedRole>,
    /// Instances by id.
    pub instances: BTreeMap<String, SimulatedInstance>,
    /// Snapshots: volume and incident.
    pub snapshots: Vec<(String, String)>,
    /// Security groups by id.
    pub groups: BTreeMap<String, SimulatedGroup>,
    /// Functions by name: reserved concurrency and tags.
    pub functions: BTreeMap<String, (Option<u32>, BTreeMap<String, String>)>,
    /// Buckets by name: public access block and tags.
    pub buckets: BTreeMap<String, (Option<PublicAccessBlock>, BTreeMap<String, String>)>,
    /// The WAF's sets.
    pub sets: BTreeMap<Family, AddressSet>,
    /// Findings by id.
    pub findings: BTreeMap<String, FindingState>,
}

/// An IAM user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedUser {
    /// Access keys, and whether each is active.
    pub keys: BTreeMap<String, bool>,
    /// Inline policies.
    pub policies: BTreeMap<String, String>,
    /// The console password: whether it has to be changed.
    pub login: Option<bool>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedRole {
    /// Inline policies.
    pub policies: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedInstance {
    /// Its VPC.
    pub vpc: String,
    /// Interfaces and their groups.
    pub interfaces: BTreeMap<String, Vec<String>>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is protected from termination.
    pub protected: bool,
    /// Its Auto Scaling group.
    pub scaling: Option<String>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedGroup {
    /// Its VPC.
    pub vpc: String,
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: BTreeSet<Rule>,
    /// Whether a response made it: no other may be changed.
    #[serde(default)]
    pub ours: bool,
}

impl World {
    /// An account with nothing in it but two empty block lists.
    pub fn empty() -> Self {
        let set = || AddressSet { addresses: BTreeSet::new(), lock_token: "0".to_owned() };
        Self { sets: [(Family::V4, set()), (Family::V6, set())].into(), ..Self::default() }
    }

    /// Adds a target as an account might have it, unless it is there: a user with an active key and a console password, an
    /// instance with an interface and a volume. `key`: the id of the user's access key, where one was seen. Whether
    /// there is such a thing now: beyond 10 000 things none is added.
    pub fn furnish(&mut self, target: &Target, key: Option<&str>) -> bool {
        let room = self.things() < MAX_THINGS;
        match target {
            Target::User { name } => {
                let known = self.users.len();
                let user = room_in(&mut self.users, name, room, || SimulatedUser {
                    keys: [(key.map_or_else(|| made_up("AKIA", name, 16), str::to_owned), true)].into(),
                    login: Some(false),
                    ..SimulatedUser::default()
                });
                user && (self.users.len() > known || self.add_key(name, key))
            }
            Target::Role { name, managed: false } => room_in(&mut self.roles, name, room, Default::default),
            Target::Instance { id } => room_in(&mut self.instances, id, room, || SimulatedInstance {
                vpc: "vpc-simulated".to_owned(),
                interfaces: [(made_up("eni-", id, 17), vec!["sg-simulated".to_owned()])].into(),
                volumes: [made_up("vol-", id, 17)].into(),
                ..SimulatedInstance::default()
            }),
            Target::Function { name } => room_in(&mut self.functions, name, room, Default::default),
            Target::Bucket { name } => room_in(&mut self.buckets, name, room, Default::default),
            Target::Finding { id, .. } => room_in(&mut self.findings, id, room, Default::default),
            _ => false,
        }
    }

    fn things(&self) -> usize {
        let named = self.users.len() + self.roles.len() + self.instances.len();
        named + self.functions.len() + self.buckets.len() + self.findings.len()
    }

    /// A key that was seen with a user: an active one, unless the user has as many as IAM allows.
    fn add_key(&mut self, user: &str, key: Option<&str>) -> bool {
        if let (Some(user), Some(key)) = (self.users.get_mut(user), key)
            && user.keys.len() < MAX_KEYS
        {
            user.keys.entry(key.to_owned()).or_insert(true);
        }
        true
    }

    /// An account with one of everything: user `ana`, role `app`, instance `i-web` with two interfaces and two volumes in
    /// an Auto Scaling group, function `resize`, bucket `reports`, both block lists, one finding.
    pub fn example() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let instance = SimulatedInstance {
            vpc: "vpc-1".to_owned(),
            interfaces: [
                ("eni-1".to_owned(), names(&["sg-web", "sg-base"])),
                ("eni-2".to_owned(), names(&["sg-base"])),
            ]
            .into(),
            volumes: names(&["vol-1", "vol-2"]).into_iter().collect(),
            tags: [("Name".to_owned(), "web".to_owned())].into(),
            protected: false,
            scaling: Some("asg-web".to_owned()),
        };
        let user = SimulatedUser {
            keys: [("AKIA1".to_owned(), true), ("AKIA2".to_owned(), true), ("AKIA3".to_owned(), false)]
                .into(),
            login: Some(false),
            ..SimulatedUser::default()
        };
        let set = |addresses: &[&str]| AddressSet {
            addresses: names(addresses).into_iter().collect(),
            lock_token: "0".to_owned(),
        };
        Self {
            users: [("ana".to_owned(), user)].into(),
            roles: [("app".to_owned(), SimulatedRole::default())].into(),
            instances: [("i-web".to_owned(), instance)].into(),
            functions: [("resize".to_owned(), (Some(5), BTreeMap::new()))].into(),
            buckets: [("reports".to_owned(), (None, BTreeMap::new()))].into(),
            sets: [(Family::V4, set(&["203.0.113.0/24"])), (Family::V6, set(&[]))].into(),
            findings: [("finding".to_owned(), FindingState::default())].into(),
            ..Self::default()
        }
    }

    /// The world without what a response leaves behind on purpose: snapshots, its two groups, comments, and the tokens
    /// of the block lists.
    #[must_use]
    pub fn without_traces(&self) -> Self {
        let mut world = self.clone();
        world.snapshots.clear();
        world.groups.retain(|_, group| !group.name.starts_with("portcullis-"));
        world.findings.values_mut().for_each(|finding| finding.comment = None);
        world.sets.values_mut().for_each(|set| set.lock_token.clear());
        world
    }
}

/// Whether it is there now.
fn room_in<V>(all: &mut BTreeMap<String, V>, name: &str, room: bool, make: impl FnOnce() -> V) -> bool {
    if !all.contains_key(name) && room {
        all.insert(name.to_owned(), make());
    }
    all.contains_key(name)
}

/// An id of AWS's form that follows from a name.
fn made_up(prefix: &str, name: &str, digits: usize) -> String {
    let digest = IncidentId::of(name);
    let digits: String = digest.as_str().chars().skip(4).take(digits).collect();
    if prefix == "AKIA" { format!("AKIA{}", digits.to_uppercase()) } else { format!("{prefix}{digits}") }
}

const MAX_THINGS: usize = 10_000;

/// Source: IAM User Guide, "IAM and AWS STS quotas": access keys assigned to an IAM user.
const MAX_KEYS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Target {
        Target::User { name: name.to_owned() }
    }

    #[test]
    fn what_an_event_names_is_there_afterwards_and_stays_as_it_is() {
        let mut world = World::empty();
        for (target, expected) in [
            (user("ana"), true),
            (Target::role("app"), true),
            (Target::Instance { id: "i-1".into() }, true),
            (Target::Function { name: "f".into() }, true),
            (Target::Bucket { name: "b".into() }, true),
            (Target::Finding { detector: "d".into(), id: "x".into() }, true),
            (Target::Root { account: "111122223333".into() }, false),
            (Target::role("arn:aws:iam::1:role/aws-service-role/x/AWSServiceRoleForX"), false),
        ] {
            assert_eq!(world.furnish(&target, None), expected, "{target}");
        }
        world.users.get_mut("ana").unwrap().keys.values_mut().for_each(|active| *active = false);
        let before = world.clone();
        assert!(world.furnish(&user("ana"), None));
        assert_eq!(world, before);
    }

    #[test]
    fn a_user_has_the_key_that_was_seen() {
        let mut world = World::empty();
        world.furnish(&user("ana"), Some("AKIA1"));
        assert_eq!(world.users["ana"].keys, [("AKIA1".to_owned(), true)].into());
        world.furnish(&user("ana"), Some("AKIA2"));
        world.furnish(&user("ana"), Some("AKIA3"));
        assert_eq!(world.users["ana"].keys.len(), 2, "IAM allows two");
        world.furnish(&user("bob"), None);
        let made_up: Vec<_> = world.users["bob"].keys.keys().collect();
        assert!(made_up[0].starts_with("AKIA") && made_up[0].len() == 20, "{made_up:?}");
    }

    #[test]
    fn an_account_grows_to_a_bound() {
        let mut world = World::empty();
        for n in 0..MAX_THINGS {
            assert!(world.furnish(&Target::Bucket { name: n.to_string() }, None));
        }
        assert!(!world.furnish(&user("one-more"), None));
        assert!(world.furnish(&Target::Bucket { name: "7".into() }, None), "what is there is there");
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        let text = serde_json::to_string(&World::example()).unwrap();
        assert_eq!(serde_json::from_str::<World>(&text).unwrap(), World::example());
    }
}
