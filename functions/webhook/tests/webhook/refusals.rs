//! Whatever is wrong with a request: its status, its body, and that nothing is queued.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_lambda::{Handler, Invocation};
use portcullis_webhook::{Lane, sign};
use serde_json::{Value, json};

use crate::support::{APP_SECRET, TOKEN, bench, bench_with, get, one, post, post_with};

const SIGNATURE: &str = "X-Hub-Signature-256";
const META: &str = "client.webhooks.fbclientcerts.com";

fn signed(body: &str) -> String {
    sign(body.as_bytes(), APP_SECRET.as_bytes())
}

fn with(mut event: Value, name: &str, value: Value) -> Value {
    event[name] = value;
    event
}

fn shake(mode: &str, token: &str, challenge: &str) -> Value {
    get(&[("hub.mode", mode), ("hub.verify_token", token), ("hub.challenge", challenge)])
}

fn base64_post(body: &str, signature: &str) -> Value {
    with(post_with(body, &[(SIGNATURE, signature)]), "isBase64Encoded", true.into())
}

fn bad_requests() -> Vec<(&'static str, Value, u64, &'static str)> {
    let body = one("ola");
    let body = body.as_str();
    let good = signed(body);
    let encoded = STANDARD.encode(body);
    let digits = good.strip_prefix("sha256=").unwrap();
    let flipped = body.replace("ola", "olb");
    let huge = format!("\"{}\"", "a".repeat(3 * 1024 * 1024));
    let header = |value: &str| post_with(body, &[(SIGNATURE, value)]);
    vec![
        ("no signature", post_with(body, &[]), 401, "invalid-signature"),
        ("headers are null", with(post(body), "headers", Value::Null), 401, "invalid-signature"),
        (
            "signature is null",
            with(post(body), "headers", json!({SIGNATURE: null})),
            401,
            "invalid-signature",
        ),
        (
            "signature is a number",
            with(post(body), "headers", json!({SIGNATURE: 7})),
            401,
            "invalid-signature",
        ),
        (
            "signature is a list",
            with(post(body), "headers", json!({SIGNATURE: [good]})),
            401,
            "invalid-signature",
        ),
        ("empty signature", header(""), 401, "invalid-signature"),
        (
            "signature of the old header",
            post_with(body, &[("X-Hub-Signature", &good)]),
            401,
            "invalid-signature",
        ),
        ("no prefix", header(digits), 401, "invalid-signature"),
        ("sha1 prefix", header(&good.replace("sha256", "sha1")), 401, "invalid-signature"),
        ("prefix in capitals", header(&good.replace("sha256", "SHA256")), 401, "invalid-signature"),
        ("too short", header(&good[..70]), 401, "invalid-signature"),
        ("too long", header(&format!("{good}0")), 401, "invalid-signature"),
        ("not hex", header(&good.replace(&digits[..1], "g")), 401, "invalid-signature"),
        ("all zero", header(&format!("sha256={}", "0".repeat(64))), 401, "invalid-signature"),
        ("two signatures", header(&format!("{good}, {good}")), 401, "invalid-signature"),
        ("wrong secret", header(&sign(body.as_bytes(), b"guess")), 401, "invalid-signature"),
        ("empty secret", header(&sign(body.as_bytes(), b"")), 401, "invalid-signature"),
        (
            "verify token as secret",
            header(&sign(body.as_bytes(), TOKEN.as_bytes())),
            401,
            "invalid-signature",
        ),
        ("signature of another body", header(&signed("{}")), 401, "invalid-signature"),
        ("body changed", post_with(&flipped, &[(SIGNATURE, &good)]), 401, "invalid-signature"),
        (
            "body with a space more",
            post_with(&format!("{body} "), &[(SIGNATURE, &good)]),
            401,
            "invalid-signature",
        ),
        ("body missing", with(post(body), "body", Value::Null), 401, "invalid-signature"),
        ("body is an object", with(post(body), "body", json!({"entry": []})), 401, "invalid-signature"),
        ("base64 of another body", base64_post(&STANDARD.encode("{}"), &good), 401, "invalid-signature"),
        ("not base64", base64_post("%%%", &good), 401, "invalid-signature"),
        (
            "base64 without padding",
            base64_post(encoded.trim_end_matches('='), &format!("{}x", &good[..70])),
            401,
            "invalid-signature",
        ),
        ("base64 text signed undecoded", base64_post(&encoded, &signed(&encoded)), 401, "invalid-signature"),
        ("base64 flag left out", post_with(&encoded, &[(SIGNATURE, &good)]), 401, "invalid-signature"),
        ("signed, empty", post(""), 400, "not-json"),
        ("signed, white space", post("  \n"), 400, "not-json"),
        ("signed, cut off", post(&body[..body.len() - 1]), 400, "not-json"),
        ("signed, form post", post("entry=1&object=x"), 400, "not-json"),
        ("signed, xml", post("<entry/>"), 400, "not-json"),
        ("signed, two documents", post("{}{}"), 400, "not-json"),
        ("signed, trailing comma", post("{\"entry\":[],}"), 400, "not-json"),
        (
            "signed, not UTF-8",
            base64_post(&STANDARD.encode(b"\"\xff\""), &sign(b"\"\xff\"", APP_SECRET.as_bytes())),
            400,
            "not-json",
        ),
        ("signed, brackets", post(&"[".repeat(100_000)), 400, "not-json"),
        ("too large", post(&huge), 413, "body-too-large"),
        ("too large and not signed", post_with(&huge, &[]), 413, "body-too-large"),
        ("too large in base64", base64_post(&STANDARD.encode(&huge), &signed(&huge)), 413, "body-too-large"),
        (
            "far too large in base64, not even base64",
            base64_post(&"%".repeat(5_000_000), "x"),
            413,
            "body-too-large",
        ),
        ("method PUT", with(post(body), "httpMethod", "PUT".into()), 405, "method-not-allowed"),
        ("method DELETE", with(post(body), "httpMethod", "DELETE".into()), 405, "method-not-allowed"),
        ("method HEAD", with(post(body), "httpMethod", "HEAD".into()), 405, "method-not-allowed"),
        ("method OPTIONS", with(post(body), "httpMethod", "OPTIONS".into()), 405, "method-not-allowed"),
        ("method in lower case", with(post(body), "httpMethod", "post".into()), 405, "method-not-allowed"),
        ("no method", with(post(body), "httpMethod", "".into()), 405, "method-not-allowed"),
        ("other path", with(post(body), "path", "/".into()), 404, "not-found"),
        ("longer path", with(post(body), "path", "/webhook/".into()), 404, "not-found"),
        ("path in capitals", with(post(body), "path", "/Webhook".into()), 404, "not-found"),
        ("path with dots", with(post(body), "path", "/x/../webhook".into()), 404, "not-found"),
        (
            "handshake without parameters",
            with(get(&[]), "queryStringParameters", Value::Null),
            403,
            "handshake-refused",
        ),
        ("handshake with a wrong token", shake("subscribe", "guess", "1"), 403, "handshake-refused"),
        ("handshake with an empty token", shake("subscribe", "", "1"), 403, "handshake-refused"),
        ("handshake with the app secret", shake("subscribe", APP_SECRET, "1"), 403, "handshake-refused"),
        ("handshake in another mode", shake("unsubscribe", TOKEN, "1"), 403, "handshake-refused"),
        ("handshake with an empty challenge", shake("subscribe", TOKEN, ""), 403, "handshake-refused"),
        (
            "handshake with a huge challenge",
            shake("subscribe", TOKEN, &"1".repeat(1_025)),
            403,
            "handshake-refused",
        ),
        (
            "handshake with a header in the challenge",
            shake("subscribe", TOKEN, "1\r\nSet-Cookie: a=b"),
            403,
            "handshake-refused",
        ),
        (
            "handshake without a challenge",
            get(&[("hub.mode", "subscribe"), ("hub.verify_token", TOKEN)]),
            403,
            "handshake-refused",
        ),
    ]
}

