//! Child processes that cannot outlive the test process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    port: u16,
    /// Working directory, home, log and temporary files of the server.
    dir: TempDir,
}

impl Process {
    /// Starts what `command` makes for a free port and a scratch folder, and waits until `GET health_path` is
    /// answered with 200.
    pub(super) fn start(health_path: &str, command: &dyn Fn(u16, &Path) -> Command) -> Self {
        Self::start_when(&|port| answers(port, health_path) == Some(200), command)
    }

    /// The same for a server that speaks no HTTP: waits until `ready` says so for the port.
    pub(super) fn start_when(ready: &dyn Fn(u16) -> bool, command: &dyn Fn(u16, &Path) -> Command) -> Self {
        let mut log = String::new();
        for _ in 0..START_ATTEMPTS {
            // Another process may take the port in between; then the server ends at once and another port is tried.
            let port = free_port();
            let dir = TempDir::with_prefix("portcullis-emulator-").expect("scratch folder");
            let child = watched(&command(port, dir.path()), dir.path());
            let process = Self { child, port, dir };
            if process.becomes_ready(ready) {
                return process;
            }
            log = std::fs::read_to_string(process.dir.path().join(LOG)).unwrap_or_default();
        }
        panic!("the emulator did not become ready; its last output:\n{log}");
    }

    /// The port on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn becomes_ready(&self, ready: &dyn Fn(u16) -> bool) -> bool {
        let ended = self.dir.path().join(ENDED);
        (0..READY_POLLS)
            .map(|_| {
                sleep(POLL);
                ready(self.port) && !ended.exists()
            })
            .find(|ready| *ready || ended.exists())
            .unwrap_or(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closes the pipe that the watcher reads: it ends the server, then itself.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The command for a tool of `make tools`.
pub(super) fn tool(path: &str) -> Command {
    let path = tools().join(path);
    assert!(
        path.exists(),
        "{} is not installed: run `make tools` (or point PORTCULLIS_TOOLS at a folder that has it)",
        path.display()
    );
    Command::new(path)
}

/// The path of a tool of `make tools`, if it is there.
pub(super) fn installed(path: &str) -> Option<PathBuf> {
    Some(tools().join(path)).filter(|path| path.exists())
}

#[expect(clippy::disallowed_methods, reason = "test support: `make` says where the tools are")]
fn tools() -> PathBuf {
    std::env::var_os("PORTCULLIS_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools"), PathBuf::from)
}

/// Runs a command under a shell that ends it, and all that it started, when the pipe from us closes: on drop, on exit,
/// and when this process is killed, which no destructor could see to.
fn watched(command: &Command, dir: &Path) -> Child {
    let log = File::create(dir.join(LOG)).expect("log file");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WATCHER, "watcher"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
        .current_dir(dir)
        .env("SCRATCH", dir)
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("log file"))
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("/bin/sh")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The status with which a path is answered.
fn answers(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    let (version, status) = std::str::from_utf8(&head).ok()?.split_once(' ')?;
    version.starts_with("HTTP/1.").then(|| status.parse().ok()).flatten()
}

/// `kill 0` is the whole process group, this shell included: hence the trap, and the second signal last. The scratch
/// folder goes here too, because what is kept in a `static` is never dropped.
const WATCHER: &str = r#"
("$@" </dev/null; : >ended) &
trap : TERM
read -r _
kill -TERM 0
sleep 0.3
rm -rf "$SCRATCH"
kill -KILL 0
"#;
const ENDED: &str = "ended";
const LOG: &str = "log";
const START_ATTEMPTS: usize = 3;
const POLL: Duration = Duration::from_millis(100);
/// A minute: a busy machine with two cores starts several at once.
const READY_POLLS: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Process {
        Process::start("/", &|port, dir| {
            let mut command = Command::new("python3");
            let dir = dir.to_str().expect("UTF-8");
            command.args(["-m", "http.server", "-b", "127.0.0.1", "-d", dir, &port.to_string()]);
            command
        })
    }

    #[test]
    fn a_server_ends_when_it_is_dropped() {
        let process = server();
        let port = process.port();
        assert_eq!(answers(port, "/"), Some(200));
        assert_eq!(answers(port, "/missing"), Some(404));
        drop(process);
        assert_eq!(answers(port, "/"), None);
    }

    #[test]
    fn a_server_ends_when_a_test_panics() {
        let (send, receive) = std::sync::mpsc::channel();
        let panicked = std::thread::spawn(move || {
            let process = server();
            send.send(process.port()).expect("receiver");
            panic!("on purpose");
        })
        .join();
        assert!(panicked.is_err());
        assert_eq!(answers(receive.recv().expect("port"), "/"), None);
    }
}
