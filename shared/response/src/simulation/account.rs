//! The ports of an account over a [`World`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::faults::{Faults, lock};
use super::world::{SimulatedGroup, World};
use crate::ports::{
    AddressSet, AutoScaling, Buckets, FindingState, Findings, Functions, Group, IamKeys, Instance, Instances,
    IpSets, LoginProfile, PortError, PortResult, PublicAccessBlock, ResourceTags, RoleSessions, Rule,
    SecurityGroups, UserPolicy,
};
use crate::target::Family;

/// A simulated account. Every call goes through its faults; every effect is logged.
#[derive(Debug)]
pub struct SimulatedAccount {
    inner: Mutex<Inner>,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Inner {
    world: World,
    /// What reads show, for so many reads more: a write takes time to be seen everywhere.
    stale: Option<(World, u32)>,
    lag: u32,
    effects: Vec<String>,
    denied: BTreeSet<String>,
}

impl SimulatedAccount {
    /// An account of that state.
    pub fn new(world: World, faults: Arc<Faults>) -> Self {
        let inner = Inner { world, stale: None, lag: 0, effects: Vec::new(), denied: BTreeSet::new() };
        Self { inner: Mutex::new(inner), faults }
    }

    /// From now on the first `reads` reads after a write show what was there before it.
    pub fn lag_by(&self, reads: u32) {
        lock(&self.inner).lag = reads;
    }

    /// From now on this IAM action is denied.
    pub fn deny(&self, action: &str) {
        lock(&self.inner).denied.insert(action.to_owned());
    }

    /// Denies nothing any more.
    pub fn allow_all(&self) {
        lock(&self.inner).denied.clear();
    }

    /// The state now.
    pub fn world(&self) -> World {
        lock(&self.inner).world.clone()
    }

    /// Changes the state from outside: what an attacker, or an administrator, does meanwhile.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut lock(&self.inner).world);
    }

    /// Every change that had its effect, in order.
    pub fn effects(&self) -> Vec<String> {
        lock(&self.inner).effects.clone()
    }

    async fn read<T: Send>(
        &self,
        action: &str,
        get: impl FnOnce(&World) -> PortResult<T> + Send,
    ) -> PortResult<T> {
        let call = || {
            let mut inner = lock(&self.inner);
            inner.permit(action)?;
            match inner.stale.take() {
                Some((world, left)) if left > 0 => {
                    let answer = get(&world);
                    inner.stale = Some((world, left - 1));
                    answer
                }
                _ => get(&inner.world),
            }
        };
        self.faults.pass(action, call).await
    }

    async fn write(
        &self,
        action: &str,
        what: String,
        set: impl FnOnce(&mut World) -> PortResult<()> + Send,
    ) -> PortResult<()> {
        let call = || {
            let mut inner = lock(&self.inner);
            inner.permit(action)?;
            let before = (inner.lag > 0).then(|| inner.world.clone());
            set(&mut inner.world)?;
            inner.effects.push(format!("{action} {what}"));
            inner.stale = before.map(|before| (before, inner.lag));
            Ok(())
        };
        self.faults.pass(action, call).await
    }
}

impl Inner {
    fn permit(&self, action: &str) -> PortResult<()> {
        if self.denied.contains(action) { Err(PortError::Denied(action.to_owned())) } else { Ok(()) }
    }
}

fn found<T>(thing: Option<T>) -> PortResult<T> {
    thing.ok_or(PortError::NotFound)
}

impl IamKeys for SimulatedAccount {
    async fn access_keys(&self, user: &str) -> PortResult<BTreeMap<String, bool>> {
        self.read("iam:ListAccessKeys", |w| found(w.users.get(user)).map(|u| u.keys.clone())).await
    }

    async fn deactivate_key(&self, user: &str, key: &str) -> PortResult<()> {
        self.set_key(user, key, false).await
    }

    async fn activate_key(&self, user: &str, key: &str) -> PortResult<()> {
        self.set_key(user, key, true).await
    }
}

