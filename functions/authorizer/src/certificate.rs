//! Whose certificate came with the connection.

use portcullis_access::{Identities, Identity};
use portcullis_audit::CertificateRef;
use portcullis_base::Timestamp;
use portcullis_token::{ClientCertificate, Thumbprint};

use crate::{Certificate, Request};

/// What client certificates are for. `MTLS_MODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MtlsMode {
    /// Only for tokens that are bound to them. `off`, the default.
    #[default]
    Off,
    /// Every caller should have one: who has not, or not its own, is reported and passes. `permissive`.
    Permissive,
    /// Every caller must have its own. `strict`.
    Strict,
}

impl MtlsMode {
    /// Reads the setting.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "permissive" => Some(Self::Permissive),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// The identity that a certificate names, or a word for why it names none.
pub(crate) struct Holder<'i> {
    pub(crate) identity: Result<&'i Identity, &'static str>,
    pub(crate) reference: Option<CertificateRef>,
}

/// Maps the certificate of a request to an identity.
pub(crate) fn holder<'i>(request: &Request<'_>, identities: &'i Identities, now: Timestamp) -> Holder<'i> {
    let Some(shown) = &request.certificate else {
        return Holder { identity: Err("certificate-missing"), reference: None };
    };
    match ClientCertificate::from_pem(&shown.pem) {
        Ok(certificate) => Holder {
            identity: named(&certificate, shown, identities, now),
            reference: Some(
                CertificateRef::new(certificate.issuer(), certificate.serial()).subject(&shown.subject),
            ),
        },
        Err(error) => Holder { identity: Err(error.as_str()), reference: None },
    }
}

/// By its URI name; by its subject only if it has none, so that a CA that writes free subjects next to URIs cannot make
/// one workload pass for another. Equality both times.
fn named<'i>(
    certificate: &ClientCertificate,
    shown: &Certificate<'_>,
    identities: &'i Identities,
    now: Timestamp,
) -> Result<&'i Identity, &'static str> {
    if !certificate.is_valid_at(now) {
        return Err("certificate-expired");
    }
    let identity = match certificate.spiffe_id() {
        Some(uri) => identities.by_spiffe_id(uri),
        None if shown.subject.is_empty() => None,
        None => identities.by_subject_dn(&shown.subject),
    };
    identity.ok_or("certificate-unknown")
}

/// What names the certificate of a request, where it can be read.
pub(crate) fn reference(request: &Request<'_>) -> Option<CertificateRef> {
    let shown = request.certificate.as_ref()?;
    let certificate = ClientCertificate::from_pem(&shown.pem).ok()?;
    Some(CertificateRef::new(certificate.issuer(), certificate.serial()).subject(&shown.subject))
}

/// The thumbprint that bound tokens name.
pub(crate) fn thumbprint(request: &Request<'_>) -> Option<Thumbprint> {
    Thumbprint::of_certificate_pem(&request.certificate.as_ref()?.pem)
}
