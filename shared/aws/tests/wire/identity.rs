//! The identity ports: exact requests, what failures mean, and what no emulator can be made to do.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_aws::{DynamoCredentials, DynamoTokens, KmsSealer, KmsSigner, KmsSigningKeys};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_token::{
    Algorithm, Approval, Approvals, ClientSecretStore, Family, FamilyId, KeyRing, KeyRingStore, KeySealer,
    Lockouts, RefreshFamilies, ReplayWindow, Revocation, RevocationStore, RevocationTarget, SealContext,
    SealedKeyStore, SecretHash, SignError, Signer, SigningKeys, SigningKeysError, StoredSecrets,
};
use serde_json::{Value, json};

use super::*;

/// Calls one method of one adapter and says what came of it.
async fn ask(config: &SdkConfig, method: &str) -> String {
    let clock = Arc::new(ManualClock::at(at(NOW)));
    let tokens = DynamoTokens::new(config, "tokens", clock.clone());
    let credentials = DynamoCredentials::new(config, "credentials", clock);
    let sealer = KmsSealer::new(config, "key-of-seals");
    let keys = KmsSigningKeys::new(config, "p");
    let (id, context) = (FamilyId::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap(), CONTEXT);
    match method {
        "ring_load" => say(KeyRingStore::load(&tokens).await.map(|(ring, v)| (ring.keys().len(), v))),
        "ring_save" => say(tokens.save(&KeyRing::default(), 7).await),
        "key_add" => say(SealedKeyStore::add(&tokens, "kid", b"sealed").await),
        "key_load" => say(SealedKeyStore::load(&tokens, "kid").await),
        "key_remove" => say(SealedKeyStore::remove(&tokens, "kid").await),
        "revoke" => say(RevocationStore::add(&tokens, &revocation()).await),
        "revoked" => say(tokens.since(Some("400000")).await),
        "family_load" => say(RefreshFamilies::load(&tokens, id).await),
        "family_create" => say(tokens.create(id, &family(), at(NOW + 1_500)).await),
        "family_replace" => {
            say(RefreshFamilies::replace(&tokens, id, &family(), &family().killed(), at(NOW + 1_500)).await)
        }
        "first_use" => say(tokens.first_use("s", "id", at(NOW + 1_500)).await),
        "approve" => say(Approvals::add(&tokens, &approval()).await),
        "take" => say(tokens.take("a", "svc.actuator", at(NOW + 1)).await),
        "peek" => say(tokens.peek("a").await),
        "secrets_load" => say(ClientSecretStore::load(&credentials, "svc.bff").await),
        "secrets_replace" => say(ClientSecretStore::replace(&credentials, "svc.bff", &secrets(), 0).await),
        "failures" => say(Lockouts::load(&credentials, "k").await),
        "fail" => say(Lockouts::add(&credentials, "k", at(NOW), at(NOW + 1_500)).await),
        "forgive" => say(credentials.clear("k").await),
        "seal" => say(sealer.seal(&vec![7; 9].into(), context).await),
        "open" => say(sealer.open(b"sealed", context).await),
        "public" => say(KmsSigner::load(config, "k", Algorithm::Es256).await),
        "make" => say(keys.make(Algorithm::Es256).await),
        "destroy" => say(keys.destroy("kid").await),
        other => panic!("no method {other}"),
    }
}

#[tokio::test]
async fn what_may_pass_is_unavailable_and_what_will_not_is_refused() {
    for (status, code, expected) in [
        (500, "InternalServerError", "Unavailable"),
        (400, "ProvisionedThroughputExceededException", "Unavailable"),
        (400, "ThrottlingException", "Unavailable"),
        (500, "KeyUnavailableException", "Unavailable"),
        (400, "AccessDeniedException", "Refused"),
        (400, "ResourceNotFoundException", "Refused"),
        (400, "ValidationException", "Refused"),
        (400, "DisabledException", "Refused"),
    ] {
        let (config, _) = answering(move |request| error(status, code, request)).await;
        for method in METHODS {
            assert_eq!(ask(&config, method).await, expected, "{method}: {status} {code}");
        }
    }
    let config =
        config(SharedHttpClient::new(aws_smithy_http_client::test_util::NeverClient::new()), SHORT).await;
    for method in METHODS {
        assert_eq!(ask(&config, method).await, "Unavailable", "{method}: silence");
    }
}

