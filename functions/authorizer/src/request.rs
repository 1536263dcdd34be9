//! A request as the gateway saw it.

use std::borrow::Cow;
use std::fmt;

/// What is judged of a request.
#[derive(Clone, Default)]
pub struct Request<'a> {
    /// The method in capitals.
    pub method: Cow<'a, str>,
    /// The path without the stage, still encoded.
    pub path: Cow<'a, str>,
    /// The whole URI as the client wrote it, for proofs of possession; the query does not matter.
    pub uri: Cow<'a, str>,
    /// The headers, one pair a value.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The address that connected.
    pub source_address: Option<Cow<'a, str>>,
    /// The client certificate, verified by whoever ended the TLS connection.
    pub certificate: Option<Certificate<'a>>,
    /// The gateway's id of the request, for the audit log.
    pub request_id: Cow<'a, str>,
}

/// A client certificate.
#[derive(Clone, Default)]
pub struct Certificate<'a> {
    /// In PEM form.
    pub pem: Cow<'a, str>,
    /// Its subject (RFC 4514), as the gateway wrote it.
    pub subject: Cow<'a, str>,
}

/// A header that must be there once.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Single<'a> {
    Absent,
    One(&'a str),
    /// Which of them would the next one along believe?
    Repeated,
}

impl Request<'_> {
    /// A header by its name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Single<'_> {
        let mut found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (None, _) => Single::Absent,
            (Some((_, value)), None) => Single::One(value),
            (Some(_), Some(_)) => Single::Repeated,
        }
    }
}

/// Without the headers' values, the query and the path, which hold credentials and personal data.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("request_id", &self.request_id)
            .field("method", &self.method)
            .field("headers", &names)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// That there is one: whose it is the audit trail says.
impl fmt::Debug for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_of_a_request_holds_no_credential() {
        let request = Request {
            path: "/conversations/alice".into(),
            uri: "https://api.example/conversations/alice?key=SECRET".into(),
            headers: vec![("Authorization".into(), "Bearer SECRET".into())],
            source_address: Some("203.0.113.7".into()),
            certificate: Some(Certificate { pem: "SECRET".into(), subject: "CN=alice".into() }),
            ..Request::default()
        };
        let text = format!("{request:?}");
        assert!(text.contains("Authorization"), "{text}");
        for hidden in ["SECRET", "alice", "203.0.113.7"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }

    #[test]
    fn a_header_is_found_whatever_its_case_and_only_once() {
        let pair = |n: &'static str, v: &'static str| (Cow::Borrowed(n), Cow::Borrowed(v));
        let request = Request {
            headers: vec![pair("AUTHORIZATION", "a"), pair("dpop", "1"), pair("DPoP", "1")],
            ..Request::default()
        };
        assert_eq!(request.header("Authorization"), Single::One("a"));
        assert_eq!(request.header("DPoP"), Single::Repeated);
        assert_eq!(request.header("Author"), Single::Absent);
    }
}
