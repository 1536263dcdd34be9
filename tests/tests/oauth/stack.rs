//! The local stack over TLS, with clients that have keys and an issuer of users beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_access::Identities;
use portcullis_base::{Clock, ExposeSecret};
use portcullis_lambda::SystemClock;
use portcullis_local::RootKey;
use portcullis_tests::binaries;
use portcullis_token::{Algorithm, Claims, IssuedType, Jwks, LocalSigner, NumericDate};
use serde_json::json;
use tempfile::TempDir;

const IDENTITIES: &str = include_str!("../../../config/access/identities.yml");
const USERS: &str = "https://users.example";
const USERS_AUDIENCE: &str = "portcullis-bff";

/// A running stack. Ended with the test.
pub(crate) struct Stack {
    folder: TempDir,
    process: Child,
}

impl Stack {
    /// Starts it and writes the configuration of the clients.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        certificates(&at("certs"));
        let keys = Algorithm::ALL.map(|algorithm| LocalSigner::generate(algorithm).unwrap());
        fs::write(at("identities.yml"), identities(&keys)).unwrap();
        let users = LocalSigner::generate(Algorithm::Es256).unwrap();
        fs::write(at("issuers.yml"), user_issuers(&users)).unwrap();
        let port = free_port();
        let log = fs::File::create(at("log")).unwrap();
        let process = Command::new(binaries::portcullis())
            .args(["serve", "--port", &port.to_string(), "--mtls", "permissive", "--certs"])
            .arg(at("certs/gateway"))
            .arg("--data")
            .arg(at("data"))
            .arg("--root-key")
            .arg(at("root.key"))
            .arg("--identities")
            .arg(at("identities.yml"))
            .arg("--user-issuers")
            .arg(at("issuers.yml"))
            .env("PORTCULLIS_LOG", "info")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut stack = Self { folder, process };
        stack.wait_for(port);
        fs::write(stack.config(), stack.clients(&format!("https://127.0.0.1:{port}"), &keys, &users))
            .unwrap();
        stack
    }

    /// The file that says all of it to a client.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("config.json")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of the CA.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder().join("certs/ca/ca.crt")
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    fn wait_for(&mut self, port: u16) {
        for _ in 0..600 {
            assert!(self.process.try_wait().unwrap().is_none(), "the stack ended: {}", self.log());
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the stack does not start: {}", self.log());
    }

    fn clients(&self, url: &str, keys: &[LocalSigner], users: &LocalSigner) -> String {
        let root = RootKey::load(&self.folder().join("root.key")).unwrap();
        let secrets: BTreeMap<_, _> = Identities::shipped()
            .unwrap()
            .iter()
            .map(|i| (i.id.clone(), root.client_secret(&i.id).expose_secret().to_owned()))
            .collect();
        let key = |signer: &LocalSigner| {
            let pem = pem(&signer.dangerous_private_pkcs8().unwrap());
            json!({"alg": signer.public().algorithm(), "kid": signer.public().kid(), "pem": pem})
        };
        let stranger = LocalSigner::generate(Algorithm::Es256).unwrap();
        json!({
            "url": url, "ca": self.ca(), "certs": self.folder().join("certs"), "secrets": secrets,
            "keys": keys.iter().map(key).collect::<Vec<_>>(),
            "user_token": user_token(users, 600), "expired_user_token": user_token(users, -600),
            "stranger_token": user_token(&stranger, 600),
        })
        .to_string()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// The shipped identities; one has keys of its own, and tokens are signed with every algorithm.
fn identities(keys: &[LocalSigner]) -> String {
    let jwks = Jwks::new(keys.iter().map(|key| key.public().clone())).unwrap().to_json();
    let mut text = IDENTITIES.to_owned();
    for (id, line) in [
        ("svc.analyst", format!("    jwks: {jwks}\n    signing_algorithm: ES256\n")),
        ("svc.optimizer", "    signing_algorithm: RS256\n".to_owned()),
        ("svc.memory", "    signing_algorithm: EdDSA\n".to_owned()),
    ] {
        let name = format!("  - id: {id}\n");
        assert!(text.contains(&name), "{id} is shipped");
        text = text.replace(&name, &format!("{name}{line}"));
    }
    text
}

/// An issuer of users' tokens whose key set is served on this machine.
fn user_issuers(users: &LocalSigner) -> String {
    let set = Jwks::new([users.public().clone()]).unwrap().to_json();
    json!([{"name": "users", "issuer": USERS, "audiences": [USERS_AUDIENCE], "algorithms": ["ES256"],
            "jwks_uri": serve(set)}])
    .to_string()
}

/// Answers every request with this document, as long as the test runs.
fn serve(document: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            // A GET without a body: what is in the first packet is all there is to know of it.
            let _request = connection.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                document.len()
            );
            let _sent = connection.write_all(format!("{head}{document}").as_bytes());
        }
    });
    url
}

fn user_token(signer: &LocalSigner, seconds: i64) -> String {
    let now = SystemClock.now().as_second();
    let ends = NumericDate::from_seconds(now + seconds).unwrap();
    let mut claims = Claims::new(USERS, "ana", USERS_AUDIENCE, ends);
    claims.iat = NumericDate::from_seconds(now.min(now + seconds) - 1);
    signer.issue_now(&claims, IssuedType::Jwt).unwrap()
}

fn certificates(folder: &Path) {
    let run = |args: &[&str]| {
        let output =
            Command::new(binaries::portcullis()).arg("certs").args(args).arg("--dir").arg(folder).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["init"]);
    run(&["issue", "gateway", "--dns", "localhost", "--ip", "127.0.0.1"]);
    run(&["issue", "svc.memory"]);
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    let body: Vec<_> = lines.collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body.join("\n"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
