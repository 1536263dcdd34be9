//! The ports of an account over a [`World`].

use std::collections::BTreeMap;

use super::keeper::Keeper;
use super::world::SimulatedGroup;
use crate::ports::{
    AddressSet, AutoScaling, Buckets, FindingState, Findings, Functions, Group, IamKeys, Instance, Instances,
    IpSets, LoginProfile, PortError, PortResult, PublicAccessBlock, ResourceTags, RoleSessions, Rule,
    SecurityGroups, UserPolicy,
};
use crate::target::Family;

/// A simulated account over a state that is kept somewhere.
#[derive(Debug, Clone)]
pub struct Simulation<K>(pub(super) K);

impl<K: Keeper> Simulation<K> {
    /// The account whose state is kept there.
    pub const fn over(keeper: K) -> Self {
        Self(keeper)
    }

    /// Where its state is kept.
    pub const fn keeper(&self) -> &K {
        &self.0
    }
}

fn found<T>(thing: Option<T>) -> PortResult<T> {
    thing.ok_or(PortError::NotFound)
}

impl<K: Keeper> IamKeys for Simulation<K> {
    async fn access_keys(&self, user: &str) -> PortResult<BTreeMap<String, bool>> {
        self.0.read("iam:ListAccessKeys", |w| found(w.users.get(user)).map(|u| u.keys.clone())).await
    }

    async fn deactivate_key(&self, user: &str, key: &str) -> PortResult<()> {
        self.set_key(user, key, false).await
    }

    async fn activate_key(&self, user: &str, key: &str) -> PortResult<()> {
        self.set_key(user, key, true).await
    }
}

