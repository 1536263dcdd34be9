//! A request, as far as every endpoint reads it alike.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_lambda::{ProxyEvent, caller_address};
use portcullis_token::{ClientCertificate, ClientCertificateError};
use serde::de::DeserializeOwned;

use crate::form::Form;
use crate::refusal::Refusal;

/// A request to an endpoint.
pub(crate) struct Request<'a> {
    event: &'a ProxyEvent<'a>,
    /// `POST /sts/token`.
    pub(crate) operation: &'static str,
    /// The address that connected to the gateway, or the viewer's where a header of CloudFront's is trusted for it.
    pub(crate) address: IpAddr,
    /// The client certificate of the connection, where there is one.
    pub(crate) certificate: Option<Result<ClientCertificate, ClientCertificateError>>,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Form,
    Json,
    Other,
    None,
}

fn only_header<'a>(event: &'a ProxyEvent<'a>, name: &str) -> Result<Option<&'a str>, RepeatedHeader> {
    let mut found = event.headers.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|(_, value)| value.as_ref())),
        _ => Err(RepeatedHeader),
    }
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        event: &'a ProxyEvent<'a>,
        operation: &'static str,
        viewer_header: Option<&str>,
    ) -> Self {
        let identity = &event.context.identity;
        let viewer = viewer_header.and_then(|name| only_header(event, name).ok().flatten());
        let address = caller_address(viewer, identity.source_ip.as_deref());
        Self {
            event,
            operation,
            // Who has no address shares one limit and one lock with all others that have none.
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            certificate: identity.client_cert.pem.as_deref().map(ClientCertificate::from_pem),
        }
    }

    /// The only header of that name.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&'a str>, RepeatedHeader> {
        only_header(self.event, name)
    }

    /// Subject of the client certificate as the gateway writes it.
    pub(crate) fn certificate_subject(&self) -> Option<&'a str> {
        self.event.context.client_cert_subject()
    }

    pub(crate) fn request_id(&self) -> &str {
        self.event.context.request_id.as_deref().unwrap_or_default()
    }

    /// Credentials in the URL end in logs: RFC 6749 section 2.3.1 forbids them, RFC 9700 section 4.3.2 tokens.
    pub(crate) fn refuse_query(&self) -> Result<(), Refusal> {
        if self.event.query.0.is_empty() {
            Ok(())
        } else {
            Err(Refusal::InvalidRequest("parameters belong in the body"))
        }
    }

    pub(crate) fn media_type(&self) -> Result<MediaType, Refusal> {
        let header =
            self.header("Content-Type").map_err(|_| Refusal::InvalidRequest("Content-Type is repeated"))?;
        let essence = header.map(|value| value.split(';').next().unwrap_or_default().trim());
        Ok(match essence {
            None | Some("") => MediaType::None,
            Some(t) if t.eq_ignore_ascii_case("application/x-www-form-urlencoded") => MediaType::Form,
            Some(t) if t.eq_ignore_ascii_case("application/json") => MediaType::Json,
            Some(_) => MediaType::Other,
        })
    }

    /// The body's bytes, within their limit.
    pub(crate) fn body(&self) -> Result<Cow<'a, [u8]>, Refusal> {
        let text = self.event.body.as_deref().unwrap_or_default();
        // Four characters of base64 are three bytes: the larger limit saves decoding what is too large anyway.
        if text.len() > if self.event.is_base64 { MAX_BODY / 3 * 4 + 4 } else { MAX_BODY } {
            return Err(Refusal::TooLarge);
        }
        if !self.event.is_base64 {
            return Ok(text.as_bytes().into());
        }
        let bytes =
            BASE64_STANDARD.decode(text).map_err(|_| Refusal::InvalidRequest("the body is malformed"))?;
        if bytes.len() > MAX_BODY { Err(Refusal::TooLarge) } else { Ok(bytes.into()) }
    }
}

/// Reads the form of a body, which must be one.
pub(crate) fn form<'b>(request: &Request<'_>, body: &'b [u8]) -> Result<Form<'b>, Refusal> {
    if request.media_type()? != MediaType::Form {
        return Err(Refusal::InvalidRequest("the body must be application/x-www-form-urlencoded"));
    }
    Form::parse(body).map_err(|error| {
        Refusal::InvalidRequest(match error {
            crate::form::FormError::Repeated => "a parameter is repeated",
            crate::form::FormError::Malformed => "the form is malformed",
            crate::form::FormError::TooMany => "the form has too many parameters",
        })
    })
}

/// Reads a JSON object of a body. `None`: the body is empty.
pub(crate) fn json<T: DeserializeOwned>(
    request: &Request<'_>,
    body: &[u8],
    malformed: Refusal,
) -> Result<Option<T>, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // serde would also take an array of the members in order.
    let is_object = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    if request.media_type()? != MediaType::Json || !is_object {
        return Err(malformed);
    }
    serde_json::from_slice(body).map(Some).map_err(|_| malformed)
}

/// A header that may be there once is there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RepeatedHeader;

/// The largest body, in bytes: an assertion and two tokens take a quarter of it.
pub(crate) const MAX_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_locks_go_by_the_viewer_only_where_its_header_is_trusted() {
        let event = |headers: &str| {
            format!(
                r#"{{"httpMethod":"POST","path":"/sts/token","headers":{headers},
                "requestContext":{{"identity":{{"sourceIp":"203.0.113.7"}}}}}}"#
            )
        };
        let one = event(r#"{"X-Viewer-Address":"198.51.100.9:4711"}"#);
        let two = event(r#"{"X-Viewer-Address":"198.51.100.9:1","x-viewer-address":"198.51.100.8:1"}"#);
        for (label, event, trusted, expected) in [
            ("not trusted", &one, None, "203.0.113.7"),
            ("trusted", &one, Some("x-viewer-address"), "198.51.100.9"),
            ("another", &one, Some("x-other"), "203.0.113.7"),
            ("repeated", &two, Some("x-viewer-address"), "203.0.113.7"),
        ] {
            let event = ProxyEvent::parse(event.as_bytes()).unwrap();
            let request = Request::new(&event, "POST /sts/token", trusted);
            assert_eq!(request.address.to_string(), expected, "{label}");
        }
    }
}
