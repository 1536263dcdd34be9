//! A real OpenBao server in development mode: in memory, unsealed, KV v2 mounted at `secret/`.

use std::sync::OnceLock;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::process::{Process, tool};

/// The server.
#[derive(Debug)]
pub struct OpenBao {
    process: Process,
}

impl OpenBao {
    /// The root token.
    pub const TOKEN: &'static str = "root";

    /// The server of this test process.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn shared() -> &'static Self {
        static ONE: OnceLock<OpenBao> = OnceLock::new();
        ONE.get_or_init(|| Self {
            process: Process::start("/v1/sys/health", &|port, _| {
                let mut command = tool("bao/bin/bao");
                command.args(["server", "-dev", "-dev-no-store-token"]);
                command.arg(format!("-dev-root-token-id={}", Self::TOKEN));
                command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
                command
            }),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port())
    }

    /// Calls the API as root, below `/v1/`. `Null` where the answer has no body.
    ///
    /// # Panics
    /// When the server answers with an error.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        self.call_in("", method, path, body).await
    }

    /// The same in a namespace.
    ///
    /// # Panics
    /// When the server answers with an error.
    pub async fn call_in(&self, namespace: &str, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/v1/{path}", self.address());
        let request = Client::new().request(method, url).header("x-vault-token", Self::TOKEN).json(body);
        let request =
            if namespace.is_empty() { request } else { request.header("x-vault-namespace", namespace) };
        let answer = request.send().await.expect("an answer of OpenBao");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {status} {text}");
        if status == StatusCode::NO_CONTENT {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("JSON")
        }
    }

    /// Writes a new version of a secret of the mount `secret`.
    ///
    /// # Panics
    /// When the server answers with an error.
    pub async fn put(&self, name: &str, members: Value) {
        self.call(Method::POST, &format!("secret/data/{name}"), &json!({ "data": members })).await;
    }
}
