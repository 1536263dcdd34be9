//! The local stack over real HTTP, as a new user would try it: good traffic, bad traffic, a crash, a second start.
#![cfg(test)]

use std::time::Duration;

use portcullis_tests::local_stack::{LocalStack, READER, VERIFY_TOKEN, signature, text_message};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

const PHONE: &str = "5511987654321";

async fn post(stack: &LocalStack, body: Vec<u8>, signature: Option<String>) -> (StatusCode, Value) {
    let mut request = Client::new().post(stack.url("/webhook")).header("Content-Type", "application/json");
    if let Some(signature) = signature {
        request = request.header("X-Hub-Signature-256", signature);
    }
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap())
}

async fn send(stack: &LocalStack, id: &str, text: &str) {
    let body = text_message(PHONE, id, text);
    let signed = signature(&body);
    assert_eq!(post(stack, body, Some(signed)).await.0, 200, "{id}");
}

async fn texts(stack: &LocalStack) -> Vec<String> {
    let mut texts = Vec::new();
    for conversation in stack.conversations_of(PHONE).await {
        let messages = stack.messages(&conversation).await;
        texts.extend(messages.iter().map(|m| m["item"]["text"]["body"].as_str().unwrap().to_owned()));
    }
    texts
}

#[tokio::test]
async fn a_signed_message_is_read_back_by_who_may_and_a_replay_changes_nothing() {
    let stack = LocalStack::start().await;
    send(&stack, "wamid.1", "olá").await;
    send(&stack, "wamid.2", "tudo bem?").await;
    send(&stack, "wamid.1", "olá").await;
    assert_eq!(stack.drained().await["records"], 2);
    assert_eq!(texts(&stack).await, ["olá", "tudo bem?"]);
}

