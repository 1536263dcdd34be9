//! The signed outgoing webhook against real servers, verified by an implementation that shares nothing with ours.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use portcullis_base::SecretString;
use portcullis_client::{SystemClock, Transport, WebhookNotifier};
use portcullis_response::{Message, Notifier, PortError};
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};
use serde_json::{Value, json};

use crate::support::{Counter, NOW, clock, nobody, serve};

/// Of the Standard Webhooks libraries' own tests.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

#[derive(Clone)]
struct Vault(Result<(&'static str, Option<&'static str>), SecretError>, Counter);

impl SecretSource for Vault {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        assert_eq!(name, "portcullis/notifications");
        self.1.next();
        let (current, previous) = self.0?;
        Ok(SecretVersions {
            current: current.into(),
            previous: previous.map(SecretString::from),
            since: None,
        })
    }
}

fn vault(current: &'static str, previous: Option<&'static str>) -> Vault {
    Vault(Ok((current, previous)), Counter::default())
}

fn notifier(url: &str, vault: &Vault) -> WebhookNotifier<Vault, Arc<portcullis_base::ManualClock>> {
    WebhookNotifier::new(url, "portcullis/notifications", vault.clone(), clock()).unwrap()
}

fn message() -> Message {
    Message {
        id: "inc-0123456789abcdef0123-0-opened".into(),
        subject: "subject".into(),
        body: "for people".into(),
        json: r#"{"schema":"portcullis.incident.v1","title":"Ação \"x\" 名"}"#.into(),
    }
}

/// What a receiver got.
type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn receiver(status: u16) -> (String, Got) {
    let got = Got::default();
    let keep = got.clone();
    let hook = async move |headers: HeaderMap, body: Bytes| {
        keep.lock().unwrap().push((headers, body));
        StatusCode::from_u16(status).unwrap()
    };
    (format!("http://{}/hook", serve(Router::new().route("/hook", post(hook))).await), got)
}

/// Verifies as a receiver would that is written in Python: its own HMAC, base64 and header parsing.
fn python_verifies(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let request = json!({"secret": secret, "id": text("webhook-id"), "timestamp": text("webhook-timestamp"),
        "signature": text("webhook-signature"), "body": body});
    let mut python = Command::new("python3")
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let answer = python.wait_with_output().unwrap();
    assert!(answer.status.success());
    match answer.stdout.trim_ascii() {
        b"valid" => true,
        b"invalid" => false,
        other => panic!("{other:?}"),
    }
}

const VERIFY: &str = r#"
import base64, hashlib, hmac, json, sys
r = json.load(sys.stdin)
key = base64.b64decode(r["secret"].removeprefix("whsec_"))
signed = f'{r["id"]}.{r["timestamp"]}.'.encode() + bytes(r["body"])
expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
given = [part.split(",", 1) for part in r["signature"].split(" ")]
print("valid" if any(v == "v1" and hmac.compare_digest(s, expected) for v, s in given) else "invalid")
"#;

