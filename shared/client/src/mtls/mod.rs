//! Serving over mutual TLS: TLS 1.3, client certificates with SPIFFE ids, revocation, renewal without a restart.
//!
//! [`Mode::Strict`] lets nobody in without a good certificate. [`Mode::Permissive`] lets everybody in and tells who would
//! be kept out, and why ([`MtlsServer::findings`], a `tracing` event, and [`BreakReporter`]): the way to strict.

mod config;
mod report;
mod serve;
mod verifier;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use portcullis_base::Clock;

use config::Current;
use report::Summary;
pub use report::{BreakReporter, Finding, WouldBreak};
pub use serve::PeerAddress;
pub use verifier::Why;

use crate::files::Files;
use crate::pacing::SystemClock;

/// Who is let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Whoever shows a good certificate.
    #[default]
    Strict,
    /// Everybody. Only a good certificate is handed on to the handlers.
    Permissive,
}

/// What a server is made from.
#[derive(Clone)]
pub struct ServerSettings {
    folder: PathBuf,
    mode: Mode,
    allowed: Option<BTreeSet<String>>,
    revocation: bool,
    tls12: bool,
    reporter: Option<Arc<dyn BreakReporter>>,
    reload_every: Duration,
    handshake_timeout: Duration,
    max_connection_age: Duration,
    grace: Duration,
    max_connections: usize,
}

impl ServerSettings {
    /// A strict server with the certificate of a folder as `portcullis certs issue` makes it: `server.crt`, `server.key`,
    /// `ca.crt` (whose clients are trusted) and `crl.pem` (whose are not). Every service of the CA is let in.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            mode: Mode::Strict,
            allowed: None,
            revocation: true,
            tls12: false,
            reporter: None,
            reload_every: RELOAD,
            handshake_timeout: HANDSHAKE,
            max_connection_age: CONNECTION_AGE,
            grace: GRACE,
            max_connections: CONNECTIONS,
        }
    }

    /// Another mode.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Lets only these services in, by their SPIFFE ids.
    #[must_use]
    pub fn allowing<I: Into<String>>(self, spiffe_ids: impl IntoIterator<Item = I>) -> Self {
        Self { allowed: Some(spiffe_ids.into_iter().map(Into::into).collect()), ..self }
    }

    /// Tells somebody who would be kept out by strict mode.
    #[must_use]
    pub fn reporting_to(self, reporter: Arc<dyn BreakReporter>) -> Self {
        Self { reporter: Some(reporter), ..self }
    }

    /// Speaks TLS 1.2 as well, for clients that know no better.
    #[must_use]
    pub fn with_tls12(self) -> Self {
        Self { tls12: true, ..self }
    }

    /// Looks at no revocation list: for a CA that publishes none and whose certificates live for hours.
    #[must_use]
    pub fn dangerous_without_revocation(self) -> Self {
        Self { revocation: false, ..self }
    }

    /// How often the files are looked at (10 s otherwise).
    #[must_use]
    pub fn with_reload_every(self, span: Duration) -> Self {
        Self { reload_every: span, ..self }
    }

    /// After how long a connection is closed (5 min otherwise): so long, and the grace for the request under way, may a
    /// client that was revoked meanwhile go on.
    #[must_use]
    pub fn with_max_connection_age(self, span: Duration) -> Self {
        Self { max_connection_age: span, ..self }
    }

    /// How long a request that is under way may go on once its connection's time is over, or the server stops (10 s
    /// otherwise). A slow body holds its place no longer than that.
    #[must_use]
    pub fn with_grace(self, span: Duration) -> Self {
        Self { grace: span, ..self }
    }

    /// How many connections are served at once (1024 otherwise); others wait.
    #[must_use]
    pub fn with_max_connections(self, count: usize) -> Self {
        Self { max_connections: count, ..self }
    }

    fn files(&self) -> Files {
        let names: &[&'static str] = if self.revocation {
            &["server.crt", "server.key", "ca.crt", "crl.pem"]
        } else {
            &["server.crt", "server.key", "ca.crt"]
        };
        Files::new(&self.folder, names)
    }
}

impl std::fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSettings")
            .field("folder", &self.folder)
            .field("mode", &self.mode)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// A server's side of mutual TLS.
pub struct MtlsServer<C = SystemClock> {
    settings: ServerSettings,
    clock: Arc<C>,
    current: RwLock<Arc<Current>>,
    summary: Summary,
}

impl MtlsServer {
    /// Reads the certificates.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn new(settings: ServerSettings) -> Result<Self, MtlsError> {
        Self::with_clock(settings, SystemClock)
    }
}

impl<C: Clock + 'static> MtlsServer<C> {
    /// The same with a clock of one's own, for tests.
    ///
    /// # Errors
    /// As [`MtlsServer::new`].
    pub fn with_clock(settings: ServerSettings, clock: C) -> Result<Self, MtlsError> {
        let clock = Arc::new(clock);
        let current = Current::load(&settings, Arc::clone(&clock))?;
        Ok(Self { settings, clock, current: RwLock::new(Arc::new(current)), summary: Summary::default() })
    }

    /// Reads the certificates anew if a file changed: for new connections. [`MtlsServer::serve`] does it by itself.
    ///
    /// # Errors
    /// When they cannot be used; the old ones then stay.
    pub fn reload_if_changed(&self) -> Result<bool, MtlsError> {
        let (_, digest) = self.settings.files().read().map_err(|_| MtlsError::Files)?;
        if self.current().digest == digest {
            return Ok(false);
        }
        let fresh = Current::load(&self.settings, Arc::clone(&self.clock))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        tracing::info!("server certificate or revocation list changed");
        Ok(true)
    }

    /// Who would be kept out by strict mode: each peer, path and reason once, at most 1000 of them.
    pub fn findings(&self) -> Vec<Finding> {
        self.summary.findings()
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<C> std::fmt::Debug for MtlsServer<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MtlsServer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Certificates cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MtlsError {
    /// A file is missing or cannot be read.
    #[error("certificate files cannot be read")]
    Files,
    /// The server's certificate or key is malformed, or the two do not belong together.
    #[error("server certificate and key cannot be used")]
    Identity,
    /// The CA's certificates are malformed, or there is none.
    #[error("ca certificates cannot be used")]
    Authority,
    /// The revocation list is malformed, or there is none.
    #[error("revocation list cannot be used")]
    RevocationList,
}

const RELOAD: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(10);
const CONNECTION_AGE: Duration = Duration::from_secs(300);
const CONNECTIONS: usize = 1024;
