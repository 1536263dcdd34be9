//! Key sets of issuers over HTTPS.

use std::collections::HashMap;

use portcullis_token::{Jwks, JwksSource, JwksSourceError};
use reqwest::header::{ACCEPT, HeaderValue};
use url::Url;

use crate::body::{self, BodyError};
use crate::endpoint::{self, UrlError};
use crate::transport::{Transport, TransportError};

/// [`JwksSource`] over HTTPS: one GET a fetch, bounded in time and size, no redirect followed. How often it is asked is
/// the business of [`portcullis_token::CachedVerifier`].
#[derive(Debug)]
pub struct HttpJwks {
    http: reqwest::Client,
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
        let uris = issuers
            .into_iter()
            .map(|(issuer, uri)| Ok((issuer.into(), endpoint::parse(uri.as_ref())?)))
            .collect::<Result<_, UrlError>>()?;
        Ok(Self { http: transport.build()?, uris })
    }

    async fn get(&self, uri: &Url) -> Result<Jwks, JwksSourceError> {
        let request = self.http.get(uri.clone()).header(ACCEPT, KEY_SET);
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

/// A source of key sets cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpJwksError {
    /// A URL is not one for keys.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Connections cannot be made as asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

const KEY_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json, application/json");
