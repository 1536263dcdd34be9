//! The command as people and scripts use it: what stands on standard output, on standard error, and the exit code.
#![cfg(test)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use portcullis_tests::binaries;
use portcullis_tests::local_stack::{APP_SECRET, LocalStack, signature, text_message};
use serde_json::{Value, json};
use tempfile::TempDir;

fn portcullis(args: &[&str]) -> Command {
    let secret = json!({"app_secret": APP_SECRET, "verify_token": "t", "conversation_key": "k".repeat(32)});
    let mut command = Command::new(binaries::portcullis());
    command.args(args).env("PORTCULLIS_SECRET_PORTCULLIS_WEBHOOK", secret.to_string());
    command
}

fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child =
        portcullis(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses before it reads closes the pipe: that is its right.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn event(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/webhook").join(name)
}

#[test]
fn every_command_says_what_it_does_with_an_example() {
    for args in [
        &["serve"][..],
        &["webhook", "sign"],
        &["webhook", "send"],
        &["webhook", "route"],
        &["pii", "scan"],
        &["pii", "encrypt"],
        &["pii", "decrypt"],
    ] {
        let output = run(&[args, &["--help"]].concat(), b"");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(stdout(&output).contains("Example"), "{args:?} has no example");
    }
}

#[test]
fn usage_errors_end_with_2_and_stand_on_standard_error() {
    for args in [
        &[][..],
        &["unknown"],
        &["webhook"],
        &["webhook", "sign"],
        &["webhook", "sign", "/does/not/exist"],
        &["webhook", "route", "/"],
        &["pii", "scan", "/does/not/exist"],
        &["serve", "--port", "70000"],
    ] {
        let output = run(args, b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn sign_prints_the_header_that_meta_would_send() {
    let body = text_message("5511987654321", "wamid.1", "oi");
    let output = run(&["webhook", "sign", "-"], &body);
    assert_eq!(stdout(&output), format!("X-Hub-Signature-256: {}\n", signature(&body)));
    let output = run(&["webhook", "sign", "-", "--json"], &body);
    assert_eq!(
        json_lines(&output),
        [json!({"header": "X-Hub-Signature-256", "signature": signature(&body)})]
    );
}

#[test]
fn route_prints_a_line_for_every_item() {
    let output = run(&["webhook", "route", event("batch.json").to_str().unwrap(), "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 7);
    for line in &lines {
        let mut names: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["dedup_id", "group", "id", "kind", "queue"]);
        assert!(!line["group"].as_str().unwrap().contains("5511"), "a group holds no phone number");
    }
    let queues: Vec<_> =
        lines.iter().map(|l| (l["queue"].as_str().unwrap(), l["kind"].as_str().unwrap())).collect();
    assert!(queues.contains(&("media", "audio")) && queues.contains(&("text", "status")));
    let text = run(&["webhook", "route", event("batch.json").to_str().unwrap()], b"");
    assert_eq!(stdout(&text).lines().count(), 7);
    assert!(stdout(&text).lines().all(|line| line.split('\t').count() == 5));
}

#[test]
fn route_takes_a_bare_body_and_refuses_what_is_not_json() {
    let body = text_message("5511987654321", "wamid.1", "oi");
    let output = run(&["webhook", "route", "-", "--json"], &body);
    assert_eq!(json_lines(&output)[0]["dedup_id"], "wamid.1");
    let output = run(&["webhook", "route", "-", "--json"], b"{");
    assert_eq!(output.status.code(), Some(1));
    assert!(serde_json::from_str::<Value>(&stderr(&output)).unwrap()["error"].is_string());
}

#[test]
fn scan_prints_a_line_for_every_hit_and_never_the_text() {
    let text = b"nothing here\nmy card is 4111 1111 1111 1111, write to ana@example.com\n\xff\xfe\n";
    let output = run(&["pii", "scan", "-", "--json"], text);
    let kinds: Vec<_> = json_lines(&output)
        .iter()
        .map(|l| (l["line"].clone(), l["start"].clone(), l["end"].clone(), l["kind"].clone()))
        .collect();
    assert_eq!(
        kinds,
        [(json!(2), json!(11), json!(30), json!("card")), (json!(2), json!(41), json!(56), json!("email"))]
    );
    assert!(
        json_lines(&output).iter().all(|l| l["confidence"].as_f64().is_some_and(|c| c > 0.0 && c <= 1.0))
    );
    assert!(!stdout(&output).contains("4111"));
}

#[test]
fn what_pii_encrypt_writes_pii_decrypt_reads() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let key = folder.path().join("root.key");
    let place = ["--data", data.to_str().unwrap(), "--root-key", key.to_str().unwrap()];
    let records: Vec<_> = (0..3)
        .map(|n| json!({"subject": "+5511987654321", "record": format!("r{n}"), "fields": {"note": format!("segredo {n}")}}))
        .collect();
    let input: String = records.iter().map(|r| format!("{r}\n")).collect();
    let sealed = run(&[&["pii", "encrypt", "-"][..], &place].concat(), input.as_bytes());
    assert_eq!(sealed.status.code(), Some(0), "{}", stderr(&sealed));
    assert!(!stdout(&sealed).contains("segredo"));
    let with_subject: String = json_lines(&sealed)
        .into_iter()
        .map(|mut line| {
            line["subject"] = "+55 11 98765-4321".into();
            format!("{line}\n")
        })
        .collect();
    let opened = run(&[&["pii", "decrypt", "-"][..], &place].concat(), with_subject.as_bytes());
    assert_eq!(opened.status.code(), Some(0), "{}", stderr(&opened));
    assert_eq!(json_lines(&opened)[2], json!({"record": "r2", "fields": {"note": "segredo 2"}}));

    let moved = with_subject.replace("\"r1\"", "\"r9\"");
    let opened = run(&[&["pii", "decrypt", "-"][..], &place].concat(), moved.as_bytes());
    assert_eq!(opened.status.code(), Some(1), "one record does not open");
    assert_eq!(json_lines(&opened).len(), 2, "the others do");
    assert!(stderr(&opened).contains(":2:"), "and the line is named: {}", stderr(&opened));
}

#[tokio::test]
async fn send_posts_a_signed_body_and_tells_a_refusal_by_its_exit_code() {
    let stack = LocalStack::start().await;
    let body = text_message("5511987654321", "wamid.1", "oi");
    let url = stack.url("/webhook");
    let sent = run(&["webhook", "send", "-", "--url", &url, "--json"], &body);
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert_eq!(json_lines(&sent)[0]["status"], 200);
    assert_eq!(stack.drained().await["records"], 1);

    let refused = run(&["webhook", "send", "-", "--url", &url, "--json"], b"not json");
    assert_eq!((refused.status.code(), json_lines(&refused)[0]["status"].clone()), (Some(1), json!(400)));
    let nobody = run(&["webhook", "send", "-", "--url", "http://127.0.0.1:9/webhook"], &body);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(stderr(&nobody).contains("nobody listens"), "{}", stderr(&nobody));

    let line = json!({"subject": "s", "record": "r", "fields": {"note": "hi"}}).to_string();
    let busy = run(
        &[
            "pii",
            "encrypt",
            "-",
            "--data",
            stack.data().to_str().unwrap(),
            "--root-key",
            stack.root_key().to_str().unwrap(),
        ],
        line.as_bytes(),
    );
    assert_eq!(busy.status.code(), Some(2), "the data of a running stack are asked for through it");
    let (url, root_key) = (stack.url(""), stack.root_key());
    let through = ["pii", "encrypt", "-", "--url", &url, "--root-key", root_key.to_str().unwrap()];
    let through = run(&through, line.as_bytes());
    assert_eq!(through.status.code(), Some(0), "{}", stderr(&through));
    assert_eq!(json_lines(&through)[0]["record"], "r");
}
