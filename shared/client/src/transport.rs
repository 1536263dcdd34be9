//! HTTP connections: bounded in time, without redirects and proxies, with the CAs and the certificate that were named.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, tls::Version};
use zeroize::Zeroizing;

/// How connections are made. The defaults: the system's CAs, no client certificate, 3 s to connect, 10 s for all.
#[derive(Clone)]
pub struct Transport {
    connect_timeout: Duration,
    timeout: Duration,
    ca_pem: Option<Vec<u8>>,
    identity_pem: Option<Zeroizing<Vec<u8>>>,
}

impl Default for Transport {
    fn default() -> Self {
        Self { connect_timeout: CONNECT, timeout: ATTEMPT, ca_pem: None, identity_pem: None }
    }
}

impl Transport {
    /// Another time for one request, connecting and reading the answer included.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, connect_timeout: self.connect_timeout.min(timeout), ..self }
    }

    /// Trusts these CAs (PEM, one or more) in place of the system's, and TLS 1.3 only: both sides are ours.
    #[must_use]
    pub fn with_ca_pem(self, ca_pem: impl Into<Vec<u8>>) -> Self {
        Self { ca_pem: Some(ca_pem.into()), ..self }
    }

    /// Shows this client certificate (PEM: its chain, then its key in PKCS#8 form).
    #[must_use]
    pub fn with_identity_pem(self, certificate: &[u8], key: &[u8]) -> Self {
        let mut both = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len() + 1));
        both.extend_from_slice(certificate);
        both.push(b'\n');
        both.extend_from_slice(key);
        Self { identity_pem: Some(both), ..self }
    }

    /// Makes the HTTP client; connects to nothing yet.
    pub(crate) fn build(&self) -> Result<reqwest::Client, TransportError> {
        let mut builder = reqwest::Client::builder()
            // A redirect would carry the credentials to where the server says; whoever wants that follows it himself.
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout);
        if let Some(pem) = &self.ca_pem {
            builder = builder.tls_certs_only(certificates(pem)?).tls_version_min(Version::TLS_1_3);
        }
        if let Some(pem) = &self.identity_pem {
            builder = builder.identity(Identity::from_pem(pem).map_err(|_| TransportError::Identity)?);
        }
        builder.build().map_err(|_| TransportError::Client)
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("timeout", &self.timeout)
            .field("own_ca", &self.ca_pem.is_some())
            .field("client_certificate", &self.identity_pem.is_some())
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, TransportError> {
    let certificates = Certificate::from_pem_bundle(pem).map_err(|_| TransportError::Certificates)?;
    // None would mean that nothing is trusted, and look like an outage.
    if certificates.is_empty() { Err(TransportError::Certificates) } else { Ok(certificates) }
}

/// Connections cannot be made as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The CAs are not PEM certificates.
    #[error("ca certificates are malformed")]
    Certificates,
    /// The client certificate or its key is not PEM, or the two do not belong together.
    #[error("client certificate or its key is malformed")]
    Identity,
    /// The HTTP client could not be made.
    #[error("http client could not be made")]
    Client,
}

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_told_at_once() {
        let nothing = Transport::default().with_ca_pem(*b"");
        assert_eq!(nothing.build().unwrap_err(), TransportError::Certificates);
        let broken = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert_eq!(
            Transport::default().with_ca_pem(*broken).build().unwrap_err(),
            TransportError::Certificates
        );
        let identity = Transport::default().with_identity_pem(b"no certificate", b"no key");
        assert_eq!(identity.build().unwrap_err(), TransportError::Identity);
    }

    #[test]
    fn the_key_is_not_in_debug_output() {
        let transport = Transport::default().with_identity_pem(b"certificate", b"hunter2");
        assert!(!format!("{transport:?}").contains("hunter2"));
    }
}
