//! The templates deployed to an emulator that enforces IAM, with the functions of this build as native processes: webhook
//! to table, token to read, what the gateway answers by itself, and each role beside what its function really called.
#![cfg(test)]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use portcullis_tests::binaries;

#[test]
fn the_deployed_stack_does_its_work_and_no_role_grants_too_much_or_too_little() {
    let folder = tempfile::TempDir::new().unwrap();
    let log = folder.path().join("log");
    let mut script = start(&log);
    let ended = wait(&mut script);
    let told = fs::read_to_string(&log).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{told}");
    // A script that checks nothing would end well too.
    let checks = told.lines().filter(|line| line.starts_with("check-stack: ok")).count();
    assert!(checks > 50, "{checks} checks\n{told}");
    assert!(told.contains("recorded: webhook: "), "nothing was compared\n{told}");
    assert!(told.contains("deleted, left: nothing"), "not torn down\n{told}");
}

/// In a process group of its own, so that nothing that it started outlives the test.
fn start(log: &Path) -> Child {
    let webhook = binaries::built("webhook");
    let target = webhook.ancestors().nth(2).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let log = File::create(log).unwrap();
    Command::new(root.join("scripts/end-to-end"))
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap()
}

/// How it ended; `None` where it did not in time, and was killed.
fn wait(script: &mut Child) -> Option<ExitStatus> {
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if let Some(status) = script.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(PAUSE);
    }
    let group = format!("-{}", script.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = script.wait();
    None
}

/// Below what nextest grants it (.config/nextest.toml), so that the log is told.
const LIMIT: Duration = Duration::from_secs(570);
const PAUSE: Duration = Duration::from_millis(200);
