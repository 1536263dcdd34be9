//! Instances, their tags, volumes and interfaces.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_response::{Instance, Instances, PortError, PortResult};
use roxmltree::Node;

use super::form::Form;
use super::xml::{child, items, required, text};
use crate::response::AwsAccount;

impl Instances for AwsAccount {
    async fn instance(&self, id: &str) -> PortResult<Instance> {
        let form = Form::default().with("InstanceId.1", id);
        let found = |root: Node<'_, '_>| {
            let mut all = items(root, "reservationSet").flat_map(|r| items(r, "instancesSet"));
            let node = all.find(|node| text(*node, "instanceId") == Some(id));
            node.map(instance).ok_or(PortError::NotFound)?
        };
        Ok(self.ec2.call("ec2:DescribeInstances", &form, found).await?)
    }

    async fn termination_protected(&self, id: &str) -> PortResult<bool> {
        let form = Form::default().with("InstanceId", id).with("Attribute", "disableApiTermination");
        let value = |root: Node<'_, '_>| {
            let attribute = child(root, "disableApiTermination");
            let value = attribute.and_then(|attribute| text(attribute, "value"));
            value.and_then(|value| value.parse().ok()).ok_or(super::xml::UNREADABLE)
        };
        Ok(self.ec2.call("ec2:DescribeInstanceAttribute", &form, value).await?)
    }

    async fn protect_from_termination(&self, id: &str, protected: bool) -> PortResult<()> {
        let value = if protected { "true" } else { "false" };
        let form = Form::default().with("InstanceId", id).with("DisableApiTermination.Value", value);
        self.ec2.write("ec2:ModifyInstanceAttribute", &form, &[]).await
    }

    async fn tag_instance(&self, id: &str, key: &str, value: &str) -> PortResult<()> {
        let form = Form::default().with("ResourceId.1", id).with("Tag.1.Key", key).with("Tag.1.Value", value);
        self.ec2.write("ec2:CreateTags", &form, &[]).await
    }

    async fn untag_instance(&self, id: &str, key: &str) -> PortResult<()> {
        // Without a value: whatever the value is.
        let form = Form::default().with("ResourceId.1", id).with("Tag.1.Key", key);
        self.ec2.write("ec2:DeleteTags", &form, &[]).await
    }

    async fn snapshots(&self, incident: &str) -> PortResult<BTreeMap<String, String>> {
        let form = Form::default()
            .with("Owner.1", "self")
            .filter(1, &format!("tag:{INCIDENT_TAG}"), incident)
            .with("MaxResults", PAGE);
        let mut found = BTreeSet::new();
        let read = |root: Node<'_, '_>| {
            let own = |node: &Node<'_, '_>| tags(*node).get(INCIDENT_TAG).is_some_and(|tag| tag == incident);
            for node in
                items(root, "snapshotSet").filter(own).filter(|node| text(*node, "status") != Some("error"))
            {
                found.insert(snapshot(node)?);
            }
            Ok(())
        };
        self.ec2.pages("ec2:DescribeSnapshots", &form, read).await?;
        let mut of_volumes = BTreeMap::new();
        for snapshot in found {
            of_volumes.entry(snapshot.volume).or_insert(snapshot.id);
        }
        Ok(of_volumes)
    }

    async fn create_snapshot(&self, volume: &str, incident: &str) -> PortResult<()> {
        let form = Form::default()
            .with("VolumeId", volume)
            .with("Description", &format!("Evidence of Portcullis incident {incident}"))
            .with("TagSpecification.1.ResourceType", "snapshot")
            .with("TagSpecification.1.Tag.1.Key", INCIDENT_TAG)
            .with("TagSpecification.1.Tag.1.Value", incident);
        self.ec2.write("ec2:CreateSnapshot", &form, &[]).await
    }

