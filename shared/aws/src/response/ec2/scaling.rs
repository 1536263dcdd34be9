//! Auto Scaling groups.

use portcullis_response::{AutoScaling, PortError, PortResult};
use roxmltree::Node;

use super::form::Form;
use super::xml::{child, items, required, text};
use crate::response::AwsAccount;

impl AutoScaling for AwsAccount {
    async fn scaling_group(&self, instance: &str) -> PortResult<Option<String>> {
        let form = Form::default().with("InstanceIds.member.1", instance);
        let group = |root: Node<'_, '_>| {
            let Some(result) = child(root, "DescribeAutoScalingInstancesResult") else {
                return Err(super::xml::UNREADABLE);
            };
            let mut all = items(result, "AutoScalingInstances");
            let found = all.find(|node| text(*node, "InstanceId") == Some(instance) && !leaves(*node));
            found.map(|node| Ok(required(node, "AutoScalingGroupName")?.to_owned())).transpose()
        };
        Ok(self.ec2.call("autoscaling:DescribeAutoScalingInstances", &form, group).await?)
    }

    async fn detach(&self, instance: &str, group: &str) -> PortResult<()> {
        let form = form(instance, group).with("ShouldDecrementDesiredCapacity", "false");
        let answer = self.ec2.write("autoscaling:DetachInstances", &form, &[]).await;
        self.unless_so(answer, instance, |found| found != Some(group)).await
    }

    async fn attach(&self, instance: &str, group: &str) -> PortResult<()> {
        let answer = self.ec2.write("autoscaling:AttachInstances", &form(instance, group), &[]).await;
        self.unless_so(answer, instance, |found| found == Some(group)).await
    }
}

impl AwsAccount {
    /// Auto Scaling has one code for everything that it does not like, and what is so already is among that: then what
    /// is there decides.
    async fn unless_so(
        &self,
        answer: PortResult<()>,
        instance: &str,
        so: impl Fn(Option<&str>) -> bool + Send,
    ) -> PortResult<()> {
        match answer {
            Err(PortError::Refused(code)) if code == INVALID => {
                if so(self.scaling_group(instance).await?.as_deref()) {
                    Ok(())
                } else {
                    Err(PortError::Refused(code))
                }
            }
            answer => answer,
        }
    }
}

fn form(instance: &str, group: &str) -> Form {
    Form::default().with("AutoScalingGroupName", group).with("InstanceIds.member.1", instance)
}

/// An instance that is being detached is listed until its connections are drained, and there is no way back from there.
fn leaves(node: Node<'_, '_>) -> bool {
    matches!(text(node, "LifecycleState"), Some("Detaching" | "Detached"))
}

const INVALID: &str = "ValidationError";
