//! The authorizer Lambda: settings, adapters, run.

// The nested futures of the SDK's clients inside the handler's are deeper than rustc's default of 128.
#![recursion_limit = "256"]

use std::sync::Arc;
use std::time::Duration;

use authorizer_function::config::Config;
use authorizer_function::{ApiKeys, AuthorizerFunction, OwnKeys, Parts, Ports};
use portcullis_access::RouteGuard;
use portcullis_audit::Auditor;
use portcullis_aws::{
    AwsAudit, DynamoCredentials, DynamoTokens, FunctionLimits, SdkSettings, SecretsManager, audit_sink,
    limit_store,
};
use portcullis_client::{HttpJwks, Transport};
use portcullis_lambda::{BoxError, LogFormat, Metrics, SystemClock};
use portcullis_limit::{LeasedLimiter, LimiterSettings};
use portcullis_secrets::{CacheSettings, CachedSecrets};
use portcullis_token::{
    CachePolicy, CachedVerifier, FollowPolicy, KeeperSettings, RevocationFollower, RingJwks,
};

struct Aws;

impl Ports for Aws {
    type Jwks = OwnKeys<Option<RingJwks<DynamoTokens, SystemClock>>, HttpJwks>;
    type Revocations = DynamoTokens;
    type Replay = DynamoTokens;
    type ApiKeys = DynamoCredentials;
    type Secrets = SecretsManager;
    type Limits = FunctionLimits;
    type Audit = AwsAudit;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let config = Config::from_env()?;
    portcullis_lambda::init_logging(LogFormat::Json, &config.log_level);
    let auditor = config.audit.auditor("authorizer");
    let sdk = portcullis_aws::connect(&SdkSettings::default()).await;
    let tokens = DynamoTokens::new(&sdk, config.tokens_table, Arc::new(SystemClock));
    let credentials = DynamoCredentials::new(&sdk, config.credentials_table, Arc::new(SystemClock));
    let fetched =
        HttpJwks::new(config.issuers.uris().iter().cloned(), &Transport::default().with_timeout(JWKS))?;
    let own = config.issuers.own().to_owned();
    let ring = config.issuers.own_keys_are_of_the_ring();
    let spans = KeeperSettings::new(Vec::new(), UNUSED, UNUSED).policy;
    let keys = ring.then(|| RingJwks::new(own.as_str(), tokens.clone(), spans, SystemClock));
    let sources = config.issuers.key_source(OwnKeys::new(&own, keys, fetched));
    let own_freshness = if ring { CachePolicy::RING } else { CachePolicy::default() };
    let limits = LimiterSettings { on_store_failure: config.limits.on_failure, ..LimiterSettings::default() };
    let secrets = SecretsManager::new(&sdk);
    let store = limit_store(&sdk, SecretsManager::new(&sdk), config.limits.place, STORE).await?;
    let secrets = CachedSecrets::new(secrets, SystemClock, CacheSettings::default());
    let parts = Parts::<Aws> {
        verifier: CachedVerifier::new(
            config.issuers.verifier(),
            sources,
            SystemClock,
            CachePolicy::default(),
        )
        .with_policy_for(&own, own_freshness),
        issuers: config.issuers,
        revocations: RevocationFollower::new(tokens.clone(), SystemClock, FollowPolicy::default()),
        replay: tokens,
        api_keys: ApiKeys::new(credentials, secrets, config.credentials_key_secret, SystemClock),
        identities: config.identities,
        guard: RouteGuard::shipped()?,
        rates: config.rates,
        limiter: LeasedLimiter::new(store, SystemClock, limits),
        auditor: Auditor::new(audit_sink(&sdk, config.audit.trail), SystemClock, auditor),
        clock: SystemClock,
        metrics: Metrics::stdout("authorizer"),
        settings: config.authorizer,
    };
    portcullis_lambda::run(AuthorizerFunction::new(parts)).await
}

// Spans of publishing and rotating, by which no key leaves the set.
const UNUSED: Duration = Duration::ZERO;
// A client waits for all of these together.
const JWKS: Duration = Duration::from_secs(2);
const STORE: Duration = Duration::from_millis(500);
