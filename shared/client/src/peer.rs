//! The client certificate of a connection.

use std::sync::Arc;

use portcullis_token::Thumbprint;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that the handshake verified: its chain, its time, its revocation, and that the peer holds its key.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    der: Arc<[u8]>,
    thumbprint: Thumbprint,
    spiffe_id: Option<Arc<str>>,
}

impl PeerCertificate {
    /// What an acceptor hands on after verifying. Whoever calls this vouches for the certificate: a request's header is no
    /// place to take it from, unless the one proxy that may set it is the only way in.
    pub fn dangerous_from_verified_der(der: &[u8]) -> Self {
        Self {
            der: der.into(),
            thumbprint: Thumbprint::of_certificate_der(der),
            spiffe_id: spiffe_id(der).map(Arc::from),
        }
    }

    /// The certificate in DER form.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its SHA-256, as a bound token names it (RFC 8705 section 3.1).
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The service that it names.
    pub fn spiffe_id(&self) -> Option<&str> {
        self.spiffe_id.as_deref()
    }
}

impl std::fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerCertificate")
            .field("spiffe_id", &self.spiffe_id)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

/// The SPIFFE id of a certificate: it has exactly one URI name (X.509-SVID section 2), and that is of SPIFFE's form.
pub(crate) fn spiffe_id(der: &[u8]) -> Option<String> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) if rest.is_empty() && is_spiffe_id(uri) => Some(uri.to_owned()),
        _ => None,
    }
}

/// `spiffe://<trust domain>/<path>`, in the characters that SPIFFE-ID sections 2.1 and 2.2 allow, at most 2048 bytes.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let in_path = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(in_path);
    uri.len() <= MAX_ID && !domain.is_empty() && domain.bytes().all(in_domain) && path.split('/').all(segment)
}

pub(crate) const SCHEME: &str = "spiffe://";
const MAX_ID: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spiffe_ids_of_the_standards_form() {
        for (label, uri, good) in [
            ("a service", "spiffe://corp.example/svc.actuator", true),
            ("a path", "spiffe://corp.example/ns/prod/sa/web", true),
            ("another scheme", "https://corp.example/svc.actuator", false),
            ("upper-case scheme", "SPIFFE://corp.example/svc.actuator", false),
            ("upper-case domain", "spiffe://Corp.example/svc.actuator", false),
            ("no path", "spiffe://corp.example", false),
            ("empty path", "spiffe://corp.example/", false),
            ("no domain", "spiffe:///svc.actuator", false),
            ("port", "spiffe://corp.example:8443/svc.actuator", false),
            ("user", "spiffe://me@corp.example/svc.actuator", false),
            ("query", "spiffe://corp.example/svc.actuator?x", false),
            ("dot segments", "spiffe://corp.example/svc.actuator/../svc.bff", false),
            ("empty segment", "spiffe://corp.example/svc.actuator//", false),
            ("percent", "spiffe://corp.example/svc%2eactuator", false),
            ("too long", &format!("spiffe://corp.example/{}", "a".repeat(2048)), false),
        ] {
            assert_eq!(is_spiffe_id(uri), good, "{label}");
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(spiffe_id(b""), None);
        assert_eq!(PeerCertificate::dangerous_from_verified_der(b"\x30\x00").spiffe_id(), None);
    }
}
