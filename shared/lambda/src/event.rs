//! API Gateway REST proxy events, parsed from bytes: only the members that the stack uses, borrowed where JSON allows.
//!
//! Format: <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// A REST API proxy event.
#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct ProxyEvent<'a> {
    /// HTTP method in capitals.
    #[serde(rename = "httpMethod", deserialize_with = "required_text")]
    pub method: Cow<'a, str>,
    /// The path without the stage.
    #[serde(deserialize_with = "required_text")]
    pub path: Cow<'a, str>,
    /// Request headers, in order, as the client spelled them.
    #[serde(default, deserialize_with = "nullable")]
    pub headers: TextMap<'a>,
    /// Query parameters, decoded.
    #[serde(rename = "queryStringParameters", default, deserialize_with = "nullable")]
    pub query: TextMap<'a>,
    /// Parameters of the path template, decoded.
    #[serde(rename = "pathParameters", default, deserialize_with = "nullable")]
    pub path_parameters: TextMap<'a>,
    /// What the gateway says about the request.
    #[serde(rename = "requestContext", default, deserialize_with = "object_or_default")]
    pub context: RequestContext<'a>,
    /// The body as text; base64 when [`ProxyEvent::is_base64`].
    #[serde(default, deserialize_with = "text")]
    pub body: Option<Cow<'a, str>>,
    /// Whether the body is base64 of the bytes that the client sent.
    #[serde(rename = "isBase64Encoded", default, deserialize_with = "nullable")]
    pub is_base64: bool,
}

/// The members of `requestContext` that the stack uses.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct RequestContext<'a> {
    /// The gateway's id of the request.
    #[serde(default, deserialize_with = "text")]
    pub request_id: Option<Cow<'a, str>>,
    /// Who connected.
    #[serde(default, deserialize_with = "object_or_default")]
    pub identity: Identity<'a>,
    /// What the Lambda authorizer put into its context.
    #[serde(default)]
    pub authorizer: Option<Authorizer<'a>>,
}

impl RequestContext<'_> {
    /// Subject of the client certificate (RFC 4514), where the domain asks for one.
    pub fn client_cert_subject(&self) -> Option<&str> {
        self.identity.client_cert.subject.as_deref()
    }
}

/// The members of `requestContext.identity` that the stack uses.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Identity<'a> {
    /// The address that connected to the gateway.
    #[serde(default, deserialize_with = "text")]
    pub source_ip: Option<Cow<'a, str>>,
    /// The client certificate of a mutual TLS connection.
    #[serde(default, deserialize_with = "object_or_default")]
    pub client_cert: ClientCert<'a>,
}

/// The members of `requestContext.identity.clientCert` that the stack uses.
#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct ClientCert<'a> {
    /// Distinguished name of the subject.
    #[serde(rename = "subjectDN", default, deserialize_with = "text")]
    pub subject: Option<Cow<'a, str>>,
    /// The certificate itself, in PEM.
    #[serde(rename = "clientCertPem", default, deserialize_with = "text")]
    pub pem: Option<Cow<'a, str>>,
}

/// The authorizer's context: who is calling.
#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Authorizer<'a>(pub TextMap<'a>);

impl Authorizer<'_> {
    /// A value of the context.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.value(name)
    }
}

/// A JSON object of strings, in order. Members that are not strings, numbers or booleans are left out.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct TextMap<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl TextMap<'_> {
    /// The value under exactly this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_ref())
    }

    /// The value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_ref())
    }
}

impl<'a> ProxyEvent<'a> {
    /// Parses an event.
    ///
    /// # Errors
    /// When the bytes are not a JSON object with the members of a proxy event. The error says nothing of the content.
    pub fn parse(event: &'a [u8]) -> Result<Self, NotAProxyEvent> {
        let mut json = serde_json::Deserializer::from_slice(event);
        let event = object(&mut json).map_err(|_| NotAProxyEvent)?;
        json.end().map_err(|_| NotAProxyEvent)?;
        event.ok_or(NotAProxyEvent)
    }
}

// Names and sizes only below: headers, queries, paths and bodies hold credentials and personal data.

impl fmt::Debug for ProxyEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyEvent")
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("context", &self.context)
            .field("body_bytes", &self.body.as_ref().map(|body| body.len()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TextMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("client_cert", &self.client_cert).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientCert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCert").field("shown", &self.pem.is_some()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Authorizer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorizer").field(&self.0).finish()
    }
}

/// The event is not a REST API proxy event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAProxyEvent;

impl fmt::Display for NotAProxyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an API Gateway proxy event")
    }
}

impl std::error::Error for NotAProxyEvent {}

impl<'de: 'a, 'a> Deserialize<'de> for TextMap<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = TextMap<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    if let Scalar(Some(value)) = map.next_value()? {
                        members.push((name.0, value));
                    }
                }
                Ok(TextMap(members))
            }
        }
        d.deserialize_map(Members)
    }
}

/// A JSON string, borrowed from the input where it holds no escape. (serde's own `Cow<str>` copies inside an `Option`
/// or a map.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        d.deserialize_str(Strings)
    }
}

