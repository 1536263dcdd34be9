//! The contract of an account's instances, security groups and Auto Scaling: what is written is read, a repeat changes
//! nothing, and everything can be put back. In parts, because no emulator has all of it.

#![expect(clippy::expect_used, reason = "test support: a panic is a failed test")]

use std::collections::BTreeSet;

use portcullis_response::{AutoScaling, Group, Instances, PortError, Rule, SecurityGroups};

use super::fresh;

/// A running instance with one interface, and what is around it.
#[derive(Debug, Clone)]
pub struct Things {
    /// The instance: neither tagged nor protected from termination.
    pub instance: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its only interface.
    pub interface: String,
    /// Two groups of its VPC: the interface is in the first.
    pub groups: [String; 2],
}

/// Tags of the instance, and an instance that is not there.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn tags<A: Instances>(account: &A, things: &Things) {
    let key = fresh("portcullis:evidence");
    let read =
        async || account.instance(&things.instance).await.expect("the instance").tags.get(&key).cloned();
    assert_eq!(read().await, None, "at first");
    for value in ["evidence", "evidence", "a + b = c & \"d\" é", ""] {
        assert_eq!(account.tag_instance(&things.instance, &key, value).await, Ok(()), "{value}");
        assert_eq!(read().await.as_deref(), Some(value), "{value}");
    }
    for label in ["removed", "removed again"] {
        assert_eq!(account.untag_instance(&things.instance, &key).await, Ok(()), "{label}");
        assert_eq!(read().await, None, "{label}");
    }
    assert_eq!(account.instance(NO_INSTANCE).await, Err(PortError::NotFound), "no such instance");
}

/// Snapshots of the instance's volumes.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn snapshots<A: Instances>(account: &A, things: &Things) {
    let described = account.instance(&things.instance).await.expect("the instance");
    assert_eq!((described.vpc.as_str(), described.volumes.is_empty()), (things.vpc.as_str(), false));
    assert_eq!(described.description.get("state").map(String::as_str), Some("running"));
    let (incident, other) = (fresh("inc"), fresh("inc"));
    assert_eq!(account.snapshots(&incident).await, Ok([].into()), "at first");
    for volume in &described.volumes {
        assert_eq!(account.create_snapshot(volume, &incident).await, Ok(()), "{volume}");
    }
    let taken = account.snapshots(&incident).await.expect("the snapshots");
    assert_eq!(taken.keys().cloned().collect::<BTreeSet<_>>(), described.volumes);
    assert!(taken.values().all(|id| id.starts_with("snap-")), "{taken:?}");
    assert_eq!(account.snapshots(&incident).await, Ok(taken), "the same when read again");
    for none in [other.as_str(), "*", "inc*", "inc?"] {
        assert_eq!(account.snapshots(none).await, Ok([].into()), "{none}");
    }
    let missing = account.create_snapshot("vol-00000000000000000", &incident).await;
    assert_eq!(missing, Err(PortError::NotFound), "no such volume");
}

/// A group is made with a rule to everywhere; rules come and go one by one.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn security_groups<A: SecurityGroups>(account: &A, things: &Things) {
    let name = fresh("portcullis-isolated");
    let read = async || account.group(&things.vpc, &name).await.expect("an answer");
    assert_eq!(read().await, None, "at first");
    for label in ["made", "made again"] {
        assert_eq!(account.create_group(&things.vpc, &name).await, Ok(()), "{label}");
    }
    let Group { id, rules: mut expected } = read().await.expect("the group");
    assert!(expected.contains(&all(false, "0.0.0.0/0")), "EC2 lets everything out: {expected:?}");
    assert!(expected.iter().all(|rule| !rule.ingress), "and nothing in: {expected:?}");
    for rule in rules(&things.groups[1]) {
        expected.insert(rule.clone());
        for label in ["authorized", "authorized again"] {
            assert_eq!(account.authorize(&id, &rule).await, Ok(()), "{label}: {rule:?}");
            assert_eq!(read().await, Some(Group { id: id.clone(), rules: expected.clone() }), "{label}");
        }
    }
    while let Some(rule) = expected.pop_first() {
        for label in ["revoked", "revoked again"] {
            assert_eq!(account.revoke(&id, &rule).await, Ok(()), "{label}: {rule:?}");
            assert_eq!(read().await, Some(Group { id: id.clone(), rules: expected.clone() }), "{label}");
        }
    }
    assert_eq!(account.group("vpc-00000000000000000", &name).await, Ok(None), "of another VPC");
    assert_eq!(account.group(&things.vpc, "portcullis-*").await, Ok(None), "a name is no pattern");
    let missing = account.authorize("sg-00000000000000000", &all(true, "0.0.0.0/0")).await;
    assert_eq!(missing, Err(PortError::NotFound), "no such group");
}

