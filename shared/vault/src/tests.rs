//! Against a scripted server: what a real OpenBao does is in the contract tests; here is what it rarely does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_base::{ExposeSecret, ManualClock, SecretString, Timestamp};
use portcullis_pii::{KeyError, KeyWrapper, Purpose};
use portcullis_secrets::{SecretError, SecretSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers requests in turn and keeps what was asked.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<(u16, String)> = answers.iter().map(|(s, b)| (*s, (*b).to_owned())).collect();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !complete(&request) {
                    let mut chunk = [0; 4096];
                    match stream.read(&mut chunk).await.unwrap() {
                        0 => break,
                        n => request.extend_from_slice(&chunk[..n]),
                    }
                }
                seen.lock().unwrap().push(String::from_utf8(request).unwrap());
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
                let location = "location: http://127.0.0.1:1/v1/stolen\r\n\r\n";
                // A client may hang up on an answer that is too long.
                let _ = stream.write_all(format!("{head}{location}{body}").as_bytes()).await;
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The first line of each request.
    fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|r| r.lines().next().unwrap_or("").to_owned()).collect()
    }
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    body.len() >= length.parse::<usize>().unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH))
}

fn with_token(server: &Server) -> VaultSecrets<Arc<ManualClock>> {
    let auth = VaultAuth::Token(SecretString::from("s.token"));
    VaultSecrets::new(VaultSettings::new(&server.address, auth).unwrap(), clock()).unwrap()
}

fn with_role(server: &Server, clock: &Arc<ManualClock>) -> VaultSecrets<Arc<ManualClock>> {
    let auth = VaultAuth::AppRole {
        mount: "approle".into(),
        role_id: "role".into(),
        secret_id: SecretString::from("the-secret-id"),
    };
    VaultSecrets::new(VaultSettings::new(&server.address, auth).unwrap(), Arc::clone(clock)).unwrap()
}