#[tokio::test]
async fn every_bad_request_gets_its_status_and_an_error_body_and_queues_nothing() {
    let cases = bad_requests();
    assert!(cases.len() >= 40);
    for (label, event, status, slug) in cases {
        let bench = bench();
        let answer = bench.invoke(&serde_json::to_vec(&event).unwrap()).await;
        assert_eq!(answer["statusCode"], status, "{label}");
        assert_eq!(answer["headers"]["Content-Type"], "application/problem+json", "{label}");
        assert_eq!(answer["headers"]["Cache-Control"], "no-store", "{label}");
        assert_eq!(answer["headers"]["X-Content-Type-Options"], "nosniff", "{label}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["type"], format!("urn:portcullis:problem:{slug}"), "{label}");
        assert_eq!((&body["status"], body.as_object().unwrap().len()), (&json!(status), 3), "{label}");
        assert!(
            bench.queue.sent(Lane::Text).is_empty() && bench.queue.sent(Lane::Media).is_empty(),
            "{label}"
        );
        assert_eq!(bench.metrics.lock().unwrap().len(), 1, "{label}");
        if status == 405 {
            assert_eq!(answer["headers"]["Allow"], "GET, POST", "{label}");
        }
    }
}

#[tokio::test]
async fn all_refused_signatures_get_one_and_the_same_answer() {
    let bench = bench();
    let mut answers = Vec::new();
    for (_, event, status, _) in bad_requests() {
        if status == 401 {
            answers.push(bench.invoke(&serde_json::to_vec(&event).unwrap()).await.to_string());
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn good_requests_pass_whatever_their_form() {
    let body = one("ol\u{e1} \"x\" \u{1f600}");
    let largest = format!("\"{}\"", "a".repeat(3 * 1024 * 1024 - 2));
    for (label, event, queued) in [
        ("as Meta sends it", post(&body), 1),
        ("header in lower case", post_with(&body, &[("x-hub-signature-256", &signed(&body))]), 1),
        ("header in capitals", post_with(&body, &[("X-HUB-SIGNATURE-256", &signed(&body))]), 1),
        (
            "hex in capitals",
            post_with(&body, &[(SIGNATURE, &format!("sha256={}", signed(&body)[7..].to_uppercase()))]),
            1,
        ),
        (
            "previous secret",
            post_with(&body, &[(SIGNATURE, &sign(body.as_bytes(), b"previous-app-secret"))]),
            1,
        ),
        ("base64", base64_post(&STANDARD.encode(&body), &signed(&body)), 1),
        ("no content type", post(&body), 1),
        ("largest body", post(&largest), 1),
        ("largest body in base64", base64_post(&STANDARD.encode(&largest), &signed(&largest)), 1),
        ("signed nonsense", post("[1,2,3]"), 1),
        ("deep nesting", post(&("[".repeat(200_000) + &"]".repeat(200_000))), 1),
    ] {
        let bench = bench();
        let answer = bench.invoke(&serde_json::to_vec(&event).unwrap()).await;
        assert_eq!(
            (&answer["statusCode"], &answer["body"]),
            (&json!(200), &json!(format!("{{\"queued\":{queued}}}"))),
            "{label}"
        );
        assert_eq!(bench.queue.sent(Lane::Text).len(), queued, "{label}");
    }
}

#[tokio::test]
async fn what_is_no_proxy_event_fails_without_saying_what_was_in_it() {
    let invocation = Invocation { request_id: "r".into(), deadline: portcullis_base::Timestamp::MAX };
    for event in [
        &b""[..],
        b"{",
        b"[]",
        b"{}",
        br#"{"httpMethod":"POST"}"#,
        br#"{"path":"/webhook","httpMethod":7}"#,
        b"{\"path\":\"hunter2\xff\"}",
    ] {
        let failure = bench().function.handle(event, &invocation).await.unwrap_err();
        assert_eq!(failure.to_string(), "NotAProxyEvent: the event is not an API Gateway proxy event");
    }
}

#[tokio::test]
async fn client_certificate_counts_only_where_it_is_configured() {
    let body = one("ola");
    let subject = |dn: Value| {
        with(
            post(&body),
            "requestContext",
            json!({"identity": {"clientCert": {"subjectDN": dn, "clientCertPem": "x"}}}),
        )
    };
    for (label, event, configured, otherwise) in [
        ("Meta's", subject(json!(format!("CN={META},O=Meta Platforms\\, Inc.,C=US"))), 200, 200),
        ("another's", subject(json!("CN=evil.example,O=x")), 403, 200),
        ("Meta's name elsewhere", subject(json!(format!("O=CN\\={META},CN=evil.example"))), 403, 200),
        ("longer name", subject(json!(format!("CN={META}.evil.example"))), 403, 200),
        ("no subject", subject(Value::Null), 403, 200),
        ("no certificate", post(&body), 403, 200),
        ("no context", with(post(&body), "requestContext", Value::Null), 403, 200),
        ("no certificate, handshake", shake("subscribe", TOKEN, "1"), 403, 200),
    ] {
        let strict = bench_with(|s| s.client_cn = Some(META.to_owned()));
        assert_eq!(strict.status(&event).await, configured, "{label}");
        assert_eq!(bench().status(&event).await, otherwise, "{label}");
    }
}
