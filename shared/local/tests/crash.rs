//! SIGKILL in the middle of the work, again and again: what was acknowledged is there, once and in order.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: a panic is a failed test"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use common::{Home, find_in_files, item, record, root};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_local::{Store, StoreOptions};
use portcullis_pii::{PageRequest, Records};
use portcullis_webhook::{ItemQueue, Lane, Outgoing};

/// The work of the process that is killed: a sender for each group, one consumer. Its parent writes the directory and
/// where each group goes on; it writes a line for every send that was acknowledged.
#[test]
#[ignore = "started by the other tests of this file, not by itself"]
fn child() {
    let mut lines = std::io::stdin().lines();
    let Some(Ok(dir)) = lines.next() else { return };
    let next = lines.map(|line| line.unwrap().parse().unwrap()).collect::<Vec<u64>>();
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
    let store = Store::open(dir.as_ref(), &root(), clock, StoreOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (group, next) in next.into_iter().enumerate() {
            tokio::spawn(send_for_ever(store.clone(), group, next));
        }
        consume_for_ever(&store).await;
    });
}

async fn send_for_ever(store: Store, group: usize, next: u64) {
    for n in next.. {
        let failed = store.send_batch(Lane::Text, &[item(&group.to_string(), &format!("{group}-{n}"))]).await;
        assert_eq!(failed, Ok(vec![]));
        // One write: the line is in the pipe, whole, even if the process dies now.
        std::io::stdout().write_all(format!("\nsent {group} {n}\n").as_bytes()).unwrap();
    }
}

async fn consume_for_ever(store: &Store) {
    loop {
        store.wait_for_work(Lane::Text).await;
        let received = store.receive(Lane::Text, 10).unwrap();
        for it in &received {
            let position = format!("{:020}", it.sequence);
            store.put_if_absent(&record(&it.group, &it.dedup_id, &position, i64::MAX)).await.unwrap();
        }
        let handles: Vec<_> = received.iter().map(|r| r.handle).collect();
        assert_eq!(store.delete(&handles).await, Ok(handles.len()));
    }
}

struct Work {
    process: Child,
}

/// Starts a child through `launcher` (a program and its arguments, or none).
fn start(launcher: &[&str], child: &str, dir: &std::path::Path, next: &[u64]) -> Work {
    let own = std::env::current_exe().unwrap();
    let arguments = ["--ignored", "--exact", child, "--nocapture"];
    let mut command = match launcher.split_first() {
        Some((program, rest)) => {
            let mut command = Command::new(program);
            command.args(rest).arg(own);
            command
        }
        None => Command::new(own),
    };
    let mut process = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut lines = format!("{}\n", dir.display());
    next.iter().for_each(|n| lines.push_str(&format!("{n}\n")));
    stdin.write_all(lines.as_bytes()).unwrap();
    Work { process }
}

/// Kills after `acks` acknowledged sends. What is next for each group.
fn work_and_kill(dir: &std::path::Path, mut next: Vec<u64>, acks: usize) -> Vec<u64> {
    let Work { mut process } = start(&[], "child", dir, &next);
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut seen = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            break;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let ["sent", group, n] = words[..] else { continue };
        let (group, n): (usize, u64) = (group.parse().unwrap(), n.parse().unwrap());
        assert_eq!(n, next[group], "acknowledged in order");
        next[group] = n + 1;
        seen += 1;
        if seen == acks {
            process.kill().unwrap();
        }
    }
    let status = process.wait().unwrap();
    assert!(seen >= acks, "the child died by itself after {seen}: {status}");
    next
}

