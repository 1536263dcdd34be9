use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_certs::{Authority, CaOptions, Days};
use portcullis_client::mtls::{MtlsServer, ServerSettings};
use portcullis_client::{Pacing, SystemClock};
use portcullis_token::{Algorithm, LocalSigner, Signer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) const ISSUER: &str = "https://sts.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()))
}

pub(crate) fn signer() -> &'static LocalSigner {
    static SIGNER: OnceLock<LocalSigner> = OnceLock::new();
    SIGNER.get_or_init(|| LocalSigner::generate(Algorithm::Es256).unwrap())
}

/// Claims that every rule allows at [`NOW`].
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "svc.actuator", "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW, "jti": "t-1",
           "client_id": "svc.actuator", "scope": "read:approvals execute:external", "roles": ["actuator"]})
}

pub(crate) fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

pub(crate) fn token(claims: &Value) -> String {
    signed(&json!({"alg": "ES256", "typ": "at+jwt", "kid": signer().kid()}), claims, signer())
}

pub(crate) fn signed(header: &Value, payload: &Value, signer: &LocalSigner) -> String {
    let part = |value: &Value| b64(value.to_string());
    let input = format!("{}.{}", part(header), part(payload));
    let signature = signer.sign_now(input.as_bytes()).unwrap();
    format!("{input}.{}", b64(signature))
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Serves over plain HTTP on this machine.
pub(crate) async fn serve(service: Router) -> SocketAddr {
    serve_at(SocketAddr::from(([127, 0, 0, 1], 0)), service).await
}

pub(crate) async fn serve_at(address: SocketAddr, service: Router) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

/// An address on which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Counts calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// No chance, and pauses that are only noted.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<Vec<Duration>>);

impl Noted {
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Pacing for Noted {
    fn jitter(&self, _: Duration) -> Duration {
        Duration::ZERO
    }

    async fn pause(&self, span: Duration) {
        self.0.lock().unwrap().push(span);
    }
}

/// A CA in a folder. It was made 100 days ago; `old` has certificates of that day.
pub(crate) struct Pki {
    folder: TempDir,
    clock: Arc<ManualClock>,
    /// The revocation list of 100 days ago, which was good for 90.
    pub(crate) stale_crl: Vec<u8>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let mut pki = Self { folder: tempfile::tempdir().unwrap(), clock, stale_crl: Vec::new() };
        pki.clock.advance(-100 * DAY);
        let init = pki.authority().init(&CaOptions {
            trust_domain: "corp.example".parse().unwrap(),
            days: 365,
            permitted_dns: Vec::new(),
            permitted_ips: Vec::new(),
        });
        init.unwrap();
        pki.issue("old");
        pki.stale_crl = pki.read("ca/crl.pem");
        pki.clock.advance(100 * DAY);
        for name in ["server", "actuator", "analyst"] {
            pki.issue(name);
        }
        pki
    }

    pub(crate) fn authority(&self) -> Authority<Arc<ManualClock>> {
        Authority::new(self.folder.path(), Arc::clone(&self.clock))
    }

    fn issue(&self, name: &str) {
        let ips = ["127.0.0.1".parse().unwrap()];
        self.authority().issue(&name.parse().unwrap(), &[], &ips, Days::default()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Serves over mutual TLS as `server`.
    pub(crate) async fn serve(
        &self,
        settings: ServerSettings,
        service: Router,
    ) -> (SocketAddr, Arc<MtlsServer>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(MtlsServer::new(settings).unwrap());
        tokio::spawn(Arc::clone(&server).serve(listener, service, pending()));
        (address, server)
    }

    pub(crate) fn settings(&self) -> ServerSettings {
        ServerSettings::new(self.path("server"))
    }

    /// An HTTP client that trusts this CA, and shows a certificate of it (`actuator/client`) or none.
    pub(crate) fn http(&self, identity: Option<&str>) -> reqwest::Client {
        let pair = identity.map(|name| {
            let file = |end: &str| self.read(&format!("{name}.{end}"));
            [file("crt"), file("key")].concat()
        });
        http(&self.read("ca/ca.crt"), pair.as_deref())
    }
}

/// An HTTP client that trusts a CA and shows a certificate.
pub(crate) fn http(ca: &[u8], identity: Option<&[u8]>) -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .tls_info(true)
        .timeout(Duration::from_secs(10))
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(ca).unwrap());
    let builder = match identity {
        None => builder,
        Some(pem) => builder.identity(reqwest::Identity::from_pem(pem).unwrap()),
    };
    builder.build().unwrap()
}

pub(crate) fn replace(path: &Path, contents: &[u8]) {
    std::fs::write(path, contents).unwrap();
}

const DAY: i64 = 24 * 60 * 60 * 1000;
