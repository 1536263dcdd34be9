//! The contract of an account's ports, but for EC2's: what is written is read, a repeat changes nothing, what is not
//! there is told from what says no, and everything can be put back.

#![expect(clippy::expect_used, reason = "test support: a panic is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use portcullis_response::{
    AddressSet, Buckets, Family, FindingState, Findings, Functions, IamKeys, IpSets, LoginProfile, PortError,
    PortResult, PublicAccessBlock, ResourceTags, RoleSessions, UserPolicy,
};
use serde_json::{Value, json};

/// Names of what the account holds: nothing of it has a policy, a password, a reservation, or a public access block, and
/// everything but `bare_bucket` has the tags [`tags`].
#[derive(Debug, Clone)]
pub struct Things {
    /// A user with two keys.
    pub user: String,
    /// The one that is active.
    pub active_key: String,
    /// The one that is not.
    pub inactive_key: String,
    /// A role.
    pub role: String,
    /// A function.
    pub function: String,
    /// A bucket.
    pub bucket: String,
    /// A bucket without tags.
    pub bare_bucket: String,
}

/// The tags of [`Things`].
pub fn tags() -> BTreeMap<String, String> {
    [("team", "payments"), ("portcullis:protected", "true"), ("note", "a + b = c")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Runs the suite but for block lists and findings.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite<A>(account: &A, things: &Things)
where
    A: Buckets + Functions + IamKeys + LoginProfile + ResourceTags + RoleSessions + UserPolicy,
{
    access_keys(account, things).await;
    policies(&OfUser(account), &things.user).await;
    policies(&OfRole(account), &things.role).await;
    a_password(account, &things.user).await;
    concurrency(account, &things.function).await;
    public_access(account, &things.bucket).await;
    tags_of_everything(account, things).await;
}

async fn access_keys<A: IamKeys>(account: &A, things: &Things) {
    let Things { user, active_key: first, inactive_key: second, .. } = things;
    let keys = |of_first, of_second| Ok([(first.clone(), of_first), (second.clone(), of_second)].into());
    assert_eq!(account.access_keys(user).await, keys(true, false), "at first");
    for label in ["deactivated", "deactivated again"] {
        assert_eq!(account.deactivate_key(user, first).await, Ok(()), "{label}");
        assert_eq!(account.access_keys(user).await, keys(false, false), "{label}");
    }
    for label in ["activated", "activated again"] {
        assert_eq!(account.activate_key(user, first).await, Ok(()), "{label}");
        assert_eq!(account.access_keys(user).await, keys(true, false), "{label}");
    }
    missing("a key of nobody", &account.deactivate_key(NOBODY, first).await);
    missing("no such key", &account.deactivate_key(user, NO_KEY).await);
    missing("no such key", &account.activate_key(user, NO_KEY).await);
}

/// Nobody's keys are not none: they are not found. Apart, because ministack answers with an empty list.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn keys_of_nobody<A: IamKeys>(account: &A) {
    missing("keys of nobody", &account.access_keys(NOBODY).await);
}

async fn policies<P: Policies>(account: &P, owner: &str) {
    assert_eq!(account.read(owner, POLICY).await, Ok(None), "at first");
    // What the emulators and IAM itself encode: spaces, plus, percent, quotes, and what is not ASCII.
    for (label, sid) in
        [("put", "a+b%20c /?&="), ("put again", "a+b%20c /?&="), ("replaced", "d\u{e9}j\u{e0}")]
    {
        let document = document(sid);
        assert_eq!(account.put(owner, POLICY, &document.to_string()).await, Ok(()), "{label}");
        let read = account.read(owner, POLICY).await.expect(label).expect(label);
        assert_eq!(serde_json::from_str::<Value>(&read).ok(), Some(document), "{label}");
        assert_eq!(account.read(owner, OTHER_POLICY).await, Ok(None), "another name");
    }
    assert_eq!(account.delete(owner, POLICY).await, Ok(()));
    assert_eq!(account.read(owner, POLICY).await, Ok(None), "deleted");
    missing("deleted again", &account.delete(owner, POLICY).await);
    none_or_missing("the policy of nobody", &account.read(NOBODY, POLICY).await);
    missing("a policy for nobody", &account.put(NOBODY, POLICY, &document("s").to_string()).await);
    missing("no policy of nobody", &account.delete(NOBODY, POLICY).await);
}

async fn a_password<A: LoginProfile>(account: &A, user: &str) {
    assert_eq!(account.login_profile(user).await, Ok(None), "at first");
    for reset_required in [true, false] {
        assert_eq!(account.create_login_profile(user, reset_required).await, Ok(()));
        assert_eq!(account.login_profile(user).await, Ok(Some(reset_required)));
        assert_eq!(account.create_login_profile(user, true).await, Err(PortError::Conflict), "a second one");
        assert_eq!(
            account.login_profile(user).await,
            Ok(Some(reset_required)),
            "a second one changes nothing"
        );
        assert_eq!(account.delete_login_profile(user).await, Ok(()));
        assert_eq!(account.login_profile(user).await, Ok(None), "deleted");
    }
    missing("deleted again", &account.delete_login_profile(user).await);
    none_or_missing("the password of nobody", &account.login_profile(NOBODY).await);
    missing("a password for nobody", &account.create_login_profile(NOBODY, true).await);
    missing("no password of nobody", &account.delete_login_profile(NOBODY).await);
}

async fn concurrency<A: Functions>(account: &A, function: &str) {
    assert_eq!(account.reserved_concurrency(function).await, Ok(None), "at first");
    for reserved in [0, 0, 5] {
        assert_eq!(account.put_concurrency(function, reserved).await, Ok(()), "{reserved}");
        assert_eq!(account.reserved_concurrency(function).await, Ok(Some(reserved)));
    }
    for label in ["deleted", "deleted again"] {
        assert_eq!(account.delete_concurrency(function).await, Ok(()), "{label}");
        assert_eq!(account.reserved_concurrency(function).await, Ok(None), "{label}");
    }
    missing("no such function", &account.reserved_concurrency(NOBODY).await);
    missing("no such function", &account.put_concurrency(NOBODY, 0).await);
    missing("no such function", &account.delete_concurrency(NOBODY).await);
}

async fn public_access<A: Buckets>(account: &A, bucket: &str) {
    assert_eq!(account.public_access_block(bucket).await, Ok(None), "at first");
    let bit = |of: u32, n: u32| of >> n & 1 == 1;
    for setting in [15, 15, 1, 2, 4, 8, 0] {
        let block = PublicAccessBlock {
            block_acls: bit(setting, 0),
            ignore_acls: bit(setting, 1),
            block_policy: bit(setting, 2),
            restrict_buckets: bit(setting, 3),
        };
        assert_eq!(account.put_public_access_block(bucket, block).await, Ok(()), "{block:?}");
        assert_eq!(account.public_access_block(bucket).await, Ok(Some(block)));
    }
    for label in ["deleted", "deleted again"] {
        assert_eq!(account.delete_public_access_block(bucket).await, Ok(()), "{label}");
        assert_eq!(account.public_access_block(bucket).await, Ok(None), "{label}");
    }
    missing("no such bucket", &account.public_access_block(NO_BUCKET).await);
    missing("no such bucket", &account.put_public_access_block(NO_BUCKET, ALL).await);
    missing("no such bucket", &account.delete_public_access_block(NO_BUCKET).await);
}

async fn tags_of_everything<A: ResourceTags>(account: &A, things: &Things) {
    assert_eq!(account.user_tags(&things.user).await, Ok(tags()), "user");
    assert_eq!(account.role_tags(&things.role).await, Ok(tags()), "role");
    assert_eq!(account.function_tags(&things.function).await, Ok(tags()), "function");
    assert_eq!(account.bucket_tags(&things.bucket).await, Ok(tags()), "bucket");
    assert_eq!(account.bucket_tags(&things.bare_bucket).await, Ok(BTreeMap::new()), "a bucket without tags");
    missing("no such user", &account.user_tags(NOBODY).await);
    missing("no such role", &account.role_tags(NOBODY).await);
    missing("no such function", &account.function_tags(NOBODY).await);
    missing("no such bucket", &account.bucket_tags(NO_BUCKET).await);
}

/// Runs the suite of the block lists, which are empty at first and again at the end.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn block_lists<A: IpSets>(account: &A) {
    for (family, ranges) in [
        (Family::V4, ["198.51.100.7/32", "203.0.113.0/24"]),
        (Family::V6, ["2001:db8::7/128", "2001:db8:1::/48"]),
    ] {
        let empty = account.address_set(family).await.expect("the set");
        assert_eq!(empty.addresses.len(), 0, "at first");
        let both = AddressSet { addresses: ranges.map(str::to_owned).into(), ..empty.clone() };
        assert_eq!(account.update_address_set(family, &both).await, Ok(()), "{family:?}");
        let read = account.address_set(family).await.expect("the set");
        assert_eq!(read.addresses, both.addresses);
        assert_ne!(read.lock_token, empty.lock_token, "every write changes the token");

        let stale = AddressSet { addresses: ["192.0.2.1/32".to_owned()].into(), ..empty.clone() };
        assert_eq!(account.update_address_set(family, &stale).await, Err(PortError::Conflict), "stale");
        assert_eq!(account.address_set(family).await, Ok(read.clone()), "a stale write changes nothing");

        let again = AddressSet { addresses: empty.addresses, ..read };
        assert_eq!(account.update_address_set(family, &again).await, Ok(()), "with the token of the read");
        assert_eq!(account.address_set(family).await.expect("the set").addresses.len(), 0, "emptied");
    }
}