/// Without this, a verifier that says yes to everything would pass.
#[test]
fn the_verifier_knows_the_published_vector() {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
    headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    headers.insert("webhook-signature", signature.parse().unwrap());
    assert!(python_verifies(SECRET, &headers, br#"{"test": 2432232314}"#));
    assert!(!python_verifies(SECRET, &headers, br#"{"test": 2432232315}"#));
    assert!(!python_verifies(NEXT, &headers, br#"{"test": 2432232314}"#));
}

#[tokio::test]
async fn a_receiver_verifies_what_it_gets_with_either_secret_of_a_rotation() {
    let (url, got) = receiver(204).await;
    let vault = vault(NEXT, Some(SECRET));
    let notifier = notifier(&url, &vault);
    assert_eq!(notifier.send(&message()).await, Ok(()));
    assert_eq!(notifier.send(&message()).await, Ok(()));
    let got = got.lock().unwrap();
    let (headers, body) = &got[0];
    assert_eq!(body, message().json.as_bytes());
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], message().id.as_str());
    assert_eq!(headers["webhook-timestamp"], NOW.to_string().as_str());
    for secret in [NEXT, SECRET] {
        assert!(python_verifies(secret, headers, body), "{secret}");
    }
    assert!(!python_verifies("whsec_ZZECAwQFBgcICQoLDA0ODxAREhMUFRYX", headers, body));
    assert_eq!(got[1].0["webhook-id"], headers["webhook-id"], "the same when it is sent again");
    assert_eq!(vault.1.count(), 1, "the secret is cached");
}

#[tokio::test]
async fn a_previous_version_that_is_no_such_secret_does_not_silence_us() {
    let (url, got) = receiver(200).await;
    assert_eq!(notifier(&url, &vault(SECRET, Some("something else"))).send(&message()).await, Ok(()));
    let got = got.lock().unwrap();
    assert!(python_verifies(SECRET, &got[0].0, &got[0].1));
}

#[tokio::test]
async fn without_a_secret_nothing_is_sent() {
    let (url, got) = receiver(200).await;
    let refused = |text: &str| PortError::Refused(text.to_owned());
    for (label, vault, expected) in [
        ("away", Vault(Err(SecretError::Unavailable), Counter::default()), PortError::Timeout),
        (
            "gone",
            Vault(Err(SecretError::NotFound), Counter::default()),
            refused("the webhook's secret: secret not found"),
        ),
        (
            "of another form",
            vault("hunter2", Some(SECRET)),
            refused("webhook secret: not `whsec_` and base64 of 24 to 64 bytes"),
        ),
    ] {
        assert_eq!(notifier(&url, &vault).send(&message()).await, Err(expected), "{label}");
    }
    assert!(got.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_receiver_says_is_told_apart() {
    for (status, expected) in [
        (429, PortError::Throttled),
        (503, PortError::Throttled),
        (500, PortError::Timeout),
        (404, PortError::Refused("the webhook answers 404".into())),
    ] {
        let (url, got) = receiver(status).await;
        assert_eq!(notifier(&url, &vault(SECRET, None)).send(&message()).await, Err(expected), "{status}");
        assert_eq!(got.lock().unwrap().len(), 1, "one attempt");
    }
    let url = format!("http://{}/hook", nobody().await);
    assert_eq!(notifier(&url, &vault(SECRET, None)).send(&message()).await, Err(PortError::Timeout));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, got) = receiver(200).await;
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.clone();
        let hook =
            async move || (StatusCode::from_u16(status).unwrap(), [("location", location)]).into_response();
        let url = format!("http://{}/hook", serve(Router::new().route("/hook", post(hook))).await);
        let refused = Err(PortError::Refused(format!("the webhook answers {status}")));
        assert_eq!(notifier(&url, &vault(SECRET, None)).send(&message()).await, refused);
    }
    assert!(got.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_slow_receiver_and_a_huge_answer_are_bounded() {
    let short = || Transport::default().with_timeout(Duration::from_millis(300));
    let slow = post(async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        "late"
    });
    let huge = post(async || "x".repeat(64 << 20));
    let address = serve(Router::new().route("/slow", slow).route("/huge", huge)).await;
    let in_time = async |notifier: WebhookNotifier<_, _>| {
        tokio::time::timeout(Duration::from_secs(4), notifier.send(&message())).await.expect("an end")
    };
    let slow = notifier(&format!("http://{address}/slow"), &vault(SECRET, None)).with_transport(short());
    assert_eq!(in_time(slow).await, Err(PortError::Timeout));
    let huge = notifier(&format!("http://{address}/huge"), &vault(SECRET, None));
    assert_eq!(in_time(huge).await, Ok(()), "it said yes before it went on and on");
}

#[test]
fn only_https_or_this_machine_and_no_secret_in_debug_output() {
    let of = |url: &str| WebhookNotifier::new(url, "name", vault(SECRET, None), SystemClock);
    for url in
        ["http://chat.example/hook", "https://user:pw@chat.example", "ftp://chat.example", "chat.example", ""]
    {
        assert!(of(url).is_err(), "{url}");
    }
    let shown = format!("{:?}", of("https://chat.example/services/T0/B0/hunter2?key=hunter2").unwrap());
    assert!(shown.contains("https://chat.example") && !shown.contains("hunter2") && !shown.contains("whsec"));
}

#[tokio::test]
async fn the_message_of_a_real_incident_is_an_object_with_the_documented_members() {
    use portcullis_response::simulation::example_signal;
    use portcullis_response::{Incident, Phase, message};
    let (url, got) = receiver(200).await;
    let incident = Incident::open(example_signal("f"), portcullis_base::Timestamp::UNIX_EPOCH);
    let sent = message(&incident, Phase::Opened);
    assert_eq!(notifier(&url, &vault(SECRET, None)).send(&sent).await, Ok(()));
    let got: Value = serde_json::from_slice(&got.lock().unwrap()[0].1).unwrap();
    let documented = include_str!("../../../../docs/INCIDENTS.md");
    for (name, _) in got.as_object().unwrap() {
        assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/INCIDENTS.md");
    }
}
