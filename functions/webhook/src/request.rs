//! What the validator needs of a proxy event, read in one pass and borrowed where JSON allows.

use std::borrow::Cow;

use portcullis_lambda::ProxyEvent;
use portcullis_webhook::json::{Decoded, LongText, NotJson, Reader};
use portcullis_webhook::{Handshake, SIGNATURE_HEADER};

/// The body as it stands in the event: text, or base64 of the bytes that were sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Plain(&'a str),
    Decoded(Decoded),
}

impl Body<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Decoded(decoded) => decoded.bytes(),
        }
    }
}

impl Default for Body<'_> {
    fn default() -> Self {
        Self::Plain("")
    }
}

impl<'a> From<Option<LongText<'a>>> for Body<'a> {
    fn from(text: Option<LongText<'a>>) -> Self {
        match text {
            None => Self::default(),
            Some(LongText::Plain(text)) => Self::Plain(text),
            Some(LongText::Decoded(decoded)) => Self::Decoded(decoded),
        }
    }
}

/// A request to the webhook.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) method: Cow<'a, str>,
    pub(crate) path: Cow<'a, str>,
    pub(crate) signature: Option<Cow<'a, str>>,
    pub(crate) body: Body<'a>,
    pub(crate) is_base64: bool,
    /// Subject of the client certificate (RFC 4514).
    pub(crate) client_subject: Option<Cow<'a, str>>,
    /// The address that connected to the gateway.
    pub(crate) source: Option<Cow<'a, str>>,
    /// The gateway's id of the request.
    pub(crate) request_id: Option<Cow<'a, str>>,
    pub(crate) mode: Option<Cow<'a, str>>,
    pub(crate) token: Option<Cow<'a, str>>,
    pub(crate) challenge: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// Reads the bytes of a proxy event. The general [`ProxyEvent::parse`] gives the same, at three times the cost.
    pub(crate) fn read(event: &'a [u8]) -> Result<Self, NotJson> {
        let mut reader = Reader::of_bytes(event)?;
        let mut request = Self::default();
        let (mut method, mut path, mut started) = (None, None, false);
        while let Some(name) = reader.member(&mut started)? {
            match &*name.decode() {
                "httpMethod" => method = string(&mut reader)?,
                "path" => path = string(&mut reader)?,
                "headers" => members(&mut reader, |reader, name| request.header(reader, name))?,
                "queryStringParameters" => {
                    members(&mut reader, |reader, name| request.parameter(reader, name))?;
                }
                "requestContext" => {
                    members(&mut reader, |reader, name| request.context(reader, name))?;
                }
                "body" => request.body = reader.long_text()?.into(),
                "isBase64Encoded" => request.is_base64 = flag(&mut reader)?,
                _ => skip(&mut reader)?,
            }
        }
        reader.end()?;
        request.method = method.ok_or(NotJson)?;
        request.path = path.ok_or(NotJson)?;
        Ok(request)
    }

    fn header(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), NotJson> {
        // The first of several, as in `TextMap::header`.
        if self.signature.is_none() && name.eq_ignore_ascii_case(SIGNATURE_HEADER) {
            self.signature = string(reader)?;
            return Ok(());
        }
        skip(reader)
    }

    fn parameter(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), NotJson> {
        let slot = match name {
            "hub.mode" => &mut self.mode,
            "hub.verify_token" => &mut self.token,
            "hub.challenge" => &mut self.challenge,
            _ => return skip(reader),
        };
        if slot.is_some() {
            return skip(reader);
        }
        *slot = string(reader)?;
        Ok(())
    }

    fn context(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), NotJson> {
        match name {
            "requestId" => self.request_id = string(reader)?,
            "identity" => return members(reader, |reader, name| self.identity(reader, name)),
            _ => return skip(reader),
        }
        Ok(())
    }

    fn identity(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), NotJson> {
        match name {
            "sourceIp" => self.source = string(reader)?,
            "clientCert" => {
                return within(reader, "subjectDN", |reader| {
                    self.client_subject = string(reader)?;
                    Ok(())
                });
            }
            _ => return skip(reader),
        }
        Ok(())
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
            body: Body::Plain(event.body.as_deref().unwrap_or_default()),
            is_base64: event.is_base64,
            client_subject: event.context.client_cert_subject().map(Cow::Borrowed),
            source: event.context.identity.source_ip.as_deref().map(Cow::Borrowed),
            request_id: event.context.request_id.as_deref().map(Cow::Borrowed),
            mode: query("hub.mode"),
            token: query("hub.verify_token"),
            challenge: query("hub.challenge"),
        }
    }
}

fn within<'a>(
    reader: &mut Reader<'a>,
    wanted: &str,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<(), NotJson>,
) -> Result<(), NotJson> {
    members(reader, |reader, name| if name == wanted { read(reader) } else { skip(reader) })
}

/// Goes through an object; `null` counts as an empty one, as the gateway writes it.
fn members<'a>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&mut Reader<'a>, &str) -> Result<(), NotJson>,
) -> Result<(), NotJson> {
    if reader.peek()? != b'{' {
        return if reader.value()? == "null" { Ok(()) } else { Err(NotJson) };
    }
    let mut started = false;
    while let Some(name) = reader.member(&mut started)? {
        member(reader, &name.decode())?;
    }
    Ok(())
}

fn string<'a>(reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, NotJson> {
    Ok(reader.text()?.map(|text| text.decode()))
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, NotJson> {
    match reader.value()? {
        "true" => Ok(true),
        "false" | "null" => Ok(false),
        _ => Err(NotJson),
    }
}

fn skip(reader: &mut Reader<'_>) -> Result<(), NotJson> {
    reader.value().map(|_| ())
}
