//! Many senders at once, a SIGKILL in the middle, a restart: every accepted message is stored exactly once, in order
//! within its conversation, sealed, and with few calls of the key service.
//!
//! `LOAD_MESSAGES` sets how many messages (default 4000; `make load` takes 100 000 and a build of the profile `local`).
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "who runs the load says how large it is, and learns how long it took"
)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use portcullis_tests::local_stack::{APP_SECRET, LocalStack, PROFILE_NAME, signature, text_message};

const SENDERS: usize = 32;
const MARKER: &str = "segredo-do-cliente";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_message_is_stored_once_in_order_across_a_sigkill() {
    let total: usize = std::env::var("LOAD_MESSAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000);
    let per_sender = total.div_ceil(SENDERS);
    let sent = (per_sender * SENDERS) as u64;
    let mut stack = LocalStack::start().await;
    let begun = Instant::now();

    let accepted = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            tokio::spawn(send_all(stack.url("/webhook"), sender, per_sender, Arc::clone(&accepted)))
        })
        .collect();
    while accepted.load(Ordering::Relaxed) < sent / 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let calls_before = stack.health().await["key_wrapper_calls"].as_u64().unwrap();
    stack.kill();
    stack.start_again().await;
    for sender in senders {
        sender.await.unwrap();
    }

    let health = stack.drained().await;
    let took = begun.elapsed();
    assert_eq!(health["records"], sent, "every accepted message is stored, none twice");
    assert_eq!(health["dead_letters"], 0);
    let calls = calls_before + health["key_wrapper_calls"].as_u64().unwrap();
    assert!(calls < 100, "{calls} calls of the key service for {sent} messages");
    for sender in 0..SENDERS {
        let conversations = stack.conversations_of(&format!("+{}", phone(sender))).await;
        assert_eq!(conversations.len(), 1, "one conversation a sender");
        let messages = stack.messages(&conversations[0]).await;
        let texts: Vec<_> =
            messages.iter().map(|m| m["item"]["text"]["body"].as_str().unwrap_or("-")).collect();
        let expected: Vec<_> = (0..per_sender).map(|n| text(sender, n)).collect();
        assert!(
            texts == expected,
            "conversation {sender}: {} of {per_sender} messages, in order",
            texts.len()
        );
    }

    assert!(stack.interrupt(), "Ctrl-C ends the stack cleanly");
    let found = plaintext_in(&stack);
    assert!(found.is_empty(), "plaintext in {found:?}");
    println!("{sent} messages in {took:.1?} with a restart, {calls} key service calls");
}

/// Sends the messages of one conversation one after the other, as Meta does: again until it is answered with 200.
async fn send_all(url: String, sender: usize, count: usize, accepted: Arc<AtomicU64>) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    for n in 0..count {
        let body = text_message(&phone(sender), &format!("wamid.load.{sender}.{n}"), &text(sender, n));
        let signature = signature(&body);
        let mut tries = 0;
        loop {
            let request = client.post(&url).header("X-Hub-Signature-256", &signature).body(body.clone());
            match request.header("Content-Type", "application/json").send().await {
                Ok(answer) if answer.status() == 200 => break,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            tries += 1;
            assert!(tries < 1200, "message {n} of sender {sender} is never accepted");
        }
        accepted.fetch_add(1, Ordering::Relaxed);
    }
}

fn phone(sender: usize) -> String {
    format!("55119876{sender:05}")
}

fn text(sender: usize, n: usize) -> String {
    format!("{MARKER} {sender} {n}: o cartão é 4111 1111 1111 1111")
}

/// Searches every file of the data folder and every log for what must never be there.
fn plaintext_in(stack: &LocalStack) -> Vec<String> {
    let mut secrets: Vec<(&str, Vec<u8>)> = vec![
        ("message text", MARKER.into()),
        ("profile name", PROFILE_NAME.into()),
        ("card number", "4111 1111".into()),
        ("message id", "wamid.load".into()),
        ("app secret", APP_SECRET.into()),
        ("root key", fs::read(stack.root_key()).unwrap()),
    ];
    secrets.extend((0..SENDERS).map(|sender| ("phone number", phone(sender).into_bytes())));
    let files = stack.files();
    assert!(files.len() > 2, "there are data and logs to search");
    let mut found = Vec::new();
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let hits = secrets.iter().filter(|(_, secret)| contains(&bytes, secret));
        found.extend(hits.map(|(label, _)| format!("{}: {label}", file.display())));
    }
    found
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return false };
    let starts = bytes.iter().enumerate().filter(|(_, b)| *b == first).map(|(at, _)| at + 1);
    starts.into_iter().any(|at| bytes[at..].starts_with(rest))
}

#[test]
fn the_search_finds_what_is_there() {
    assert!(contains(b"xx5511 yy", b"5511"));
    assert!(contains(b"aab", b"ab"));
    assert!(contains(b"x", b"x"));
    assert!(!contains(b"5 511", b"5511"));
}
