//! The answer that API Gateway turns into HTTP.

use std::borrow::Cow;

use portcullis_base::Problem;
use serde::Serialize;
use serde::ser::SerializeMap;

/// A REST API proxy answer. Every one carries `X-Content-Type-Options: nosniff` and, unless it says otherwise itself,
/// `Cache-Control: no-store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyResponse {
    /// HTTP status code.
    pub status: u16,
    /// Headers beside the two that every answer has.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body as text.
    pub body: Cow<'static, str>,
}

// Headers of every answer: nothing that this stack says may be sniffed, or cached but for what is published to be.
const COMMON_HEADERS: [(&str, &str); 2] =
    [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")];

impl ProxyResponse {
    /// An answer with a body of the given media type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status, headers: vec![("Content-Type", Cow::Borrowed(content_type))], body: body.into() }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// An error, as problem details (RFC 9457).
    pub fn problem(problem: &Problem) -> Self {
        Self::new(problem.status(), Problem::CONTENT_TYPE, problem.to_json())
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// All headers, the common ones included: for a server that speaks HTTP itself.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let common =
            COMMON_HEADERS.into_iter().filter(|(name, _)| self.headers.iter().all(|(own, _)| own != name));
        self.headers.iter().map(|(name, value)| (*name, value.as_ref())).chain(common)
    }

    /// The answer as the JSON that API Gateway expects.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and a number: serialisation cannot fail; an empty answer would be a 502 at the gateway.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for ProxyResponse {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(4))?;
        map.serialize_entry("statusCode", &self.status)?;
        map.serialize_entry("headers", &Headers(self))?;
        map.serialize_entry("body", &self.body)?;
        map.serialize_entry("isBase64Encoded", &false)?;
        map.end()
    }
}

struct Headers<'a>(&'a ProxyResponse);

impl Serialize for Headers<'_> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.all_headers())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_form_of_a_proxy_integration() {
        let r = ProxyResponse::json(200, "{}").with_header("Retry-After", "2");
        assert_eq!(
            String::from_utf8(r.to_json()).unwrap(),
            r#"{"statusCode":200,"headers":{"Content-Type":"application/json","Retry-After":"2","Cache-Control":"no-store","X-Content-Type-Options":"nosniff"},"body":"{}","isBase64Encoded":false}"#
        );
    }

    #[test]
    fn what_is_published_may_be_cached_and_has_one_header_for_it() {
        let r = ProxyResponse::json(200, "{}").with_header("Cache-Control", "public, max-age=300");
        let cache: Vec<_> = r.all_headers().filter(|(name, _)| *name == "Cache-Control").collect();
        assert_eq!(cache, [("Cache-Control", "public, max-age=300")]);
        assert!(r.all_headers().any(|h| h == ("X-Content-Type-Options", "nosniff")));
    }

    #[test]
    fn a_problem_has_its_media_type_and_status() {
        let r = ProxyResponse::problem(&Problem::new(403, "forbidden", "Forbidden"));
        assert_eq!(r.status, 403);
        assert!(r.headers.contains(&("Content-Type", "application/problem+json".into())));
    }
}
