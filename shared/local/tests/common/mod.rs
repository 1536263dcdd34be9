//! What the tests of the store share.
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_local::{OpenError, RootKey, Store, StoreOptions};
use portcullis_pii::StoredRecord;
use portcullis_webhook::Outgoing;

/// A directory, a root key and a clock of its own.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) options: StoreOptions,
}

impl Home {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
        Self { dir: tempfile::tempdir().unwrap(), clock, options: StoreOptions::default() }
    }

    pub(crate) fn open(&self) -> Store {
        self.try_open(&root()).unwrap()
    }

    pub(crate) fn try_open(&self, root: &RootKey) -> Result<Store, OpenError> {
        Store::open(self.dir.path(), root, self.clock.clone(), self.options.clone())
    }

    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("portcullis.redb")
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

pub(crate) fn root() -> RootKey {
    RootKey::from_bytes([42; 32])
}

pub(crate) fn item(group: &str, id: &str) -> Outgoing {
    Outgoing { group: group.into(), dedup_id: id.into(), body: format!("body of {id}") }
}

pub(crate) fn record(conversation: &str, item: &str, position: &str, expires_at: i64) -> StoredRecord {
    StoredRecord {
        conversation: conversation.into(),
        item: item.into(),
        position: position.into(),
        subject: Some(format!("subject of {conversation}")),
        kind: "text".into(),
        class: "PII".into(),
        received_at: 0,
        expires_at,
        header: vec![1],
        fields: BTreeMap::from([("text".into(), vec![9; 100])]),
        outside: BTreeMap::new(),
    }
}

/// Where `needle` is in any file below `dir`.
pub(crate) fn find_in_files(dir: &Path, needle: &[u8]) -> Vec<String> {
    let mut hits = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            hits.extend(find_in_files(&path, needle));
        } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|w| w == needle) {
            hits.push(path.display().to_string());
        }
    }
    hits
}

/// Starts this test binary's `child` over `home` four times and kills it each time after `enough`, then seven more,
/// further turns. What it told of as done, in order.
///
/// The child is told the folder and the number to begin with, and prints `done N` after each turn.
pub(crate) fn killed_in_the_middle(home: &Home, enough: usize) -> Vec<u64> {
    let (mut done, mut next) = (Vec::new(), 0);
    for round in 0..4 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = format!("{}\n{next}\n", home.dir.path().display());
        process.stdin.take().unwrap().write_all(orders.as_bytes()).unwrap();
        let enough = done.len() + enough + 7 * round;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(n) = line.strip_prefix("done ") else { continue };
            done.push(n.parse::<u64>().unwrap());
            if done.len() == enough {
                process.kill().unwrap();
            }
        }
        let status = process.wait().unwrap();
        assert!(done.len() >= enough, "the child died by itself after {}: {status}", done.len());
        // One turn may be half done: its number is left alone.
        next = done.last().unwrap() + 2;
    }
    done
}
