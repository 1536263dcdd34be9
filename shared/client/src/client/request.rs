use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use portcullis_base::Clock;
use serde::Serialize;
use url::Url;

use super::{Call, Client, Response};
use crate::error::ClientError;
use crate::pacing::Pacing;

/// A request in the making. What goes wrong while making it is told by [`Request::send`].
#[must_use = "nothing is sent before `send`"]
pub struct Request<'c, C, P> {
    client: &'c Client<C, P>,
    call: Result<Call, ClientError>,
}

impl<'c, C: Clock, P: Pacing> Request<'c, C, P> {
    pub(super) fn new(client: &'c Client<C, P>, method: Method, url: Result<Url, ClientError>) -> Self {
        // RFC 9110 section 9.2.2.
        let idempotent = method.is_idempotent();
        let call =
            url.map(|url| Call { method, url, headers: HeaderMap::new(), body: Vec::new(), idempotent });
        Self { client, call }
    }

    /// Sets a header. `Authorization` is the client's own.
    pub fn header(self, name: &str, value: &str) -> Self {
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value));
        self.change(|call| match parsed {
            (Ok(name), Ok(value)) if name != http::header::AUTHORIZATION => {
                call.headers.insert(name, value);
                Ok(())
            }
            _ => Err(ClientError::Request),
        })
    }

    /// Sets the body to the JSON of `value`.
    pub fn json(self, value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value);
        self.change(|call| {
            call.body = json.map_err(|_| ClientError::Request)?;
            call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(())
        })
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.change(|call| {
            call.body = body;
            Ok(())
        })
    }

    /// Declares that the service takes a repetition of this request for one request (an `Idempotency-Key`, say): it is
    /// sent again where it might have been lost.
    pub fn idempotent(self) -> Self {
        self.change(|call| {
            call.idempotent = true;
            Ok(())
        })
    }

    /// Sends it. Whatever the service answers is an answer, an error status too; redirects are not followed.
    ///
    /// # Errors
    /// When there is no token or no answer.
    pub async fn send(self) -> Result<Response, ClientError> {
        self.client.send(&self.call?).await
    }

    fn change(mut self, change: impl FnOnce(&mut Call) -> Result<(), ClientError>) -> Self {
        self.call = self.call.and_then(|mut call| change(&mut call).map(|()| call));
        self
    }
}

impl<C, P> std::fmt::Debug for Request<'_, C, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers, body and query may hold what is nobody's business.
        let method = self.call.as_ref().map(|call| &call.method);
        f.debug_struct("Request").field("method", &method).finish_non_exhaustive()
    }
}
