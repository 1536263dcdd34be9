//! The local stack over mutual TLS, with certificates that the command made: who gets in, and what tokens are bound to.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis_tests::binaries;
use reqwest::{Certificate, Client, Identity, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// A stack that speaks TLS, and the certificates of two services.
struct Stack {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Stack {
    async fn start(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("certs");
        certs(&dir, &["init"]);
        certs(&dir, &["issue", "gateway", "--dns", "localhost", "--ip", "127.0.0.1"]);
        certs(&dir, &["issue", "svc.memory"]);
        certs(&dir, &["issue", "svc.actuator"]);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let process = Command::new(binaries::portcullis())
            .args(["serve", "--json", "--port", &port.to_string(), "--mtls", mode, "--data"])
            .arg(folder.path().join("data"))
            .arg("--root-key")
            .arg(folder.path().join("root.key"))
            .arg("--certs")
            .arg(dir.join("gateway"))
            .stdout(fs::File::create(folder.path().join("out")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stack = Self { folder, port, process };
        let client = stack.client(Some("memory"));
        for _ in 0..200 {
            if client.get(stack.url("/health")).send().await.is_ok() {
                return stack;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the stack does not start");
    }

    fn certs(&self) -> std::path::PathBuf {
        self.folder.path().join("certs")
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// A client that shows the certificate of a service, or none.
    fn client(&self, service: Option<&str>) -> Client {
        let ca = Certificate::from_pem(&fs::read(self.certs().join("ca/ca.crt")).unwrap()).unwrap();
        let mut builder = Client::builder().tls_certs_only([ca]).no_proxy().timeout(Duration::from_secs(10));
        if let Some(service) = service {
            let mut pem = fs::read(self.certs().join(service).join("client.crt")).unwrap();
            pem.extend(fs::read(self.certs().join(service).join("client.key")).unwrap());
            builder = builder.identity(Identity::from_pem(&pem).unwrap());
        }
        builder.build().unwrap()
    }

    /// A token that the certificate alone is the credential of.
    async fn token(&self, service: &str) -> String {
        let id = format!("svc.{service}");
        let form = [("grant_type", "client_credentials"), ("client_id", &id)];
        let request = self.client(Some(service)).post(self.url("/sts/token")).form(&form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn read(&self, service: Option<&str>, token: &str) -> Option<StatusCode> {
        let path = self.url("/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0");
        let sent = self.client(service).get(path).bearer_auth(token).send().await;
        sent.ok().map(|answer| answer.status())
    }

    /// Ends it as Ctrl-C does, and gives what it printed.
    fn end(mut self) -> Vec<Value> {
        Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(self.process.wait().unwrap().success());
        let out = fs::read_to_string(self.folder.path().join("out")).unwrap();
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn certs(dir: &Path, args: &[&str]) {
    let output =
        Command::new(binaries::portcullis()).arg("certs").args(args).arg("--dir").arg(dir).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn strict_mode_keeps_out_who_has_no_certificate_and_binds_tokens_to_it() {
    let stack = Stack::start("strict").await;
    assert!(stack.client(None).get(stack.url("/health")).send().await.is_err(), "nobody gets in without one");
    let token = stack.token("memory").await;
    for (label, shown, expected) in [
        ("its own certificate", Some("memory"), Some(StatusCode::NOT_FOUND)),
        ("the certificate of another service", Some("actuator"), Some(StatusCode::UNAUTHORIZED)),
        ("no certificate", None, None),
    ] {
        assert_eq!(stack.read(shown, &token).await, expected, "{label}");
    }
    let actuator = stack.token("actuator").await;
    assert_eq!(stack.read(Some("actuator"), &actuator).await, Some(StatusCode::FORBIDDEN));
    assert_eq!(stack.read(Some("memory"), &actuator).await, Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn commands_show_a_certificate_in_place_of_a_secret() {
    let stack = Stack::start("strict").await;
    certs(&stack.certs(), &["issue", "ops.security-admin"]);
    for (label, service, folder, code) in [
        ("who may", "ops.security-admin", "ops.security-admin", 0),
        ("who may not", "svc.memory", "memory", 1),
        ("another's certificate", "ops.security-admin", "memory", 2),
    ] {
        let output = Command::new(binaries::portcullis())
            .args(["keys", "list", "--json", "--service", service, "--url", &stack.url(""), "--certs"])
            .arg(stack.certs().join(folder))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{label}: {said}");
        if code == 0 {
            let keys: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(keys["keys"].as_array().unwrap().len(), 3, "{label}");
        }
    }
}

#[tokio::test]
async fn a_token_is_got_by_certificate_and_bound_to_it() {
    let stack = Stack::start("strict").await;
    let get = |folder: &str| {
        Command::new(binaries::portcullis())
            .args(["token", "get", "--service", "svc.memory", "--url", &stack.url(""), "--certs"])
            .arg(stack.certs().join(folder))
            .output()
            .unwrap()
    };
    let output = get("memory");
    let token = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stack.read(Some("memory"), token.trim()).await, Some(StatusCode::NOT_FOUND));
    assert_eq!(stack.read(Some("actuator"), token.trim()).await, Some(StatusCode::UNAUTHORIZED));
    assert_eq!(get("actuator").status.code(), Some(1), "another's certificate is refused");
}

#[tokio::test]
async fn a_revoked_certificate_opens_no_connection_any_more() {
    let stack = Stack::start("strict").await;
    let token = stack.token("memory").await;
    certs(&stack.certs(), &["revoke", "svc.memory"]);
    let mut shut = false;
    // The files are looked at every ten seconds.
    for _ in 0..60 {
        shut = stack.read(Some("memory"), &token).await.is_none();
        if shut {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(shut, "the revocation is heard without a restart");
    stack.token("actuator").await;
}

#[tokio::test]
async fn functions_refuse_a_revoked_certificate_where_the_connection_still_takes_it() {
    let stack = Stack::start("permissive").await;
    certs(&stack.certs(), &["issue", "ops.security-admin"]);
    let (token, actuator) = (stack.token("memory").await, stack.token("actuator").await);
    assert_eq!(stack.read(Some("memory"), &token).await, Some(StatusCode::NOT_FOUND));
    let output = Command::new(binaries::portcullis())
        .args(["token", "revoke", "--json", "--url", &stack.url(""), "--certificate"])
        .arg(stack.certs().join("memory/client.crt"))
        .arg("--certs")
        .arg(stack.certs().join("ops.security-admin"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut status = None;
    for _ in 0..50 {
        status = stack.read(Some("memory"), &token).await;
        if status == Some(StatusCode::UNAUTHORIZED) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status, Some(StatusCode::UNAUTHORIZED), "the authorizer");
    let form = [("grant_type", "client_credentials"), ("client_id", "svc.memory")];
    let answer = stack.client(Some("memory")).post(stack.url("/sts/token")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "the token service");
    assert_eq!(
        stack.read(Some("actuator"), &actuator).await,
        Some(StatusCode::FORBIDDEN),
        "another's is good"
    );
}

#[tokio::test]
async fn permissive_mode_lets_in_and_lists_who_would_break() {
    let stack = Stack::start("permissive").await;
    let answer = stack.client(None).get(stack.url("/health")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let token = stack.token("memory").await;
    assert_eq!(stack.read(Some("memory"), &token).await, Some(StatusCode::NOT_FOUND));
    assert_eq!(stack.read(None, &token).await, Some(StatusCode::UNAUTHORIZED), "a bound token stays bound");
    let broken: Vec<_> = stack.end().into_iter().filter(|line| line["event"] == "would_break").collect();
    let of = |path: &str| broken.iter().find(|line| line["path"] == path).unwrap()["why"].clone();
    assert_eq!(of("/health"), "no-certificate");
    assert_eq!(of("/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0"), "no-certificate");
}
