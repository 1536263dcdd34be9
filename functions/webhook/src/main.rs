//! The webhook Lambda: settings, adapters, run.

// The nested futures of the SDK's clients inside the handler's are deeper than rustc's default of 128.
#![recursion_limit = "256"]

mod backend;

use portcullis_audit::Auditor;
use portcullis_aws::{AwsAudit, S3Claims, SdkSettings, SqsQueues, audit_sink};
use portcullis_lambda::{BoxError, LogFormat, Metrics, SystemClock};
use portcullis_secrets::{CacheSettings, CachedSecrets};
use webhook_function::{Config, Parts, Ports, WebhookFunction};

use crate::backend::Backend;

struct Aws;

impl Ports for Aws {
    type Secrets = Backend;
    type Queue = SqsQueues;
    type Claims = S3Claims;
    type Audit = AwsAudit;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let config = Config::from_env()?;
    portcullis_lambda::init_logging(LogFormat::Json, &config.log_level);
    let sdk = portcullis_aws::connect(&SdkSettings::default()).await;
    let secrets = Backend::new(&config.secrets, &sdk)?;
    let auditor = config.audit.auditor("webhook");
    let parts = Parts::<Aws> {
        secrets: CachedSecrets::new(secrets, SystemClock, CacheSettings::default()),
        queue: SqsQueues::new(&sdk, config.text_queue_url, config.media_queue_url),
        claims: S3Claims::new(&sdk, config.claim_check_bucket, None),
        auditor: Auditor::new(audit_sink(&sdk, config.audit.trail), SystemClock, auditor),
        clock: SystemClock,
        metrics: Metrics::stdout("webhook"),
        settings: config.handler,
    };
    portcullis_lambda::run(WebhookFunction::new(parts)).await
}
