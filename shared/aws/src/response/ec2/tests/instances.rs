//! Instances: exact requests, recorded answers.

use std::collections::BTreeMap;

use portcullis_response::{Instance, Instances, PortError};

use super::{done, recorded, sent};

#[tokio::test]
async fn an_instance_is_read_with_its_interfaces_volumes_tags_and_what_describes_it() {
    let (account, client) = recorded(&[(200, DESCRIBED)]);
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let expected = Instance {
        vpc: "vpc-0a1".into(),
        interfaces: [
            ("eni-01".to_owned(), texts(&["sg-base", "sg-web"])),
            ("eni-02".to_owned(), texts(&["sg-base"])),
        ]
        .into(),
        volumes: texts(&["vol-01", "vol-02"]).into_iter().collect(),
        tags: map(&[("Name", "web & co"), ("empty", "")]),
        description: map(&[
            ("IPv6 addresses", "2001:db8::1 2001:db8::2"),
            ("architecture", "x86_64"),
            ("availability zone", "eu-west-1c"),
            ("image", "ami-0abc"),
            ("key pair", "ops"),
            ("launch time", "2026-11-20T07:12:45.000Z"),
            ("metadata tokens", "required"),
            ("platform", "Linux/UNIX"),
            ("private address", "10.0.0.12"),
            ("profile", "arn:aws:iam::111122223333:instance-profile/web"),
            ("public address", "203.0.113.9"),
            ("root device", "/dev/xvda"),
            ("state", "running"),
            ("subnet", "subnet-0a1"),
            ("type", "t3.micro"),
        ]),
    };
    assert_eq!(account.instance("i-0abc").await, Ok(expected));
    assert_eq!(sent(&client), ["Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-0abc"]);
}

#[tokio::test]
async fn a_terminated_instance_is_gone_and_another_one_is_not_it() {
    let still = TERMINATED.replace("<reason>", "<vpcId>vpc-1</vpcId><reason>");
    let (account, _) = recorded(&[(200, TERMINATED), (200, &still), (200, TERMINATED), (200, NONE)]);
    assert_eq!(account.instance("i-gone").await, Err(PortError::NotFound));
    assert_eq!(account.instance("i-gone").await, Err(PortError::NotFound), "whatever else is told of it");
    assert_eq!(account.instance("i-other").await, Err(PortError::NotFound));
    assert_eq!(account.instance("i-none").await, Err(PortError::NotFound));
}

#[tokio::test]
async fn protection_from_termination_is_read_and_set() {
    let attribute = |value: &str| {
        format!(
            "<DescribeInstanceAttributeResponse><requestId>r</requestId><instanceId>i-1</instanceId>\
             <disableApiTermination>{value}</disableApiTermination></DescribeInstanceAttributeResponse>"
        )
    };
    let (yes, no, nothing) =
        (attribute("<value>true</value>"), attribute("<value>false</value>"), attribute(""));
    let write = done("ModifyInstanceAttribute");
    let (account, client) =
        recorded(&[(200, &yes), (200, &no), (200, &nothing), (200, &write), (200, &write)]);
    assert_eq!(account.termination_protected("i-1").await, Ok(true));
    assert_eq!(account.termination_protected("i-1").await, Ok(false));
    assert_eq!(account.termination_protected("i-1").await, Err(PortError::Timeout));
    assert_eq!(account.protect_from_termination("i-1", true).await, Ok(()));
    assert_eq!(account.protect_from_termination("i-1", false).await, Ok(()));
    let read =
        "Action=DescribeInstanceAttribute&Version=2016-11-15&InstanceId=i-1&Attribute=disableApiTermination";
    let write =
        "Action=ModifyInstanceAttribute&Version=2016-11-15&InstanceId=i-1&DisableApiTermination.Value=";
    assert_eq!(sent(&client), [read, read, read, &format!("{write}true"), &format!("{write}false")]);
}

