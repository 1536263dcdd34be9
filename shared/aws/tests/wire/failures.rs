//! What each failure means, for every method of every adapter.

use std::io::Write;

use aws_smithy_http_client::test_util::NeverClient;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// What a method answers when a call may be tried again.
fn transient(method: &str) -> &str {
    if method == "dead_letter" { "DeadLetterError" } else { "Unavailable" }
}

#[tokio::test]
async fn what_may_pass_is_unavailable() {
    let cases = [
        (500, "InternalServerError"),
        (500, "InternalFailure"),
        (500, "KMSInternalException"),
        (500, "KeyUnavailableException"),
        (503, "ServiceUnavailable"),
        (503, "DependencyTimeoutException"),
        (503, "SlowDown"),
        (429, "TooManyRequestsException"),
        (400, "ThrottlingException"),
        (400, "Throttling"),
        (400, "ProvisionedThroughputExceededException"),
        (400, "RequestLimitExceeded"),
        (403, "RequestThrottled"),
        (400, "KmsThrottled"),
        (400, "OverLimit"),
        (400, "RequestTimeout"),
        (400, "ExpiredTokenException"),
    ];
    for (status, code) in cases {
        let (config, _) = answering(move |request| error(status, code, request)).await;
        for (method, _) in METHODS {
            assert_eq!(call(&config, method).await, transient(method), "{method}: {status} {code}");
        }
    }
}

#[tokio::test]
async fn what_will_not_pass_is_refused() {
    let cases = [
        (400, "AccessDeniedException"),
        (403, "AccessDenied"),
        (400, "UnrecognizedClientException"),
        (403, "InvalidSignatureException"),
        (400, "AWS.SimpleQueueService.NonExistentQueue"),
        (400, "KmsAccessDenied"),
        (404, "NoSuchBucket"),
        (400, "DisabledException"),
        (400, "KMSInvalidStateException"),
        (400, "NotFoundException"),
        (400, "InvalidKeyUsageException"),
    ];
    for (status, code) in cases {
        let (config, _) = answering(move |request| error(status, code, request)).await;
        for (method, refused) in METHODS {
            assert_eq!(call(&config, method).await, refused, "{method}: {status} {code}");
        }
    }
}

/// SQS names the same errors twice: in the body as now, and in a header as its older protocol did, which the SDK prefers.
#[tokio::test]
async fn codes_of_the_older_protocol_of_sqs_mean_the_same() {
    let cases = [
        ("KmsThrottled", "KMS.ThrottlingException", "Unavailable"),
        ("RequestThrottled", "RequestThrottled", "Unavailable"),
        ("KmsAccessDenied", "KMS.AccessDeniedException", "Refused"),
        ("KmsDisabled", "KMS.DisabledException", "Refused"),
        ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "Refused"),
    ];
    for (code, older, expected) in cases {
        let (config, _) = answering(move |_| {
            let body = format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"{QUOTED}"}}"#);
            let query = format!("{older};Sender");
            answer(
                400,
                &[("content-type", "application/x-amz-json-1.0"), ("x-amzn-query-error", &query)],
                body,
            )
        })
        .await;
        assert_eq!(call(&config, "send_batch").await, expected, "{older}");
    }
}

#[tokio::test]
async fn some_codes_mean_something_to_one_method() {
    let cases = [
        ("unwrap", 400, "InvalidCiphertextException", "Invalid"),
        ("unwrap", 400, "IncorrectKeyException", "Invalid"),
        ("generate", 400, "IncorrectKeyException", "Refused"),
        ("claim_get", 404, "NoSuchKey", "NotFound"),
        ("claim_put", 404, "NoSuchKey", "Refused"),
        ("put_if_absent", 400, "ConditionalCheckFailedException", "AlreadyThere"),
        ("add_branch_key", 400, "ConditionalCheckFailedException", "false"),
        ("add_subject_key", 400, "ConditionalCheckFailedException", "false"),
        ("add_index_key", 400, "ConditionalCheckFailedException", "false"),
        ("conversation", 400, "ResourceNotFoundException", "Refused"),
        ("subject_key", 400, "ResourceNotFoundException", "Refused"),
        ("put_if_absent", 400, "ValidationException", "NotTaken"),
        ("claim_object_get", 404, "NoSuchKey", "NotFound"),
        ("secret", 400, "ResourceNotFoundException", "NotFound"),
        ("secret", 400, "InvalidRequestException", "NotFound"),
        ("secret", 400, "InvalidParameterException", "NotFound"),
        ("secret", 400, "ValidationException", "NotFound"),
        ("secret", 400, "DecryptionFailure", "Denied"),
    ];
    for (method, status, code, expected) in cases {
        let (config, _) = answering(move |request| error(status, code, request)).await;
        assert_eq!(call(&config, method).await, expected, "{method}: {code}");
    }
}

