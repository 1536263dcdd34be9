//! The token service's Lambda: settings, adapters, run.

// The nested futures of the SDK's clients inside the handler's are deeper than rustc's default of 128.
#![recursion_limit = "256"]

use std::sync::Arc;
use std::time::Duration;

use portcullis_audit::Auditor;
use portcullis_aws::{
    AwsAudit, DynamoCredentials, DynamoTokens, FunctionLimits, KmsSealer, KmsSigningKeys, SdkSettings,
    SecretsManager, audit_sink, limit_store,
};
use portcullis_base::{ExposeSecret, SecretString};
use portcullis_client::{HttpJwks, Transport};
use portcullis_lambda::{BoxError, LogFormat, Metrics, SignerSetting, SystemClock};
use portcullis_limit::{LeasedLimiter, LimiterSettings};
use portcullis_secrets::{SecretSource, SecretVersions};
use portcullis_token::{
    EitherKeys, FollowPolicy, KeyKeeper, RefreshTokens, RevocationFollower, SealedKeys, SecretHasher,
};
use sts_function::config::Config;
use sts_function::{Parts, Ports, StsFunction, UserIssuers};

struct Aws;

type Keys = EitherKeys<SealedKeys<DynamoTokens, KmsSealer>, KmsSigningKeys>;

impl Ports for Aws {
    type Secrets = DynamoCredentials;
    type ApiKeys = DynamoCredentials;
    type Lockouts = DynamoCredentials;
    type Families = DynamoTokens;
    type Revocations = DynamoTokens;
    type Replay = DynamoTokens;
    type Approvals = DynamoTokens;
    type Ring = DynamoTokens;
    type Keys = Keys;
    type Issuers = HttpJwks;
    type Limits = FunctionLimits;
    type Audit = AwsAudit;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let config = Config::from_env()?;
    portcullis_lambda::init_logging(LogFormat::Json, &config.log_level);
    let sdk = portcullis_aws::connect(&SdkSettings::default()).await;
    let secrets = SecretsManager::new(&sdk);
    let hashing = secrets.fetch(&config.credentials_key_secret).await?;
    let refreshing = secrets.fetch(&config.refresh_key_secret).await?;

    let tokens = || DynamoTokens::new(&sdk, config.tokens_table.clone(), Arc::new(SystemClock));
    let credentials =
        || DynamoCredentials::new(&sdk, config.credentials_table.clone(), Arc::new(SystemClock));
    let keys = match &config.signing.signer {
        SignerSetting::Sealed { key_id } => {
            EitherKeys::Left(SealedKeys::new(tokens(), KmsSealer::new(&sdk, key_id)))
        }
        SignerSetting::Kms { prefix } => EitherKeys::Right(KmsSigningKeys::new(&sdk, prefix)),
    };
    let issuers = config.user_issuers.iter().map(|i| (i.policy.issuer().to_owned(), i.jwks_uri.clone()));
    let jwks = HttpJwks::new(issuers.collect::<Vec<_>>(), &Transport::default())?;
    let limits = LimiterSettings {
        namespace: "sts",
        on_store_failure: config.limits.on_failure,
        ..LimiterSettings::default()
    };
    let auditor = config.audit.auditor("sts");
    let parts = Parts::<Aws> {
        identities: config.identities,
        secrets: credentials(),
        api_keys: credentials(),
        hasher: SecretHasher::new(bytes(&hashing.current))?,
        lockouts: credentials(),
        families: tokens(),
        refresh_tokens: refresh_tokens(&refreshing)?,
        revocations: RevocationFollower::new(tokens(), SystemClock, FollowPolicy::default()),
        replay: tokens(),
        approvals: tokens(),
        keeper: KeyKeeper::new(tokens(), keys, SystemClock, config.signing.keeper),
        user_issuers: UserIssuers::new(
            config.user_issuers,
            jwks,
            SystemClock,
            config.settings.leeway_seconds,
        )?,
        limiter: LeasedLimiter::new(
            limit_store(&sdk, SecretsManager::new(&sdk), config.limits.place, STORE_TIMEOUT).await?,
            SystemClock,
            limits,
        ),
        auditor: Auditor::new(audit_sink(&sdk, config.audit.trail), SystemClock, auditor),
        clock: SystemClock,
        metrics: Metrics::stdout("sts"),
        settings: config.settings,
    };
    portcullis_lambda::run(StsFunction::new(parts)?).await
}

fn refresh_tokens(key: &SecretVersions) -> Result<RefreshTokens, BoxError> {
    Ok(RefreshTokens::new(bytes(&key.current), key.previous.as_ref().map(bytes))?)
}

fn bytes(secret: &SecretString) -> &[u8] {
    secret.expose_secret().as_bytes()
}

/// DynamoDB answers in a few milliseconds; what takes longer is a failure.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