#[tokio::test]
async fn killed_in_the_middle_nothing_acknowledged_is_lost_doubled_or_out_of_order() {
    let home = Home::new();
    let mut next = vec![0; GROUPS];
    for round in 0..ROUNDS {
        next = work_and_kill(home.dir.path(), next, 150 + 37 * round);
    }
    let store = home.open();
    let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let received = store.receive(Lane::Text, 100).unwrap();
        if received.is_empty() {
            break;
        }
        for it in &received {
            left.entry(it.group.clone()).or_default().push(it.dedup_id.clone());
        }
        let handles: Vec<_> = received.iter().map(|r| r.handle).collect();
        store.delete(&handles).await.unwrap();
    }
    let mut consumed = 0;
    for (group, acknowledged) in next.iter().enumerate() {
        let name = group.to_string();
        let page = store.conversation(&name, &PageRequest { limit: usize::MAX, after: None }).await.unwrap();
        let mut items: Vec<_> = page.records.into_iter().map(|r| r.item).collect();
        consumed += items.len();
        // Consumed but not yet deleted when the process died: in the table and in the queue.
        let queued = left.remove(&name).unwrap_or_default();
        let first_new = queued.iter().position(|id| !items.contains(id)).unwrap_or(queued.len());
        items.extend_from_slice(&queued[first_new..]);
        let sent = items.len() as u64;
        assert_eq!(items, (0..sent).map(|n| format!("{group}-{n}")).collect::<Vec<_>>());
        // The last send of a group may have reached the disk without its answer.
        assert!(sent == *acknowledged || sent == acknowledged + 1, "group {group}: {sent} of {acknowledged}");
    }
    assert!(consumed > 0, "the consumer did work: {consumed}");
    assert!(left.is_empty());
    drop(store);
    assert!(find_in_files(home.dir.path(), b"body of").is_empty());
}

/// Sends whatever happens, saying so; the same item again until it is taken.
#[test]
#[ignore = "started by the other tests of this file, not by itself"]
fn child_on_a_full_disk() {
    let Some(Ok(dir)) = std::io::stdin().lines().next() else { return };
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
    let store = Store::open(dir.as_ref(), &root(), clock, StoreOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for n in 0.. {
            let body = "x".repeat(50_000);
            let large = [Outgoing { body, ..item("0", &format!("0-{n}")) }];
            while store.send_batch(Lane::Text, &large).await.is_err() {
                std::io::stdout().write_all(b"\nrefused\n").unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            std::io::stdout().write_all(format!("\nsent 0 {n}\n").as_bytes()).unwrap();
        }
    });
}

/// A limit on the size of files stands for a full disk: the write fails in the same place.
#[tokio::test]
async fn on_a_full_disk_sends_fail_until_there_is_room_again_and_nothing_is_lost() {
    let home = Home::new();
    drop(home.open());
    let mut work = start(&["sh", "-c", FULL_DISK], "child_on_a_full_disk", home.dir.path(), &[]);
    let mut output = BufReader::new(work.process.stdout.take().unwrap()).lines();
    let (mut refused, mut sent, mut sent_since) = (0, 0, 0);
    while sent_since < 50 {
        let line = output.next().expect("the child goes on").unwrap();
        if line == "refused" {
            refused += 1;
            if refused == 5 {
                let pid = work.process.id().to_string();
                let raised =
                    Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap();
                assert!(raised.success());
            }
        } else if line == format!("sent 0 {sent}") {
            sent += 1;
            sent_since += usize::from(refused > 0);
        }
    }
    work.process.kill().unwrap();
    work.process.wait().unwrap();
    assert!(refused >= 5 && sent > 50, "{refused} refused, {sent} sent");
    let received = home.open().receive(Lane::Text, usize::MAX).unwrap();
    assert!(received.len() >= sent, "{} of {sent}", received.len());
    let ids: Vec<_> = received.into_iter().map(|r| r.dedup_id).collect();
    assert_eq!(ids, (0..ids.len()).map(|n| format!("0-{n}")).collect::<Vec<_>>());
}

const GROUPS: usize = 12;
const ROUNDS: usize = 6;
const FULL_DISK: &str = "trap '' XFSZ; ulimit -S -f 6000; exec \"$0\" \"$@\"";
