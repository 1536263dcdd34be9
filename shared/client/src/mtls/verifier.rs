//! What a client certificate must be: of our CA, in its time, for clients, not revoked, and of a service that may come in.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::Mode;
use crate::peer;

/// Why a client is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It shows no certificate.
    NoCertificate,
    /// Its certificate is of another CA.
    UnknownIssuer,
    /// Its certificate is over.
    Expired,
    /// Its certificate is not good yet.
    NotYetValid,
    /// Its certificate was revoked.
    Revoked,
    /// Whether its certificate was revoked cannot be told: the list is over, or of another CA.
    RevocationUnknown,
    /// Its certificate is not one for clients.
    WrongPurpose,
    /// Its certificate names no service by a SPIFFE id.
    NoSpiffeId,
    /// Its service is not among those that are let in.
    NotAllowed,
    /// Its certificate is malformed, or breaks a rule of its CA.
    Invalid,
}

impl Why {
    /// A stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::UnknownIssuer => "unknown-issuer",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::WrongPurpose => "wrong-purpose",
            Self::NoSpiffeId => "no-spiffe-id",
            Self::NotAllowed => "not-allowed",
            Self::Invalid => "invalid",
        }
    }

    fn of(error: &Error) -> Self {
        let error = match error {
            Error::InvalidCertificate(error) => error,
            Error::InvalidCertRevocationList(_) => return Self::RevocationUnknown,
            _ => return Self::Invalid,
        };
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::RevocationUnknown,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            _ => Self::Invalid,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// rustls' verifier, and our rules on top of it.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Option<BTreeSet<String>>,
    mode: Mode,
}

impl Verifier {
    pub(super) fn new(
        inner: Arc<dyn ClientCertVerifier>,
        allowed: Option<BTreeSet<String>>,
        mode: Mode,
    ) -> Self {
        Self { inner, allowed, mode }
    }

    /// Judges a chain, the same in every mode.
    pub(super) fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Why> {
        let (end_entity, intermediates) = chain.split_first().ok_or(Why::NoCertificate)?;
        self.verify(end_entity, intermediates, now).map(|_| ()).map_err(|(why, _)| why)
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, (Why, Error)> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
        let verified = verified.map_err(|error| (Why::of(&error), error))?;
        let denied = || Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let id = peer::spiffe_id(end_entity).ok_or_else(|| (Why::NoSpiffeId, denied()))?;
        match &self.allowed {
            Some(allowed) if !allowed.contains(&id) => Err((Why::NotAllowed, denied())),
            _ => Ok(verified),
        }
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mode == Mode::Strict
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match (self.verify(end_entity, intermediates, now), self.mode) {
            (Ok(verified), _) => Ok(verified),
            (Err((why, error)), Mode::Strict) => {
                tracing::warn!(%why, claimed = peer::spiffe_id(end_entity), "client certificate refused");
                Err(error)
            }
            // Judged once more after the handshake, and then handed on as no certificate at all.
            (Err(_), Mode::Permissive) => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
