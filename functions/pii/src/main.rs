//! The PII Lambda: settings, adapters, run.

// The nested futures of the SDK's clients inside the handler's are deeper than rustc's default of 128.
#![recursion_limit = "256"]

use pii_function::config::Config;
use pii_function::{Parts, PiiFunction, Ports};
use portcullis_audit::Auditor;
use portcullis_aws::{
    AwsAudit, DynamoKeys, DynamoRecords, KmsWrapper, S3Claims, SdkSettings, SqsDeadLetters, audit_sink,
};
use portcullis_lambda::{BoxError, LogFormat, Metrics, SystemClock};
use portcullis_pii::{Detector, HierarchyOptions, KeyHierarchy};

struct Aws;

impl Ports for Aws {
    type Wrapper = KmsWrapper;
    type Keys = DynamoKeys;
    type Records = DynamoRecords;
    type Claims = S3Claims;
    type Objects = S3Claims;
    type DeadLetters = SqsDeadLetters;
    type Audit = AwsAudit;
    type Clock = SystemClock;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let config = Config::from_env()?;
    portcullis_lambda::init_logging(LogFormat::Json, &config.log_level);
    let sdk = portcullis_aws::connect(&SdkSettings::default()).await;
    let auditor = config.audit.auditor("pii");
    let keys = KeyHierarchy::new(
        KmsWrapper::new(&sdk, config.conversation_key_id, config.media_key_id),
        DynamoKeys::new(&sdk, config.subject_keys_table.clone()),
        SystemClock,
        HierarchyOptions::new(config.subject_keys_table),
    );
    let bucket = S3Claims::new(&sdk, config.claim_check_bucket, None);
    let parts = Parts::<Aws> {
        keys,
        records: DynamoRecords::new(&sdk, config.conversations_table.clone()),
        claims: bucket.clone(),
        objects: bucket,
        dead_letters: SqsDeadLetters::new(&sdk, config.text_dlq_url, config.media_dlq_url),
        auditor: Auditor::new(audit_sink(&sdk, config.audit.trail), SystemClock, auditor),
        clock: SystemClock,
        detector: Detector::new(),
        policy: config.policy,
        metrics: Metrics::stdout("pii"),
        media_queue: config.media_queue,
        table: config.conversations_table,
    };
    portcullis_lambda::run(PiiFunction::new(parts)).await
}
