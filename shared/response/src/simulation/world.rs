//! What the account consists of.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::{AddressSet, FindingState, PublicAccessBlock, Rule};
use crate::target::Family;

/// The whole account: comparable, so that a test can say that it is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimulatedRole {
    /// Inline policies.
    pub policies: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedGroup {
    /// Its VPC.
    pub vpc: String,
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: BTreeSet<Rule>,
}

impl World {
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