/// Runs the suite of findings over one that is there, not archived, and without a comment.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn findings<A: Findings>(account: &A, detector: &str, id: &str) {
    let state =
        |archived, comment: Option<&str>| Ok(FindingState { archived, comment: comment.map(str::to_owned) });
    assert_eq!(account.finding(detector, id).await, state(false, None), "at first");
    for label in ["archived", "archived again"] {
        assert_eq!(account.archive(detector, id).await, Ok(()), "{label}");
        assert_eq!(account.finding(detector, id).await, state(true, None), "{label}");
    }
    for text in ["incident inc-1", "incident inc-1", "incident inc-2"] {
        assert_eq!(account.comment(detector, id, text).await, Ok(()), "{text}");
        assert_eq!(account.finding(detector, id).await, state(true, Some(text)), "{text}");
    }
    for label in ["unarchived", "unarchived again"] {
        assert_eq!(account.unarchive(detector, id).await, Ok(()), "{label}");
        assert_eq!(account.finding(detector, id).await, state(false, Some("incident inc-2")), "{label}");
    }
    missing("no such finding", &account.finding(detector, NO_FINDING).await);
}

fn missing<T: Debug + PartialEq>(label: &str, answer: &PortResult<T>) {
    assert_eq!(*answer, Err(PortError::NotFound), "{label}");
}