fn version(version: u64, value: &str) -> String {
    let metadata =
        format!(r#"{{"version":{version},"created_time":"2026-11-0{version}T10:00:00.123456789Z"}}"#);
    format!(r#"{{"data":{{"data":{{"value":"{value}"}},"metadata":{metadata}}}}}"#)
}

fn lease(token: &str, seconds: u32) -> String {
    format!(r#"{{"auth":{{"client_token":"{token}","lease_duration":{seconds},"renewable":true}}}}"#)
}

#[tokio::test]
async fn current_and_previous_are_two_reads_with_token_and_namespace() {
    let server = Server::answering(&[(200, &version(7, "new")), (200, &version(6, "old"))]).await;
    let settings = VaultSettings::new(&server.address, VaultAuth::Token(SecretString::from("s.token")))
        .unwrap()
        .with_mount("team/kv")
        .with_namespace(Some("org/a".into()));
    let vault = VaultSecrets::new(settings, clock()).unwrap();
    let got = vault.fetch("a b/c?d").await.unwrap();
    assert_eq!(got.current.expose_secret(), "new");
    assert_eq!(got.previous.unwrap().expose_secret(), "old");
    assert_eq!(got.since, "2026-11-07T10:00:00.123456789Z".parse().ok(), "since the current one is there");
    assert_eq!(
        server.lines(),
        ["GET /v1/team/kv/data/a%20b/c%3Fd HTTP/1.1", "GET /v1/team/kv/data/a%20b/c%3Fd?version=6 HTTP/1.1"]
    );
    for request in server.requests() {
        for header in ["x-vault-token: s.token", "x-vault-namespace: org/a", "x-vault-request: true"] {
            assert!(request.contains(header), "{header} in {request}");
        }
    }
}

#[tokio::test]
async fn the_first_version_has_none_before_it() {
    let server = Server::answering(&[(200, &version(1, "only"))]).await;
    assert!(with_token(&server).fetch("a").await.unwrap().previous.is_none());
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_destroyed_version_is_not_accepted_any_more() {
    let gone = r#"{"data":{"data":null,"metadata":{"version":1,"destroyed":true}}}"#;
    let server = Server::answering(&[(200, &version(2, "new")), (404, gone)]).await;
    assert!(with_token(&server).fetch("a").await.unwrap().previous.is_none());
}

#[tokio::test]
async fn a_previous_version_that_cannot_be_read_is_not_taken_for_absent() {
    let server = Server::answering(&[(200, &version(2, "new")), (500, "{}")]).await;
    assert_eq!(with_token(&server).fetch("a").await.unwrap_err(), SecretError::Unavailable);
}

#[tokio::test]
async fn each_answer_maps_to_one_error() {
    let long = "x".repeat(300 * 1024);
    let cases: [(u16, &str, SecretError); 16] = [
        (307, "", SecretError::Unavailable),
        (400, "{}", SecretError::Denied),
        (403, r#"{"errors":["permission denied"]}"#, SecretError::Denied),
        (404, r#"{"errors":[]}"#, SecretError::NotFound),
        (405, "{}", SecretError::Malformed),
        (412, "{}", SecretError::Unavailable),
        (429, "{}", SecretError::Unavailable),
        (473, "{}", SecretError::Unavailable),
        (500, "{}", SecretError::Unavailable),
        (503, r#"{"errors":["Vault is sealed"]}"#, SecretError::Unavailable),
        (200, "", SecretError::Malformed),
        (200, "<html>", SecretError::Malformed),
        (200, r#"{"data":{}}"#, SecretError::Malformed),
        (200, r#"{"data":{"value":"a version 1 mount"}}"#, SecretError::Malformed),
        (200, r#"{"data":{"data":null,"metadata":{"version":1}}}"#, SecretError::Malformed),
        (200, &long, SecretError::Malformed),
    ];
    for (status, body, expected) in cases {
        let server = Server::answering(&[(status, body)]).await;
        let label: String = body.chars().take(40).collect();
        assert_eq!(with_token(&server).fetch("a").await.unwrap_err(), expected, "{status} {label}");
        assert_eq!(server.lines().len(), 1, "no redirect is followed, nothing is tried again: {status}");
    }
}

#[tokio::test]
async fn silence_and_refusal_are_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let settings = VaultSettings::new(&address, VaultAuth::Token(SecretString::from("t")))
        .unwrap()
        .with_timeout(Duration::from_millis(100));
    let vault = VaultSecrets::new(settings, clock()).unwrap();
    assert_eq!(vault.fetch("a").await.unwrap_err(), SecretError::Unavailable);
    drop(silent);
    assert_eq!(vault.fetch("a").await.unwrap_err(), SecretError::Unavailable);
}

#[tokio::test]
async fn names_outside_the_mount_never_leave() {
    let server = Server::answering(&[]).await;
    for name in ["", "../sys/seal", "a/../../sys", "/a", "a/"] {
        assert_eq!(with_token(&server).fetch(name).await.unwrap_err(), SecretError::NotFound, "{name}");
    }
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn a_role_logs_in_once_renews_at_two_thirds_and_logs_in_again_at_the_end() {
    let (one, clock) = (version(1, "v"), clock());
    let server = Server::answering(&[
        (200, &lease("t1", 90)),
        (200, &one),
        (200, &one),
        (200, &lease("t1", 90)),
        (200, &one),
        (200, &lease("t2", 90)),
        (200, &one),
    ])
    .await;
    let vault = with_role(&server, &clock);
    for wait in [0, 59, 1, 90] {
        clock.advance(wait * 1_000);
        vault.fetch("a").await.unwrap();
    }
    let paths: Vec<_> = server
        .lines()
        .iter()
        .map(|l| l.split(' ').nth(1).unwrap().trim_start_matches("/v1/").to_owned())
        .collect();
    let (login, read, renew) = ("auth/approle/login", "secret/data/a", "auth/token/renew-self");
    assert_eq!(paths, [login, read, read, renew, read, login, read]);
    let requests = server.requests();
    assert!(requests[0].contains(r#""secret_id":"the-secret-id""#) && !requests[0].contains("x-vault-token"));
    assert!(requests[1].contains("x-vault-token: t1") && requests[6].contains("x-vault-token: t2"));
}

#[tokio::test]
async fn a_renewal_that_fails_is_survived() {
    for (label, renewal, calls) in
        [("down: the old token is still good", 503, 4), ("refused: log in", 403, 5)]
    {
        let (one, clock) = (version(1, "v"), clock());
        let (first, second) = (lease("t1", 90), lease("t2", 90));
        let mut answers = vec![(200, first.as_str()), (200, &one), (renewal, "{}")];
        if renewal == 403 {
            answers.push((200, &second));
        }
        answers.push((200, &one));
        let server = Server::answering(&answers).await;
        let vault = with_role(&server, &clock);
        vault.fetch("a").await.unwrap();
        clock.advance(60_000);
        vault.fetch("a").await.unwrap();
        assert_eq!(server.lines().len(), calls, "{label}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let (one, clock) = (version(1, "v"), clock());
    let (first, second) = (lease("t1", 90), lease("t2", 90));
    let server =
        Server::answering(&[(200, &first), (200, &one), (403, "{}"), (200, &second), (200, &one)]).await;
    let vault = with_role(&server, &clock);
    vault.fetch("a").await.unwrap();
    clock.advance(30_000);
    vault.fetch("a").await.unwrap();
    assert_eq!(server.lines().len(), 5);
}

#[tokio::test]
async fn a_role_that_may_not_read_does_not_log_in_over_and_over() {
    let clock = clock();
    let server = Server::answering(&[(200, &lease("t1", 90)), (403, "{}"), (403, "{}")]).await;
    let vault = with_role(&server, &clock);
    for _ in 0..2 {
        assert_eq!(vault.fetch("a").await.unwrap_err(), SecretError::Denied);
    }
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_login_that_fails_says_why() {
    for (status, expected) in
        [(400, SecretError::Denied), (404, SecretError::Denied), (503, SecretError::Unavailable)]
    {
        let server = Server::answering(&[(status, "{}")]).await;
        assert_eq!(with_role(&server, &clock()).fetch("a").await.unwrap_err(), expected, "{status}");
    }
}

#[tokio::test]
async fn debug_output_shows_no_secret() {
    let server = Server::answering(&[(200, &lease("t1-token", 90)), (200, &version(1, "the-value"))]).await;
    let vault = with_role(&server, &clock());
    let got = vault.fetch("a").await.unwrap();
    let shown = format!("{vault:?} {got:?}");
    for secret in ["the-secret-id", "t1-token", "the-value"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn certificates_must_be_certificates() {
    for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let settings = VaultSettings::new("https://vault.example", VaultAuth::Token(SecretString::from("t")))
            .unwrap()
            .with_ca_pem(Some(pem.as_bytes().to_vec()));
        assert!(VaultSecrets::new(settings, clock()).is_err(), "{pem}");
    }
}

fn transit(server: &Server, auth: VaultAuth, clock: &Arc<ManualClock>) -> VaultTransit<Arc<ManualClock>> {
    let settings = VaultSettings::new(&server.address, auth).unwrap().with_mount("team/transit");
    VaultTransit::new(settings, "conversations", "media", Arc::clone(clock)).unwrap()
}

fn token() -> VaultAuth {
    VaultAuth::Token(SecretString::from("s.token"))
}

fn plaintext(bytes: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!(r#"{{"data":{{"plaintext":"{text}"}}}}"#)
}

#[tokio::test]
async fn the_context_is_sent_twice_and_the_key_is_the_purpose_s() {
    let wrapped = r#"{"data":{"ciphertext":"vault:v1:AAAA"}}"#;
    let server = Server::answering(&[(200, wrapped), (200, &plaintext(&[7; 32]))]).await;
    let wrapper = transit(&server, token(), &clock());
    let key = wrapper.generate(Purpose::Media, &[("table", "t")]).await.unwrap();
    assert_eq!(key.wrapped, b"vault:v1:AAAA");
    let opened = wrapper.unwrap(Purpose::Conversation, &[("table", "t")], &key.wrapped).await.unwrap();
    assert_eq!(*opened, [7; 32]);
    assert_eq!(
        server.lines(),
        [
            "POST /v1/team/transit/encrypt/media HTTP/1.1",
            "POST /v1/team/transit/decrypt/conversations HTTP/1.1"
        ]
    );
    let bodies: Vec<serde_json::Value> = server
        .requests()
        .iter()
        .map(|r| serde_json::from_str(r.split_once("\r\n\r\n").unwrap().1).unwrap())
        .collect();
    for (body, subject) in bodies.iter().zip(["plaintext", "ciphertext"]) {
        assert_eq!(body["context"], body["associated_data"]);
        assert!(body["context"].as_str().unwrap().len() > 20 && body[subject].is_string());
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    }
    assert_ne!(bodies[0]["context"], bodies[1]["context"], "the purpose is bound as well");
}

#[tokio::test]
async fn what_transit_refuses_and_what_it_cannot_have_meant() {
    let encrypted = r#"{"data":{"ciphertext":"v1:AAAA"}}"#;
    for (label, status, body, generated, unwrapped) in [
        ("not taken", 400, "{}", KeyError::Refused, KeyError::Invalid),
        ("not allowed", 403, "{}", KeyError::Refused, KeyError::Refused),
        ("no such mount", 404, "{}", KeyError::Refused, KeyError::Refused),
        ("sealed", 503, "{}", KeyError::Unavailable, KeyError::Unavailable),
        ("too many", 429, "{}", KeyError::Unavailable, KeyError::Unavailable),
        ("another server", 200, "<html>", KeyError::Invalid, KeyError::Invalid),
        ("nothing", 200, r#"{"data":{}}"#, KeyError::Invalid, KeyError::Invalid),
        ("no ciphertext of transit", 200, encrypted, KeyError::Invalid, KeyError::Invalid),
        ("a key too short", 200, &plaintext(&[7; 31]), KeyError::Invalid, KeyError::Invalid),
        ("a key too long", 200, &plaintext(&[7; 33]), KeyError::Invalid, KeyError::Invalid),
        ("a long key", 200, &plaintext(&[7; 64]), KeyError::Invalid, KeyError::Invalid),
    ] {
        let server = Server::answering(&[(status, body), (status, body)]).await;
        let wrapper = transit(&server, token(), &clock());
        assert_eq!(wrapper.generate(Purpose::Media, &[]).await.unwrap_err(), generated, "{label}");
        let opened = wrapper.unwrap(Purpose::Media, &[], b"vault:v1:AAAA").await;
        assert_eq!(opened.unwrap_err(), unwrapped, "{label}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_wrapped_key_is_not_sent() {
    let server = Server::answering(&[]).await;
    let wrapper = transit(&server, token(), &clock());
    for wrapped in [&b""[..], b"AAAA", b"vault:v\xff", &[b"vault:v1:".as_slice(), &[b'A'; 1_024]].concat()] {
        let opened = wrapper.unwrap(Purpose::Media, &[], wrapped).await;
        assert_eq!(opened.unwrap_err(), KeyError::Invalid);
    }
    let twice = [("a", "1"), ("a", "2")];
    assert_eq!(wrapper.generate(Purpose::Media, &twice).await.unwrap_err(), KeyError::Invalid);
    assert!(server.lines().is_empty());
    for name in ["", "../sys", "a/b"] {
        let settings = VaultSettings::new("https://vault.example", token()).unwrap();
        assert_eq!(VaultTransit::new(settings, "a", name, clock()).unwrap_err(), VaultError::KeyName);
    }
}

/// A wrong context is answered with 400: no reason to log in again. A revoked token is.
#[tokio::test]
async fn transit_logs_in_again_only_for_a_token_that_was_refused() {
    let role = || VaultAuth::AppRole {
        mount: "approle".into(),
        role_id: "role".into(),
        secret_id: SecretString::from("the-secret-id"),
    };
    let (first, second, good) = (lease("t1", 3_600), lease("t2", 3_600), plaintext(&[7; 32]));
    let answers = [(200, first.as_str()), (400, "{}"), (403, "{}"), (200, &second), (200, &good)];
    let (server, clock) = (Server::answering(&answers).await, clock());
    let wrapper = transit(&server, role(), &clock);
    let unwrap = async || wrapper.unwrap(Purpose::Media, &[], b"vault:v1:AAAA").await.map(|key| *key);
    assert_eq!(unwrap().await, Err(KeyError::Invalid));
    clock.advance(30_000);
    assert_eq!(unwrap().await, Ok([7; 32]));
    assert_eq!(server.lines().len(), 5);
    let shown = format!("{wrapper:?}");
    assert!(!shown.contains("t2") && !shown.contains("the-secret-id"), "{shown}");
}
