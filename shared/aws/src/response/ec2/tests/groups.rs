//! Security groups: exact requests, recorded answers.

use portcullis_response::{Group, PortError, Rule, SecurityGroups};

use super::{done, ec2_error, recorded, sent};

#[tokio::test]
async fn a_group_is_read_with_one_rule_for_each_peer() {
    let (account, client) = recorded(&[(200, FIRST_PAGE), (200, SECOND_PAGE)]);
    let rules = [
        rule(true, "tcp", Some((22, 22)), "198.51.100.0/24"),
        rule(true, "tcp", Some((22, 22)), "203.0.113.7/32"),
        rule(true, "tcp", Some((22, 22)), "2001:db8::/32"),
        rule(true, "tcp", Some((22, 22)), "pl-6da54004"),
        rule(true, "tcp", Some((22, 22)), "sg-0own"),
        rule(true, "tcp", Some((22, 22)), "444455556666/sg-0peer"),
        rule(true, "icmp", Some((8, -1)), "0.0.0.0/0"),
        rule(true, "50", None, "0.0.0.0/0"),
        rule(false, "-1", None, "0.0.0.0/0"),
        rule(false, "-1", None, "::/0"),
    ];
    let expected = Group { id: "sg-0abc".into(), rules: rules.into() };
    assert_eq!(account.group("vpc-1", "portcullis-isolated").await, Ok(Some(expected)));
    let request = "Action=DescribeSecurityGroups&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1\
                   &Filter.2.Name=tag%3Aportcullis%3Aisolation&Filter.2.Value.1=true&MaxResults=100";
    assert_eq!(sent(&client), [request, &format!("{request}&NextToken=two")]);
}

#[tokio::test]
async fn a_group_that_is_not_there_is_none_and_one_that_cannot_be_read_is_an_error() {
    let cut = SECOND_PAGE.replace("<cidrIp>0.0.0.0/0</cidrIp>", "");
    let no_number = SECOND_PAGE.replace("<fromPort>8</fromPort>", "<fromPort>eight</fromPort>");
    let (account, _) = recorded(&[(200, NONE), (200, SECOND_PAGE), (200, &cut), (200, &no_number)]);
    assert_eq!(account.group("vpc-1", "portcullis-isolated").await, Ok(None));
    assert_eq!(account.group("vpc-2", "portcullis-isolated").await, Ok(None), "of another VPC");
    assert_eq!(
        account.group("vpc-1", "portcullis-isolated").await,
        Err(PortError::Timeout),
        "a peer is missing"
    );
    assert_eq!(account.group("vpc-1", "portcullis-isolated").await, Err(PortError::Timeout), "no port");
}

#[tokio::test]
async fn an_answer_that_ends_anywhere_before_its_end_is_no_group_with_fewer_rules() {
    for end in (0..SECOND_PAGE.len()).step_by(29) {
        let (account, _) = recorded(&[(200, SECOND_PAGE.get(..end).unwrap())]);
        assert_eq!(account.group("vpc-1", "portcullis-isolated").await, Err(PortError::Timeout), "{end}");
    }
}

#[tokio::test]
async fn a_group_is_ours_by_its_tag_and_by_a_name_made_of_ours_but_not_by_its_name_alone() {
    let named = |name: &str| SECOND_PAGE.replace(">portcullis-isolated<", &format!(">{name}<"));
    let value = |value: &str| SECOND_PAGE.replace("<value>true<", &format!("<value>{value}<"));
    for (label, answer, found) in [
        ("the name", SECOND_PAGE.to_owned(), true),
        ("where it was taken", named("portcullis-isolated-00ff"), true),
        ("the other group", named("portcullis-untracked"), false),
        ("a longer word", named("portcullis-isolatedness"), false),
        ("no tag", without_tag(), false),
        ("another value", value("false"), false),
        ("another key", SECOND_PAGE.replace("portcullis:isolation", "team"), false),
    ] {
        let (account, _) = recorded(&[(200, &answer)]);
        let group = account.group("vpc-1", "portcullis-isolated").await.unwrap();
        assert_eq!(group.is_some(), found, "{label}");
    }
}

