//! The API of a running stack, asked in the name of an operator.

use std::path::PathBuf;

use portcullis_client::{Client, Request, SystemClock, SystemPacing};
use serde_json::Value;

use crate::config::Environment;
use crate::failure::Failure;
use crate::service::{self, CredentialArgs};

/// Which stack is asked, and in whose name.
#[derive(Debug, clap::Args)]
pub(crate) struct ApiArgs {
    /// Where the stack is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    url: String,
    /// The identity that asks: a security admin.
    #[arg(long, value_name = "ID", default_value = "ops.security-admin")]
    service: String,
    #[command(flatten)]
    credential: CredentialArgs,
    /// Root key of the local stack. Default: portcullis/root.key in your configuration folder.
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
}

/// A stack that can be asked.
pub(crate) struct Api {
    client: Client,
    url: String,
}

impl ApiArgs {
    /// The stack, asked in the name of the identity.
    pub(crate) fn connect(&self, environment: &Environment) -> Result<Api, Failure> {
        let client =
            self.credential.connect(&self.url, &self.service, self.root_key.as_deref(), environment)?;
        Ok(Api::new(client, &self.url))
    }
}

impl Api {
    /// The stack at `url`, asked through `client`.
    pub(crate) fn new(client: Client, url: &str) -> Self {
        Self { client, url: url.trim_end_matches('/').to_owned() }
    }

    /// What `GET path` answers.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let url = self.at(path);
        answer(self.client.get(&url), &url).await
    }

    /// What `POST path` answers, with a body of JSON where there is one. It is asked once.
    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let url = self.at(path);
        let request = self.client.post(&url);
        answer(if let Some(body) = body { request.json(body) } else { request }, &url).await
    }

    /// What `POST path` answers to these bytes. What it does is safe to repeat: it is asked again where the answer got
    /// lost.
    pub(crate) async fn send(&self, path: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let url = self.at(path);
        answer(self.client.post(&url).body(body).idempotent(), &url).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// The answer's JSON. A refusal is told with its status and title.
async fn answer(request: Request<'_, SystemClock, SystemPacing>, url: &str) -> Result<Value, Failure> {
    let answer = request.send().await.map_err(|e| service::failed(url, &e))?;
    let status = answer.status();
    if !status.is_success() {
        let problem: Value = answer.json().await.unwrap_or_default();
        let title = problem.get("title").and_then(Value::as_str).map(|title| format!(": {title}"));
        return Err(Failure::refused(format!("{url}: {status}{}", title.unwrap_or_default())));
    }
    answer.json().await.map_err(|e| service::failed(url, &e))
}
