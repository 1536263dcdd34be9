//! Key sets of issuers over HTTPS.

use std::collections::HashMap;

use portcullis_token::{Jwks, JwksSource, JwksSourceError};
use reqwest::header::{ACCEPT, HeaderValue};
use url::Url;

use crate::body::{self, BodyError};
use crate::client::{CertificateFolder, Connections, ConnectionsError};
use crate::endpoint::{self, UrlError};
use crate::pacing::SystemClock;
use crate::transport::{Transport, TransportError};

/// [`JwksSource`] over HTTPS: one GET a fetch, bounded in time and size, no redirect followed. How often it is asked is
/// the business of [`portcullis_token::CachedVerifier`].
pub struct HttpJwks {
    connections: Connections<SystemClock>,
    uris: HashMap<String, Url>,
}

impl HttpJwks {
    /// A source for these issuers, each with the URL of its key set; calls nothing yet.
    ///
    /// # Errors
    /// When a URL is neither `https` nor on a loopback address, or the transport cannot be made.
    pub fn new<I, U>(
        issuers: impl IntoIterator<Item = (I, U)>,
        transport: &Transport,
    ) -> Result<Self, HttpJwksError>
    where
        I: Into<String>,
        U: AsRef<str>,
    {
        Self::over(issuers, transport, None)
    }

    /// The same for issuers that want to see a client certificate. Its files are read anew when they change.
    ///
    /// # Errors
    /// As [`HttpJwks::new`], and when the files cannot be read or used.
    pub fn with_certificates<I, U>(
        issuers: impl IntoIterator<Item = (I, U)>,
        transport: &Transport,
        folder: CertificateFolder,
    ) -> Result<Self, HttpJwksError>
    where
        I: Into<String>,
        U: AsRef<str>,
    {
        Self::over(issuers, transport, Some(folder))
    }

    fn over<I, U>(
        issuers: impl IntoIterator<Item = (I, U)>,
        transport: &Transport,
        folder: Option<CertificateFolder>,
    ) -> Result<Self, HttpJwksError>
    where
        I: Into<String>,
        U: AsRef<str>,
    {
        let uris = issuers
            .into_iter()
            .map(|(issuer, uri)| Ok((issuer.into(), endpoint::parse(uri.as_ref())?)))
            .collect::<Result<_, UrlError>>()?;
        let connections = Connections::new(transport.clone(), folder, SystemClock)?;
        Ok(Self { connections, uris })
    }

    async fn get(&self, uri: &Url) -> Result<Jwks, JwksSourceError> {
        let request = self.connections.current().http.get(uri.clone()).header(ACCEPT, KEY_SET);
        let answer = request.send().await.map_err(|_| JwksSourceError::Unavailable)?;
        if answer.status() != http::StatusCode::OK {
            return Err(JwksSourceError::Unavailable);
        }
        let body = body::read(answer, Jwks::MAX_BYTES).await.map_err(|error| match error {
            BodyError::Broken => JwksSourceError::Unavailable,
            BodyError::TooLarge => JwksSourceError::Malformed,
        })?;
        Jwks::parse(&body).map_err(|_| JwksSourceError::Malformed)
    }
}

impl JwksSource for HttpJwks {
    async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
        let uri = self.uris.get(issuer).ok_or(JwksSourceError::Unavailable)?;
        let fetched = self.get(uri).await;
        if let Err(error) = &fetched {
            tracing::warn!(issuer, %error, "key set could not be fetched");
        }
        fetched
    }
}

impl std::fmt::Debug for HttpJwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpJwks").field("uris", &self.uris).finish_non_exhaustive()
    }
}

/// A source of key sets cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpJwksError {
    /// A URL is not one for keys.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Connections cannot be made as asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The client certificate's files cannot be read.
    #[error("certificate files cannot be read")]
    Files,
}

impl From<ConnectionsError> for HttpJwksError {
    fn from(error: ConnectionsError) -> Self {
        match error {
            ConnectionsError::Files => Self::Files,
            ConnectionsError::Transport(error) => Self::Transport(error),
        }
    }
}

const KEY_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json, application/json");