impl SimulatedAccount {
    async fn set_key(&self, user: &str, key: &str, active: bool) -> PortResult<()> {
        self.write("iam:UpdateAccessKey", format!("{user} {key} {active}"), |w| {
            *found(found(w.users.get_mut(user))?.keys.get_mut(key))? = active;
            Ok(())
        })
        .await
    }
}

impl RoleSessions for SimulatedAccount {
    async fn role_policy(&self, role: &str, name: &str) -> PortResult<Option<String>> {
        self.read("iam:GetRolePolicy", |w| found(w.roles.get(role)).map(|r| r.policies.get(name).cloned()))
            .await
    }

    async fn put_role_policy(&self, role: &str, name: &str, document: &str) -> PortResult<()> {
        self.write("iam:PutRolePolicy", format!("{role} {name}"), |w| {
            found(w.roles.get_mut(role))?.policies.insert(name.to_owned(), document.to_owned());
            Ok(())
        })
        .await
    }

    async fn delete_role_policy(&self, role: &str, name: &str) -> PortResult<()> {
        self.write("iam:DeleteRolePolicy", format!("{role} {name}"), |w| {
            found(found(w.roles.get_mut(role))?.policies.remove(name)).map(drop)
        })
        .await
    }
}

impl UserPolicy for SimulatedAccount {
    async fn user_policy(&self, user: &str, name: &str) -> PortResult<Option<String>> {
        self.read("iam:GetUserPolicy", |w| found(w.users.get(user)).map(|u| u.policies.get(name).cloned()))
            .await
    }

    async fn put_user_policy(&self, user: &str, name: &str, document: &str) -> PortResult<()> {
        self.write("iam:PutUserPolicy", format!("{user} {name}"), |w| {
            found(w.users.get_mut(user))?.policies.insert(name.to_owned(), document.to_owned());
            Ok(())
        })
        .await
    }

    async fn delete_user_policy(&self, user: &str, name: &str) -> PortResult<()> {
        self.write("iam:DeleteUserPolicy", format!("{user} {name}"), |w| {
            found(found(w.users.get_mut(user))?.policies.remove(name)).map(drop)
        })
        .await
    }
}

impl LoginProfile for SimulatedAccount {
    async fn login_profile(&self, user: &str) -> PortResult<Option<bool>> {
        self.read("iam:GetLoginProfile", |w| found(w.users.get(user)).map(|u| u.login)).await
    }

    async fn delete_login_profile(&self, user: &str) -> PortResult<()> {
        self.write("iam:DeleteLoginProfile", user.to_owned(), |w| {
            found(found(w.users.get_mut(user))?.login.take()).map(drop)
        })
        .await
    }

