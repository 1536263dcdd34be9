use portcullis_access::Identity;
use portcullis_audit::{CertificateRef, Kind};
use portcullis_token::{ClientCertificate, FollowError, Thumbprint};

use super::Failure;
use crate::Ports;
use crate::context::Context;
use crate::refusal::Refusal;

/// Whether the certificate of the connection is the client's: by its SPIFFE ID, or by its subject where it has none.
pub(super) fn verify<P: Ports>(context: &Context<'_, P>, identity: Option<&Identity>) -> Result<(), Failure> {
    let identity = identity.ok_or(Failure::Wrong("unknown-client"))?;
    let certificate = match &context.request.certificate {
        None => return Err(Failure::Wrong("no-certificate")),
        Some(Err(error)) => return Err(Failure::Wrong(error.as_str())),
        Some(Ok(certificate)) => certificate,
    };
    if !certificate.is_valid_at(context.now) {
        return Err(Failure::Wrong("certificate-expired"));
    }
    if is_of(context, certificate, identity) { Ok(()) } else { Err(Failure::Wrong("certificate-name")) }
}

/// Refuses whoever shows a certificate that was revoked, whatever else it shows.
pub(crate) async fn refuse_revoked<P: Ports>(context: &mut Context<'_, P>) -> Result<(), Refusal> {
    let Some(Ok(certificate)) = &context.request.certificate else { return Ok(()) };
    match context.parts.revocations.check_certificate(&certificate.thumbprint()).await {
        Ok(()) => Ok(()),
        Err(FollowError::Store(error)) => Err(error.into()),
        Err(FollowError::Token(_)) => {
            note(context, Kind::CertificateRefused, Some("certificate-revoked"));
            Err(Refusal::InvalidClient)
        }
    }
}

/// The thumbprint of the connection's certificate, if it is this client's and within its life.
pub(super) fn of_identity<P: Ports>(context: &Context<'_, P>, identity: &Identity) -> Option<Thumbprint> {
    let certificate = context.request.certificate.as_ref()?.as_ref().ok()?;
    let ours = certificate.is_valid_at(context.now) && is_of(context, certificate, identity);
    ours.then(|| certificate.thumbprint())
}

/// A certificate that names a workload is judged by that name alone, whatever its subject says.
fn is_of<P: Ports>(context: &Context<'_, P>, certificate: &ClientCertificate, identity: &Identity) -> bool {
    let identities = &context.parts.identities;
    let named = match certificate.spiffe_id() {
        Some(id) => identities.by_spiffe_id(id),
        None => context.request.certificate_subject().and_then(|dn| identities.by_subject_dn(dn)),
    };
    named.is_some_and(|named| named.id == identity.id)
}

pub(super) fn note<P: Ports>(context: &mut Context<'_, P>, kind: Kind, reason: Option<&'static str>) {
    let mut event = context.event(kind, &context.caller);
    if let Some(Ok(certificate)) = &context.request.certificate {
        let named = CertificateRef::new(certificate.issuer(), certificate.serial())
            .sha256(&hex::encode(certificate.thumbprint().as_bytes()));
        event = event.certificate(named.subject(certificate.spiffe_id().unwrap_or_default()));
    }
    context.note(reason.map_or(event.clone(), |reason| event.reason(reason)));
}