#[tokio::test]
async fn bad_requests_get_their_status_and_problem_details_and_leave_nothing_behind() {
    let stack = LocalStack::start().await;
    let body = text_message(PHONE, "wamid.1", "oi");
    let good = signature(&body);
    let changed = text_message(PHONE, "wamid.1", "ai");
    let (large, huge) = (vec![b' '; 3 * 1024 * 1024 + 1], vec![b' '; 11 * 1024 * 1024]);
    let (large_signed, huge_signed) = (signature(&large), signature(&huge));
    let not_json = b"{\"object\": whatsapp}".to_vec();
    let not_json_signed = signature(&not_json);
    let upper = good.to_uppercase();
    for (label, body, signature, status) in [
        ("no signature", body.clone(), None, 401),
        ("an empty signature", body.clone(), Some(String::new()), 401),
        ("a signature of another body", changed, Some(good.clone()), 401),
        ("a signature cut short", body.clone(), good.get(..70).map(str::to_owned), 401),
        ("a signature with more behind it", body.clone(), Some(format!("{good}00")), 401),
        (
            "a signature without its prefix",
            body.clone(),
            good.strip_prefix("sha256=").map(str::to_owned),
            401,
        ),
        ("a prefix in capitals", body.clone(), Some(upper), 401),
        ("sha1 instead", body.clone(), Some(good.replace("sha256", "sha1")), 401),
        ("zeros", body.clone(), Some(format!("sha256={}", "0".repeat(64))), 401),
        ("an empty body without a signature", Vec::new(), None, 401),
        ("3 MB and one byte, signed", large.clone(), Some(large_signed), 413),
        ("3 MB and one byte, unsigned", large, None, 413),
        ("11 MB", huge, Some(huge_signed), 413),
        ("signed, but not JSON", not_json, Some(not_json_signed), 400),
    ] {
        let (found, problem) = post(&stack, body, signature).await;
        assert_eq!(found, status, "{label}: {problem}");
        assert_eq!(problem["status"], status, "{label}");
        assert!(problem["type"].as_str().unwrap().starts_with("urn:portcullis:problem:"), "{label}");
    }
    let client = Client::new();
    for (label, method, path, status) in [
        ("another method", Method::PUT, "/webhook", 405),
        ("another path", Method::POST, "/webhook/x", 404),
        (
            "a handshake with a wrong token",
            Method::GET,
            "/webhook?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1",
            403,
        ),
        ("a handshake without a mode", Method::GET, "/webhook?hub.challenge=1", 403),
        (
            "a conversation without a token",
            Method::GET,
            "/conversations/00000000000000000000000000000000",
            401,
        ),
        ("a path that climbs, without a token", Method::GET, "/conversations/..%2f..%2fetc%2fpasswd", 401),
    ] {
        let answer = client.request(method, stack.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{label}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{label}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{label}");
    }
    for (label, path) in [
        ("an unknown conversation", "/conversations/00000000000000000000000000000000"),
        ("a path that climbs", "/conversations/..%2f..%2fetc%2fpasswd"),
    ] {
        assert_eq!(stack.ask(READER, Method::GET, path, None).await.status(), 404, "{label}");
    }
    let health = stack.drained().await;
    assert_eq!((&health["records"], &health["dead_letters"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_page_under_another_name_gets_nothing() {
    let stack = LocalStack::start().await;
    for (label, name, value, status) in [
        ("another host", "Host", "evil.example:8787", 403),
        ("a host that only begins like ours", "Host", "127.0.0.1.evil.example", 403),
        ("a foreign origin", "Origin", "https://evil.example", 403),
        ("no origin at all", "Origin", "null", 403),
        ("our own name", "Host", "localhost:8787", 200),
    ] {
        let answer = Client::new().get(stack.url("/health")).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), status, "{label}");
    }
}

#[tokio::test]
async fn the_handshake_echoes_the_challenge_as_text() {
    let stack = LocalStack::start().await;
    let path =
        format!("/webhook?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1158201444");
    let answer = reqwest::get(stack.url(&path)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(answer.text().await.unwrap(), "1158201444");
}

#[tokio::test]
async fn what_was_accepted_before_a_sigkill_is_there_after_a_restart_once() {
    let mut stack = LocalStack::start().await;
    for n in 0..20 {
        send(&stack, &format!("wamid.{n}"), &format!("m{n}")).await;
    }
    stack.kill();
    stack.start_again().await;
    send(&stack, "wamid.19", "m19").await;
    send(&stack, "wamid.20", "m20").await;
    assert_eq!(stack.drained().await["records"], 21);
    assert_eq!(texts(&stack).await, (0..=20).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert!(stack.interrupt(), "Ctrl-C ends it cleanly");
    stack.start_again().await;
    assert_eq!(texts(&stack).await.len(), 21, "and it is still there after a clean end");
}

#[tokio::test]
async fn ctrl_c_at_any_moment_of_the_demonstration_ends_the_stack_in_order() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for wait in [0, 20, 60, 150, 400] {
        let mut stack = LocalStack::start().await;
        assert!(stack.interrupt(), "the folder's first run");
        let log = std::fs::File::create(stack.data().with_extension("log")).unwrap();
        let mut process = stack
            .command()
            .arg("--demo")
            .current_dir(root)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        while reqwest::get(stack.url("/health")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let sent = std::process::Command::new("kill").args(["-INT", &process.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let ended = process.wait().unwrap();
        let said = std::fs::read_to_string(stack.data().with_extension("log")).unwrap();
        assert!(ended.success(), "after {wait} ms: {ended}: {said}");
    }
}

#[tokio::test]
async fn an_item_over_the_queue_limit_goes_by_claim_check_and_comes_back_whole() {
    let stack = LocalStack::start().await;
    let long = "açaí ".repeat(100_000);
    send(&stack, "wamid.long", &long).await;
    assert_eq!(stack.drained().await["records"], 1);
    assert_eq!(texts(&stack).await, [long]);
}

#[tokio::test]
async fn a_second_stack_over_the_same_data_is_refused_and_told_why() {
    let stack = LocalStack::start().await;
    let output = std::process::Command::new(portcullis_tests::binaries::portcullis())
        .args(["serve", "--port", "0", "--data"])
        .arg(stack.data())
        .arg("--root-key")
        .arg(stack.root_key())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("in use") || told.contains("--url"), "{told}");
    send(&stack, "wamid.1", "oi").await;
}

#[tokio::test]
async fn data_does_not_open_with_another_root_key() {
    let mut stack = LocalStack::start().await;
    send(&stack, "wamid.1", "oi").await;
    stack.drained().await;
    assert!(stack.interrupt());
    std::fs::remove_file(stack.root_key()).unwrap();
    let output = stack.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("root key"));
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_does_not_hold_up_the_others() {
    use tokio::io::AsyncWriteExt;

    let stack = LocalStack::start().await;
    let mut slow = Vec::new();
    for _ in 0..32 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", stack.port())).await.unwrap();
        stream
            .write_all(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            .await
            .unwrap();
        slow.push(stream);
    }
    tokio::time::timeout(Duration::from_secs(5), send(&stack, "wamid.1", "oi"))
        .await
        .expect("an answer in time");
}
