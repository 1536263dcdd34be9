use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::body;
use crate::error::ClientError;

/// An answer, its body not read yet.
#[derive(Debug)]
pub struct Response {
    answer: reqwest::Response,
    max_body: usize,
}

impl Response {
    pub(super) const fn new(answer: reqwest::Response, max_body: usize) -> Self {
        Self { answer, max_body }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// The body, up to the size that the settings allow.
    ///
    /// # Errors
    /// When it is larger, or the connection breaks.
    pub async fn bytes(self) -> Result<Vec<u8>, ClientError> {
        Ok(std::mem::take(&mut *body::read(self.answer, self.max_body).await?))
    }

    /// The body, from JSON.
    ///
    /// # Errors
    /// As [`Response::bytes`], and when it is not JSON of that form.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let body = body::read(self.answer, self.max_body).await?;
        serde_json::from_slice(&body).map_err(|_| ClientError::Json)
    }
}
