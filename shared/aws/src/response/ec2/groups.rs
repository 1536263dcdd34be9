//! Security groups and their rules.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use portcullis_response::{Group, PortError, PortResult, Rule, SecurityGroups};
use roxmltree::Node;

use super::form::Form;
use super::xml::{UNREADABLE, items, required, text};
use crate::response::AwsAccount;

impl SecurityGroups for AwsAccount {
    async fn group(&self, vpc: &str, name: &str) -> PortResult<Option<Group>> {
        // Whoever may create groups can have taken the name: the tag is what tells ours, which alone the role can change.
        let form = Form::default()
            .filter(1, "vpc-id", vpc)
            .filter(2, &format!("tag:{TAG}"), TAG_VALUE)
            .with("MaxResults", "100");
        let mut found = BTreeMap::new();
        let read = |root: Node<'_, '_>| {
            for node in items(root, "securityGroupInfo").filter(|node| ours(*node) && in_vpc(*node, vpc)) {
                if let Some(called) = text(node, "groupName").filter(|called| stands_for(called, name)) {
                    found.insert(called.to_owned(), group(node)?);
                }
            }
            Ok(())
        };
        self.ec2.pages(DESCRIBE, &form, read).await?;
        // The name itself comes before all names that begin with it.
        Ok(found.into_values().next())
    }

    async fn create_group(&self, vpc: &str, name: &str) -> PortResult<()> {
        if self.ec2.changed(CREATE, &new_group(vpc, name), &["InvalidGroup.Duplicate"]).await? {
            return Ok(());
        }
        if self.taken(vpc, name).await? && self.group(vpc, name).await?.is_none() {
            return self.ec2.write(CREATE, &new_group(vpc, &other_name(name)?), &[]).await;
        }
        Ok(())
    }

    async fn authorize(&self, group: &str, rule: &Rule) -> PortResult<()> {
        let action = if rule.ingress {
            "ec2:AuthorizeSecurityGroupIngress"
        } else {
            "ec2:AuthorizeSecurityGroupEgress"
        };
        self.ec2.write(action, &permission(group, rule)?, &["InvalidPermission.Duplicate"]).await
    }

    async fn revoke(&self, group: &str, rule: &Rule) -> PortResult<()> {
        let action =
            if rule.ingress { "ec2:RevokeSecurityGroupIngress" } else { "ec2:RevokeSecurityGroupEgress" };
        self.ec2.write(action, &permission(group, rule)?, &["InvalidPermission.NotFound"]).await
    }
}

impl AwsAccount {
    /// Whether the name belongs to a group that is not ours. A group that does not show yet is not: it was just made.
    ///
    /// EC2 takes names for the same whatever their case, and filters tell cases apart: so all groups are looked at.
    /// Source: [CreateSecurityGroup](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html),
    /// `GroupName`.
    async fn taken(&self, vpc: &str, name: &str) -> PortResult<bool> {
        let form = Form::default().filter(1, "vpc-id", vpc).with("MaxResults", "100");
        let mut taken = false;
        let read = |root: Node<'_, '_>| {
            taken |= items(root, "securityGroupInfo").filter(|node| in_vpc(*node, vpc)).any(|node| {
                let called = text(node, "groupName").unwrap_or_default();
                called.eq_ignore_ascii_case(name) && !(called == name && ours(node))
            });
            Ok(())
        };
        self.ec2.pages(DESCRIBE, &form, read).await?;
        Ok(taken)
    }
}

fn new_group(vpc: &str, name: &str) -> Form {
    Form::default()
        .with("GroupName", name)
        .with("GroupDescription", DESCRIPTION)
        .with("VpcId", vpc)
        .with("TagSpecification.1.ResourceType", "security-group")
        .with("TagSpecification.1.Tag.1.Key", TAG)
        .with("TagSpecification.1.Tag.1.Value", TAG_VALUE)
}

/// A name in place of one that is taken, which nobody can have taken before.
fn other_name(name: &str) -> PortResult<String> {
    let mut random = [0_u8; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| PortError::Refused("no random bytes".to_owned()))?;
    Ok(format!("{name}-{:016x}", u64::from_be_bytes(random)))
}