/// A string, number or boolean as text; anything else is `None`.
struct Scalar<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Borrowed(v))))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(v.to_owned()))))
    }

    fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(v))))
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Borrowed(if v { "true" } else { "false" }))))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(v.to_string()))))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(v.to_string()))))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Scalar(Some(Cow::Owned(v.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar(None))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }
}

/// `null` counts as absent: API Gateway writes it for every empty map.
fn nullable<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// An object, or `null` for absent. serde's own structures would also take an array of their members in order, which is
/// no proxy event to any other reader.
fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    d.deserialize_any(Object(PhantomData))
}

fn object_or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    Ok(object(d)?.unwrap_or_default())
}

fn required_text<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<Cow<'a, str>, D::Error> {
    Ok(Text::deserialize(d)?.0)
}

fn text<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    Ok(Scalar::deserialize(d)?.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_of_an_event_holds_no_value() {
        let bytes = parse(&json!({
            "httpMethod": "POST", "path": "/alice", "headers": {"Authorization": "SECRET"},
            "queryStringParameters": {"hub.verify_token": "SECRET"}, "pathParameters": {"id": "alice"},
            "body": "SECRET",
            "requestContext": {
                "requestId": "r-1",
                "identity": {"sourceIp": "203.0.113.7", "clientCert": {"subjectDN": "alice", "clientCertPem": "SECRET"}},
                "authorizer": {"principalId": "alice"},
            },
        }));
        let event = ProxyEvent::parse(&bytes).unwrap();
        let text = format!("{event:?}");
        assert_eq!(event.body.as_deref(), Some("SECRET"), "control");
        assert!(text.contains("Authorization") && text.contains("r-1"), "{text}");
        for hidden in ["SECRET", "alice", "203.0.113.7"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }

    fn parse(event: &serde_json::Value) -> Vec<u8> {
        serde_json::to_vec(event).unwrap()
    }

    #[test]
    fn the_members_in_use_are_read_and_the_rest_is_passed_over() {
        let bytes = parse(&json!({
            "resource": "/webhook", "path": "/webhook", "httpMethod": "POST",
            "headers": {"X-Hub-Signature-256": "sha256=00", "Content-Length": 12, "Odd": ["a"], "Gone": null},
            "multiValueHeaders": {"X-Hub-Signature-256": ["sha256=00"]},
            "queryStringParameters": null, "pathParameters": {"id": "c1"}, "stageVariables": null,
            "requestContext": {
                "requestId": "r-1", "authorizer": {"role": "auditor", "claims": {"x": 1}},
                "identity": {"sourceIp": "192.0.2.1", "clientCert": {"subjectDN": "CN=client.example", "validity": {}}},
            },
            "body": "caf\u{e9} \"x\"", "isBase64Encoded": false,
        }));
        let event = ProxyEvent::parse(&bytes).unwrap();
        assert_eq!((event.method.as_ref(), event.path.as_ref()), ("POST", "/webhook"));
        assert_eq!(event.headers.header("x-hub-signature-256"), Some("sha256=00"));
        assert_eq!(event.headers.header("content-length"), Some("12"));
        assert_eq!(event.headers.0.len(), 2);
        assert_eq!(event.path_parameters.value("id"), Some("c1"));
        assert!(event.query.0.is_empty());
        assert_eq!(event.body.as_deref(), Some("caf\u{e9} \"x\""));
        assert_eq!(event.context.identity.source_ip.as_deref(), Some("192.0.2.1"));
        assert_eq!(event.context.client_cert_subject(), Some("CN=client.example"));
        assert_eq!(event.context.authorizer.as_ref().and_then(|a| a.value("role")), Some("auditor"));
    }

    #[test]
    fn a_body_without_escapes_is_borrowed_from_the_event() {
        let event =
            ProxyEvent::parse(br#"{"httpMethod":"POST","path":"/webhook","body":"aGVsbG8="}"#).unwrap();
        assert!(matches!(event.body, Some(Cow::Borrowed("aGVsbG8="))));
    }

    #[test]
    fn what_is_no_proxy_event_is_refused() {
        for (label, bytes) in [
            ("nothing", &b""[..]),
            ("not json", b"{"),
            ("null", b"null"),
            ("an array", b"[]"),
            ("an array of the members in order", br#"["GET","/"]"#),
            ("a context that is an array", br#"{"httpMethod":"GET","path":"/","requestContext":["r-1"]}"#),
            (
                "an identity that is an array",
                br#"{"httpMethod":"GET","path":"/","requestContext":{"identity":["192.0.2.1"]}}"#,
            ),
            ("no method", br#"{"path":"/"}"#),
            ("no path", br#"{"httpMethod":"GET"}"#),
            ("method is null", br#"{"httpMethod":null,"path":"/"}"#),
            ("headers is a string", br#"{"httpMethod":"GET","path":"/","headers":"x"}"#),
            ("flag is a string", br#"{"httpMethod":"GET","path":"/","isBase64Encoded":"no"}"#),
            ("not utf-8", b"{\"httpMethod\":\"GET\",\"path\":\"\xff\"}"),
            ("two documents", br#"{"httpMethod":"GET","path":"/"}{}"#),
        ] {
            assert_eq!(ProxyEvent::parse(bytes).unwrap_err(), NotAProxyEvent, "{label}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _verdict = ProxyEvent::parse(&bytes);
        }
    }
}
