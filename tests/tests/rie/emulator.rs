//! One function under the AWS Lambda Runtime Interface Emulator that the SAM CLI ships.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis_tests::binaries;
use serde_json::Value;
use tempfile::TempDir;

/// A running function. One invocation at a time: the emulator crashes on two.
pub(crate) struct Function {
    process: Child,
    url: String,
    client: reqwest::Client,
    logs: TempDir,
}

impl Function {
    /// Starts the Lambda binary `name` of this build with nothing but `environment`.
    pub(crate) async fn start(name: &str, environment: &BTreeMap<String, String>) -> Self {
        let [invoke, api] = free_ports();
        let logs = TempDir::new().unwrap();
        let log = fs::File::create(logs.path().join("log")).unwrap();
        let process = Command::new("/bin/sh")
            .args(["-c", WATCHER, "watcher"])
            .arg(emulator())
            // Both addresses: the defaults listen on every interface.
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{invoke}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{api}")])
            .arg(binaries::built(name))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", name),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_TIMEOUT", "20"),
            ])
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{invoke}/2015-03-31/functions/function/invocations");
        let function = Self { process, url, client, logs };
        function.wait_until_listening(invoke).await;
        function
    }

    /// The function's answer to an event; what it returned as an error stands in `errorType` and `errorMessage`.
    pub(crate) async fn invoke(&self, event: Vec<u8>) -> Value {
        let answer = self.client.post(&self.url).body(event).send().await;
        let body = match answer {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(e) => panic!("the emulator did not answer: {e}\n{}", self.logs()),
        };
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {body}\n{}", self.logs()))
    }

    /// What the function and the emulator printed so far.
    pub(crate) fn logs(&self) -> String {
        fs::read_to_string(self.logs.path().join("log")).unwrap_or_default()
    }

    async fn wait_until_listening(&self, port: u16) {
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the emulator does not listen\n{}", self.logs());
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // Closes the pipe that the watcher reads: it ends the emulator, which ends the function, then itself.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The emulator that comes with the SAM CLI of `make tools`.
#[expect(clippy::disallowed_methods, reason = "`make` says where the tools are")]
fn emulator() -> PathBuf {
    let tools = std::env::var_os("PORTCULLIS_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools"), PathBuf::from);
    let lib = tools.join("sam/lib");
    let pythons = fs::read_dir(&lib).into_iter().flatten().flatten();
    pythons
        .map(|python| python.path().join("site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no Runtime Interface Emulator under {}: run `make tools`", lib.display()))
}

fn free_ports() -> [u16; 2] {
    // Held together until both are known, so that they differ.
    let sockets = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

/// Ends the emulator when the pipe from the test closes: on drop, and when the test process is killed. The emulator
/// ends its function when it is asked to end.
const WATCHER: &str = r#""$@" </dev/null & trap : TERM; read -r _; kill -TERM 0; sleep 0.5; kill -KILL 0"#;