#[tokio::test]
async fn silence_is_unavailable() {
    let config = config(SharedHttpClient::new(NeverClient::new()), SHORT).await;
    for (method, _) in METHODS {
        assert_eq!(call(&config, method).await, transient(method), "{method}");
    }
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_is_unavailable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (config, _) = answering(|_| answer(200, &[], "{}")).await;
    let real = connect(&SdkSettings { max_attempts: 1, ..SdkSettings::default() }).await;
    let config = real
        .into_builder()
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(config.credentials_provider().unwrap())
        .endpoint_url(format!("http://{closed}"))
        .build();
    for (method, _) in METHODS {
        assert_eq!(call(&config, method).await, transient(method), "{method}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_proves_nothing() {
    let (config, _) = answering(|_| answer(200, &[], "<html>")).await;
    for (method, _) in METHODS {
        // The bodies of S3 are opaque: an answer to `put` has none, and one to `get` is the object.
        if !method.starts_with("claim") {
            assert_eq!(call(&config, method).await, transient(method), "{method}");
        }
    }
}

/// A success with nothing in it: what must be there is not taken for granted.
#[tokio::test]
async fn an_empty_success_is_no_key_no_secret_and_nothing_sent() {
    let (config, _) = answering(|_| answer(200, &[], "{}")).await;
    for (method, expected) in [
        ("generate", "Invalid"),
        ("unwrap", "Invalid"),
        ("secret", "Malformed"),
        ("subject_key", "None"),
        ("branch_key", "None"),
        ("index_key", "None"),
        ("conversations_of", "[]"),
        ("conversation", "Page { records: [], next: None }"),
    ] {
        assert_eq!(call(&config, method).await, expected, "{method}");
    }
    let not_sent = call(&config, "send_batch").await;
    assert_eq!(not_sent.matches("retryable: true").count(), 2, "{not_sent}");
}

#[tokio::test]
async fn a_key_of_another_length_is_no_key() {
    for length in [0, 16, 31, 33, 64] {
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![7; length]);
        let body = format!(r#"{{"Plaintext":"{key}","CiphertextBlob":"AAAA"}}"#);
        let (config, _) = answering(move |_| answer(200, &[], body.clone())).await;
        for method in ["generate", "unwrap"] {
            assert_eq!(call(&config, method).await, "Invalid", "{method} of {length} bytes");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_a_wrapped_key_is_not_sent() {
    let (config, sent) = answering(|_| answer(200, &[], "{}")).await;
    let kms = KmsWrapper::new(&config, "c", "m");
    for wrapped in [vec![], vec![0; 6_145]] {
        let answer = kms.unwrap(Purpose::Media, &CONTEXT, &wrapped).await;
        assert_eq!(answer.map(drop), Err(portcullis_pii::KeyError::Invalid));
    }
    assert!(sent.take().is_empty());
}

/// Who accepts the previous version ends it by this.
#[tokio::test]
async fn a_secret_tells_since_when_its_current_version_is_there() {
    for (reply, since) in [
        (r#"{"SecretString":"v","CreatedDate":1.7637984005E9}"#, Some(1_763_798_400)),
        (r#"{"SecretString":"v"}"#, None),
    ] {
        let (config, _) = answering(move |_| answer(200, &[], reply)).await;
        let versions = SecretsManager::new(&config).fetch("webhook").await.unwrap();
        assert_eq!(versions.since.map(|at| at.as_second()), since);
    }
}

/// The previous version may be absent; that it cannot be read is another matter.
#[tokio::test]
async fn the_previous_secret_is_absent_only_when_the_service_says_so() {
    for (code, expected) in [
        ("ResourceNotFoundException", "false"),
        ("AccessDeniedException", "Denied"),
        ("ThrottlingException", "Unavailable"),
    ] {
        let (config, _) = answering(move |request| {
            let previous = request.body().bytes().unwrap().windows(11).any(|w| w == b"AWSPREVIOUS");
            if previous { error(400, code, request) } else { answer(200, &[], r#"{"SecretString":"v"}"#) }
        })
        .await;
        assert_eq!(call(&config, "secret").await, expected, "{code}");
    }
}

#[tokio::test]
async fn throttled_calls_are_tried_again_a_bounded_number_of_times() {
    let sent = Sent::default();
    let keep = sent.clone();
    let client = infallible_client_fn(move |request| {
        let answer = error(400, "ThrottlingException", &request);
        keep.0.lock().unwrap().push(request);
        answer
    });
    let config = config(client, SdkSettings { max_attempts: 2, ..SdkSettings::default() }).await;
    assert_eq!(call(&config, "unwrap").await, "Unavailable");
    assert_eq!(sent.take().len(), 2);
}

/// Keeps what was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_failure_is_logged_by_code_and_request_never_by_what_was_quoted() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::INFO).with_writer(log.clone()).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let (config, _) = answering(|request| error(400, "AccessDeniedException", request)).await;
    for (method, _) in METHODS {
        call(&config, method).await;
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!logged.contains(QUOTED), "{logged}");
    for secret in ["body of a", "poison", "webhook", "wrapped", "sealed"] {
        assert!(!logged.contains(secret), "{secret}: {logged}");
    }
    let line = logged.lines().find(|line| line.contains(r#"operation="Decrypt""#)).expect("a line");
    for part in [r#"service="kms""#, r#"code="AccessDeniedException""#, r#"request_id="the-request-id""#] {
        assert!(line.contains(part), "{part} in {line}");
    }
}
