//! Auto Scaling groups: exact requests, recorded answers.

use portcullis_response::{AutoScaling, PortError};

use super::{recorded, scaling_error, sent};

#[tokio::test]
async fn the_group_of_an_instance_is_read_unless_it_leaves_it() {
    for (label, answer, expected) in [
        ("in service", listed("i-1", "InService"), Some("web")),
        ("on its way in", listed("i-1", "Pending"), Some("web")),
        ("on its way out", listed("i-1", "Detaching"), None),
        ("out", listed("i-1", "Detached"), None),
        ("another one", listed("i-10", "InService"), None),
    ] {
        let (account, _) = recorded(&[(200, &answer)]);
        assert_eq!(account.scaling_group("i-1").await, Ok(expected.map(str::to_owned)), "{label}");
    }
    let (account, _) =
        recorded(&[(200, "<DescribeAutoScalingInstancesResponse></DescribeAutoScalingInstancesResponse>")]);
    assert_eq!(account.scaling_group("i-1").await, Err(PortError::Timeout), "no result");
}

#[tokio::test]
async fn an_instance_is_detached_without_a_smaller_group_and_attached_again() {
    let (account, client) = recorded(&[(200, &done("Detach")), (200, &done("Attach"))]);
    account.detach("i-1", "web & co").await.unwrap();
    account.attach("i-1", "web & co").await.unwrap();
    let members = "AutoScalingGroupName=web%20%26%20co&InstanceIds.member.1=i-1";
    assert_eq!(
        sent(&client),
        [
            format!(
                "Action=DetachInstances&Version=2011-01-01&{members}&ShouldDecrementDesiredCapacity=false"
            ),
            format!("Action=AttachInstances&Version=2011-01-01&{members}"),
        ]
    );
}

#[tokio::test]
async fn what_is_so_already_is_no_error() {
    let invalid = scaling_error("ValidationError");
    let refused = Err(PortError::Refused("ValidationError".into()));
    let (inside, outside) = (listed("i-1", "InService"), listed("i-10", "InService"));
    for (label, found, detached, attached) in
        [("outside", outside, Ok(()), refused.clone()), ("inside", inside, refused.clone(), Ok(()))]
    {
        let (account, _) = recorded(&[(400, &invalid), (200, &found), (400, &invalid), (200, &found)]);
        assert_eq!(account.detach("i-1", "web").await, detached, "{label}");
        assert_eq!(account.attach("i-1", "web").await, attached, "{label}");
    }
    let (account, client) = recorded(&[(400, &invalid), (400, &scaling_error("Throttling"))]);
    assert_eq!(account.detach("i-1", "web").await, Err(PortError::Throttled), "what is there cannot be read");
    assert_eq!(client.actual_requests().count(), 2);
}

fn done(verb: &str) -> String {
    format!(
        r#"<{verb}InstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><{verb}InstancesResult><Activities/></{verb}InstancesResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{verb}InstancesResponse>"#
    )
}

fn listed(instance: &str, state: &str) -> String {
    format!(
        r#"<DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
  <DescribeAutoScalingInstancesResult>
    <AutoScalingInstances>
      <member>
        <InstanceId>{instance}</InstanceId>
        <AutoScalingGroupName>web</AutoScalingGroupName>
        <AvailabilityZone>eu-west-1c</AvailabilityZone>
        <LifecycleState>{state}</LifecycleState>
        <HealthStatus>Healthy</HealthStatus>
        <ProtectedFromScaleIn>false</ProtectedFromScaleIn>
      </member>
    </AutoScalingInstances>
  </DescribeAutoScalingInstancesResult>
  <ResponseMetadata><RequestId>7c6e177f-f082-11e1-ac58-example</RequestId></ResponseMetadata>
</DescribeAutoScalingInstancesResponse>"#
    )
}
