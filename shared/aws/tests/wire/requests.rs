//! Exactly what goes out: the action, and every parameter that security or correctness hangs on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_pii::ObjectError;
use serde_json::{Value, json};

use super::*;

fn b64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The actions and bodies that a method sends.
async fn sent_by(method: &str, reply: &'static str) -> Vec<(String, Value)> {
    let (config, sent) = answering(move |_| answer(200, &[], reply)).await;
    call(&config, method).await;
    sent.take()
        .iter()
        .map(|request| {
            let target = request.headers()["x-amz-target"].to_str().unwrap();
            let action = target.rsplit('.').next().unwrap().to_owned();
            (action, serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn each_method_sends_one_action_with_exact_parameters() {
    let context = json!({ "table": "t", "purpose": "media" });
    let item =
        |pk: &str, sk: &str| json!({ "pk": { "S": pk }, "sk": { "S": sk }, "wrapped": { "B": b64(b"w") } });
    let mut branch = item("branch#media", "v#0000000007");
    branch["created_at"] = json!({ "N": "5" });
    let mut subject = item("subject#s", "media");
    subject["created_at"] = json!({ "N": "5" });
    subject["branch_version"] = json!({ "N": "7" });
    let put = |item: Value| json!({ "TableName": "keys", "Item": item, "ConditionExpression": "attribute_not_exists(pk)" });
    let key = |pk: &str, sk: &str| json!({ "TableName": "keys", "ConsistentRead": true, "Key": { "pk": { "S": pk }, "sk": { "S": sk } } });
    let cases = [
        (
            "send_batch",
            "SendMessageBatch",
            json!({ "QueueUrl": "https://sqs.test/1/m.fifo", "Entries": [
                { "Id": "0", "MessageBody": "body of a", "MessageGroupId": "g", "MessageDeduplicationId": "id-a" },
                { "Id": "1", "MessageBody": "body of b", "MessageGroupId": "g", "MessageDeduplicationId": "id-b" },
            ] }),
        ),
        (
            "dead_letter",
            "SendMessage",
            json!({
                "QueueUrl": "https://sqs.test/1/md.fifo",
                "MessageBody": "poison",
                "MessageGroupId": "g",
                "MessageDeduplicationId": "d",
                "MessageAttributes":
                    { "reason": { "DataType": "String", "StringValue": "malformed-message" } },
            }),
        ),
        (
            "put_if_absent",
            "PutItem",
            json!({
                "TableName": "conversations",
                "ConditionExpression": "attribute_not_exists(#c)",
                "ExpressionAttributeNames": { "#c": "conversation" },
                "Item": {
                    "conversation": { "S": "c" },
                    "item": { "S": "i" },
                    "position": { "S": "p2" },
                    "subject": { "S": "s" },
                    "kind": { "S": "text" },
                    "class": { "S": "PII" },
                    "received_at": { "N": "1700000000123" },
                    "expires_at": { "N": "1700000000" },
                    "header": { "B": b64(b"h") },
                    "fields": { "M": { "body": { "B": b64(b"sealed") } } },
                },
            }),
        ),
        (
            "conversation",
            "Query",
            json!({
                "TableName": "conversations",
                "IndexName": "by-position",
                "ConsistentRead": true,
                "Limit": 3,
                "KeyConditionExpression": "#c = :c AND #p > :p",
                "ExpressionAttributeNames": { "#c": "conversation", "#p": "position" },
                "ExpressionAttributeValues": { ":c": { "S": "c" }, ":p": { "S": "p1" } },
            }),
        ),
        (
            "branch_key",
            "Query",
            json!({
                "TableName": "keys",
                "ConsistentRead": true,
                "ScanIndexForward": false,
                "Limit": 1,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": { ":pk": { "S": "branch#media" } },
            }),
        ),
        (
            "branch_key_version",
            "Query",
            json!({
                "TableName": "keys",
                "ConsistentRead": true,
                "ScanIndexForward": false,
                "Limit": 1,
                "KeyConditionExpression": "pk = :pk AND sk = :sk",
                "ExpressionAttributeValues":
                    { ":pk": { "S": "branch#media" }, ":sk": { "S": "v#0000000007" } },
            }),
        ),
        ("add_branch_key", "PutItem", put(branch)),
        ("subject_key", "GetItem", key("subject#s", "media")),
        ("add_subject_key", "PutItem", put(subject)),
        ("index_key", "GetItem", key("index", "key")),
        ("add_index_key", "PutItem", put(item("index", "key"))),
        (
            "generate",
            "GenerateDataKey",
            json!({ "KeyId": "key-of-media", "KeySpec": "AES_256", "EncryptionContext": context }),
        ),
        (
            "unwrap",
            "Decrypt",
            json!({
                "KeyId": "key-of-conversations",
                "CiphertextBlob": b64(b"wrapped"),
                "EncryptionContext": context,
            }),
        ),
    ];
    for (method, action, body) in cases {
        assert_eq!(sent_by(method, "{}").await, [(action.to_owned(), body)], "{method}");
    }
}

#[tokio::test]
async fn a_secret_is_two_reads_by_stage() {
    let mut sent = sent_by("secret", r#"{"SecretString":"v"}"#).await;
    sent.sort_by_key(|(_, body)| body["VersionStage"].to_string());
    let read =
        |stage: &str| ("GetSecretValue".to_owned(), json!({ "SecretId": "webhook", "VersionStage": stage }));
    assert_eq!(sent, [read("AWSCURRENT"), read("AWSPREVIOUS")]);
}

/// One query for each conversation, however many records it has, and one that finds no more.
#[tokio::test]
async fn conversations_of_a_subject_are_skipped_through() {
    let (config, sent) = answering(|request| {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let next = match body["ExpressionAttributeValues"][":c"]["S"].as_str() {
            None => json!([{ "subject": { "S": "s" }, "conversation": { "S": "a" }, "item": { "S": "i" } }]),
            Some("a") => json!([{ "conversation": { "S": "b" } }]),
            Some(_) => json!([]),
        };
        answer(200, &[], json!({ "Items": next }).to_string())
    })
    .await;
    assert_eq!(call(&config, "conversations_of").await, r#"["a", "b"]"#);
    let bodies: Vec<Value> =
        sent.take().iter().map(|r| serde_json::from_slice(r.body().bytes().unwrap()).unwrap()).collect();
    let first = json!({
        "TableName": "conversations",
        "IndexName": "subject-index",
        "Limit": 1,
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": { "#s": "subject" },
        "ExpressionAttributeValues": { ":s": { "S": "s" } },
    });
    let after = |last: &str| {
        let mut body = first.clone();
        body["KeyConditionExpression"] = json!("#s = :s AND #c > :c");
        body["ExpressionAttributeNames"]["#c"] = json!("conversation");
        body["ExpressionAttributeValues"][":c"] = json!({ "S": last });
        body
    };
    assert_eq!(bodies, [first.clone(), after("a"), after("b")]);
}

#[tokio::test]
async fn a_claim_is_stored_under_its_key_with_a_checksum() {
    let (config, sent) = answering(|_| answer(200, &[], "")).await;
    assert_eq!(call(&config, "claim_put").await, "()");
    let sent = sent.take();
    let request = &sent[0];
    assert_eq!((sent.len(), request.method().as_str()), (1, "PUT"));
    assert!(request.uri().to_string().starts_with("https://claims.s3.eu-west-1.amazonaws.com/claims/k"));
    // SHA-256 of `body`.
    let digest = "Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=";
    for (name, value) in [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "alias/claims"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("x-amz-checksum-sha256", digest),
    ] {
        assert_eq!(request.headers().get(name).and_then(|v| v.to_str().ok()), Some(value), "{name}");
    }
    assert_eq!(request.body().bytes(), Some(&b"body"[..]));

    let (config, sent) = answering(|_| answer(200, &[], "")).await;
    S3Claims::new(&config, "claims", None).put("k", b"body").await.unwrap();
    let headers = sent.take()[0].headers().clone();
    assert!(!headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption")));
}

/// The lifecycle rules of infra/data.yaml are for these names.
#[tokio::test]
async fn an_object_of_a_record_is_named_after_the_shortest_span_that_is_long_enough() {
    for (days, span) in
        [(1, Some(7)), (7, Some(7)), (8, Some(30)), (31, Some(90)), (3650, Some(3650)), (3651, None)]
    {
        let (config, sent) = answering(|_| answer(200, &[], "")).await;
        let claims = S3Claims::new(&config, "claims", None);
        let expected = span.map(|span| format!("records/{span}/ab")).ok_or(ObjectError::Refused);
        assert_eq!(claims.put_object("ab", b"sealed", days).await, expected, "{days}");
        let sent = sent.take();
        assert_eq!(sent.len(), usize::from(span.is_some()), "{days}");
        if let (Some(request), Ok(name)) = (sent.first(), expected) {
            assert!(request.uri().to_string().contains(&format!("/{name}")), "{days}");
            assert_eq!(request.body().bytes(), Some(&b"sealed"[..]));
        }
    }
}

#[tokio::test]
async fn a_claim_is_bounded_before_and_while_it_is_read_and_checked_after() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 6] = [
        ("whole", &[], "0123456789", "ten bytes"),
        ("announced too large", &[("content-length", "11")], "x", "TooLarge"),
        ("announced far too large", &[("content-length", "99999999999999")], "x", "TooLarge"),
        ("too large unannounced", &[], "0123456789a", "TooLarge"),
        (
            "with its checksum",
            &[("x-amz-checksum-sha256", "hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=")],
            "0123456789",
            "ten bytes",
        ),
        (
            "another body than was stored",
            &[("x-amz-checksum-sha256", "hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=")],
            "012345678X",
            "Unavailable",
        ),
    ];
    for (label, headers, body, expected) in cases {
        let (config, sent) = answering(move |_| answer(200, headers, body)).await;
        let got = call(&config, "claim_get").await;
        let expected =
            if expected == "ten bytes" { format!("{:?}", body.as_bytes()) } else { expected.to_owned() };
        assert_eq!(got, expected, "{label}");
        assert_eq!(sent.take()[0].headers()["x-amz-checksum-mode"], "ENABLED");
    }
}
