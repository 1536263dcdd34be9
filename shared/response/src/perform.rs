//! Making one change: one call.

use crate::change::Change;
use crate::ports::{Account, AddressSet, PortError, PortResult};
use crate::state::State;
use crate::target::Family;

/// Makes the change. `current` is what was read before it.
pub(crate) async fn perform<A: Account>(account: &A, change: &Change, current: &State) -> PortResult<()> {
    match change {
        Change::DeactivateKey { user, key } => account.deactivate_key(user, key).await,
        Change::ActivateKey { user, key } => account.activate_key(user, key).await,
        Change::PutRolePolicy { role, name, document } => account.put_role_policy(role, name, document).await,
        Change::DeleteRolePolicy { role, name } => account.delete_role_policy(role, name).await,
        Change::PutUserPolicy { user, name, document } => account.put_user_policy(user, name, document).await,
        Change::DeleteUserPolicy { user, name } => account.delete_user_policy(user, name).await,
        Change::DeleteLoginProfile { user } => account.delete_login_profile(user).await,
        Change::CreateLoginProfile { user, reset_required } => {
            account.create_login_profile(user, *reset_required).await
        }
        Change::Tag { instance, key, value } => account.tag_instance(instance, key, value).await,
        Change::Untag { instance, key } => account.untag_instance(instance, key).await,
        Change::Protect { instance, protected } => {
            account.protect_from_termination(instance, *protected).await
        }
        Change::Snapshot { volume, incident } => account.create_snapshot(volume, incident).await,
        Change::CreateGroup { vpc, name } => account.create_group(vpc, name).await,
        Change::Authorize { group, rule } => account.authorize(group, rule).await,
        Change::Revoke { group, rule } => account.revoke(group, rule).await,
        Change::SetGroups { interface, groups } => account.set_groups(interface, groups).await,
        Change::Detach { instance, group } => account.detach(instance, group).await,
        Change::Attach { instance, group } => account.attach(instance, group).await,
        Change::PutConcurrency { function, reserved } => account.put_concurrency(function, *reserved).await,
        Change::DeleteConcurrency { function } => account.delete_concurrency(function).await,
        Change::List { family, cidr, listed } => list(account, *family, cidr, *listed, current).await,
        Change::PutPublicAccessBlock { bucket, block } => {
            account.put_public_access_block(bucket, *block).await
        }
        Change::DeletePublicAccessBlock { bucket } => account.delete_public_access_block(bucket).await,
        Change::Archive { detector, finding } => account.archive(detector, finding).await,
        Change::Unarchive { detector, finding } => account.unarchive(detector, finding).await,
        Change::Comment { detector, finding, text } => account.comment(detector, finding, text).await,
    }
}

/// The whole set is written under the token of the read: a change in between is a conflict, and is read again.
async fn list<A: Account>(
    account: &A,
    family: Family,
    cidr: &str,
    listed: bool,
    current: &State,
) -> PortResult<()> {
    let State::Address { set, .. } = current else { return Err(PortError::Conflict) };
    let AddressSet { mut addresses, lock_token } = set.clone();
    if listed {
        addresses.insert(cidr.to_owned());
    } else {
        addresses.remove(cidr);
    }
    account.update_address_set(family, &AddressSet { addresses, lock_token }).await
}
