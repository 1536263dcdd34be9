//! The adapters at the HTTP boundary: exact requests out, recorded answers in. For what no emulator gets right
//! (changed KMS ciphertexts, a wrong KMS key) or can be made to do (throttling, denial, silence, broken answers).
#![cfg(test)]

mod account;
mod audit;
mod failures;
mod history;
mod identity;
mod notifier;
mod requests;
mod stages;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::test_util::infallible_client_fn;
use portcullis_aws::{
    DynamoKeys, DynamoRecords, KmsWrapper, S3Claims, SdkSettings, SecretsManager, SqsDeadLetters, SqsQueues,
    connect,
};
use portcullis_pii::{
    DeadLetter, DeadLetters, KeyStore, KeyWrapper, PageRequest, Purpose, RecordObjects, Records,
    StoredBranchKey, StoredRecord, StoredSubjectKey,
};
use portcullis_secrets::SecretSource;
use portcullis_webhook::{ClaimCheck, ItemQueue, Lane, Outgoing};

type Request = http::Request<SdkBody>;
type Answer = http::Response<SdkBody>;

/// What was sent, in order.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<Request>>>);

impl Sent {
    fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A configuration whose requests are answered by `answer`, and what was sent through it. One attempt a call.
async fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (SdkConfig, Sent) {
    let sent = Sent::default();
    let keep = sent.clone();
    let client = infallible_client_fn(move |request| {
        let answer = answer(&request);
        keep.0.lock().unwrap().push(request);
        answer
    });
    (config(client, SdkSettings { max_attempts: 1, ..SdkSettings::default() }).await, sent)
}

async fn config(client: SharedHttpClient, settings: SdkSettings) -> SdkConfig {
    let credentials =
        Credentials::builder().access_key_id("AKID").secret_access_key("key").provider_name("test").build();
    connect(&settings)
        .await
        .into_builder()
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(client)
        .build()
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<SdkBody>) -> Answer {
    let builder = http::Response::builder().status(status).header("x-amzn-requestid", "the-request-id");
    headers.iter().fold(builder, |b, (name, value)| b.header(*name, *value)).body(body.into()).unwrap()
}

/// An error as each service words it. The message stands for what a service may quote: it must go nowhere.
fn error(status: u16, code: &str, request: &Request) -> Answer {
    if request.headers().contains_key("x-amz-target") {
        let body = format!(r#"{{"__type":"com.amazonaws#{code}","message":"{QUOTED}"}}"#);
        answer(status, &[("content-type", "application/x-amz-json-1.0")], body)
    } else {
        let body = format!("<Error><Code>{code}</Code><Message>{QUOTED}</Message></Error>");
        answer(status, &[("content-type", "application/xml")], body)
    }
}

/// Calls one method of one adapter and says what came of it.
async fn call(config: &SdkConfig, method: &str) -> String {
    let queues = SqsQueues::new(config, "https://sqs.test/1/t.fifo", "https://sqs.test/1/m.fifo");
    let letters = SqsDeadLetters::new(config, "https://sqs.test/1/td.fifo", "https://sqs.test/1/md.fifo");
    let claims = S3Claims::new(config, "claims", Some("alias/claims".to_owned()));
    let records = DynamoRecords::new(config, "conversations");
    let keys = DynamoKeys::new(config, "keys");
    let kms = KmsWrapper::new(config, "key-of-conversations", "key-of-media");
    let secrets = SecretsManager::new(config);
    let page = PageRequest { limit: 2, after: Some("p1".to_owned()) };
    match method {
        "send_batch" => say(queues.send_batch(Lane::Media, &[outgoing("a"), outgoing("b")]).await),
        "dead_letter" => say(letters.put(&LETTER).await),
        "claim_put" => say(claims.put("claims/k", b"body").await),
        "claim_get" => say(claims.get("claims/k", 10).await),
        "claim_object_put" => say(claims.put_object("ab", b"sealed", 8).await),
        "claim_object_get" => say(claims.object("records/30/ab", 10).await),
        "put_if_absent" => say(records.put_if_absent(&record()).await),
        "conversation" => say(records.conversation("c", &page).await),
        "conversations_of" => say(records.conversations_of("s", 3).await),
        "branch_key" => say(keys.branch_key(Purpose::Media, None).await),
        "branch_key_version" => say(keys.branch_key(Purpose::Media, Some(7)).await),
        "add_branch_key" => say(keys.add_branch_key(&branch_key()).await),
        "subject_key" => say(keys.subject_key("s", Purpose::Media).await),
        "add_subject_key" => say(keys.add_subject_key(&subject_key()).await),
        "index_key" => say(keys.index_key().await),
        "add_index_key" => say(keys.add_index_key(b"w").await),
        "generate" => say(kms.generate(Purpose::Media, &CONTEXT).await.map(|key| key.wrapped)),
        "unwrap" => say(kms.unwrap(Purpose::Conversation, &CONTEXT, b"wrapped").await.map(drop)),
        "secret" => say(secrets.fetch("webhook").await.map(|versions| versions.previous.is_some())),
        other => panic!("no method {other}"),
    }
}

fn say<T: Debug, E: Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error:?}"),
    }
}

fn outgoing(name: &str) -> Outgoing {
    Outgoing { group: "g".into(), dedup_id: format!("id-{name}"), body: format!("body of {name}") }
}

fn record() -> StoredRecord {
    StoredRecord {
        conversation: "c".into(),
        item: "i".into(),
        position: "p2".into(),
        subject: Some("s".into()),
        kind: "text".into(),
        class: "PII".into(),
        received_at: 1_700_000_000_123,
        expires_at: 1_700_000_000,
        header: b"h".into(),
        fields: [("body".to_owned(), b"sealed".to_vec())].into(),
        outside: [].into(),
    }
}

fn branch_key() -> StoredBranchKey {
    StoredBranchKey { purpose: Purpose::Media, version: 7, wrapped: b"w".into(), created_at: 5 }
}

fn subject_key() -> StoredSubjectKey {
    StoredSubjectKey {
        subject: "s".into(),
        purpose: Purpose::Media,
        branch_version: 7,
        wrapped: b"w".into(),
        created_at: 5,
    }
}

/// Every method of every adapter, with what it answers when refused.
const METHODS: [(&str, &str); 19] = [
    ("send_batch", "Refused"),
    ("dead_letter", "DeadLetterError"),
    ("claim_put", "Refused"),
    ("claim_get", "Refused"),
    ("claim_object_put", "Refused"),
    ("claim_object_get", "Refused"),
    ("put_if_absent", "Refused"),
    ("conversation", "Refused"),
    ("conversations_of", "Refused"),
    ("branch_key", "Refused"),
    ("branch_key_version", "Refused"),
    ("add_branch_key", "Refused"),
    ("subject_key", "Refused"),
    ("add_subject_key", "Refused"),
    ("index_key", "Refused"),
    ("add_index_key", "Refused"),
    ("generate", "Refused"),
    ("unwrap", "Refused"),
    ("secret", "Denied"),
];
const LETTER: DeadLetter<'_> =
    DeadLetter { lane: "media", group: "g", dedup_id: "d", body: "poison", reason: "malformed-message" };
const CONTEXT: [(&str, &str); 2] = [("table", "t"), ("purpose", "media")];
const QUOTED: &str = "quoted-from-the-request";
const SHORT: SdkSettings = SdkSettings {
    connect_timeout: Duration::from_millis(100),
    attempt_timeout: Duration::from_millis(20),
    operation_timeout: Duration::from_millis(50),
    max_attempts: 1,
};
