//! The CloudTrail responder's Lambda: settings, adapters, run.

// The nested futures of the SDK's clients inside the handler's are deeper than rustc's default of 128.
#![recursion_limit = "512"]

use std::sync::Arc;

use cloudtrail_responder_function::config::Config;
use cloudtrail_responder_function::{CloudTrailResponder, Parts, Ports};
use portcullis_audit::Auditor;
use portcullis_aws::{
    AccountSettings, AwsAccount, AwsAudit, CloudTrailHistory, DynamoCorrelation, DynamoIncidents,
    SdkSettings, SecretsManager, SnsNotifier, audit_sink,
};
use portcullis_client::WebhookNotifier;
use portcullis_detection::{Detector, RuleSet, SHIPPED};
use portcullis_lambda::{
    Backoff, BoxError, Deadline, IncidentDesk, LogFormat, Metrics, ResponsePorts, SystemClock,
};
use portcullis_response::{Both, Responder};

struct Aws;

impl ResponsePorts for Aws {
    type Account = AwsAccount;
    type Store = DynamoIncidents;
    type Notifier = Both<Option<SnsNotifier>, Option<WebhookNotifier<SecretsManager, SystemClock>>>;
    type Audit = AwsAudit;
    type Clock = SystemClock;
    type Wait = Backoff<SystemClock>;
}

impl Ports for Aws {
    type Correlation = DynamoCorrelation;
    type History = CloudTrailHistory;
    type Progress = DynamoIncidents;
    type Rest = Backoff<SystemClock>;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // First, so that what comes after gets the memory that reading the rules takes for a moment.
    let rules = RuleSet::load(SHIPPED)?;
    let Config { response, correlation_table, context, audit, audit_reads } = Config::from_env()?;
    portcullis_lambda::init_logging(LogFormat::Json, &response.log_level);
    let sdk = portcullis_aws::connect(&SdkSettings::default()).await;
    let deadline = Deadline::default();
    let wait = || Backoff::new(SystemClock, deadline.clone());
    let store = || DynamoIncidents::new(&sdk, response.incidents_table.clone(), Arc::new(SystemClock));
    let auditor = response.audit.auditor("cloudtrail-responder");
    let webhook = response.webhook.map(|webhook| {
        WebhookNotifier::new(&webhook.url, webhook.secret, SecretsManager::new(&sdk), SystemClock)
    });
    let responder = Responder {
        account: AwsAccount::new(
            &sdk,
            AccountSettings {
                own_role: Some(response.own_role),
                block_list_v4: response.block_list_v4,
                block_list_v6: response.block_list_v6,
            },
        ),
        store: store(),
        notifier: Both::new(response.topic.map(|topic| SnsNotifier::new(&sdk, topic)), webhook.transpose()?),
        clock: SystemClock,
        wait: wait(),
        playbooks: response.playbooks,
        safety: response.safety,
    };
    let desk = IncidentDesk {
        responder,
        auditor: Auditor::new(audit_sink(&sdk, response.audit.trail), SystemClock, auditor),
        metrics: Metrics::stdout("cloudtrail-responder"),
    };
    let parts = Parts::<Aws> {
        desk,
        detector: Detector::new(rules, context),
        correlation: DynamoCorrelation::new(&sdk, correlation_table),
        history: CloudTrailHistory::new(&sdk).with_reads(audit_reads),
        progress: store(),
        rest: wait(),
        deadline: deadline.clone(),
        audit,
    };
    portcullis_lambda::run(CloudTrailResponder::new(parts)).await
}
