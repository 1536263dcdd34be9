//! Client authentication: who asks, shown in exactly one way.
//!
//! RFC 6749 section 2.3 (secrets), RFC 7523 (assertions), RFC 8705 section 2.1 (certificates). Whatever fails, the answer is one
//! and the same `invalid_client`; the audit trail says why.

mod assertion;
mod basic;
mod certificate;
mod presented;
mod secret;

use portcullis_access::{AuthMethod, Identity};
use portcullis_audit::Kind;
use portcullis_token::Thumbprint;

pub(crate) use certificate::refuse_revoked as refuse_revoked_certificate;
pub(crate) use presented::Presented;

use crate::Ports;
use crate::context::Context;
use crate::limits::{self, Lock};
use crate::refusal::Refusal;

/// A client that showed who it is. Only [`authenticate`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'r> {
    pub(crate) identity: &'r Identity,
    /// The certificate of the connection, if it is this client's: tokens are bound to it.
    pub(crate) certificate: Option<Thumbprint>,
    /// How it showed who it is.
    pub(crate) method: AuthMethod,
}

/// Why a client is not who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may be guessing: for secrets, this is counted.
    Wrong(&'static str),
    /// An assertion that was good was shown twice: a repeat, which teaches nobody anything.
    Replayed,
    /// It could not be judged.
    Ours(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Ours(refusal)
    }
}

impl From<portcullis_token::StoreError> for Failure {
    fn from(error: portcullis_token::StoreError) -> Self {
        Self::Ours(error.into())
    }
}

/// Authenticates a client.
pub(crate) async fn authenticate<'r, P: Ports>(
    context: &mut Context<'r, P>,
    presented: Presented<'_>,
) -> Result<Client<'r>, Refusal> {
    presented.client_id().clone_into(&mut context.caller);
    // A secret can be guessed. An assertion or a certificate cannot, and their owner is not to be locked out by whoever
    // shares the address and guesses.
    let lock = match &presented {
        Presented::Secret { client_id, .. } => Some(Lock::check(context, client_id).await?),
        Presented::Assertion { .. } | Presented::Certificate { .. } => None,
    };
    match verify(context, &presented).await {
        Ok(identity) => {
            context.count("Authentications");
            if let Some(lock) = lock {
                lock.succeeded(context).await?;
            }
            let client = Client {
                identity,
                certificate: certificate::of_identity(context, identity),
                method: presented.method(),
            };
            if client.method == AuthMethod::TlsClientAuth {
                certificate::note(context, Kind::CertificateValidated, None);
            }
            limits::check_client(context, &identity.id).await?;
            Ok(client)
        }
        Err(Failure::Ours(refusal)) => Err(refusal),
        Err(Failure::Replayed) => {
            context.note(context.event(Kind::ReplayDetected, &context.caller).reason("assertion"));
            Err(Refusal::InvalidClient)
        }
        Err(Failure::Wrong(reason)) => {
            context.count("AuthenticationFailures");
            if let Some(lock) = lock {
                lock.failed(context).await?;
            }
            if presented.method() == AuthMethod::TlsClientAuth {
                certificate::note(context, Kind::CertificateRefused, Some(reason));
            }
            let event = context.event(Kind::TokenRequestRefused, &context.caller).reason(reason);
            context.note(event.detail("auth_method", presented.method().as_str()));
            Err(Refusal::InvalidClient)
        }
    }
}

async fn verify<'r, P: Ports>(
    context: &Context<'r, P>,
    presented: &Presented<'_>,
) -> Result<&'r Identity, Failure> {
    let identity = context.parts.identities.find(presented.client_id());
    match presented {
        Presented::Secret { client_id, secret, .. } => {
            secret::verify(context, identity, client_id, secret).await?;
        }
        Presented::Assertion { token, .. } => assertion::verify(context, identity, token).await?,
        Presented::Certificate { .. } => certificate::verify(context, identity)?,
    }
    // After the credential was judged: which ways a client has is nobody else's business.
    match identity {
        Some(identity) if identity.auth_methods.contains(&presented.method()) => Ok(identity),
        Some(_) => Err(Failure::Wrong("auth-method")),
        None => Err(Failure::Wrong("unknown-client")),
    }
}
