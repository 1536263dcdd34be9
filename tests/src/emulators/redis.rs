//! A real Redis server: nothing is kept on disk.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::{Process, installed};

/// The server. Each is one of its own: tests break it in their own ways.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
}

impl RedisServer {
    /// A server without password or TLS.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start() -> Self {
        Self::with(&|_| Vec::new())
    }

    /// A server that asks for a password and speaks TLS only, with this certificate and key (PEM).
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start_tls(password: &str, certificate: &str, key: &str) -> Self {
        Self::with(&|dir| {
            fs::write(dir.join("server.pem"), certificate).expect("a file for the certificate");
            fs::write(dir.join("server.key"), key).expect("a file for the key");
            ["--requirepass", password, "--tls-cert-file", "server.pem", "--tls-key-file", "server.key"]
                .into_iter()
                .chain(["--tls-auth-clients", "no", "--tls-ca-cert-file", "server.pem"])
                .map(str::to_owned)
                .collect()
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    fn with(options: &dyn Fn(&Path) -> Vec<String>) -> Self {
        let program = program();
        let process = Process::start_when(&accepts, &|port, dir| {
            let options = options(dir);
            let (plain, tls) = if options.is_empty() { (port, 0) } else { (0, port) };
            let mut command = Command::new(&program);
            command
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
                .args(["--port", &plain.to_string(), "--tls-port", &tls.to_string()])
                .args(options);
            command
        });
        Self { process }
    }
}

/// The server of `make tools`, or the one that is installed.
fn program() -> String {
    if let Some(path) = installed("bin/redis-server") {
        return path.to_str().expect("a path in UTF-8").to_owned();
    }
    let version = Command::new(NAME).arg("--version").stdout(Stdio::null()).status();
    assert!(version.is_ok_and(|status| status.success()), "redis-server is not installed: run `make tools`");
    NAME.to_owned()
}

fn accepts(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(5)).is_ok()
}

const NAME: &str = "redis-server";
