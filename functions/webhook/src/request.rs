//! What the validator needs of a proxy event, read in one pass and borrowed where JSON allows.

use std::borrow::Cow;

use portcullis_lambda::ProxyEvent;
use portcullis_webhook::json::{NotJson, Reader};
use portcullis_webhook::{Handshake, SIGNATURE_HEADER};

/// A request to the webhook.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) method: Cow<'a, str>,
    pub(crate) path: Cow<'a, str>,
    pub(crate) signature: Option<Cow<'a, str>>,
    pub(crate) body: Option<Cow<'a, str>>,
    pub(crate) is_base64: bool,
    /// Subject of the client certificate (RFC 4514).
    pub(crate) client_subject: Option<Cow<'a, str>>,
    mode: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
    challenge: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// Reads the bytes of a proxy event. The general [`ProxyEvent::parse`] gives the same, at three times the cost.
    pub(crate) fn read(event: &'a [u8]) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(event).map_err(|_| NotJson)?;
        let mut reader = Reader::new(text);
        let mut request = Self::default();
        let (mut method, mut path) = (None, None);
        reader.object(|reader, name| match &*name.decode() {
            "httpMethod" => keep(reader, &mut method),
            "path" => keep(reader, &mut path),
            "headers" => members(reader, |reader, name| {
                // The first of several, as in `TextMap::header`.
                if request.signature.is_none() && name.eq_ignore_ascii_case(SIGNATURE_HEADER) {
                    keep(reader, &mut request.signature)
                } else {
                    skip(reader)
                }
            }),
            "queryStringParameters" => members(reader, |reader, name| match name {
                "hub.mode" => keep(reader, &mut request.mode),
                "hub.verify_token" => keep(reader, &mut request.token),
                "hub.challenge" => keep(reader, &mut request.challenge),
                _ => skip(reader),
            }),
            "requestContext" => context(reader, &mut request.client_subject),
            "body" => {
                request.body = reader.decoded()?;
                Ok(())
            }
            "isBase64Encoded" => {
                request.is_base64 = match reader.value()? {
                    "true" => true,
                    "false" | "null" => false,
                    _ => return Err(NotJson),
                };
                Ok(())
            }
            _ => skip(reader),
        })?;
        reader.end()?;
        request.method = method.ok_or(NotJson)?;
        request.path = path.ok_or(NotJson)?;
        Ok(request)
    }

    /// The handshake's parameters.
    pub(crate) fn handshake(&self) -> Handshake<'_> {
        Handshake {
            mode: self.mode.as_deref(),
            token: self.token.as_deref(),
            challenge: self.challenge.as_deref(),
        }
    }
}

impl<'a> From<&'a ProxyEvent<'_>> for Request<'a> {
    fn from(event: &'a ProxyEvent<'_>) -> Self {
        let query = |name| event.query.value(name).map(Cow::Borrowed);
        Self {
            method: Cow::Borrowed(&event.method),
            path: Cow::Borrowed(&event.path),
            signature: event.headers.header(SIGNATURE_HEADER).map(Cow::Borrowed),
            body: event.body.as_deref().map(Cow::Borrowed),
            is_base64: event.is_base64,
            client_subject: event.context.client_cert_subject().map(Cow::Borrowed),
            mode: query("hub.mode"),
            token: query("hub.verify_token"),
            challenge: query("hub.challenge"),
        }
    }
}

fn context<'a>(reader: &mut Reader<'a>, subject: &mut Option<Cow<'a, str>>) -> Result<(), NotJson> {
    members(reader, |reader, name| match name {
        "identity" => members(reader, |reader, name| match name {
            "clientCert" => members(reader, |reader, name| match name {
                "subjectDN" => keep(reader, subject),
                _ => skip(reader),
            }),
            _ => skip(reader),
        }),
        _ => skip(reader),
    })
}

/// Goes through an object; `null` counts as an empty one, as the gateway writes it.
fn members<'a>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&mut Reader<'a>, &str) -> Result<(), NotJson>,
) -> Result<(), NotJson> {
    match reader.peek()? {
        b'{' => reader.object(|reader, name| member(reader, &name.decode())),
        _ if reader.value()? == "null" => Ok(()),
        _ => Err(NotJson),
    }
}

fn keep<'a>(reader: &mut Reader<'a>, slot: &mut Option<Cow<'a, str>>) -> Result<(), NotJson> {
    *slot = reader.text()?.map(|text| text.decode());
    Ok(())
}

fn skip(reader: &mut Reader<'_>) -> Result<(), NotJson> {
    reader.value().map(|_| ())
}
