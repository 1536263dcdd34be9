//! The event of a REQUEST authorizer of a REST API, read from bytes.
//!
//! Format: <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html>

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use portcullis_access::MethodArn;
use portcullis_lambda::{Text, TextMap};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{Certificate, Request};

/// The members of the event that are used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct AuthorizerEvent<'a> {
    #[serde(rename = "type")]
    kind: Text<'a>,
    method_arn: Text<'a>,
    #[serde(default)]
    path: Option<Text<'a>>,
    #[serde(default)]
    headers: Option<TextMap<'a>>,
    #[serde(default)]
    multi_value_headers: Option<Lists<'a>>,
    #[serde(default)]
    request_context: Object<Context<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Context<'a> {
    request_id: Option<Text<'a>>,
    domain_name: Option<Text<'a>>,
    path: Option<Text<'a>>,
    identity: Object<Identity<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Identity<'a> {
    source_ip: Option<Text<'a>>,
    client_cert: Object<ClientCert<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct ClientCert<'a> {
    #[serde(rename = "clientCertPem")]
    pem: Option<Text<'a>>,
    #[serde(rename = "subjectDN")]
    subject: Option<Text<'a>>,
}

/// The event is not that of a REQUEST authorizer. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API Gateway authorizer event")]
pub struct NotAnAuthorizerEvent;

impl<'a> AuthorizerEvent<'a> {
    /// Reads an event.
    ///
    /// # Errors
    /// When the bytes are not an object with the members of such an event.
    pub fn parse(event: &'a [u8]) -> Result<Self, NotAnAuthorizerEvent> {
        // Checked at once: from bytes serde_json checks every text by itself.
        let event = std::str::from_utf8(event).map_err(|_| NotAnAuthorizerEvent)?;
        let mut json = serde_json::Deserializer::from_str(event);
        let Object(event) = Object::<Self>::deserialize_value(&mut json).map_err(|_| NotAnAuthorizerEvent)?;
        json.end().map_err(|_| NotAnAuthorizerEvent)?;
        event.filter(|event| event.kind.0 == "REQUEST").ok_or(NotAnAuthorizerEvent)
    }

    /// The ARN of the request.
    pub fn arn(&self) -> Option<MethodArn<'_>> {
        MethodArn::parse(&self.method_arn.0)
    }

    /// The request. `public_url` stands for the gateway's own address where clients use another.
    pub fn request<'s>(&'s self, arn: &MethodArn<'s>, public_url: Option<&str>) -> Request<'s> {
        let empty = Context::default();
        let context = self.request_context.0.as_ref().unwrap_or(&empty);
        Request {
            method: Cow::Borrowed(arn.method()),
            path: Cow::Borrowed(arn.path()),
            uri: Cow::Owned(self.uri(context, public_url)),
            headers: self.pairs(),
            source_address: self.identity().and_then(|i| borrowed(i.source_ip.as_ref())),
            certificate: self.identity().and_then(|i| i.client_cert.0.as_ref()).and_then(certificate),
            request_id: self
                .request_context
                .0
                .as_ref()
                .and_then(|c| borrowed(c.request_id.as_ref()))
                .unwrap_or_default(),
        }
    }

    fn identity(&self) -> Option<&Identity<'a>> {
        self.request_context.0.as_ref()?.identity.0.as_ref()
    }

    /// Never from the `Host` header, which the client writes: the gateway's own name, or the one that was set.
    fn uri(&self, context: &Context<'_>, public_url: Option<&str>) -> String {
        let text = |t: &Option<Text<'_>>| t.as_ref().map_or(String::new(), |t| t.0.to_string());
        match public_url {
            Some(base) => format!("{}{}", base.trim_end_matches('/'), text(&self.path)),
            None => format!("https://{}{}", text(&context.domain_name), text(&context.path)),
        }
    }

    /// All values of all headers: `headers` has the last value of each alone.
    fn pairs(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        let lists = self.multi_value_headers.as_ref().filter(|lists| !lists.0.is_empty());
        if let Some(Lists(lists)) = lists {
            let pairs = lists.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
            return pairs.map(|(n, v)| (Cow::Borrowed(n.0.as_ref()), Cow::Borrowed(v.0.as_ref()))).collect();
        }
        let single = self.headers.iter().flat_map(|headers| &headers.0);
        single.map(|(n, v)| (Cow::Borrowed(n.as_ref()), Cow::Borrowed(v.as_ref()))).collect()
    }
}

fn borrowed<'s>(text: Option<&'s Text<'_>>) -> Option<Cow<'s, str>> {
    text.map(|text| Cow::Borrowed(text.0.as_ref()))
}

fn certificate<'s>(shown: &'s ClientCert<'_>) -> Option<Certificate<'s>> {
    Some(Certificate {
        pem: borrowed(shown.pem.as_ref())?,
        subject: borrowed(shown.subject.as_ref()).unwrap_or_default(),
    })
}

