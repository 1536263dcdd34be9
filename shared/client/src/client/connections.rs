//! Connections over the certificate of the moment.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis_base::{Clock, Timestamp};

use crate::files::{Digest, Files};
use crate::pacing::after;
use crate::transport::{Transport, TransportError};

/// A folder as `portcullis certs issue` makes it: `ca.crt`, `client.crt`, `client.key`. Read anew when a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFolder {
    pub(crate) path: PathBuf,
    pub(crate) own_ca: bool,
}

impl CertificateFolder {
    /// Shows the client certificate of the folder, and trusts its CA only.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), own_ca: true }
    }

    /// Trusts the system's CAs in place of the folder's: for an API Gateway domain, whose own certificate is public.
    #[must_use]
    pub fn trusting_the_system(self) -> Self {
        Self { own_ca: false, ..self }
    }

    fn files(&self) -> Files {
        let names: &[&'static str] =
            if self.own_ca { &["client.crt", "client.key", "ca.crt"] } else { &["client.crt", "client.key"] };
        Files::new(&self.path, names)
    }
}

/// The connections to use for one call.
#[derive(Debug, Clone)]
pub(crate) struct Via {
    pub(crate) http: reqwest::Client,
    /// Rises with each new certificate.
    pub(crate) generation: u64,
}

/// Makes connections anew when the certificate's files change: an open connection ends when it is idle.
pub(crate) struct Connections<C> {
    transport: Transport,
    folder: Option<CertificateFolder>,
    clock: C,
    state: Mutex<State>,
}

struct State {
    via: Via,
    seen: Option<Digest>,
    looked_at: Timestamp,
}

impl<C: Clock> Connections<C> {
    pub(crate) fn new(
        transport: Transport,
        folder: Option<CertificateFolder>,
        clock: C,
    ) -> Result<Self, ConnectionsError> {
        let (http, seen) = match &folder {
            None => (transport.build()?, None),
            Some(folder) => load(&transport, folder, None)?.ok_or(ConnectionsError::Files)?,
        };
        let state = Mutex::new(State { via: Via { http, generation: 0 }, seen, looked_at: clock.now() });
        Ok(Self { transport, folder, clock, state })
    }

    pub(crate) fn current(&self) -> Via {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let recent = now >= state.looked_at && now < after(state.looked_at, LOOK_INTERVAL);
        if let (Some(folder), false) = (&self.folder, recent) {
            state.looked_at = now;
            match load(&self.transport, folder, state.seen.as_ref()) {
                Ok(None) => {}
                Ok(Some((http, seen))) => {
                    state.via = Via { http, generation: state.via.generation + 1 };
                    state.seen = seen;
                    tracing::info!("client certificate changed: connections and tokens are made anew");
                }
                // The old one goes on until its end; half of a renewal may be all that is there just now.
                Err(error) => tracing::warn!(%error, "client certificate cannot be loaded"),
            }
        }
        state.via.clone()
    }
}

type Loaded = Option<(reqwest::Client, Option<Digest>)>;

fn load(
    transport: &Transport,
    folder: &CertificateFolder,
    seen: Option<&Digest>,
) -> Result<Loaded, ConnectionsError> {
    let (contents, digest) = folder.files().read().map_err(|_| ConnectionsError::Files)?;
    if seen == Some(&digest) {
        return Ok(None);
    }
    let transport = match contents.as_slice() {
        [certificate, key, ca] => {
            transport.clone().with_identity_pem(certificate, key).with_ca_pem(ca.to_vec())
        }
        [certificate, key] => transport.clone().with_identity_pem(certificate, key),
        _ => return Err(ConnectionsError::Files),
    };
    Ok(Some((transport.build()?, Some(digest))))
}

/// The certificate of the client cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectionsError {
    #[error("certificate files cannot be read")]
    Files,
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
