//! Plays the sample events through the running stack, over HTTP, and shows what became of every message.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::Table;
use portcullis_lambda::{ProxyEvent, TextMap};
use portcullis_webhook::Lane;
use reqwest::{Client, Method};
use serde::Serialize;
use serde_json::Value;

use super::secrets::WebhookSecret;
use super::stack::Stack;
use crate::failure::Failure;
use crate::output::Output;
use crate::service;
use crate::table::table;
use crate::webhook::{HEADER, body_of, client, unreachable_stack};

/// What one sample event led to.
#[derive(Debug, Serialize)]
struct Played {
    event: String,
    request: String,
    status: u16,
    answer: String,
    queued: u64,
    stored: u64,
}

/// What became of one message of a sample.
#[derive(Debug, Serialize)]
struct Message {
    event: String,
    kind: String,
    queue: &'static str,
    conversation: String,
    class: String,
    read_back: String,
}

/// Plays the samples of `folder`. Gives a conversation to go on with.
pub(crate) async fn play(
    output: &Output,
    address: SocketAddr,
    stack: &Stack,
    secrets: &WebhookSecret,
    folder: &Path,
) -> Result<Option<String>, Failure> {
    let url = format!("http://{address}");
    let reader = service::connect(&url, READER, stack.root.client_secret(READER))?;
    let player = Player { client: client()?, reader, url, stack, secrets };
    let (mut requests, mut messages) = (Vec::new(), Vec::new());
    for file in sample_files(folder)? {
        let sample = Sample::read(&file)?;
        let played = player.send(&sample).await?;
        if played.status == 200 {
            messages.extend(player.read_back(&sample).await?);
        }
        requests.push(played);
    }
    if output.is_json() {
        requests.iter().try_for_each(|row| output.line(row, String::new))?;
        messages.iter().try_for_each(|row| output.line(row, String::new))?;
        return Ok(None);
    }
    output.text(&format!(
        "\nThe sample traffic of {}, sent over HTTP:\n{}",
        folder.display(),
        requests_table(&requests)
    ))?;
    output.text(&format!(
        "\nEach message, sealed in the table and read back by {READER} with a token:\n{}",
        messages_table(&messages)
    ))?;
    Ok(messages.pop().map(|message| message.conversation))
}

/// A sample event, ready to be sent.
struct Sample {
    name: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sample {
    fn read(file: &Path) -> Result<Self, Failure> {
        let broken = || Failure::usage(format!("{}: not a proxy event", file.display()));
        let bytes = crate::input::read(file, 16 * 1024 * 1024)?;
        let event = ProxyEvent::parse(&bytes).map_err(|_| broken())?;
        let own =
            |map: &TextMap<'_>| map.0.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>();
        let is_sent =
            |name: &str| name.eq_ignore_ascii_case(HEADER) || name.eq_ignore_ascii_case("Content-Type");
        Ok(Self {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            method: event.method.to_string(),
            path: event.path.to_string(),
            query: own(&event.query),
            headers: own(&event.headers).into_iter().filter(|(name, _)| is_sent(name)).collect(),
            body: body_of(&event).ok_or_else(broken)?,
        })
    }
}

struct Player<'s> {
    client: Client,
    reader: portcullis_client::Client,
    url: String,
    stack: &'s Stack,
    secrets: &'s WebhookSecret,
}

impl Player<'_> {
    async fn send(&self, sample: &Sample) -> Result<Played, Failure> {
        let before = self.records()?;
        let url = format!("{}{}", self.url, sample.path);
        let method = Method::from_bytes(sample.method.as_bytes())
            .map_err(|_| Failure::usage(format!("{}: {} is no method", sample.name, sample.method)))?;
        let mut request = self.client.request(method, &url).query(&sample.query).body(sample.body.clone());
        for (name, value) in &sample.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|e| unreachable_stack(&url, &e))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| unreachable_stack(&url, &e))?;
        self.settled().await;
        Ok(Played {
            event: sample.name.clone(),
            request: format!("{} {}", sample.method, sample.path),
            status,
            queued: json_of(&text).get("queued").and_then(Value::as_u64).unwrap_or_default(),
            answer: summary(&text),
            stored: self.records()?.saturating_sub(before),
        })
    }

    /// Reads the messages of a sample through the API.
    async fn read_back(&self, sample: &Sample) -> Result<Vec<Message>, Failure> {
        let items = self.secrets.route(&sample.body).unwrap_or_default();
        let mut messages = Vec::with_capacity(items.len());
        for item in items {
            let url = format!("{}/conversations/{}?limit=200", self.url, item.conversation);
            let answer = self.reader.get(&url).send().await.map_err(|e| service::failed(&url, &e))?;
            let page: Value = answer.json().await.map_err(|e| service::failed(&url, &e))?;
            let found = page.get("messages").and_then(Value::as_array).into_iter().flatten();
            let found = found.into_iter().find(|m| m.get("id").and_then(Value::as_str) == Some(&*item.id));
            let text =
                |name| found.and_then(|m| m.get(name)).and_then(Value::as_str).unwrap_or("-").to_owned();
            messages.push(Message {
                event: sample.name.clone(),
                class: text("class"),
                read_back: found
                    .and_then(|m| m.get("item"))
                    .map_or_else(|| "not stored yet".to_owned(), excerpt),
                kind: item.kind,
                queue: item.queue,
                conversation: item.conversation,
            });
        }
        Ok(messages)
    }

    /// Waits until both queues are empty, or five seconds: an item in trouble is retried and does not hold up the
    /// table.
    async fn settled(&self) {
        for _ in 0..500 {
            let busy = [Lane::Text, Lane::Media].iter().any(|lane| {
                let depth = self.stack.store.depth(*lane);
                depth.waiting + depth.in_flight > 0
            });
            if !busy {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn records(&self) -> Result<u64, Failure> {
        self.stack.store.record_count().map_err(|e| Failure::usage(format!("the database: {e}")))
    }
}

/// The sample requests of `folder`, in order of name; answers and batches from queues are passed over.
fn sample_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = folder.join("webhook");
    let is_sample = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".json") && !name.ends_with(".expected.json")
    };
    let files: Vec<_> = crate::input::folder(&folder)?.into_iter().filter(is_sample).collect();
    if files.is_empty() {
        return Err(crate::input::wrong(&folder, &"no sample events"));
    }
    Ok(files)
}

/// The title of a problem, or the start of the answer.
fn summary(answer: &str) -> String {
    let json = json_of(answer);
    let title = json.get("title").and_then(Value::as_str);
    title.unwrap_or(answer).chars().take(48).collect()
}

/// The start of what a person wrote, or of the whole item.
fn excerpt(item: &Value) -> String {
    let words = item.pointer("/text/body").and_then(Value::as_str).map(str::to_owned);
    words.unwrap_or_else(|| item.to_string()).chars().take(48).collect()
}

/// The service that keeps the context of conversations.
const READER: &str = "svc.memory";

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn requests_table(rows: &[Played]) -> Table {
    let mut table = table(&["Sample", "Request", "Status", "Answer", "Queued", "Stored"]);
    for row in rows {
        table.add_row([
            row.event.clone(),
            row.request.clone(),
            row.status.to_string(),
            row.answer.clone(),
            row.queued.to_string(),
            row.stored.to_string(),
        ]);
    }
    table
}

fn messages_table(rows: &[Message]) -> Table {
    let mut table = table(&["Sample", "Kind", "Queue", "Conversation", "Class", "Read back"]);
    for row in rows {
        table.add_row([&row.event, &row.kind, row.queue, &row.conversation, &row.class, &row.read_back]);
    }
    table
}
