//! What the functions need in an account: the parts of `template.yaml` that they call.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
    Projection, ProjectionType, ScalarAttributeType,
};
use aws_sdk_sqs::types::QueueAttributeName;
use portcullis_aws::DynamoCredentials;
use portcullis_base::SecretString;
use portcullis_lambda::SystemClock;
use portcullis_token::{ClientSecretStore, SecretHasher, StoredSecrets};
use serde_json::json;

use super::Account;

/// A deployed stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The account that it is in.
    pub account: Account,
    /// The URL of each lane's queue.
    pub text_queue_url: String,
    /// See `text_queue_url`.
    pub media_queue_url: String,
    /// The URL of each lane's dead-letter queue.
    pub text_dlq_url: String,
    /// See `text_dlq_url`.
    pub media_dlq_url: String,
    /// The bucket for items over the queue's limit.
    pub claim_check_bucket: String,
    /// The conversations table.
    pub conversations_table: String,
    /// The table of wrapped keys.
    pub subject_keys_table: String,
    /// The table of key ring, revocations, refresh families, replay window and approvals.
    pub tokens_table: String,
    /// The table of client secrets, lockouts and API keys.
    pub credentials_table: String,
    /// The table of rate limits.
    pub limits_table: String,
    /// The table of security events.
    pub audit_table: String,
    /// The table of incidents, holds, the cap, and the audit's progress.
    pub incidents_table: String,
    /// The table of what detection rules that count have seen.
    pub correlation_table: String,
    /// The topic of messages about incidents.
    pub notifications_topic_arn: String,
    /// The KMS key that signing keys are sealed under (an ARN).
    pub signing_key_id: String,
    /// The secret with the key of the hashes of client secrets.
    pub credentials_key_secret: String,
    /// The secret with the key of refresh tokens.
    pub refresh_key_secret: String,
    /// The KMS key of conversations (an ARN).
    pub conversation_key_id: String,
    /// The KMS key of media (an ARN).
    pub media_key_id: String,
    /// The webhook's secret in Secrets Manager.
    pub webhook_secret_id: String,
}

impl Stack {
    /// The environment of the Lambda binaries, with the SDK's variables that lead to the account.
    pub fn env(&self) -> BTreeMap<String, String> {
        let own = [
            ("TEXT_QUEUE_URL", &self.text_queue_url),
            ("MEDIA_QUEUE_URL", &self.media_queue_url),
            ("TEXT_DLQ_URL", &self.text_dlq_url),
            ("MEDIA_DLQ_URL", &self.media_dlq_url),
            ("CLAIM_CHECK_BUCKET", &self.claim_check_bucket),
            ("CONVERSATIONS_TABLE", &self.conversations_table),
            ("SUBJECT_KEYS_TABLE", &self.subject_keys_table),
            ("TOKENS_TABLE", &self.tokens_table),
            ("CREDENTIALS_TABLE", &self.credentials_table),
            ("LIMITS_TABLE", &self.limits_table),
            ("AUDIT_TABLE", &self.audit_table),
            ("INCIDENTS_TABLE", &self.incidents_table),
            ("CORRELATION_TABLE", &self.correlation_table),
            ("NOTIFICATIONS_TOPIC_ARN", &self.notifications_topic_arn),
            ("SIGNING_KEY_ID", &self.signing_key_id),
            ("CREDENTIALS_KEY_SECRET", &self.credentials_key_secret),
            ("REFRESH_KEY_SECRET", &self.refresh_key_secret),
            ("CONVERSATION_KEY_ID", &self.conversation_key_id),
            ("MEDIA_KEY_ID", &self.media_key_id),
            ("WEBHOOK_SECRET_ID", &self.webhook_secret_id),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()));
        let fixed = [
            ("SECRET_PROVIDER", "aws"),
            ("ISSUER", "https://id.portcullis.example"),
            ("AUDIENCE", "https://api.portcullis.example"),
            // Signs the authorizer's sample events: the token service's own key is never known beforehand.
            ("ISSUERS", include_str!("../../../config/dev/issuers.json")),
            ("OWN_ROLE_ARN", "arn:aws:iam::123456789012:role/portcullis-responder"),
            ("PLAYBOOKS", PLAYBOOKS),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.account.env().into_iter().chain(own).chain(fixed).collect()
    }
}

