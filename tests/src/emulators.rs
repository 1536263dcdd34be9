//! Real servers for tests, as child processes on free ports of 127.0.0.1.
//!
//! One of each for a test process, started by the first test that asks; isolation comes from accounts (ministack, moto)
//! and paths (OpenBao). They end with the test process, however it ends. What each emulator gets wrong is told where
//! a test avoids it.

#![expect(clippy::expect_used, clippy::panic, reason = "test support: a panic is a failed test")]

mod openbao;
mod process;
mod redis;
mod stack;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use portcullis_aws::SdkSettings;

pub use self::openbao::OpenBao;
use self::process::{Process, tool};
pub use self::redis::RedisServer;
pub use self::stack::{Stack, deploy_stack, incidents_table};

/// An AWS emulator.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
}

impl Emulator {
    /// ministack: right about nearly all that we call, except that KMS ciphertexts are not authenticated and that
    /// `Decrypt` ignores a wrong `KeyId`.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn ministack() -> &'static Self {
        static ONE: OnceLock<Emulator> = OnceLock::new();
        ONE.get_or_init(|| Self {
            process: Process::start("/_ministack/health", &|port, _| {
                let mut command = tool("ministack/bin/ministack");
                command
                    .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
                    .env("GATEWAY_PORT", port.to_string())
                    .envs([("BIND_HOST", "127.0.0.1"), ("MINISTACK_HOST", "127.0.0.1")])
                    // Without these it listens on every interface.
                    .envs([("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0")]);
                command
            }),
        })
    }

    /// moto: for what ministack gets wrong (some KMS calls, lock tokens of the WAF) or has not (attributes of
    /// instances), and for nothing else.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn moto() -> &'static Self {
        static ONE: OnceLock<Emulator> = OnceLock::new();
        ONE.get_or_init(|| Self {
            process: Process::start("/moto-api/", &|port, _| {
                let mut command = tool("moto/bin/moto_server");
                command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
                command
            }),
        })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port())
    }

    /// A new, empty account.
    pub fn account(&self) -> Account {
        static NEXT: AtomicU64 = AtomicU64::new(100_000_000_001);
        Account { endpoint: self.endpoint(), id: NEXT.fetch_add(1, Ordering::SeqCst).to_string() }
    }
}

/// An account of an emulator: shares nothing with the others.
#[derive(Debug, Clone)]
pub struct Account {
    endpoint: String,
    id: String,
}

impl Account {
    /// The 12-digit id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the emulator listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The configuration that the functions make, pointed at this account, with time enough for a busy machine.
    pub async fn config(&self) -> SdkConfig {
        let settings = SdkSettings {
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(20),
            operation_timeout: Duration::from_secs(40),
            ..SdkSettings::default()
        };
        let credentials = Credentials::builder()
            .access_key_id(&self.id)
            .secret_access_key(SECRET_KEY)
            .provider_name("tests")
            .build();
        portcullis_aws::connect(&settings)
            .await
            .into_builder()
            .region(Region::from_static(REGION))
            .endpoint_url(&self.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// The same for another process: the SDK's environment variables.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", &self.id),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

const REGION: &str = "eu-west-1";
const SECRET_KEY: &str = "test";