#[tokio::test]
async fn tags_are_set_and_removed_whatever_their_value() {
    let (account, client) = recorded(&[(200, &done("CreateTags")), (200, &done("DeleteTags"))]);
    account.tag_instance("i-1", "portcullis:evidence:inc-1", "evidence").await.unwrap();
    account.untag_instance("i-1", "portcullis:evidence:inc-1").await.unwrap();
    assert_eq!(
        sent(&client),
        [
            "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=portcullis%3Aevidence%3Ainc-1&Tag.1.Value=evidence",
            "Action=DeleteTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=portcullis%3Aevidence%3Ainc-1",
        ]
    );
}

#[tokio::test]
async fn snapshots_are_read_from_all_pages_without_those_that_do_not_count() {
    let first = snapshots(
        &[
            ("snap-error", "vol-1", "error", "2026-11-20T00:00:00.000Z", "inc-1"),
            ("snap-late", "vol-1", "completed", "2026-11-20T02:00:00.000Z", "inc-1"),
            ("snap-pending", "vol-1", "pending", "2026-11-20T00:30:00.000Z", "inc-1"),
            ("snap-other", "vol-3", "completed", "2026-11-20T00:00:00.000Z", "inc-10"),
        ],
        Some("page/2="),
    );
    let second = snapshots(
        &[
            ("snap-early", "vol-1", "completed", "2026-11-20T01:00:00.000Z", "inc-1"),
            ("snap-two", "vol-2", "pending", "2026-11-20T01:00:00.000Z", "inc-1"),
        ],
        None,
    );
    let (account, client) = recorded(&[(200, &first), (200, &second)]);
    let expected = [("vol-1", "snap-early"), ("vol-2", "snap-two")];
    assert_eq!(
        account.snapshots("inc-1").await,
        Ok(expected.map(|(volume, snapshot)| (volume.to_owned(), snapshot.to_owned())).into())
    );
    let request = "Action=DescribeSnapshots&Version=2016-11-15&Owner.1=self&Filter.1.Name=tag%3Aportcullis%3Aincident\
                   &Filter.1.Value.1=inc-1&MaxResults=500";
    assert_eq!(sent(&client), [request, &format!("{request}&NextToken=page%2F2%3D")]);
}

#[tokio::test]
async fn pages_without_end_are_given_up() {
    let page = snapshots(&[], Some("again"));
    let (account, _) = recorded(&vec![(200, page.as_str()); 101]);
    assert_eq!(account.snapshots("inc-1").await, Err(PortError::Refused("too many pages".into())));
}

#[tokio::test]
async fn a_snapshot_is_tagged_and_described_as_it_is_made() {
    let answer = "<CreateSnapshotResponse><snapshotId>snap-1</snapshotId><status>pending</status></CreateSnapshotResponse>";
    let (account, client) = recorded(&[(200, answer)]);
    account.create_snapshot("vol-1", "inc-1").await.unwrap();
    assert_eq!(
        sent(&client),
        ["Action=CreateSnapshot&Version=2016-11-15&VolumeId=vol-1\
          &Description=Evidence%20of%20Portcullis%20incident%20inc-1&TagSpecification.1.ResourceType=snapshot\
          &TagSpecification.1.Tag.1.Key=portcullis%3Aincident&TagSpecification.1.Tag.1.Value=inc-1"]
    );
}

#[tokio::test]
async fn an_interface_gets_exactly_these_groups() {
    let (account, client) = recorded(&[(200, &done("ModifyNetworkInterfaceAttribute"))]);
    account.set_groups("eni-1", &["sg-b".to_owned(), "sg-a".to_owned()]).await.unwrap();
    assert_eq!(
        sent(&client),
        ["Action=ModifyNetworkInterfaceAttribute&Version=2016-11-15&NetworkInterfaceId=eni-1\
          &SecurityGroupId.1=sg-b&SecurityGroupId.2=sg-a"]
    );
}

