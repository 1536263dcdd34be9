//! `portcullis serve` as a user starts it: a process of its own, over a folder of its own.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what does not start or answer fails the test that asked for it"
)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use portcullis_base::ExposeSecret;
use portcullis_local::RootKey;
use portcullis_webhook::sign;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A folder for a stack, and the stack that runs over it. Ended with the test.
pub struct LocalStack {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    starts: u32,
    more: Vec<(String, String)>,
    tokens: Mutex<HashMap<String, String>>,
}

impl LocalStack {
    /// A running stack over an empty folder.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with these options of the command, or variables of its environment (those without a dash).
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut stack =
            Self { folder, port: free_port(), process: None, starts: 0, more, tokens: Mutex::default() };
        while !stack.comes_up().await {
            // Somebody else took the port in between.
            assert!(stack.starts < 5, "the stack does not start: {}", stack.said());
            stack.port = free_port();
        }
        stack
    }

    /// Starts the stack over the same folder, after it was ended.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        assert!(self.comes_up().await, "the stack does not start: {}", self.said());
    }

    /// Starts it, and says whether it answers; it does not when its port is taken.
    async fn comes_up(&mut self) -> bool {
        self.starts += 1;
        let log = File::create(self.log()).expect("a log");
        let mut process = self
            .command()
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the command starts");
        for _ in 0..600 {
            if process.try_wait().expect("a process").is_some() {
                return false;
            }
            if reqwest::get(self.url("/health")).await.is_ok() {
                self.process = Some(process);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let _ended = process.kill();
        false
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let secret = json!({"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "conversation_key": "k".repeat(32)});
        let mut command = Command::new(binaries::portcullis());
        command
            .args(["serve", "--port", &self.port.to_string(), "--data"])
            .arg(self.data())
            .arg("--root-key")
            .arg(self.root_key())
            .env("PORTCULLIS_SECRET_PORTCULLIS_WEBHOOK", secret.to_string())
            .env("PORTCULLIS_LOG", "debug");
        for (name, value) in &self.more {
            if name.starts_with('-') {
                command.args([name, value]);
            } else {
                command.env(name, value);
            }
        }
        command
    }

    /// Ends it with SIGKILL: nothing can be tidied up.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a running stack");
        process.kill().expect("a signal");
        process.wait().expect("an end");
    }

    /// Ends it with Ctrl-C, and says whether it ended well.
    ///
    /// # Panics
    /// When it does not run.
    pub fn interrupt(&mut self) -> bool {
        let mut process = self.process.take().expect("a running stack");
        Command::new("kill").args(["-INT", &process.id().to_string()]).status().expect("a signal");
        process.wait().expect("an end").success()
    }

    /// Where it answers.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The file of its root key.
    pub fn root_key(&self) -> PathBuf {
        self.folder.path().join("root.key")
    }

    /// Every file that it wrote: its data and the logs of all its runs.
    ///
    /// # Panics
    /// When there is no data.
    pub fn files(&self) -> Vec<PathBuf> {
        let data = fs::read_dir(self.data()).expect("a data folder").map(|e| e.expect("an entry").path());
        data.chain((1..=self.starts).map(|n| self.folder.path().join(format!("log-{n}")))).collect()
    }

    /// The command `portcullis` with these arguments, asking this stack as a user beside it would.
    pub fn cli(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries::portcullis());
        command.args(args).args(["--url", &self.url(""), "--root-key"]).arg(self.root_key());
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join(format!("log-{}", self.starts))
    }

    /// What `/health` says.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn health(&self) -> Value {
        let answer = reqwest::get(self.url("/health")).await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// What `/health` says once both queues are empty.
    ///
    /// # Panics
    /// When they are not within two minutes.
    pub async fn drained(&self) -> Value {
        for _ in 0..2400 {
            let health = self.health().await;
            if health["queued"] == json!({"text": 0, "media": 0}) {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the queues do not drain: {}", self.health().await);
    }

    /// A token of this service, as `portcullis token get` prints it.
    ///
    /// # Panics
    /// When there is none to be had.
    pub fn token(&self, service: &str) -> String {
        let output = Command::new(binaries::portcullis())
            .args(["token", "get", "--service", service, "--url", &self.url(""), "--root-key"])
            .arg(self.root_key())
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// The client secret of a service, for clients that are not ours.
    ///
    /// # Panics
    /// When the stack has not been started.
    pub fn client_secret(&self, service: &str) -> String {
        let root = RootKey::load(&self.root_key()).expect("a root key");
        root.client_secret(service).expose_secret().to_owned()
    }

    /// Asks in the name of a service, with a token of it, and again where the stack says that it was too often.
    ///
    /// # Panics
    /// When the stack does not answer.
    pub async fn ask(&self, service: &str, method: Method, path: &str, body: Option<Value>) -> Response {
        let client = reqwest::Client::new();
        loop {
            let known = self.tokens.lock().expect("no panic").get(service).cloned();
            let token = known.unwrap_or_else(|| self.token(service));
            let mut request = client.request(method.clone(), self.url(path)).bearer_auth(&token);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = request.send().await.expect("an answer");
            match answer.status().as_u16() {
                429 => tokio::time::sleep(Duration::from_millis(250)).await,
                _ => {
                    self.tokens.lock().expect("no panic").insert(service.to_owned(), token);
                    return answer;
                }
            }
        }
    }

    /// The conversations of a person, as a caller who may read them finds them.
    ///
    /// # Panics
    /// When the stack does not answer.
    pub async fn conversations_of(&self, phone: &str) -> Vec<String> {
        let body = json!({"subject": phone});
        let answer = self.ask(READER, Method::POST, "/conversations/search", Some(body)).await;
        let found: Value = answer.json().await.expect("JSON");
        let ids = found["conversations"].as_array().expect("a list");
        ids.iter().map(|id| id.as_str().expect("text").to_owned()).collect()
    }

    /// All messages of a conversation, in order, as a caller who may read them gets them.
    ///
    /// # Panics
    /// When the stack does not answer.
    pub async fn messages(&self, conversation: &str) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/conversations/{conversation}?limit=200{after}");
            let mut page: Value =
                self.ask(READER, Method::GET, &path, None).await.json().await.expect("JSON");
            if let Value::Array(messages) = page["messages"].take() {
                all.extend(messages);
            }
            match page["next"].as_str() {
                // A position holds `#`.
                Some(next) => after = format!("&after={}", next.replace('#', "%23")),
                None => return all,
            }
        }
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }
}

/// The header that Meta would send with `body`.
pub fn signature(body: &[u8]) -> String {
    sign(body, APP_SECRET.as_bytes())
}

/// A webhook body with one text message.
pub fn text_message(phone: &str, id: &str, text: &str) -> Vec<u8> {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [{
        "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
            "contacts": [{"profile": {"name": PROFILE_NAME}, "wa_id": phone}],
            "messages": [{"from": phone, "id": id, "timestamp": "1700000000", "type": "text", "text": {"body": text}}],
        }}]}]})
    .to_string()
    .into_bytes()
}

/// The service that reads conversations.
pub const READER: &str = "svc.memory";
/// The name in every message of [`text_message`].
pub const PROFILE_NAME: &str = "Ana Souza";
/// The app secret of the stack.
pub const APP_SECRET: &str = "local-app-secret-5f1d9c";
/// The verify token of the stack.
pub const VERIFY_TOKEN: &str = "local-verify-token";