/// Creates queues, tables, keys, bucket and secret in an empty account.
///
/// # Panics
/// When the emulator refuses.
pub async fn deploy_stack(account: &Account) -> Stack {
    let config = account.config().await;
    let (text_queue_url, text_dlq_url) = lane(&config, "text").await;
    let (media_queue_url, media_dlq_url) = lane(&config, "media").await;
    // Bucket names are shared by all accounts.
    let claim_check_bucket = format!("portcullis-claims-{}", account.id());
    bucket(&config, &claim_check_bucket).await;
    conversations_table(&config, CONVERSATIONS).await;
    for table in [SUBJECT_KEYS, TOKENS, CREDENTIALS, AUDIT, CORRELATION] {
        keyed_table(&config, table).await;
    }
    secret(&config, WEBHOOK_SECRET, [DEVELOPMENT_PREVIOUS, DEVELOPMENT]).await;
    limits_table(&config, LIMITS).await;
    incidents_table(&config, INCIDENTS).await;
    let key_before = "the key before: thirty-two bytes";
    secret(&config, CREDENTIALS_KEY, [key_before, CREDENTIALS_KEY_VALUE]).await;
    secret(&config, REFRESH_KEY, [key_before, "refresh: thirty-two bytes or more"]).await;
    client(&config).await;
    rotating_secret(&config, CLIENT_SECRET).await;
    user(&config).await;
    Stack {
        account: account.clone(),
        text_queue_url,
        media_queue_url,
        text_dlq_url,
        media_dlq_url,
        claim_check_bucket,
        conversations_table: CONVERSATIONS.to_owned(),
        subject_keys_table: SUBJECT_KEYS.to_owned(),
        tokens_table: TOKENS.to_owned(),
        credentials_table: CREDENTIALS.to_owned(),
        limits_table: LIMITS.to_owned(),
        audit_table: AUDIT.to_owned(),
        incidents_table: INCIDENTS.to_owned(),
        correlation_table: CORRELATION.to_owned(),
        notifications_topic_arn: topic(&config).await,
        signing_key_id: key(&config).await,
        credentials_key_secret: CREDENTIALS_KEY.to_owned(),
        refresh_key_secret: REFRESH_KEY.to_owned(),
        conversation_key_id: key(&config).await,
        media_key_id: key(&config).await,
        webhook_secret_id: WEBHOOK_SECRET.to_owned(),
    }
}

/// A FIFO queue in high-throughput mode and its dead-letter queue.
async fn lane(config: &SdkConfig, lane: &str) -> (String, String) {
    let client = aws_sdk_sqs::Client::new(config);
    let dlq = fifo(&client, &format!("portcullis-{lane}-dlq.fifo"), None).await;
    let attributes = client
        .get_queue_attributes()
        .queue_url(&dlq)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .expect("queue attributes")
        .attributes
        .unwrap_or_default();
    let arn = attributes.get(&QueueAttributeName::QueueArn).expect("an ARN");
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": "5" }).to_string();
    (fifo(&client, &format!("portcullis-{lane}.fifo"), Some(redrive)).await, dlq)
}

async fn fifo(client: &aws_sdk_sqs::Client, name: &str, redrive: Option<String>) -> String {
    let create = client
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::FifoQueue, "true")
        .attributes(QueueAttributeName::DeduplicationScope, "messageGroup")
        .attributes(QueueAttributeName::FifoThroughputLimit, "perMessageGroupId");
    let create = match redrive {
        None => create,
        Some(policy) => create.attributes(QueueAttributeName::RedrivePolicy, policy),
    };
    create.send().await.expect("a queue").queue_url.expect("its URL")
}