#[tokio::test]
async fn a_group_is_made_once_with_its_tag_and_making_it_again_is_no_error() {
    let duplicate = ec2_error("InvalidGroup.Duplicate");
    for (label, there) in [("ours", SECOND_PAGE), ("one that does not show yet", NONE)] {
        let (account, client) = recorded(&[(200, MADE), (400, &duplicate), (200, there)]);
        assert_eq!(account.create_group("vpc-1", "portcullis-isolated").await, Ok(()), "{label}");
        assert_eq!(account.create_group("vpc-1", "portcullis-isolated").await, Ok(()), "{label}");
        let request = creation("portcullis-isolated");
        assert_eq!(sent(&client), [request.as_str(), &request, OF_THE_VPC], "{label}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_gets_something_behind_it_that_nobody_can_guess() {
    let (duplicate, other) = (ec2_error("InvalidGroup.Duplicate"), without_tag());
    let cased = SECOND_PAGE.replace(">portcullis-isolated<", ">Portcullis-ISOLATED<");
    let mut names = std::collections::BTreeSet::new();
    for other in [&other, &cased, &other, &cased] {
        let answers = [(400, duplicate.as_str()), (200, other), (200, NONE), (200, MADE)];
        let (account, client) = recorded(&answers);
        assert_eq!(account.create_group("vpc-1", "portcullis-isolated").await, Ok(()));
        let last = sent(&client).pop().unwrap();
        let (_, rest) = last.split_once("GroupName=").unwrap();
        let name = rest.split('&').next().unwrap().to_owned();
        assert_eq!(last, creation(&name));
        let suffix = name.strip_prefix("portcullis-isolated-").unwrap();
        assert!(suffix.len() == 16 && suffix.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 4, "{names:?}");
    let ours = SECOND_PAGE.replace(">portcullis-isolated<", ">portcullis-isolated-00ff<");
    let (account, client) = recorded(&[(400, &duplicate), (200, &other), (200, &ours)]);
    assert_eq!(account.create_group("vpc-1", "portcullis-isolated").await, Ok(()), "one is there");
    assert_eq!(sent(&client).len(), 3);
}

#[tokio::test]
async fn rules_are_written_in_their_direction_and_as_their_kind_of_peer() {
    for (rule, expected) in [
        (
            rule(true, "-1", None, "0.0.0.0/0"),
            "IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0",
        ),
        (
            rule(false, "-1", None, "::/0"),
            "IpPermissions.1.IpProtocol=-1&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=%3A%3A%2F0",
        ),
        (
            rule(true, "tcp", Some((22, 23)), "sg-1"),
            "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=23\
             &IpPermissions.1.Groups.1.GroupId=sg-1",
        ),
        (
            rule(false, "udp", Some((53, 53)), "pl-1"),
            "IpPermissions.1.IpProtocol=udp&IpPermissions.1.FromPort=53&IpPermissions.1.ToPort=53\
             &IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1",
        ),
        (
            rule(true, "icmp", Some((8, -1)), "444455556666/sg-2"),
            "IpPermissions.1.IpProtocol=icmp&IpPermissions.1.FromPort=8&IpPermissions.1.ToPort=-1\
             &IpPermissions.1.Groups.1.UserId=444455556666&IpPermissions.1.Groups.1.GroupId=sg-2",
        ),
    ] {
        let way = if rule.ingress { "Ingress" } else { "Egress" };
        let verbs = ["Authorize", "Revoke"].map(|verb| format!("{verb}SecurityGroup{way}"));
        let [authorize, revoke] = verbs.clone().map(|action| done(&action));
        let (account, client) = recorded(&[(200, &authorize), (200, &revoke)]);
        account.authorize("sg-0abc", &rule).await.unwrap();
        account.revoke("sg-0abc", &rule).await.unwrap();
        let requests =
            verbs.map(|action| format!("Action={action}&Version=2016-11-15&GroupId=sg-0abc&{expected}"));
        assert_eq!(sent(&client), requests, "{rule:?}");
    }
}

#[tokio::test]
async fn what_is_so_already_is_no_error_but_only_where_it_says_so() {
    let rule = rule(true, "-1", None, "0.0.0.0/0");
    let (duplicate, missing) =
        (ec2_error("InvalidPermission.Duplicate"), ec2_error("InvalidPermission.NotFound"));
    let no_group = ec2_error("InvalidGroup.NotFound");
    let (account, _) =
        recorded(&[(400, &duplicate), (400, &missing), (400, &missing), (400, &duplicate), (400, &no_group)]);
    assert_eq!(account.authorize("sg-1", &rule).await, Ok(()));
    assert_eq!(account.revoke("sg-1", &rule).await, Ok(()));
    assert_eq!(account.authorize("sg-1", &rule).await, Err(PortError::NotFound));
    let refused = Err(PortError::Refused("InvalidPermission.Duplicate".into()));
    assert_eq!(account.revoke("sg-1", &rule).await, refused);
    assert_eq!(account.revoke("sg-1", &rule).await, Err(PortError::NotFound));
}

#[tokio::test]
async fn what_is_no_peer_is_not_sent() {
    let (account, client) = recorded(&[]);
    for peer in ["", "everywhere", "10/8"] {
        let refused = Err(PortError::Refused("not the peer of a rule".into()));
        assert_eq!(account.revoke("sg-1", &rule(true, "-1", None, peer)).await, refused, "{peer}");
    }
    assert_eq!(client.actual_requests().count(), 0);
}

fn without_tag() -> String {
    SECOND_PAGE.replace("<item><key>portcullis:isolation</key><value>true</value></item>", "")
}

fn creation(name: &str) -> String {
    format!(
        "Action=CreateSecurityGroup&Version=2016-11-15&GroupName={name}\
         &GroupDescription=Portcullis%20incident%20response&VpcId=vpc-1\
         &TagSpecification.1.ResourceType=security-group\
         &TagSpecification.1.Tag.1.Key=portcullis%3Aisolation&TagSpecification.1.Tag.1.Value=true"
    )
}

fn rule(ingress: bool, protocol: &str, ports: Option<(i32, i32)>, peer: &str) -> Rule {
    Rule {
        ingress,
        protocol: protocol.into(),
        from_port: ports.map(|(from, _)| from),
        to_port: ports.map(|(_, to)| to),
        peer: peer.into(),
    }
}

const MADE: &str =
    "<CreateSecurityGroupResponse><return>true</return><groupId>sg-1</groupId></CreateSecurityGroupResponse>";

const OF_THE_VPC: &str = "Action=DescribeSecurityGroups&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&MaxResults=100";

const NONE: &str = "<DescribeSecurityGroupsResponse><securityGroupInfo/></DescribeSecurityGroupsResponse>";

/// A page may be empty though there are more.
const FIRST_PAGE: &str = r#"<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><securityGroupInfo/><nextToken>two</nextToken></DescribeSecurityGroupsResponse>"#;

const SECOND_PAGE: &str = r#"<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>1d62eae0-acdd-481d-88c9-example</requestId>
  <securityGroupInfo><item>
    <ownerId>111122223333</ownerId>
    <groupId>sg-0abc</groupId>
    <groupName>portcullis-isolated</groupName>
    <groupDescription>Portcullis incident response</groupDescription>
    <vpcId>vpc-1</vpcId>
    <ipPermissions>
      <item>
        <ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>
        <groups>
          <item><userId>111122223333</userId><groupId>sg-0own</groupId></item>
          <item><userId>444455556666</userId><groupId>sg-0peer</groupId><vpcId>vpc-9</vpcId><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId><peeringStatus>active</peeringStatus></item>
        </groups>
        <ipRanges>
          <item><cidrIp>198.51.100.0/24</cidrIp><description>office</description></item>
          <item><cidrIp>203.0.113.7/32</cidrIp></item>
        </ipRanges>
        <ipv6Ranges><item><cidrIpv6>2001:db8::/32</cidrIpv6></item></ipv6Ranges>
        <prefixListIds><item><prefixListId>pl-6da54004</prefixListId></item></prefixListIds>
      </item>
      <item>
        <ipProtocol>icmp</ipProtocol><fromPort>8</fromPort><toPort>-1</toPort><groups/>
        <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges><ipv6Ranges/><prefixListIds/>
      </item>
      <item>
        <ipProtocol>50</ipProtocol><groups/>
        <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges><ipv6Ranges/><prefixListIds/>
      </item>
    </ipPermissions>
    <ipPermissionsEgress>
      <item>
        <ipProtocol>-1</ipProtocol><groups/>
        <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges>
        <ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges><prefixListIds/>
      </item>
    </ipPermissionsEgress>
    <tagSet><item><key>portcullis:isolation</key><value>true</value></item></tagSet>
  </item></securityGroupInfo>
</DescribeSecurityGroupsResponse>"#;
