//! The token endpoint over HTTPS.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use portcullis_base::Clock;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::cache::TokenFetcher;
use super::{Credential, Grant};
use crate::body;
use crate::client::Via;
use crate::error::{ClientError, OauthError};

/// Asks for tokens by `grant_type=client_credentials` (RFC 6749 section 4.4).
#[derive(Debug)]
pub(crate) struct StsEndpoint<C> {
    url: Url,
    credential: Credential,
    scope: Option<String>,
    clock: C,
}

impl<C: Clock> StsEndpoint<C> {
    pub(crate) const fn new(url: Url, credential: Credential, scope: Option<String>, clock: C) -> Self {
        Self { url, credential, scope, clock }
    }

    fn request(&self, via: &Via) -> Result<reqwest::RequestBuilder, ClientError> {
        let presented = self.credential.present(self.clock.now())?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in &presented.form {
            form.append_pair(name, value);
        }
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        let mut request = via
            .http
            .request(Method::POST, self.url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(form.finish());
        if let Some(value) = presented.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

impl<C: Clock> TokenFetcher for StsEndpoint<C> {
    async fn fetch(&self, via: &Via) -> Result<Grant, ClientError> {
        let answer = self.request(via)?.send().await.map_err(|error| {
            // The kind only: the error's text holds the URL.
            tracing::warn!(timeout = error.is_timeout(), "token service did not answer");
            ClientError::TokenUnavailable
        })?;
        let status = answer.status();
        let read = body::read(answer, MAX_ANSWER).await;
        if status == StatusCode::OK {
            return Grant::parse(&read.map_err(|_| ClientError::TokenMalformed)?);
        }
        let body = read.unwrap_or_else(|_| Zeroizing::new(Vec::new()));
        let error = refusal(status, Grant::error(&body));
        tracing::warn!(status = status.as_u16(), %error, "token service refused");
        Err(error)
    }
}

fn refusal(status: StatusCode, code: OauthError) -> ClientError {
    match status.as_u16() {
        400 | 401 | 403 => ClientError::TokenRefused(code),
        // Nothing to follow, throttled, or failing.
        _ => ClientError::TokenUnavailable,
    }
}

const MAX_ANSWER: usize = 64 * 1024;
