//! What a client certificate says of its holder (RFC 8705 section 2.1, SPIFFE X.509-SVID), once TLS has verified it.
//!
//! Nothing here verifies a chain: the gateway does, against its truststore, before it hands a certificate on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_base::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Thumbprint;
use crate::claims::is_plain;

/// The names, the life and the thumbprint of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    thumbprint: Thumbprint,
    spiffe_id: Option<String>,
    issuer: String,
    serial: String,
    not_before: i64,
    not_after: i64,
}

impl ClientCertificate {
    /// Reads one certificate from PEM, as API Gateway hands it on (`clientCertPem`).
    ///
    /// # Errors
    /// When it is not one certificate of X.509 version 3 that may be a client's.
    pub fn from_pem(pem: &str) -> Result<Self, ClientCertificateError> {
        let thumbprint = Thumbprint::of_certificate_pem(pem).ok_or(ClientCertificateError::Malformed)?;
        let body: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .flat_map(str::split_ascii_whitespace)
            .collect();
        let der = STANDARD.decode(body).map_err(|_| ClientCertificateError::Malformed)?;
        let certificate = Self::from_der(&der)?;
        // The armour of one line is read by the thumbprint alone: both must have seen the same bytes.
        if certificate.thumbprint == thumbprint {
            Ok(certificate)
        } else {
            Err(ClientCertificateError::Malformed)
        }
    }

    /// Reads one certificate from DER, as a TLS server has it.
    ///
    /// # Errors
    /// As [`ClientCertificate::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, ClientCertificateError> {
        if der.len() > MAX_DER {
            return Err(ClientCertificateError::Malformed);
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| ClientCertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(ClientCertificateError::Malformed);
        }
        check_usage(&certificate)?;
        Ok(Self {
            thumbprint: Thumbprint::of_certificate_der(der),
            spiffe_id: spiffe_id(&certificate)?,
            issuer: certificate.issuer().to_string(),
            serial: hex::encode(certificate.raw_serial()),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// The `x5t#S256` that tokens are bound by.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Its SPIFFE ID: its only URI name.
    pub fn spiffe_id(&self) -> Option<&str> {
        self.spiffe_id.as_deref()
    }

    /// The name of its issuer: for logs, in no canonical form.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its serial number in hexadecimal, lower case.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// When its life ends.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_second(self.not_after).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is within its life.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }
}

fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), ClientCertificateError> {
    let malformed = |_| ClientCertificateError::Malformed;
    // A CA's own certificate names no workload.
    if certificate.basic_constraints().map_err(malformed)?.is_some_and(|extension| extension.value.ca) {
        return Err(ClientCertificateError::Usage);
    }
    match certificate.extended_key_usage().map_err(malformed)? {
        Some(usage) if !usage.value.client_auth && !usage.value.any => Err(ClientCertificateError::Usage),
        _ => Ok(()),
    }
}

/// A certificate with two URI names is no SVID: which of them would be meant?
fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<Option<String>, ClientCertificateError> {
    let names = certificate.subject_alternative_name().map_err(|_| ClientCertificateError::Malformed)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (None, _) => Ok(None),
        (Some(uri), None) if is_plain(uri) && uri.is_ascii() => Ok(Some(uri.to_owned())),
        (Some(_), None) => Err(ClientCertificateError::Malformed),
        (Some(_), Some(_)) => Err(ClientCertificateError::SeveralUris),
    }
}

/// Why a client certificate says nothing of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientCertificateError {
    /// It is not one certificate.
    #[error("client certificate is malformed")]
    Malformed,
    /// It is a CA's, or not for clients.
    #[error("certificate is not a client's")]
    Usage,
    /// It has several URI names.
    #[error("client certificate has several uri names")]
    SeveralUris,
}

impl ClientCertificateError {
    /// A stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "certificate-malformed",
            Self::Usage => "certificate-usage",
            Self::SeveralUris => "certificate-several-uris",
        }
    }
}

const MAX_DER: usize = 16 * 1024;