impl<K: Keeper> Simulation<K> {
    async fn set_key(&self, user: &str, key: &str, active: bool) -> PortResult<()> {
        self.0
            .write("iam:UpdateAccessKey", format!("{user} {key} {active}"), |w| {
                *found(found(w.users.get_mut(user))?.keys.get_mut(key))? = active;
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> RoleSessions for Simulation<K> {
    async fn role_policy(&self, role: &str, name: &str) -> PortResult<Option<String>> {
        self.0
            .read("iam:GetRolePolicy", |w| found(w.roles.get(role)).map(|r| r.policies.get(name).cloned()))
            .await
    }

    async fn put_role_policy(&self, role: &str, name: &str, document: &str) -> PortResult<()> {
        self.0
            .write("iam:PutRolePolicy", format!("{role} {name}"), |w| {
                found(w.roles.get_mut(role))?.policies.insert(name.to_owned(), document.to_owned());
                Ok(())
            })
            .await
    }

    async fn delete_role_policy(&self, role: &str, name: &str) -> PortResult<()> {
        self.0
            .write("iam:DeleteRolePolicy", format!("{role} {name}"), |w| {
                found(found(w.roles.get_mut(role))?.policies.remove(name)).map(drop)
            })
            .await
    }
}

impl<K: Keeper> UserPolicy for Simulation<K> {
    async fn user_policy(&self, user: &str, name: &str) -> PortResult<Option<String>> {
        self.0
            .read("iam:GetUserPolicy", |w| found(w.users.get(user)).map(|u| u.policies.get(name).cloned()))
            .await
    }

    async fn put_user_policy(&self, user: &str, name: &str, document: &str) -> PortResult<()> {
        self.0
            .write("iam:PutUserPolicy", format!("{user} {name}"), |w| {
                found(w.users.get_mut(user))?.policies.insert(name.to_owned(), document.to_owned());
                Ok(())
            })
            .await
    }

    async fn delete_user_policy(&self, user: &str, name: &str) -> PortResult<()> {
        self.0
            .write("iam:DeleteUserPolicy", format!("{user} {name}"), |w| {
                found(found(w.users.get_mut(user))?.policies.remove(name)).map(drop)
            })
            .await
    }
}

impl<K: Keeper> LoginProfile for Simulation<K> {
    async fn login_profile(&self, user: &str) -> PortResult<Option<bool>> {
        self.0.read("iam:GetLoginProfile", |w| found(w.users.get(user)).map(|u| u.login)).await
    }

    async fn delete_login_profile(&self, user: &str) -> PortResult<()> {
        self.0
            .write("iam:DeleteLoginProfile", user.to_owned(), |w| {
                found(found(w.users.get_mut(user))?.login.take()).map(drop)
            })
            .await
    }

    async fn create_login_profile(&self, user: &str, reset_required: bool) -> PortResult<()> {
        self.0
            .write("iam:CreateLoginProfile", format!("{user} {reset_required}"), |w| {
                let login = &mut found(w.users.get_mut(user))?.login;
                if login.is_some() {
                    return Err(PortError::Conflict);
                }
                *login = Some(reset_required);
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> Instances for Simulation<K> {
    async fn instance(&self, id: &str) -> PortResult<Instance> {
        self.0
            .read("ec2:DescribeInstances", |w| {
                let instance = found(w.instances.get(id))?;
                Ok(Instance {
                    vpc: instance.vpc.clone(),
                    interfaces: instance.interfaces.clone(),
                    volumes: instance.volumes.clone(),
                    tags: instance.tags.clone(),
                    description: [("state".to_owned(), "running".to_owned())].into(),
                })
            })
            .await
    }

    async fn termination_protected(&self, id: &str) -> PortResult<bool> {
        self.0
            .read("ec2:DescribeInstanceAttribute", |w| found(w.instances.get(id)).map(|i| i.protected))
            .await
    }

    async fn protect_from_termination(&self, id: &str, protected: bool) -> PortResult<()> {
        self.0
            .write("ec2:ModifyInstanceAttribute", format!("{id} {protected}"), |w| {
                found(w.instances.get_mut(id))?.protected = protected;
                Ok(())
            })
            .await
    }

    async fn tag_instance(&self, id: &str, key: &str, value: &str) -> PortResult<()> {
        self.0
            .write("ec2:CreateTags", format!("{id} {key}"), |w| {
                found(w.instances.get_mut(id))?.tags.insert(key.to_owned(), value.to_owned());
                Ok(())
            })
            .await
    }

    async fn untag_instance(&self, id: &str, key: &str) -> PortResult<()> {
        self.0
            .write("ec2:DeleteTags", format!("{id} {key}"), |w| {
                found(w.instances.get_mut(id))?.tags.remove(key);
                Ok(())
            })
            .await
    }

    async fn snapshots(&self, incident: &str) -> PortResult<BTreeMap<String, String>> {
        self.0
            .read("ec2:DescribeSnapshots", |w| {
                let own = w.snapshots.iter().filter(|(_, of)| of == incident);
                Ok(own.map(|(volume, _)| (volume.clone(), format!("snap-{volume}"))).collect())
            })
            .await
    }

    async fn create_snapshot(&self, volume: &str, incident: &str) -> PortResult<()> {
        self.0
            .write("ec2:CreateSnapshot", format!("{volume} {incident}"), |w| {
                let mut all = w.instances.values();
                found(all.find(|instance| instance.volumes.contains(volume)))?;
                w.snapshots.push((volume.to_owned(), incident.to_owned()));
                Ok(())
            })
            .await
    }

    async fn set_groups(&self, interface: &str, groups: &[String]) -> PortResult<()> {
        let what = format!("{interface} {}", groups.join(" "));
        self.0
            .write("ec2:ModifyNetworkInterfaceAttribute", what, |w| {
                let mut all = w.instances.values_mut();
                *found(all.find_map(|instance| instance.interfaces.get_mut(interface)))? = groups.to_vec();
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> SecurityGroups for Simulation<K> {
    async fn group(&self, vpc: &str, name: &str) -> PortResult<Option<Group>> {
        self.0
            .read("ec2:DescribeSecurityGroups", |w| {
                let group = w.groups.iter().filter(|(_, group)| group.vpc == vpc && stands_for(group, name));
                Ok(group
                    .min_by_key(|(_, group)| &group.name)
                    .map(|(id, group)| Group { id: id.clone(), rules: group.rules.clone() }))
            })
            .await
    }

    async fn create_group(&self, vpc: &str, name: &str) -> PortResult<()> {
        self.0
            .write("ec2:CreateSecurityGroup", format!("{vpc} {name}"), |w| {
                let mut here = w.groups.values().filter(|group| group.vpc == vpc);
                if here.clone().any(|group| stands_for(group, name)) {
                    return Ok(());
                }
                let taken = here.any(|group| group.name == name);
                let name = if taken { format!("{name}-{}", w.groups.len()) } else { name.to_owned() };
                let egress = Rule {
                    ingress: false,
                    protocol: "-1".to_owned(),
                    from_port: None,
                    to_port: None,
                    peer: "0.0.0.0/0".to_owned(),
                };
                let v6 = Rule { peer: "::/0".to_owned(), ..egress.clone() };
                let id = format!("sg-{vpc}-{name}");
                let rules = [egress, v6].into();
                w.groups.insert(id, SimulatedGroup { vpc: vpc.to_owned(), name, rules, ours: true });
                Ok(())
            })
            .await
    }

    async fn authorize(&self, group: &str, rule: &Rule) -> PortResult<()> {
        let action = if rule.ingress {
            "ec2:AuthorizeSecurityGroupIngress"
        } else {
            "ec2:AuthorizeSecurityGroupEgress"
        };
        self.0
            .write(action, format!("{group} {}", rule.peer), |w| {
                own(w.groups.get_mut(group), action)?.rules.insert(rule.clone());
                Ok(())
            })
            .await
    }

    async fn revoke(&self, group: &str, rule: &Rule) -> PortResult<()> {
        let action =
            if rule.ingress { "ec2:RevokeSecurityGroupIngress" } else { "ec2:RevokeSecurityGroupEgress" };
        self.0
            .write(action, format!("{group} {}", rule.peer), |w| {
                own(w.groups.get_mut(group), action)?.rules.remove(rule);
                Ok(())
            })
            .await
    }
}

/// Whether a response made the group by that name, or by another where that was taken.
fn stands_for(group: &SimulatedGroup, name: &str) -> bool {
    let rest = group.name.strip_prefix(name);
    group.ours && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The group, as far as its rules may be changed.
fn own<'w>(group: Option<&'w mut SimulatedGroup>, action: &str) -> PortResult<&'w mut SimulatedGroup> {
    let group = found(group)?;
    if group.ours { Ok(group) } else { Err(PortError::Denied(action.to_owned())) }
}

impl<K: Keeper> AutoScaling for Simulation<K> {
    async fn scaling_group(&self, instance: &str) -> PortResult<Option<String>> {
        self.0
            .read("autoscaling:DescribeAutoScalingInstances", |w| {
                Ok(w.instances.get(instance).and_then(|i| i.scaling.clone()))
            })
            .await
    }

    async fn detach(&self, instance: &str, group: &str) -> PortResult<()> {
        self.0
            .write("autoscaling:DetachInstances", format!("{instance} {group}"), |w| {
                found(w.instances.get_mut(instance))?.scaling.take_if(|found| found == group);
                Ok(())
            })
            .await
    }

    async fn attach(&self, instance: &str, group: &str) -> PortResult<()> {
        self.0
            .write("autoscaling:AttachInstances", format!("{instance} {group}"), |w| {
                let scaling = &mut found(w.instances.get_mut(instance))?.scaling;
                if scaling.as_ref().is_some_and(|found| found != group) {
                    return Err(PortError::Refused("ValidationError".to_owned()));
                }
                *scaling = Some(group.to_owned());
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> Functions for Simulation<K> {
    async fn reserved_concurrency(&self, function: &str) -> PortResult<Option<u32>> {
        self.0.read("lambda:GetFunctionConcurrency", |w| found(w.functions.get(function)).map(|f| f.0)).await
    }

    async fn put_concurrency(&self, function: &str, reserved: u32) -> PortResult<()> {
        self.0
            .write("lambda:PutFunctionConcurrency", format!("{function} {reserved}"), |w| {
                found(w.functions.get_mut(function))?.0 = Some(reserved);
                Ok(())
            })
            .await
    }

    async fn delete_concurrency(&self, function: &str) -> PortResult<()> {
        self.0
            .write("lambda:DeleteFunctionConcurrency", function.to_owned(), |w| {
                found(w.functions.get_mut(function))?.0 = None;
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> IpSets for Simulation<K> {
    async fn address_set(&self, family: Family) -> PortResult<AddressSet> {
        self.0.read("wafv2:GetIPSet", |w| found(w.sets.get(&family)).cloned()).await
    }

    async fn update_address_set(&self, family: Family, set: &AddressSet) -> PortResult<()> {
        let what = format!("{family:?} {}", set.addresses.iter().cloned().collect::<Vec<_>>().join(" "));
        self.0
            .write("wafv2:UpdateIPSet", what, |w| {
                let stored = found(w.sets.get_mut(&family))?;
                if stored.lock_token != set.lock_token {
                    return Err(PortError::Conflict);
                }
                let next = stored.lock_token.parse::<u64>().unwrap_or_default() + 1;
                *stored = AddressSet { addresses: set.addresses.clone(), lock_token: next.to_string() };
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> Buckets for Simulation<K> {
    async fn public_access_block(&self, bucket: &str) -> PortResult<Option<PublicAccessBlock>> {
        self.0.read("s3:GetBucketPublicAccessBlock", |w| found(w.buckets.get(bucket)).map(|b| b.0)).await
    }

    async fn put_public_access_block(&self, bucket: &str, block: PublicAccessBlock) -> PortResult<()> {
        self.0
            .write("s3:PutBucketPublicAccessBlock", format!("{bucket} {block:?}"), |w| {
                found(w.buckets.get_mut(bucket))?.0 = Some(block);
                Ok(())
            })
            .await
    }

    async fn delete_public_access_block(&self, bucket: &str) -> PortResult<()> {
        self.0
            .write("s3:PutBucketPublicAccessBlock", format!("{bucket} none"), |w| {
                found(w.buckets.get_mut(bucket))?.0 = None;
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> Findings for Simulation<K> {
    async fn finding(&self, _detector: &str, id: &str) -> PortResult<FindingState> {
        self.0.read("guardduty:GetFindings", |w| found(w.findings.get(id)).cloned()).await
    }

    async fn archive(&self, _detector: &str, id: &str) -> PortResult<()> {
        self.0
            .write("guardduty:ArchiveFindings", id.to_owned(), |w| {
                found(w.findings.get_mut(id))?.archived = true;
                Ok(())
            })
            .await
    }

    async fn unarchive(&self, _detector: &str, id: &str) -> PortResult<()> {
        self.0
            .write("guardduty:UnarchiveFindings", id.to_owned(), |w| {
                found(w.findings.get_mut(id))?.archived = false;
                Ok(())
            })
            .await
    }

    async fn comment(&self, _detector: &str, id: &str, text: &str) -> PortResult<()> {
        self.0
            .write("guardduty:UpdateFindingsFeedback", format!("{id} {text}"), |w| {
                found(w.findings.get_mut(id))?.comment = Some(text.to_owned());
                Ok(())
            })
            .await
    }
}

impl<K: Keeper> ResourceTags for Simulation<K> {
    async fn user_tags(&self, user: &str) -> PortResult<BTreeMap<String, String>> {
        self.0.read("iam:ListUserTags", |w| found(w.users.get(user)).map(|u| u.tags.clone())).await
    }

    async fn role_tags(&self, role: &str) -> PortResult<BTreeMap<String, String>> {
        self.0.read("iam:ListRoleTags", |w| found(w.roles.get(role)).map(|r| r.tags.clone())).await
    }

    async fn function_tags(&self, name: &str) -> PortResult<BTreeMap<String, String>> {
        self.0.read("lambda:ListTags", |w| found(w.functions.get(name)).map(|f| f.1.clone())).await
    }

    async fn bucket_tags(&self, bucket: &str) -> PortResult<BTreeMap<String, String>> {
        self.0.read("s3:GetBucketTagging", |w| found(w.buckets.get(bucket)).map(|b| b.1.clone())).await
    }
}