#[tokio::test]
async fn some_codes_mean_something_to_one_method() {
    for (method, code, expected) in [
        ("ring_save", "ConditionalCheckFailedException", "false"),
        ("key_add", "ConditionalCheckFailedException", "Refused"),
        ("family_create", "ConditionalCheckFailedException", "Refused"),
        ("family_replace", "ConditionalCheckFailedException", "false"),
        ("first_use", "ConditionalCheckFailedException", "false"),
        ("approve", "ConditionalCheckFailedException", "Refused"),
        ("take", "ConditionalCheckFailedException", "None"),
        ("secrets_replace", "ConditionalCheckFailedException", "false"),
        // Neither remembered nor not remembered: somebody adds and clears as fast as we try.
        ("fail", "ConditionalCheckFailedException", "Unavailable"),
        ("open", "InvalidCiphertextException", "Invalid"),
        ("open", "IncorrectKeyException", "Invalid"),
        ("seal", "InvalidKeyUsageException", "Refused"),
        ("public", "NotFoundException", "Missing"),
        ("public", "UnsupportedOperationException", "Unusable"),
        ("public", "InvalidKeyUsageException", "Unusable"),
        ("destroy", "NotFoundException", "()"),
    ] {
        let (config, _) = answering(move |request| error(400, code, request)).await;
        assert_eq!(ask(&config, method).await, expected, "{method}: {code}");
    }
}

