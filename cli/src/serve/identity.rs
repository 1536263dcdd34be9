//! The local stack's token service: the shipped identities, keys sealed under the root key, client secrets that follow
//! from it.

use std::path::Path;
use std::time::Duration;

use portcullis_access::Identities;
use portcullis_audit::{Auditor, AuditorSettings};
use portcullis_client::{HttpJwks, Transport};
use portcullis_lambda::{Metrics, SystemClock};
use portcullis_limit::{LeasedLimiter, LimiterSettings, MemoryLimits};
use portcullis_local::{LocalSealer, RootKey, Store};
use portcullis_token::{
    Algorithm, ClientSecretStore, FollowPolicy, Jwks, JwksSource, JwksSourceError, KeeperSettings, KeyKeeper,
    RefreshTokens, RevocationFollower, RingPolicy, SealedKeys, SecretHasher, StoredSecrets,
};
use sts_function::{
    Issuer, MAX_TOKEN_LIFETIME, Parts, StsFunction, StsSettings, UserIssuer, UserIssuers, parse_user_issuers,
};

use super::stack::{LocalPorts, Stack};
use crate::failure::Failure;
use crate::input;

/// The keys of the local stack, in the embedded database.
pub(crate) type LocalKeeper = KeyKeeper<Store, SealedKeys<Store, LocalSealer>, SystemClock>;

impl sts_function::Ports for LocalPorts {
    type Secrets = Store;
    type ApiKeys = Store;
    type Lockouts = Store;
    type Families = Store;
    type Revocations = Store;
    type Replay = Store;
    type Approvals = Store;
    type Ring = Store;
    type Keys = SealedKeys<Store, LocalSealer>;
    type Issuers = HttpJwks;
    type Limits = MemoryLimits;
    type Audit = Store;
    type Clock = SystemClock;
}

/// The token service over this stack, for the API at `issuer`.
pub(crate) fn token_service(
    stack: &Stack,
    issuer: &Issuer,
    users: Vec<UserIssuer>,
) -> Result<StsFunction<LocalPorts>, Failure> {
    let store = || stack.store.clone();
    let settings = StsSettings::new(issuer.clone(), issuer.as_str()).map_err(|e| wrong(&e))?;
    let source = HttpJwks::new(key_sets(&users), &Transport::default()).map_err(|e| wrong(&e))?;
    let parts = Parts::<LocalPorts> {
        identities: stack.identities.clone(),
        secrets: store(),
        api_keys: store(),
        hasher: hasher(&stack.root)?,
        lockouts: store(),
        families: store(),
        refresh_tokens: RefreshTokens::new(stack.root.refresh_token_key().as_slice(), None)
            .map_err(|e| wrong(&e))?,
        revocations: RevocationFollower::new(store(), SystemClock, FollowPolicy::default()),
        replay: store(),
        approvals: store(),
        keeper: keeper(stack),
        user_issuers: UserIssuers::new(users, source, SystemClock, settings.leeway_seconds)
            .map_err(|e| wrong(&e))?,
        limiter: limiter("sts"),
        auditor: auditor(stack, "sts"),
        clock: SystemClock,
        metrics: Metrics::off("sts"),
        settings,
    };
    StsFunction::new(parts).map_err(|e| wrong(&e))
}

/// Where the key sets of users' issuers are.
fn key_sets(users: &[UserIssuer]) -> Vec<(String, String)> {
    users.iter().map(|user| (user.policy.issuer().to_owned(), user.jwks_uri.clone())).collect()
}

/// Gives every identity that has none its secret: the store holds the hash, the root key says the secret.
pub(crate) async fn register_clients(stack: &Stack) -> Result<(), Failure> {
    let hasher = hasher(&stack.root)?;
    for identity in stack.identities.iter() {
        let known = ClientSecretStore::load(&stack.store, &identity.id).await.map_err(|e| wrong(&e))?;
        if known.is_some() {
            continue;
        }
        let current = hasher.hash(&identity.id, &stack.root.client_secret(&identity.id));
        let secrets = StoredSecrets { current, other: None };
        ClientSecretStore::replace(&stack.store, &identity.id, &secrets, 0).await.map_err(|e| wrong(&e))?;
    }
    Ok(())
}

/// The key set as the authorizer's source: what `/sts/jwks` serves, without the way over HTTP.
pub(crate) struct LocalJwks(pub(crate) LocalKeeper);

impl JwksSource for LocalJwks {
    async fn fetch(&self, _issuer: &str) -> Result<Jwks, JwksSourceError> {
        self.0.jwks().await.map_err(|_| JwksSourceError::Unavailable)
    }
}

/// The ring and its keys. A new key signs half a minute after it is published: what services on this machine may keep a
/// copy of the key set for.
pub(crate) fn keeper(stack: &Stack) -> LocalKeeper {
    let policy = RingPolicy {
        cache_lifetime: Duration::from_secs(20),
        ring_staleness: Duration::from_secs(10),
        max_token_lifetime: MAX_TOKEN_LIFETIME,
        leeway: Duration::from_secs(60),
        rotate_every: Duration::from_secs(60 * 24 * 3600),
    };
    let settings = KeeperSettings {
        policy,
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256],
        refresh_every: Duration::from_secs(5),
    };
    let keys = SealedKeys::new(stack.store.clone(), LocalSealer::new(&stack.root));
    KeyKeeper::new(stack.store.clone(), keys, SystemClock, settings)
}

pub(crate) fn auditor(stack: &Stack, function: &'static str) -> Auditor<Store, SystemClock> {
    let settings = AuditorSettings {
        on_loss: |record, error| tracing::error!(id = %record.id(), %error, "audit record not kept"),
        ..AuditorSettings::new(function)
    };
    Auditor::new(stack.store.clone(), SystemClock, settings)
}

pub(crate) fn limiter(namespace: &'static str) -> LeasedLimiter<MemoryLimits, SystemClock> {
    let settings = LimiterSettings { namespace, ..LimiterSettings::default() };
    LeasedLimiter::new(MemoryLimits::default(), SystemClock, settings)
}

/// The identities of a file, or the shipped ones.
pub(crate) fn identities(file: Option<&Path>) -> Result<Identities, Failure> {
    match file {
        None => Identities::shipped().map_err(|e| wrong(&e)),
        Some(file) => Identities::parse(&input::text(file, MAX_FILE)?).map_err(|e| input::wrong(file, &e)),
    }
}

/// The issuers of users of a file; without one there is none.
pub(crate) fn user_issuers(file: Option<&Path>) -> Result<Vec<UserIssuer>, Failure> {
    let Some(file) = file else { return Ok(Vec::new()) };
    parse_user_issuers(&input::text(file, MAX_FILE)?).map_err(|e| input::wrong(file, &e))
}

pub(crate) fn hasher(root: &RootKey) -> Result<SecretHasher, Failure> {
    SecretHasher::new(root.hasher_key().as_slice()).map_err(|e| wrong(&e))
}

/// The issuer of a stack that answers there.
pub(crate) fn issuer(url: &str) -> Result<Issuer, Failure> {
    Issuer::parse(url).map_err(|e| wrong(&e))
}

pub(crate) fn wrong(error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("identities: {error}"))
}

/// Largest file of identities or issuers that is read.
const MAX_FILE: u64 = 1 << 20;