async fn bucket(config: &SdkConfig, name: &str) {
    use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
    let location =
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    aws_sdk_s3::Client::new(config)
        .create_bucket()
        .bucket(name)
        .create_bucket_configuration(location)
        .send()
        .await
        .expect("a bucket");
}

/// See `portcullis_aws::DynamoRecords`.
async fn conversations_table(config: &SdkConfig, name: &str) {
    let by_position = LocalSecondaryIndex::builder()
        .index_name("by-position")
        .set_key_schema(Some(schema("conversation", "position")))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .expect("an index");
    let by_subject = GlobalSecondaryIndex::builder()
        .index_name("subject-index")
        .set_key_schema(Some(schema("subject", "conversation")))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .expect("an index");
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(strings(&["conversation", "item", "position", "subject"])))
        .set_key_schema(Some(schema("conversation", "item")))
        .local_secondary_indexes(by_position)
        .global_secondary_indexes(by_subject)
        .send()
        .await
        .expect("the conversations table");
}

/// See `portcullis_aws::DynamoKeys`, `DynamoTokens`, `DynamoCredentials`.
async fn keyed_table(config: &SdkConfig, name: &str) {
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(strings(&["pk", "sk"])))
        .set_key_schema(Some(schema("pk", "sk")))
        .send()
        .await
        .expect("a table");
}

/// See `portcullis_aws::DynamoIncidents`.
///
/// # Panics
/// When the emulator refuses.
pub async fn incidents_table(config: &SdkConfig, name: &str) {
    let keys_only = || Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let index = |name, partition, sort| {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .set_key_schema(Some(schema(partition, sort)))
            .projection(keys_only())
            .build()
            .expect("an index")
    };
    let mut attributes = strings(&["pk", "sk", "status", "watch"]);
    attributes.extend(numbers(&["detected", "due"]));
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes))
        .set_key_schema(Some(schema("pk", "sk")))
        .global_secondary_indexes(index("by-status", "status", "detected"))
        .global_secondary_indexes(index("by-due", "watch", "due"))
        .send()
        .await
        .expect("the incidents table");
}

/// See `portcullis_aws::DynamoLimits`.
async fn limits_table(config: &SdkConfig, name: &str) {
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(strings(&["pk"])))
        .key_schema(key.build().expect("a key"))
        .send()
        .await
        .expect("the limits table");
}

/// A client that the token service's sample events may be of.
async fn client(config: &SdkConfig) {
    let hasher = SecretHasher::new(CREDENTIALS_KEY_VALUE.as_bytes()).expect("a key");
    let secret = SecretString::from("development secret of svc.memory");
    let secrets = StoredSecrets { current: hasher.hash("svc.memory", &secret), other: None };
    let store = DynamoCredentials::new(config, CREDENTIALS, Arc::new(SystemClock));
    assert_eq!(store.replace("svc.memory", &secrets, 0).await, Ok(true), "a client");
}

async fn topic(config: &SdkConfig) -> String {
    let answer = aws_sdk_sns::Client::new(config).create_topic().name("portcullis-incidents").send().await;
    answer.expect("a topic").topic_arn.expect("its ARN")
}

/// The user that the responders' sample events are about, with a key.
async fn user(config: &SdkConfig) {
    let client = aws_sdk_iam::Client::new(config);
    client.create_user().user_name("ana").send().await.expect("a user");
    client.create_access_key().user_name("ana").send().await.expect("a key");
}

fn schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("a key")
        })
        .into()
}

fn strings(names: &[&str]) -> Vec<AttributeDefinition> {
    attributes(names, &ScalarAttributeType::S)
}

fn numbers(names: &[&str]) -> Vec<AttributeDefinition> {
    attributes(names, &ScalarAttributeType::N)
}