    async fn set_groups(&self, interface: &str, groups: &[String]) -> PortResult<()> {
        let form = Form::default()
            .with("NetworkInterfaceId", interface)
            .list("SecurityGroupId", groups.iter().map(String::as_str));
        self.ec2.write("ec2:ModifyNetworkInterfaceAttribute", &form, &[]).await
    }
}

/// A terminated instance is described for about an hour yet, without VPC, interfaces or volumes: it is gone.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html>
fn instance(node: Node<'_, '_>) -> PortResult<Instance> {
    let state = child(node, "instanceState").and_then(|state| text(state, "name"));
    let Some(vpc) = text(node, "vpcId").filter(|_| state != Some("terminated")) else {
        return Err(PortError::NotFound);
    };
    let mut interfaces = BTreeMap::new();
    for interface in items(node, "networkInterfaceSet") {
        let groups = items(interface, "groupSet").map(|group| Ok(required(group, "groupId")?.to_owned()));
        // Their order says nothing, and EC2 promises none: two readings must be alike.
        let groups = groups.collect::<PortResult<BTreeSet<_>>>()?;
        interfaces
            .insert(required(interface, "networkInterfaceId")?.to_owned(), groups.into_iter().collect());
    }
    let volumes =
        items(node, "blockDeviceMapping").filter_map(|device| text(child(device, "ebs")?, "volumeId"));
    Ok(Instance {
        vpc: vpc.to_owned(),
        interfaces,
        volumes: volumes.map(str::to_owned).collect(),
        tags: tags(node),
        description: description(node),
    })
}

/// What is gone, or changed, once the instance is stopped or terminated.
fn description(node: Node<'_, '_>) -> BTreeMap<String, String> {
    let within = |outer: &str, name: &str| text(child(node, outer)?, name);
    let plain = DESCRIBED.iter().map(|(name, element)| (*name, text(node, element)));
    let nested = [
        ("state", within("instanceState", "name")),
        ("profile", within("iamInstanceProfile", "arn")),
        ("availability zone", within("placement", "availabilityZone")),
        ("metadata tokens", within("metadataOptions", "httpTokens")),
    ];
    let v6 = items(node, "networkInterfaceSet")
        .flat_map(|interface| items(interface, "ipv6AddressesSet"))
        .filter_map(|address| text(address, "ipv6Address"))
        .collect::<Vec<_>>()
        .join(" ");
    let v6 = ("IPv6 addresses", Some(v6.as_str()).filter(|all| !all.is_empty()));
    plain
        .chain(nested)
        .chain([v6])
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}

fn tags(node: Node<'_, '_>) -> BTreeMap<String, String> {
    items(node, "tagSet")
        .filter_map(|tag| {
            Some((text(tag, "key")?.to_owned(), text(tag, "value").unwrap_or_default().to_owned()))
        })
        .collect()
}

/// In the order in which one is preferred over another of the same volume: finished ones, then the oldest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Snapshot {
    pending: bool,
    started: String,
    id: String,
    volume: String,
}

fn snapshot(node: Node<'_, '_>) -> PortResult<Snapshot> {
    Ok(Snapshot {
        pending: text(node, "status") != Some("completed"),
        started: text(node, "startTime").unwrap_or_default().to_owned(),
        id: required(node, "snapshotId")?.to_owned(),
        volume: required(node, "volumeId")?.to_owned(),
    })
}

/// The tag that says which incident a snapshot is evidence of.
const INCIDENT_TAG: &str = "portcullis:incident";
/// Entries of a page.
const PAGE: &str = "500";
/// What is described, and by which element.
const DESCRIBED: &[(&str, &str)] = &[
    ("architecture", "architecture"),
    ("image", "imageId"),
    ("key pair", "keyName"),
    ("launch time", "launchTime"),
    ("platform", "platformDetails"),
    ("private address", "privateIpAddress"),
    ("public address", "ipAddress"),
    ("root device", "rootDeviceName"),
    ("state reason", "reason"),
    ("subnet", "subnetId"),
    ("type", "instanceType"),
];