/// A group of somebody else by the wanted `name` (the first of the things) is neither found nor in the way.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn taken_names<A: SecurityGroups>(account: &A, things: &Things, name: &str) {
    let read = async || account.group(&things.vpc, name).await.expect("an answer");
    assert_eq!(read().await, None, "it is not ours");
    assert_eq!(account.create_group(&things.vpc, name).await, Ok(()), "made beside it");
    let ours = read().await.expect("our own");
    assert_ne!(ours.id, things.groups[0]);
    assert_eq!(account.create_group(&things.vpc, name).await, Ok(()), "made again");
    assert_eq!(account.authorize(&ours.id, &all(true, "0.0.0.0/0")).await, Ok(()));
    let found = read().await.expect("still there");
    assert_eq!((found.id, found.rules.contains(&all(true, "0.0.0.0/0"))), (ours.id, true), "the same one");
}

/// Protection from termination.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn protection<A: Instances>(account: &A, things: &Things) {
    let id = &things.instance;
    assert_eq!(account.termination_protected(id).await, Ok(false), "at first");
    for protected in [true, true, false, false] {
        assert_eq!(account.protect_from_termination(id, protected).await, Ok(()), "{protected}");
        assert_eq!(account.termination_protected(id).await, Ok(protected), "{protected}");
    }
    assert_eq!(account.termination_protected(NO_INSTANCE).await, Err(PortError::NotFound));
    assert_eq!(account.protect_from_termination(NO_INSTANCE, true).await, Err(PortError::NotFound));
}

/// The groups of the interface; their order says nothing.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn interfaces<A: Instances>(account: &A, things: &Things) {
    let [first, second] = &things.groups;
    let read = async || {
        let found = account.instance(&things.instance).await.expect("the instance").interfaces;
        assert_eq!(found.keys().collect::<Vec<_>>(), [&things.interface]);
        found.into_values().flatten().collect::<BTreeSet<_>>()
    };
    assert_eq!(read().await, [first.clone()].into(), "at first");
    let both = || vec![second.clone(), first.clone()];
    for groups in [vec![second.clone()], vec![second.clone()], both(), vec![first.clone()]] {
        assert_eq!(account.set_groups(&things.interface, &groups).await, Ok(()), "{groups:?}");
        assert_eq!(read().await, groups.into_iter().collect());
    }
    no_interface(account, first).await;
}

/// An interface that is not there.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn no_interface<A: Instances>(account: &A, group: &str) {
    let missing = account.set_groups("eni-00000000000000000", &[group.to_owned()]).await;
    assert_eq!(missing, Err(PortError::NotFound), "no such interface");
}

/// The instance is in the group: out of it, and in again.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn scaling<A: AutoScaling>(account: &A, instance: &str, group: &str) {
    let inside = Ok(Some(group.to_owned()));
    assert_eq!(account.scaling_group(instance).await, inside, "at first");
    for label in ["detached", "detached again"] {
        assert_eq!(account.detach(instance, group).await, Ok(()), "{label}");
        assert_eq!(account.scaling_group(instance).await, Ok(None), "{label}");
    }
    for label in ["attached", "attached again"] {
        assert_eq!(account.attach(instance, group).await, Ok(()), "{label}");
        assert_eq!(account.scaling_group(instance).await, inside, "{label}");
    }
    assert_eq!(account.scaling_group(NO_INSTANCE).await, Ok(None), "no such instance is in no group");
}

/// Each kind of peer, and ports.
fn rules(group: &str) -> Vec<Rule> {
    let ports = |protocol: &str, from, to, peer: &str| Rule {
        protocol: protocol.to_owned(),
        from_port: Some(from),
        to_port: Some(to),
        ..all(true, peer)
    };
    vec![
        all(true, "0.0.0.0/0"),
        all(true, "::/0"),
        ports("tcp", 22, 22, "198.51.100.0/24"),
        ports("tcp", 22, 22, "203.0.113.7/32"),
        ports("udp", 4000, 4100, "2001:db8::/32"),
        ports("icmp", -1, -1, "198.51.100.0/24"),
        ports("tcp", 443, 443, group),
        Rule { ingress: false, ..ports("tcp", 443, 443, "198.51.100.0/24") },
    ]
}

fn all(ingress: bool, peer: &str) -> Rule {
    Rule { ingress, protocol: "-1".to_owned(), from_port: None, to_port: None, peer: peer.to_owned() }
}

const NO_INSTANCE: &str = "i-00000000000000000";
