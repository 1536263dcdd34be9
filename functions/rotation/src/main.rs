//! The rotation function's Lambda: settings, adapters, run.

// The nested futures of the SDK's clients inside the handler's are deeper than rustc's default of 128.
#![recursion_limit = "256"]

use std::sync::Arc;

use portcullis_audit::Auditor;
use portcullis_aws::{
    AwsAudit, DynamoCredentials, DynamoTokens, KmsSealer, KmsSigningKeys, SdkSettings, SecretsManager,
    audit_sink,
};
use portcullis_base::ExposeSecret;
use portcullis_lambda::{BoxError, LogFormat, SignerSetting, SystemClock};
use portcullis_secrets::SecretSource;
use portcullis_token::{EitherKeys, KeyKeeper, SealedKeys, SecretHasher};
use rotation_function::config::Config;
use rotation_function::{Parts, Ports, RotationFunction};

struct Aws;

impl Ports for Aws {
    type Stages = SecretsManager;
    type Secrets = DynamoCredentials;
    type Ring = DynamoTokens;
    type Keys = EitherKeys<SealedKeys<DynamoTokens, KmsSealer>, KmsSigningKeys>;
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
    let tokens = || DynamoTokens::new(&sdk, config.tokens_table.clone(), Arc::new(SystemClock));
    let keys = match &config.signing.signer {
        SignerSetting::Sealed { key_id } => {
            EitherKeys::Left(SealedKeys::new(tokens(), KmsSealer::new(&sdk, key_id)))
        }
        SignerSetting::Kms { prefix } => EitherKeys::Right(KmsSigningKeys::new(&sdk, prefix)),
    };
    let auditor = config.audit.auditor("rotation");
    let parts = Parts::<Aws> {
        stages: secrets,
        secrets: DynamoCredentials::new(&sdk, config.credentials_table.clone(), Arc::new(SystemClock)),
        hasher: SecretHasher::new(hashing.current.expose_secret().as_bytes())?,
        keeper: KeyKeeper::new(tokens(), keys, SystemClock, config.signing.keeper),
        auditor: Auditor::new(audit_sink(&sdk, config.audit.trail), SystemClock, auditor),
        clock: SystemClock,
        settings: config.settings,
    };
    portcullis_lambda::run(RotationFunction::new(parts)).await
}