/// Whether a group is called so, or by a name that [`other_name`] made of it.
fn stands_for(called: &str, name: &str) -> bool {
    called.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn in_vpc(node: Node<'_, '_>, vpc: &str) -> bool {
    text(node, "vpcId") == Some(vpc)
}

fn ours(node: Node<'_, '_>) -> bool {
    items(node, "tagSet").any(|tag| text(tag, "key") == Some(TAG) && text(tag, "value") == Some(TAG_VALUE))
}

fn group(node: Node<'_, '_>) -> PortResult<Group> {
    let owner = text(node, "ownerId");
    let mut rules = BTreeSet::new();
    for (list, ingress) in [("ipPermissions", true), ("ipPermissionsEgress", false)] {
        for permission in items(node, list) {
            rules.extend(rules_of(permission, ingress, owner)?);
        }
    }
    Ok(Group { id: required(node, "groupId")?.to_owned(), rules })
}

/// A permission is one protocol and range of ports with all its peers: a rule for each.
fn rules_of(node: Node<'_, '_>, ingress: bool, owner: Option<&str>) -> PortResult<Vec<Rule>> {
    let protocol = required(node, "ipProtocol")?.to_owned();
    // Of all protocols every port is let through, whatever the answer says.
    let port = |name| if protocol == ALL { Ok(None) } else { port(node, name) };
    let (from_port, to_port) = (port("fromPort")?, port("toPort")?);
    let ranges = PEERS
        .iter()
        .flat_map(|(list, name)| items(node, list).map(|peer| Ok(required(peer, name)?.to_owned())));
    let groups = items(node, "groups").map(|peer| group_peer(peer, owner));
    ranges
        .chain(groups)
        .map(|peer| Ok(Rule { ingress, protocol: protocol.clone(), from_port, to_port, peer: peer? }))
        .collect()
}

fn port(node: Node<'_, '_>, name: &str) -> PortResult<Option<i32>> {
    text(node, name).map(|port| port.parse().map_err(|_| UNREADABLE)).transpose()
}

/// The id of a group; of another account's (peered VPCs) behind its owner, without whom it cannot be revoked.
fn group_peer(node: Node<'_, '_>, owner: Option<&str>) -> PortResult<String> {
    let id = required(node, "groupId")?;
    Ok(match text(node, "userId").filter(|user| owner.is_some_and(|owner| owner != *user)) {
        Some(other) => format!("{other}/{id}"),
        None => id.to_owned(),
    })
}

/// One rule as the one permission of a request.
fn permission(group: &str, rule: &Rule) -> PortResult<Form> {
    let mut form =
        Form::default().with("GroupId", group).with(&format!("{FIRST}.IpProtocol"), &rule.protocol);
    for (name, port) in [("FromPort", rule.from_port), ("ToPort", rule.to_port)] {
        if let Some(port) = port {
            form = form.with(&format!("{FIRST}.{name}"), &port.to_string());
        }
    }
    let peer = &rule.peer;
    let with = |form: Form, name: &str, value: &str| form.with(&format!("{FIRST}.{name}"), value);
    if peer.starts_with("pl-") {
        Ok(with(form, "PrefixListIds.1.PrefixListId", peer))
    } else if peer.starts_with("sg-") {
        Ok(with(form, "Groups.1.GroupId", peer))
    } else if let Some((owner, id)) = peer.split_once('/').filter(|(_, id)| id.starts_with("sg-")) {
        Ok(with(with(form, "Groups.1.UserId", owner), "Groups.1.GroupId", id))
    } else if peer.contains(':') {
        Ok(with(form, "Ipv6Ranges.1.CidrIpv6", peer))
    } else if peer.contains('.') {
        Ok(with(form, "IpRanges.1.CidrIp", peer))
    } else {
        Err(PortError::Refused("not the peer of a rule".to_owned()))
    }
}

const DESCRIBE: &str = "ec2:DescribeSecurityGroups";
const CREATE: &str = "ec2:CreateSecurityGroup";
const ALL: &str = "-1";
const FIRST: &str = "IpPermissions.1";
/// The lists of peers that are ranges, and what names an entry.
const PEERS: &[(&str, &str)] =
    &[("ipRanges", "cidrIp"), ("ipv6Ranges", "cidrIpv6"), ("prefixListIds", "prefixListId")];
const DESCRIPTION: &str = "Portcullis incident response";
/// The function's role may change the rules of groups with this tag alone (infra/response-roles.yaml), and may put it on
/// none that it does not make.
const TAG: &str = "portcullis:isolation";
const TAG_VALUE: &str = "true";
