//! The error body of every HTTP answer: problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).

use std::borrow::Cow;

use serde::Serialize;

/// Problem details. Holds only what a caller may know: no internal name, no stack, no value of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type", serialize_with = "urn")]
    slug: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
}

impl Problem {
    /// The media type of the body (RFC 9457, section 3).
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// A problem of the type `urn:portcullis:problem:<slug>`; `title` says the same in words.
    pub const fn new(status: u16, slug: &'static str, title: &'static str) -> Self {
        Self { slug, title, status, detail: None }
    }

    /// Adds what is particular to this occurrence. Never put data of the request or of the system in it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The HTTP status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The last part of the `type` URN: stable, for logs and metrics.
    pub const fn slug(&self) -> &'static str {
        self.slug
    }

    /// The JSON body.
    pub fn to_json(&self) -> String {
        // Four members of plain strings and a number: serialisation cannot fail, but a body is owed in any case.
        serde_json::to_string(self).unwrap_or_else(|_| format!(r#"{{"status":{}}}"#, self.status))
    }
}

fn urn<S: serde::Serializer>(slug: &&'static str, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("urn:portcullis:problem:{slug}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_has_the_members_of_rfc_9457() {
        let p = Problem::new(413, "body-too-large", "The body is too large").with_detail("at most 3 MB");
        assert_eq!(
            p.to_json(),
            r#"{"type":"urn:portcullis:problem:body-too-large","title":"The body is too large","status":413,"detail":"at most 3 MB"}"#
        );
        assert_eq!((p.status(), p.slug()), (413, "body-too-large"));
    }

    #[test]
    fn detail_is_left_out_when_absent() {
        assert!(!Problem::new(401, "unauthorized", "Unauthorized").to_json().contains("detail"));
    }
}
