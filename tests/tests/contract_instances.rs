//! One contract over the instances of every account: the simulated one, and AWS: ministack, and moto for the attributes
//! of instances and interfaces and for Auto Scaling, which ministack has not.
#![cfg(test)]

use std::sync::Arc;

use portcullis_aws::{AccountSettings, AwsAccount};
use portcullis_response::Instances;
use portcullis_response::simulation::{Faults, SimulatedAccount, SimulatedGroup, World};
use portcullis_tests::contract::fresh;
use portcullis_tests::contract::instances::{
    Things, interfaces, no_interface, protection, scaling, security_groups, snapshots, tags, taken_names,
};
use portcullis_tests::emulators::{Account, Emulator};

#[tokio::test]
async fn simulation() {
    let mut world = World::example();
    let names = ["i-web", "vpc-1", "eni-1", "sg-web", "sg-other"].map(str::to_owned);
    let [instance, vpc, interface, first, second] = names;
    let web = world.instances.get_mut(&instance).unwrap();
    web.interfaces = [(interface.clone(), vec![first.clone()])].into();
    for id in [&first, &second] {
        let group = SimulatedGroup { vpc: vpc.clone(), name: id.clone(), rules: [].into(), ours: false };
        world.groups.insert(id.clone(), group);
    }
    let account = SimulatedAccount::new(world, Arc::new(Faults::default()));
    let things = Things { instance, vpc, subnet: "subnet-1".to_owned(), interface, groups: [first, second] };
    tags(&account, &things).await;
    snapshots(&account, &things).await;
    security_groups(&account, &things).await;
    taken_names(&account, &things, &things.groups[0]).await;
    protection(&account, &things).await;
    interfaces(&account, &things).await;
    scaling(&account, &things.instance, "asg-web").await;
}

#[tokio::test]
async fn aws() {
    let account = Emulator::ministack().account();
    let (aws, things) = (adapter(&account).await, make(&account).await);
    tags(&aws, &things).await;
    snapshots(&aws, &things).await;
    security_groups(&aws, &things).await;
    taken_names(&aws, &things, "web").await;
}

#[tokio::test]
async fn attributes_of_instances() {
    let account = Emulator::moto().account();
    let (aws, things) = (adapter(&account).await, make(&account).await);
    protection(&aws, &things).await;
    security_groups(&aws, &things).await;
    taken_names(&aws, &things, "web").await;
}

/// An interface by itself: moto shows those of instances in the groups that the instance was started in, whatever they
/// were set to since, where EC2 shows what they were set to.
#[tokio::test]
async fn groups_of_interfaces() {
    let account = Emulator::moto().account();
    let (aws, things) = (adapter(&account).await, make(&account).await);
    let [first, second] = things.groups.clone();
    let started = aws.instance(&things.instance).await.unwrap().interfaces;
    assert_eq!(started, [(things.interface, vec![first.clone()])].into());
    let place = [("SubnetId", things.subnet.as_str()), ("SecurityGroupId.1", &first)];
    let interface = text(&ask(&account, "CreateNetworkInterface", &place).await, "networkInterfaceId");
    for groups in
        [vec![second.clone()], vec![second.clone()], vec![second, first.clone()], vec![first.clone()]]
    {
        assert_eq!(aws.set_groups(&interface, &groups).await, Ok(()), "{groups:?}");
        let found = ask(&account, "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &interface)]).await;
        let found: Vec<_> =
            found.split("<groupId>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
        assert_eq!(found, groups);
    }
    no_interface(&aws, &first).await;
}

#[tokio::test]
async fn auto_scaling() {
    let account = Emulator::moto().account();
    let (aws, things) = (adapter(&account).await, make(&account).await);
    let name = fresh("web");
    let limits = [("MinSize", "0"), ("MaxSize", "4"), ("VPCZoneIdentifier", things.subnet.as_str())];
    let group = [("AutoScalingGroupName", name.as_str()), ("InstanceId", &things.instance)];
    ask(&account, "CreateAutoScalingGroup", &[group.as_slice(), &limits].concat()).await;
    let member = [("AutoScalingGroupName", name.as_str()), ("InstanceIds.member.1", &things.instance)];
    ask(&account, "AttachInstances", &member).await;
    scaling(&aws, &things.instance, &name).await;
}

async fn adapter(account: &Account) -> AwsAccount {
    AwsAccount::new(&account.config().await, AccountSettings::default())
}

async fn make(account: &Account) -> Things {
    let vpc = ask(account, "CreateVpc", &[("CidrBlock", "10.7.0.0/16")]).await;
    let vpc = text(&vpc, "vpcId");
    let subnet = ask(account, "CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.7.1.0/24")]).await;
    let subnet = text(&subnet, "subnetId");
    let mut groups = Vec::new();
    for name in ["web", "base"] {
        let group = [("VpcId", vpc.as_str()), ("GroupName", name), ("GroupDescription", name)];
        groups.push(text(&ask(account, "CreateSecurityGroup", &group).await, "groupId"));
    }
    let groups: [String; 2] = groups.try_into().unwrap();
    let run = [
        ("ImageId", "ami-12c6146b"),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", &subnet),
        ("SecurityGroupId.1", &groups[0]),
    ];
    let instance = ask(account, "RunInstances", &run).await;
    // ministack tells of no interfaces: what needs one runs on moto.
    let interface = tagged(&instance, "networkInterfaceId").unwrap_or_default().to_owned();
    Things { instance: text(&instance, "instanceId"), vpc, subnet, interface, groups }
}

/// Asks an emulator, which looks at whose request it is, and not at the signature.
async fn ask(account: &Account, action: &str, parameters: &[(&str, &str)]) -> String {
    let scaling = parameters.iter().any(|(name, _)| *name == "AutoScalingGroupName");
    let (service, version) = if scaling { ("autoscaling", "2011-01-01") } else { ("ec2", "2016-11-15") };
    let mut form = vec![("Action", action), ("Version", version)];
    form.extend(parameters);
    let scope = format!("{}/20261122/eu-west-1/{service}/aws4_request", account.id());
    let answer = reqwest::Client::new()
        .post(account.endpoint())
        .header("x-amz-date", "20261122T000000Z")
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .form(&form)
        .send()
        .await
        .unwrap();
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{action}: {status} {body}");
    body
}

fn text(answer: &str, name: &str) -> String {
    tagged(answer, name).unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned()
}

/// The content of the first element of that name.
fn tagged<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = answer.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(content, _)| content)
}