/// An object, or `null` for none. serde would also take an array of its members in order.
#[derive(Debug)]
struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Object<T> {
    fn deserialize_value<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error>
    where
        T: Deserialize<'de>,
    {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Object(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
            }
        }
        d.deserialize_any(Members(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::deserialize_value(d)
    }
}

/// Names with lists of texts, in order.
#[derive(Debug)]
struct Lists<'a>(Vec<(Text<'a>, Vec<Text<'a>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Lists<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Lists<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of lists")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    members.push((name, map.next_value::<Values<'de>>()?.0));
                }
                Ok(Lists(members))
            }
        }
        d.deserialize_map(Members)
    }
}

struct Values<'a>(Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::with_capacity(1);
                while values.len() < MAX_VALUES {
                    match seq.next_element::<Text<'de>>()? {
                        Some(value) => values.push(value),
                        None => return Ok(Values(values)),
                    }
                }
                // More than anyone has a use for; what matters is that there is more than one.
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Values(values))
            }
        }
        d.deserialize_seq(Items)
    }
}

const MAX_VALUES: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::Single;

    const ARN: &str = "arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod/GET/conversations/0f1e";

    fn event() -> serde_json::Value {
        json!({
            "type": "REQUEST",
            "methodArn": ARN,
            "resource": "/conversations/{id}",
            "path": "/conversations/0f1e",
            "httpMethod": "GET",
            "headers": {"Authorization": "Bearer b"},
            "multiValueHeaders": {"Authorization": ["Bearer a", "Bearer b"]},
            "queryStringParameters": {},
            "requestContext": {
                "path": "/prod/conversations/0f1e",
                "domainName": "api.example",
                "requestId": "r-1",
                "identity": {
                    "sourceIp": "192.0.2.1",
                    "clientCert": {"clientCertPem": "PEM", "subjectDN": "CN=a", "serialNumber": "1"},
                },
            },
        })
    }

    fn with_request(event: &serde_json::Value, url: Option<&str>, check: impl FnOnce(&Request<'_>)) {
        let bytes = event.to_string().into_bytes();
        let event = AuthorizerEvent::parse(&bytes).unwrap();
        check(&event.request(&event.arn().unwrap(), url));
    }

    #[test]
    fn a_request_is_what_the_gateway_saw() {
        with_request(&event(), None, |request| {
            assert_eq!((request.method.as_ref(), request.path.as_ref()), ("GET", "/conversations/0f1e"));
            assert_eq!(request.uri, "https://api.example/prod/conversations/0f1e");
            assert_eq!(request.source_address.as_deref(), Some("192.0.2.1"));
            assert_eq!(request.request_id, "r-1");
            let certificate = request.certificate.as_ref().unwrap();
            assert_eq!((certificate.pem.as_ref(), certificate.subject.as_ref()), ("PEM", "CN=a"));
            assert_eq!(request.header("authorization"), Single::Repeated, "the map of last values hides it");
        });
        with_request(&event(), Some("https://id.example/"), |request| {
            assert_eq!(request.uri, "https://id.example/conversations/0f1e");
        });
    }

    #[test]
    fn headers_of_one_value_do_where_there_are_no_lists() {
        for absent in [json!(null), json!({})] {
            let mut event = event();
            event["multiValueHeaders"] = absent;
            with_request(&event, None, |request| {
                assert_eq!(request.header("Authorization"), Single::One("Bearer b"));
            });
        }
    }

    #[test]
    fn what_the_gateway_leaves_out_or_nulls_is_absent() {
        let mut bare = json!({"type": "REQUEST", "methodArn": ARN});
        for context in
            [json!(null), json!({}), json!({"identity": null}), json!({"identity": {"clientCert": null}})]
        {
            bare["requestContext"] = context;
            with_request(&bare, None, |request| {
                assert!(request.certificate.is_none() && request.source_address.is_none());
                assert!(request.headers.is_empty());
            });
        }
    }

    #[test]
    fn other_events_are_refused() {
        let mut token = event();
        token["type"] = json!("TOKEN");
        let mut context = event();
        context["requestContext"] = json!(["r-1"]);
        let mut identity = event();
        identity["requestContext"]["identity"] = json!(["192.0.2.1"]);
        let mut headers = event();
        headers["multiValueHeaders"] = json!({"Authorization": "Bearer a"});
        let mut number = event();
        number["methodArn"] = json!(1);
        for (label, text) in [
            ("empty", String::new()),
            ("not JSON", "{".to_owned()),
            ("an array", format!("[\"REQUEST\",\"{ARN}\"]")),
            ("two documents", format!("{}{}", event(), event())),
            ("a TOKEN authorizer's", token.to_string()),
            ("a context that is an array", context.to_string()),
            ("an identity that is an array", identity.to_string()),
            ("header values that are no list", headers.to_string()),
            ("an ARN that is no text", number.to_string()),
            ("a proxy event", json!({"httpMethod": "GET", "path": "/"}).to_string()),
            (
                "a member twice",
                format!("{{\"type\":\"REQUEST\",\"methodArn\":\"{ARN}\",\"methodArn\":\"{ARN}\"}}"),
            ),
        ] {
            assert_eq!(AuthorizerEvent::parse(text.as_bytes()).err(), Some(NotAnAuthorizerEvent), "{label}");
        }
    }
}