fn snapshots(all: &[(&str, &str, &str, &str, &str)], next: Option<&str>) -> String {
    let items: String = all
        .iter()
        .map(|(id, volume, status, started, incident)| {
            format!(
                "<item><snapshotId>{id}</snapshotId><volumeId>{volume}</volumeId><status>{status}</status>\
                 <startTime>{started}</startTime><progress>100%</progress><ownerId>111122223333</ownerId>\
                 <tagSet><item><key>portcullis:incident</key><value>{incident}</value></item></tagSet></item>"
            )
        })
        .collect();
    let next = next.map(|token| format!("<nextToken>{token}</nextToken>")).unwrap_or_default();
    format!(
        r#"<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><snapshotSet>{items}</snapshotSet>{next}</DescribeSnapshotsResponse>"#
    )
}

const DESCRIBED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
  <reservationSet><item>
    <reservationId>r-1234567890abcdef0</reservationId>
    <ownerId>111122223333</ownerId>
    <groupSet/>
    <instancesSet><item>
      <instanceId>i-0abc</instanceId>
      <imageId>ami-0abc</imageId>
      <instanceState><code>16</code><name>running</name></instanceState>
      <privateDnsName>ip-10-0-0-12.eu-west-1.compute.internal</privateDnsName>
      <dnsName/>
      <reason/>
      <keyName>ops</keyName>
      <amiLaunchIndex>0</amiLaunchIndex>
      <productCodes/>
      <instanceType>t3.micro</instanceType>
      <launchTime>2026-11-20T07:12:45.000Z</launchTime>
      <placement><availabilityZone>eu-west-1c</availabilityZone><groupName/><tenancy>default</tenancy></placement>
      <monitoring><state>disabled</state></monitoring>
      <subnetId>subnet-0a1</subnetId>
      <vpcId>vpc-0a1</vpcId>
      <privateIpAddress>10.0.0.12</privateIpAddress>
      <ipAddress>203.0.113.9</ipAddress>
      <sourceDestCheck>true</sourceDestCheck>
      <groupSet><item><groupId>sg-web</groupId><groupName>web</groupName></item></groupSet>
      <architecture>x86_64</architecture>
      <rootDeviceType>ebs</rootDeviceType>
      <rootDeviceName>/dev/xvda</rootDeviceName>
      <blockDeviceMapping>
        <item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-01</volumeId><status>attached</status></ebs></item>
        <item><deviceName>/dev/sdb</deviceName><ebs><volumeId>vol-02</volumeId><status>attached</status></ebs></item>
      </blockDeviceMapping>
      <tagSet>
        <item><key>Name</key><value>web &amp; co</value></item>
        <item><key>empty</key><value/></item>
      </tagSet>
      <networkInterfaceSet>
        <item>
          <networkInterfaceId>eni-01</networkInterfaceId><vpcId>vpc-0a1</vpcId>
          <groupSet>
            <item><groupId>sg-web</groupId><groupName>web</groupName></item>
            <item><groupId>sg-base</groupId><groupName>base</groupName></item>
          </groupSet>
          <ipv6AddressesSet>
            <item><ipv6Address>2001:db8::1</ipv6Address></item><item><ipv6Address>2001:db8::2</ipv6Address></item>
          </ipv6AddressesSet>
        </item>
        <item>
          <networkInterfaceId>eni-02</networkInterfaceId>
          <groupSet><item><groupId>sg-base</groupId><groupName>base</groupName></item></groupSet>
          <ipv6AddressesSet/>
        </item>
      </networkInterfaceSet>
      <iamInstanceProfile><arn>arn:aws:iam::111122223333:instance-profile/web</arn><id>AIPAEXAMPLE</id></iamInstanceProfile>
      <platformDetails>Linux/UNIX</platformDetails>
      <metadataOptions><state>applied</state><httpTokens>required</httpTokens></metadataOptions>
    </item></instancesSet>
  </item></reservationSet>
</DescribeInstancesResponse>"#;

const TERMINATED: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet><item><instancesSet><item><instanceId>i-gone</instanceId><instanceState><code>48</code><name>terminated</name></instanceState><reason>User initiated (2026-11-20 07:12:45 GMT)</reason><blockDeviceMapping/><networkInterfaceSet/></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#;

const NONE: &str = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