/// IAM tells what nobody has from what a user has not by the words of its message alone, and the emulators choose others.
fn none_or_missing<T: Debug>(label: &str, answer: &PortResult<Option<T>>) {
    assert!(matches!(answer, Ok(None) | Err(PortError::NotFound)), "{label}: {answer:?}");
}

fn document(sid: &str) -> Value {
    let condition = json!({ "StringLike": { "aws:PrincipalTag/note": sid } });
    let statement = json!({ "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition });
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

/// Inline policies of users or of roles.
trait Policies {
    async fn read(&self, owner: &str, name: &str) -> PortResult<Option<String>>;
    async fn put(&self, owner: &str, name: &str, document: &str) -> PortResult<()>;
    async fn delete(&self, owner: &str, name: &str) -> PortResult<()>;
}

struct OfUser<'a, A>(&'a A);
struct OfRole<'a, A>(&'a A);

impl<A: UserPolicy> Policies for OfUser<'_, A> {
    async fn read(&self, owner: &str, name: &str) -> PortResult<Option<String>> {
        self.0.user_policy(owner, name).await
    }

    async fn put(&self, owner: &str, name: &str, document: &str) -> PortResult<()> {
        self.0.put_user_policy(owner, name, document).await
    }

    async fn delete(&self, owner: &str, name: &str) -> PortResult<()> {
        self.0.delete_user_policy(owner, name).await
    }
}

impl<A: RoleSessions> Policies for OfRole<'_, A> {
    async fn read(&self, owner: &str, name: &str) -> PortResult<Option<String>> {
        self.0.role_policy(owner, name).await
    }

    async fn put(&self, owner: &str, name: &str, document: &str) -> PortResult<()> {
        self.0.put_role_policy(owner, name, document).await
    }

    async fn delete(&self, owner: &str, name: &str) -> PortResult<()> {
        self.0.delete_role_policy(owner, name).await
    }
}

const NOBODY: &str = "portcullis-nobody";
const NO_KEY: &str = "AKIAIOSFODNN7NOTTHERE";
const NO_BUCKET: &str = "portcullis-no-such-bucket-anywhere";
const NO_FINDING: &str = "00000000000000000000000000000000";
const POLICY: &str = "portcullis-deny";
const OTHER_POLICY: &str = "portcullis-other";
const ALL: PublicAccessBlock =
    PublicAccessBlock { block_acls: true, ignore_acls: true, block_policy: true, restrict_buckets: true };