    async fn create_login_profile(&self, user: &str, reset_required: bool) -> PortResult<()> {
        self.write("iam:CreateLoginProfile", format!("{user} {reset_required}"), |w| {
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

impl Instances for SimulatedAccount {
    async fn instance(&self, id: &str) -> PortResult<Instance> {
        self.read("ec2:DescribeInstances", |w| {
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
        self.read("ec2:DescribeInstanceAttribute", |w| found(w.instances.get(id)).map(|i| i.protected)).await
    }

    async fn protect_from_termination(&self, id: &str, protected: bool) -> PortResult<()> {
        self.write("ec2:ModifyInstanceAttribute", format!("{id} {protected}"), |w| {
            found(w.instances.get_mut(id))?.protected = protected;
            Ok(())
        })
        .await
    }

    async fn tag_instance(&self, id: &str, key: &str, value: &str) -> PortResult<()> {
        self.write("ec2:CreateTags", format!("{id} {key}"), |w| {
            found(w.instances.get_mut(id))?.tags.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
        .await
    }

    async fn untag_instance(&self, id: &str, key: &str) -> PortResult<()> {
        self.write("ec2:DeleteTags", format!("{id} {key}"), |w| {
            found(w.instances.get_mut(id))?.tags.remove(key);
            Ok(())
        })
        .await
    }

    async fn snapshots(&self, incident: &str) -> PortResult<BTreeMap<String, String>> {
        self.read("ec2:DescribeSnapshots", |w| {
            let own = w.snapshots.iter().filter(|(_, of)| of == incident);
            Ok(own.map(|(volume, _)| (volume.clone(), format!("snap-{volume}"))).collect())
        })
        .await
    }

    async fn create_snapshot(&self, volume: &str, incident: &str) -> PortResult<()> {
        self.write("ec2:CreateSnapshot", format!("{volume} {incident}"), |w| {
            w.snapshots.push((volume.to_owned(), incident.to_owned()));
            Ok(())
        })
        .await
    }

    async fn set_groups(&self, interface: &str, groups: &[String]) -> PortResult<()> {
        let what = format!("{interface} {}", groups.join(" "));
        self.write("ec2:ModifyNetworkInterfaceAttribute", what, |w| {
            let mut all = w.instances.values_mut();
            *found(all.find_map(|instance| instance.interfaces.get_mut(interface)))? = groups.to_vec();
            Ok(())
        })
        .await
    }
}

impl SecurityGroups for SimulatedAccount {
    async fn group(&self, vpc: &str, name: &str) -> PortResult<Option<Group>> {
        self.read("ec2:DescribeSecurityGroups", |w| {
            let group = w.groups.iter().find(|(_, group)| group.vpc == vpc && group.name == name);
            Ok(group.map(|(id, group)| Group { id: id.clone(), rules: group.rules.clone() }))
        })
        .await
    }

    async fn create_group(&self, vpc: &str, name: &str) -> PortResult<()> {
        self.write("ec2:CreateSecurityGroup", format!("{vpc} {name}"), |w| {
            if w.groups.values().any(|group| group.vpc == vpc && group.name == name) {
                return Err(PortError::Conflict);
            }
            let egress = Rule {
                ingress: false,
                protocol: "-1".to_owned(),
                from_port: None,
                to_port: None,
                peer: "0.0.0.0/0".to_owned(),
            };
            let v6 = Rule { peer: "::/0".to_owned(), ..egress.clone() };
            let group =
                SimulatedGroup { vpc: vpc.to_owned(), name: name.to_owned(), rules: [egress, v6].into() };
            w.groups.insert(format!("sg-{vpc}-{name}"), group);
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
        self.write(action, format!("{group} {}", rule.peer), |w| {
            found(w.groups.get_mut(group))?.rules.insert(rule.clone());
            Ok(())
        })
        .await
    }

    async fn revoke(&self, group: &str, rule: &Rule) -> PortResult<()> {
        let action =
            if rule.ingress { "ec2:RevokeSecurityGroupIngress" } else { "ec2:RevokeSecurityGroupEgress" };
        self.write(action, format!("{group} {}", rule.peer), |w| {
            found(w.groups.get_mut(group))?.rules.remove(rule);
            Ok(())
        })
        .await
    }
}

impl AutoScaling for SimulatedAccount {
    async fn scaling_group(&self, instance: &str) -> PortResult<Option<String>> {
        self.read("autoscaling:DescribeAutoScalingInstances", |w| {
            found(w.instances.get(instance)).map(|i| i.scaling.clone())
        })
        .await
    }

    async fn detach(&self, instance: &str, group: &str) -> PortResult<()> {
        self.write("autoscaling:DetachInstances", format!("{instance} {group}"), |w| {
            found(w.instances.get_mut(instance))?.scaling = None;
            Ok(())
        })
        .await
    }

    async fn attach(&self, instance: &str, group: &str) -> PortResult<()> {
        self.write("autoscaling:AttachInstances", format!("{instance} {group}"), |w| {
            found(w.instances.get_mut(instance))?.scaling = Some(group.to_owned());
            Ok(())
        })
        .await
    }
}

impl Functions for SimulatedAccount {
    async fn reserved_concurrency(&self, function: &str) -> PortResult<Option<u32>> {
        self.read("lambda:GetFunctionConcurrency", |w| found(w.functions.get(function)).map(|f| f.0)).await
    }

    async fn put_concurrency(&self, function: &str, reserved: u32) -> PortResult<()> {
        self.write("lambda:PutFunctionConcurrency", format!("{function} {reserved}"), |w| {
            found(w.functions.get_mut(function))?.0 = Some(reserved);
            Ok(())
        })
        .await
    }

    async fn delete_concurrency(&self, function: &str) -> PortResult<()> {
        self.write("lambda:DeleteFunctionConcurrency", function.to_owned(), |w| {
            found(w.functions.get_mut(function))?.0 = None;
            Ok(())
        })
        .await
    }
}

impl IpSets for SimulatedAccount {
    async fn address_set(&self, family: Family) -> PortResult<AddressSet> {
        self.read("wafv2:GetIPSet", |w| found(w.sets.get(&family)).cloned()).await
    }

    async fn update_address_set(&self, family: Family, set: &AddressSet) -> PortResult<()> {
        let what = format!("{family:?} {}", set.addresses.iter().cloned().collect::<Vec<_>>().join(" "));
        self.write("wafv2:UpdateIPSet", what, |w| {
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

impl Buckets for SimulatedAccount {
    async fn public_access_block(&self, bucket: &str) -> PortResult<Option<PublicAccessBlock>> {
        self.read("s3:GetBucketPublicAccessBlock", |w| found(w.buckets.get(bucket)).map(|b| b.0)).await
    }

    async fn put_public_access_block(&self, bucket: &str, block: PublicAccessBlock) -> PortResult<()> {
        self.write("s3:PutBucketPublicAccessBlock", format!("{bucket} {block:?}"), |w| {
            found(w.buckets.get_mut(bucket))?.0 = Some(block);
            Ok(())
        })
        .await
    }

    async fn delete_public_access_block(&self, bucket: &str) -> PortResult<()> {
        self.write("s3:PutBucketPublicAccessBlock", format!("{bucket} none"), |w| {
            found(w.buckets.get_mut(bucket))?.0 = None;
            Ok(())
        })
        .await
    }
}

impl Findings for SimulatedAccount {
    async fn finding(&self, _detector: &str, id: &str) -> PortResult<FindingState> {
        self.read("guardduty:GetFindings", |w| found(w.findings.get(id)).cloned()).await
    }

    async fn archive(&self, _detector: &str, id: &str) -> PortResult<()> {
        self.write("guardduty:ArchiveFindings", id.to_owned(), |w| {
            found(w.findings.get_mut(id))?.archived = true;
            Ok(())
        })
        .await
    }

    async fn unarchive(&self, _detector: &str, id: &str) -> PortResult<()> {
        self.write("guardduty:UnarchiveFindings", id.to_owned(), |w| {
            found(w.findings.get_mut(id))?.archived = false;
            Ok(())
        })
        .await
    }

    async fn comment(&self, _detector: &str, id: &str, text: &str) -> PortResult<()> {
        self.write("guardduty:UpdateFindingsFeedback", format!("{id} {text}"), |w| {
            found(w.findings.get_mut(id))?.comment = Some(text.to_owned());
            Ok(())
        })
        .await
    }
}

impl ResourceTags for SimulatedAccount {
    async fn user_tags(&self, user: &str) -> PortResult<BTreeMap<String, String>> {
        self.read("iam:ListUserTags", |w| found(w.users.get(user)).map(|u| u.tags.clone())).await
    }

    async fn role_tags(&self, role: &str) -> PortResult<BTreeMap<String, String>> {
        self.read("iam:ListRoleTags", |w| found(w.roles.get(role)).map(|r| r.tags.clone())).await
    }

    async fn function_tags(&self, name: &str) -> PortResult<BTreeMap<String, String>> {
        self.read("lambda:ListTags", |w| found(w.functions.get(name)).map(|f| f.1.clone())).await
    }

    async fn bucket_tags(&self, bucket: &str) -> PortResult<BTreeMap<String, String>> {
        self.read("s3:GetBucketTagging", |w| found(w.buckets.get(bucket)).map(|b| b.1.clone())).await
    }
}