#[tokio::test]
async fn an_empty_success_is_nothing_and_a_strange_item_is_malformed() {
    let (config, _) = answering(|_| answer(200, &[], "{}")).await;
    for (method, expected) in [
        ("ring_load", "(0, 0)"),
        ("key_load", "None"),
        ("family_load", "None"),
        ("peek", "None"),
        ("secrets_load", "None"),
        ("failures", "None"),
        ("fail", "Malformed"),
        ("revoked", r#"RevocationPage { items: [], cursor: Some("400000"), more: false }"#),
        ("open", "Invalid"),
        ("seal", "Invalid"),
        ("public", "Unusable"),
        ("make", "Unusable"),
    ] {
        assert_eq!(ask(&config, method).await, expected, "{method}");
    }
    let strange = r#"{"Item":{"pk":{"S":"x"},"sk":{"S":"y"}},"Items":[{"sk":{"S":"x"}}]}"#;
    let (config, _) = answering(move |_| answer(200, &[], strange)).await;
    for method in ["ring_load", "key_load", "family_load", "peek", "secrets_load", "failures", "revoked"] {
        assert_eq!(ask(&config, method).await, "Malformed", "{method}");
    }
}

/// DynamoDB deletes an item some time after its end, or never if the table's TTL is off.
#[tokio::test]
async fn an_item_whose_end_has_come_counts_as_gone() {
    for (ends_at, expected) in [(NOW + 1, "Malformed"), (NOW, "None"), (0, "None")] {
        let item = json!({ "Item": { "ends_at": { "N": ends_at.to_string() } } }).to_string();
        let (config, _) = answering(move |_| answer(200, &[], item.clone())).await;
        for method in ["family_load", "peek", "failures"] {
            assert_eq!(ask(&config, method).await, expected, "{method} that ends at {ends_at}");
        }
    }
}

#[tokio::test]
async fn each_method_sends_one_action_with_exact_parameters() {
    let get = |table: &str, pk: &str, sk: &str| json!({ "TableName": table, "ConsistentRead": true, "Key": key(pk, sk) });
    let put = |pk: &str, sk: &str, condition: &str, names: &[&str], mut item: Value| {
        item["pk"] = json!({ "S": pk });
        item["sk"] = json!({ "S": sk });
        json!({
            "TableName": if pk.starts_with("client") { "credentials" } else { "tokens" },
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeNames":
                names.iter().map(|n| (format!("#{n}"), json!(n))).collect::<serde_json::Map<_, _>>(),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        })
    };
    let end = json!({ "ends_at": { "N": "1000001500" }, "expires_at": { "N": "1000002" } });
    let free = "attribute_not_exists(#pk) OR #ends_at <= :now";
    let now = json!({ ":now": { "N": "1000000000" } });
    let with = |mut body: Value, values: Value| {
        body["ExpressionAttributeValues"] = values;
        body
    };
    let cases = [
        ("ring_load", "GetItem", get("tokens", "ring", "ring")),
        (
            "ring_save",
            "PutItem",
            with(
                put(
                    "ring",
                    "ring",
                    "#version = :version",
                    &["version"],
                    json!({ "ring": { "S": r#"{"version":1,"keys":[]}"# }, "version": { "N": "8" } }),
                ),
                json!({ ":version": { "N": "7" } }),
            ),
        ),
        (
            "key_add",
            "PutItem",
            put(
                "sealed-key#kid",
                "sealed-key",
                "attribute_not_exists(#pk)",
                &["pk"],
                json!({ "sealed": { "B": STANDARD.encode(b"sealed") } }),
            ),
        ),
        ("key_load", "GetItem", get("tokens", "sealed-key#kid", "sealed-key")),
        (
            "key_remove",
            "DeleteItem",
            json!({ "TableName": "tokens", "Key": key("sealed-key#kid", "sealed-key") }),
        ),
        ("first_use", "PutItem", with(put(USED, "used", free, &["pk", "ends_at"], end.clone()), now.clone())),
        (
            "revoked",
            "Query",
            json!({
                "TableName": "tokens",
                "ConsistentRead": true,
                "KeyConditionExpression": "pk = :pk AND sk > :after",
                // Six minutes before the newest, which was four hundred seconds after the beginning of time.
                "ExpressionAttributeValues":
                    { ":pk": { "S": "revocations" }, ":after": { "S": "000000000040000" } },
            }),
        ),
        (
            "take",
            "DeleteItem",
            json!({
                "TableName": "tokens",
                "Key": key("approval#a", "approval"),
                "ConditionExpression": "#actor = :actor AND #ends_at > :now",
                "ExpressionAttributeNames": { "#actor": "actor", "#ends_at": "ends_at" },
                "ExpressionAttributeValues":
                    { ":actor": { "S": "svc.actuator" }, ":now": { "N": "1000000001" } },
                "ReturnValues": "ALL_OLD",
            }),
        ),
        ("secrets_load", "GetItem", get("credentials", "client#svc.bff", "secrets")),
        (
            "secrets_replace",
            "PutItem",
            put(
                "client#svc.bff",
                "secrets",
                "attribute_not_exists(#pk)",
                &["pk"],
                json!({ "current": { "S": "a".repeat(64) }, "version": { "N": "1" } }),
            ),
        ),
        (
            "fail",
            "UpdateItem",
            json!({
                "TableName": "credentials",
                "Key": key("failures#k", "failures"),
                "UpdateExpression":
                    "SET #last = :now, ends_at = :ends_at, expires_at = :expires_at ADD #count :one",
                "ConditionExpression": "ends_at > :now",
                "ExpressionAttributeNames": { "#count": "count", "#last": "last" },
                "ExpressionAttributeValues": {
                    ":one": { "N": "1" },
                    ":now": { "N": "1000000000" },
                    ":ends_at": { "N": "1000001500" },
                    ":expires_at": { "N": "1000002" },
                },
                "ReturnValues": "UPDATED_NEW",
            }),
        ),
        (
            "open",
            "Decrypt",
            json!({
                "KeyId": "key-of-seals",
                "CiphertextBlob": STANDARD.encode(b"sealed"),
                "EncryptionContext": { "purpose": "portcullis:signing-key", "kid": "kid", "alg": "EdDSA" },
            }),
        ),
        (
            "seal",
            "Encrypt",
            json!({
                "KeyId": "key-of-seals",
                "Plaintext": STANDARD.encode([7; 9]),
                "EncryptionContext": { "purpose": "portcullis:signing-key", "kid": "kid", "alg": "EdDSA" },
            }),
        ),
        ("public", "GetPublicKey", json!({ "KeyId": "k" })),
    ];
    for (method, action, expected) in cases {
        let (config, sent) = answering(|_| answer(200, &[], "{}")).await;
        ask(&config, method).await;
        let mut requests = actions(&sent);
        // Different in every request.
        let mark = requests[0].1.get_mut("Item").and_then(|item| item.as_object_mut()?.remove("mark"));
        assert_eq!(requests, [(action.to_owned(), expected)], "{method}");
        assert_eq!(mark.is_some(), action == "PutItem", "{method}");
    }
}

/// The record that is there is compared in all that changes.
#[tokio::test]
async fn a_family_is_replaced_only_as_it_was_read() {
    let (config, sent) = answering(|_| answer(200, &[], "{}")).await;
    assert_eq!(ask(&config, "family_replace").await, "true");
    let (_, body) = actions(&sent).remove(0);
    let condition = body["ConditionExpression"].as_str().unwrap();
    for name in ["generation", "rotated_at", "current", "revoked"] {
        assert!(condition.contains(&format!("#{name} = :{name}")), "{name} in {condition}");
    }
    assert!(condition.contains("#ends_at > :now"), "{condition}");
    let values = &body["ExpressionAttributeValues"];
    assert_eq!((&values[":generation"]["N"], &values[":revoked"]["BOOL"]), (&json!("3"), &json!(false)));
    assert_eq!(values[":current"]["L"], json!([{ "S": "a" }]));
    assert_eq!((&body["Item"]["revoked"]["BOOL"], &body["Item"]["current"]["L"]), (&json!(true), &json!([])));
}

/// No answer came, so the SDK sent the request again; the first one had done its work.
#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_taken_for_another_s() {
    for (ours, expected) in [(true, "true"), (false, "false")] {
        let sent = Sent::default();
        let keep = sent.clone();
        let client = infallible_client_fn(move |request| {
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let mark = if ours { body["Item"]["mark"].clone() } else { json!({ "S": "another" }) };
            let failed = json!({ "__type": "com.amazonaws#ConditionalCheckFailedException", "Item": { "mark": mark } });
            let first = keep.0.lock().unwrap().is_empty();
            let answer = if first {
                error(500, "InternalServerError", &request)
            } else {
                answer(400, &[("content-type", "application/x-amz-json-1.0")], failed.to_string())
            };
            keep.0.lock().unwrap().push(request);
            answer
        });
        let config = config(client, SdkSettings { max_attempts: 2, ..SdkSettings::default() }).await;
        assert_eq!(ask(&config, "first_use").await, expected);
        assert_eq!(sent.take().len(), 2);
    }
}

#[tokio::test]
async fn failures_are_counted_by_one_of_two_opposite_updates() {
    let (config, sent) = answering(|request| {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        if body.contains("attribute_not_exists(pk) OR ends_at <= :now") {
            answer(200, &[], r#"{"Attributes":{"count":{"N":"1"}}}"#)
        } else {
            error(400, "ConditionalCheckFailedException", request)
        }
    })
    .await;
    let said = ask(&config, "fail").await;
    assert!(said.starts_with("Failures { count: 1"), "{said}");
    assert_eq!(sent.take().len(), 2);
}

/// What KMS would answer for a key of ours.
struct FakeKey {
    algorithm: Algorithm,
    name: &'static str,
    spki: Vec<u8>,
    sign: Box<Sign>,
}

type Sign = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

fn fake_keys() -> [FakeKey; 3] {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let random = SystemRandom::new();
    [
        FakeKey {
            algorithm: Algorithm::Rs256,
            name: "RSASSA_PKCS1_V1_5_SHA_256",
            spki: rsa.public_key().as_der().unwrap().as_ref().to_vec(),
            sign: Box::new(move |message| {
                let mut signature = vec![0; rsa.public_modulus_len()];
                rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }),
        },
        FakeKey {
            algorithm: Algorithm::Es256,
            name: "ECDSA_SHA_256",
            spki: p256.public_key().as_der().unwrap().as_ref().to_vec(),
            sign: Box::new(move |message| {
                p256.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }),
        },
        FakeKey {
            algorithm: Algorithm::EdDsa,
            name: "ED25519_SHA_512",
            spki: ed25519.public_key().as_der().unwrap().as_ref().to_vec(),
            sign: Box::new(move |message| ed25519.sign(message).as_ref().to_vec()),
        },
    ]
}

fn public(key: &FakeKey, usage: &str, name: &str) -> String {
    json!({
        "KeyId": "arn:of-the-key",
        "KeyUsage": usage,
        "SigningAlgorithms": [name],
        "PublicKey": STANDARD.encode(&key.spki),
    })
    .to_string()
}

#[tokio::test]
async fn digests_are_sent_for_rsa_and_ecdsa_and_the_message_for_ed25519() {
    for key in fake_keys() {
        let (algorithm, name) = (key.algorithm, key.name);
        let message = vec![b'm'; 4_096];
        let good = (key.sign)(&message);
        let loaded = public(&key, "SIGN_VERIFY", name);
        let (config, sent) = answering(move |request| {
            let signing = request.headers()["x-amz-target"] == "TrentService.Sign";
            let signed = json!({ "Signature": STANDARD.encode(&good) }).to_string();
            answer(200, &[], if signing { signed } else { loaded.clone() })
        })
        .await;
        let signer = KmsSigner::load(&config, "alias/k", algorithm).await.unwrap();
        let signature = signer.sign(&message).await.unwrap();
        assert!(signer.public().key().verifies(algorithm, &message, &signature), "{algorithm}");
        let (kind, bytes) = match algorithm {
            Algorithm::EdDsa => ("RAW", message.clone()),
            _ => ("DIGEST", digest(&SHA256, &message).as_ref().to_vec()),
        };
        let expected = json!({
            "KeyId": "arn:of-the-key",
            "SigningAlgorithm": name,
            "MessageType": kind,
            "Message": STANDARD.encode(bytes),
        });
        assert_eq!(actions(&sent)[1], ("Sign".to_owned(), expected));

        // A signature of another message, be it well-formed.
        assert_eq!(signer.sign(b"another").await, Err(SignError::Unavailable), "{algorithm}");
        let long = signer.sign(&[b'x'; 4_097]).await;
        let too_large = algorithm == Algorithm::EdDsa;
        assert_eq!(long == Err(SignError::TooLarge), too_large, "{algorithm}");
        assert_eq!(sent.take().len(), if too_large { 1 } else { 2 }, "what is too large is not sent");
    }
}

#[tokio::test]
async fn only_a_signing_key_of_the_algorithm_is_one() {
    let [rsa, p256, _] = fake_keys();
    let cut = FakeKey {
        spki: p256.spki[..p256.spki.len() - 1].to_vec(),
        ..fake_keys().into_iter().nth(1).unwrap()
    };
    for (label, body, expected) in [
        ("good", public(&p256, "SIGN_VERIFY", p256.name), None),
        ("for key agreement", public(&p256, "KEY_AGREEMENT", p256.name), Some(SigningKeysError::Unusable)),
        (
            "of another algorithm",
            public(&p256, "SIGN_VERIFY", "ECDSA_SHA_384"),
            Some(SigningKeysError::Unusable),
        ),
        ("of another type", public(&rsa, "SIGN_VERIFY", p256.name), Some(SigningKeysError::Unusable)),
        ("cut", public(&cut, "SIGN_VERIFY", p256.name), Some(SigningKeysError::Unusable)),
    ] {
        let (config, _) = answering(move |_| answer(200, &[], body.clone())).await;
        assert_eq!(KmsSigner::load(&config, "k", Algorithm::Es256).await.err(), expected, "{label}");
    }
}

/// A key that cannot be found again would cost money for ever.
#[tokio::test]
async fn a_key_that_gets_no_alias_is_scheduled_for_deletion() {
    let [_, p256, _] = fake_keys();
    let loaded = public(&p256, "SIGN_VERIFY", p256.name);
    let (config, sent) =
        answering(move |request| match request.headers()["x-amz-target"].to_str().unwrap() {
            "TrentService.CreateKey" => answer(200, &[], r#"{"KeyMetadata":{"KeyId":"new"}}"#),
            "TrentService.GetPublicKey" => answer(200, &[], loaded.clone()),
            _ => error(400, "LimitExceededException", request),
        })
        .await;
    assert_eq!(ask(&config, "make").await, "Refused");
    let sent = actions(&sent);
    let names: Vec<_> = sent.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(names, ["CreateKey", "GetPublicKey", "CreateAlias", "ScheduleKeyDeletion"]);
    assert_eq!(sent[0].1["KeySpec"], "ECC_NIST_P256");
    assert_eq!(sent[0].1["KeyUsage"], "SIGN_VERIFY");
    assert_eq!(sent[2].1["TargetKeyId"], "new");
    assert!(sent[2].1["AliasName"].as_str().unwrap().starts_with("alias/p/"));
    assert_eq!(sent[3].1, json!({ "KeyId": "new", "PendingWindowInDays": 7 }));
}

/// Half done before: the key is going, the alias still there.
#[tokio::test]
async fn destroying_goes_on_where_it_was_left() {
    let (config, sent) = answering(|request| match request.headers()["x-amz-target"].to_str().unwrap() {
        "TrentService.DescribeKey" => answer(200, &[], r#"{"KeyMetadata":{"KeyId":"old"}}"#),
        "TrentService.ScheduleKeyDeletion" => error(400, "KMSInvalidStateException", request),
        _ => answer(200, &[], "{}"),
    })
    .await;
    assert_eq!(ask(&config, "destroy").await, "()");
    let names: Vec<_> = actions(&sent).into_iter().map(|(action, _)| action).collect();
    assert_eq!(names, ["DescribeKey", "ScheduleKeyDeletion", "DeleteAlias"]);
}

#[tokio::test]
async fn what_cannot_be_sealed_or_opened_is_not_sent() {
    let (config, sent) = answering(|_| answer(200, &[], "{}")).await;
    let sealer = KmsSealer::new(&config, "k");
    for length in [0, 4_097] {
        assert_eq!(say(sealer.seal(&vec![7; length].into(), CONTEXT).await), "Refused", "{length}");
    }
    for length in [0, 6_145] {
        assert_eq!(say(sealer.open(&vec![7; length], CONTEXT).await), "Invalid", "{length}");
    }
    assert!(sent.take().is_empty());
}

/// The actions and bodies that were sent.
fn actions(sent: &Sent) -> Vec<(String, Value)> {
    sent.take()
        .iter()
        .map(|request| {
            let target = request.headers()["x-amz-target"].to_str().unwrap();
            let action = target.rsplit('.').next().unwrap().to_owned();
            (action, serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
        })
        .collect()
}

fn key(pk: &str, sk: &str) -> Value {
    json!({ "pk": { "S": pk }, "sk": { "S": sk } })
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn family() -> Family {
    Family {
        subject: "user".into(),
        client_id: "svc.bff".into(),
        scope: "read:signals".into(),
        created_at: 1,
        rotated_at: 2,
        generation: 3,
        current: vec!["a".into()],
        revoked: false,
    }
}

fn approval() -> Approval {
    Approval {
        id: "a".into(),
        plan: "p".into(),
        approver: "svc.enterprise".into(),
        actor: "svc.actuator".into(),
        issued_at: 1,
        expires_at: NOW + 1_500,
    }
}

fn revocation() -> Revocation {
    Revocation { target: RevocationTarget::Family { sid: "f".into() }, until: at(NOW + 1_500) }
}

fn secrets() -> StoredSecrets {
    StoredSecrets { current: SecretHash::parse(&"a".repeat(64)).unwrap(), other: None }
}

const METHODS: [&str; 24] = [
    "ring_load",
    "ring_save",
    "key_add",
    "key_load",
    "key_remove",
    "revoke",
    "revoked",
    "family_load",
    "family_create",
    "family_replace",
    "first_use",
    "approve",
    "take",
    "peek",
    "secrets_load",
    "secrets_replace",
    "failures",
    "fail",
    "forgive",
    "seal",
    "open",
    "public",
    "make",
    "destroy",
];
/// SHA-256 of the scope behind its length, and the id.
const USED: &str = "used#9f9d44b3e19af6a9678f821f97f82a3552124526f4d34a8ae8ca9fa51a1803a6";
/// Milliseconds since the Unix epoch.
const NOW: i64 = 1_000_000_000;
const CONTEXT: SealContext<'_> = SealContext { kid: "kid", algorithm: Algorithm::EdDsa };
