//! What tokens are bound to: a DPoP key (RFC 9449), the client's certificate (RFC 8705), both, or nothing.

use portcullis_audit::Kind;
use portcullis_token::{
    Confirmation, ProofExpectation, ReplayWindow as _, Thumbprint, VerifiedProof, verify_proof,
};

use crate::Ports;
use crate::client::Client;
use crate::context::Context;
use crate::refusal::Refusal;

/// What the tokens of this request are bound to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Binding {
    pub(crate) proof: Option<VerifiedProof>,
    pub(crate) certificate: Option<Thumbprint>,
}

impl Binding {
    /// Reads the binding that a client asks for by what it shows.
    pub(crate) async fn of<P: Ports>(
        context: &mut Context<'_, P>,
        client: &Client<'_>,
    ) -> Result<Self, Refusal> {
        let proof = proof(context, None)?;
        if let Some(proof) = &proof {
            use_up(context, proof).await?;
        }
        Ok(Self { proof, certificate: client.certificate })
    }

    pub(crate) fn confirmation(&self) -> Option<Confirmation> {
        match (self.proof.as_ref().map(VerifiedProof::jkt), self.certificate) {
            (None, None) => None,
            (Some(jkt), None) => Some(Confirmation::dpop(jkt)),
            (None, Some(certificate)) => Some(Confirmation::certificate(certificate)),
            (Some(jkt), Some(certificate)) => {
                let mut both = Confirmation::dpop(jkt);
                both.x5t_s256 = Some(certificate);
                Some(both)
            }
        }
    }

    /// The value of `token_type`.
    pub(crate) const fn token_type(&self) -> &'static str {
        if self.proof.is_some() { "DPoP" } else { "Bearer" }
    }
}

/// The verified proof of the request, if it shows one. `access_token` is the token that came with it, where there is one.
/// Before anything comes of it, it is [`use_up`].
pub(crate) fn proof<P: Ports>(
    context: &Context<'_, P>,
    access_token: Option<&str>,
) -> Result<Option<VerifiedProof>, Refusal> {
    let header = context.request.header("DPoP").map_err(|_| Refusal::InvalidDpopProof)?;
    let Some(header) = header else { return Ok(None) };
    let settings = &context.parts.settings;
    let (method, path) = context.request.operation.split_once(' ').ok_or(Refusal::Internal)?;
    let expected = ProofExpectation {
        method,
        uri: &settings.issuer.endpoint(path),
        access_token,
        nonces: None,
        max_age_seconds: settings.dpop_max_age_seconds,
    };
    let proof = verify_proof(header, &expected, context.now).map_err(|error| {
        tracing::info!(reason = error.as_str(), "proof refused");
        Refusal::InvalidDpopProof
    })?;
    Ok(Some(proof))
}

/// Takes note of a proof: it is good once. Anybody can make a proof under a key of their own, so this comes after the
/// client or its token was verified, or strangers would fill the table.
pub(crate) async fn use_up<P: Ports>(
    context: &mut Context<'_, P>,
    proof: &VerifiedProof,
) -> Result<(), Refusal> {
    let scope = format!("dpop:{}", proof.jkt());
    let until = proof.replay_until(context.parts.settings.dpop_max_age_seconds);
    if context.parts.replay.first_use(&scope, proof.jti(), until).await? {
        return Ok(());
    }
    context.note(context.event(Kind::ReplayDetected, &context.caller).reason("dpop-proof"));
    Err(Refusal::InvalidDpopProof)
}