fn attributes(names: &[&str], kind: &ScalarAttributeType) -> Vec<AttributeDefinition> {
    let attribute = |name: &&str| {
        AttributeDefinition::builder()
            .attribute_name(*name)
            .attribute_type(kind.clone())
            .build()
            .expect("an attribute")
    };
    names.iter().map(attribute).collect()
}

async fn key(config: &SdkConfig) -> String {
    let answer = aws_sdk_kms::Client::new(config).create_key().send().await.expect("a KMS key");
    answer.key_metadata.and_then(|metadata| metadata.arn).expect("its ARN")
}

/// A secret with two versions, the second the current one.
async fn secret(config: &SdkConfig, name: &str, [previous, current]: [&str; 2]) {
    let client = aws_sdk_secretsmanager::Client::new(config);
    client.create_secret().name(name).secret_string(previous).send().await.expect("a secret");
    client.put_secret_value().secret_id(name).secret_string(current).send().await.expect("a second version");
}

/// A client's secret in the middle of its rotation: a current version, and a pending one that has its value already (the
/// emulator makes no version without one). What the sample events of the rotation function go on with.
async fn rotating_secret(config: &SdkConfig, name: &str) {
    let client = aws_sdk_secretsmanager::Client::new(config);
    let value = |secret: &str| json!({ "client_id": "svc.actuator", "client_secret": secret }).to_string();
    client
        .create_secret()
        .name(name)
        .secret_string(value("the current secret"))
        .send()
        .await
        .expect("a secret");
    let rotate = client.rotate_secret().secret_id(name).client_request_token(format!("{PENDING_VERSION}0"));
    let lambda = "arn:aws:lambda:eu-west-1:123456789012:function:rotation";
    rotate.rotation_lambda_arn(lambda).send().await.expect("a secret that rotates");
    let put = client.put_secret_value().secret_id(name).client_request_token(format!("{PENDING_VERSION}1"));
    let put = put.secret_string(value("the pending secret")).version_stages("AWSPENDING");
    put.send().await.expect("a pending version");
}

/// The development secrets, with which the sample events are signed.
const DEVELOPMENT: &str = include_str!("../../../config/dev/webhook-secret.json");
const DEVELOPMENT_PREVIOUS: &str = include_str!("../../../config/dev/webhook-secret.previous.json");
const LIMITS: &str = "portcullis-limits";
const REFRESH_KEY: &str = "portcullis/refresh-key";
/// What client secrets are hashed with.
const CREDENTIALS_KEY_VALUE: &str = "development: thirty-two bytes or more";
const CONVERSATIONS: &str = "portcullis-conversations";
const SUBJECT_KEYS: &str = "portcullis-subject-keys";
const TOKENS: &str = "portcullis-tokens";
const CREDENTIALS: &str = "portcullis-credentials";
const AUDIT: &str = "portcullis-audit";
/// The responders' own, for what their sample events are about: keys are deactivated without asking.
const PLAYBOOKS: &str = "
incident: COMPROMISED_CREDENTIALS
title: Compromised credentials
dry_run: false
steps: [{step: notify, mode: automatic}, {step: deactivate_access_keys, mode: automatic}]
---
incident: BACKDOOR
title: Backdoor
dry_run: false
steps: [{step: notify, mode: automatic}, {step: deactivate_access_keys, mode: automatic}]
---
incident: GENERIC
title: Security incident
dry_run: false
steps: [{step: notify, mode: automatic}]
";
const INCIDENTS: &str = "portcullis-incidents";
const CORRELATION: &str = "portcullis-correlation";
const CREDENTIALS_KEY: &str = "portcullis/credentials-key";
const CLIENT_SECRET: &str = "portcullis/clients/svc.actuator";
const PENDING_VERSION: &str = "00000000-0000-4000-8000-00000000000";
const WEBHOOK_SECRET: &str = "portcullis/webhook";
