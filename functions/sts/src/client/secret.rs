use portcullis_access::Identity;
use portcullis_base::SecretString;
use portcullis_token::{ClientSecretStore as _, StoredSecrets};

use super::Failure;
use crate::Ports;
use crate::context::Context;

/// Compares a secret with those of the client. One that does not exist, or has no secret, costs the same look-up and the
/// same comparison.
pub(super) async fn verify<P: Ports>(
    context: &Context<'_, P>,
    identity: Option<&Identity>,
    client_id: &str,
    secret: &SecretString,
) -> Result<(), Failure> {
    let parts = context.parts;
    let known = parts.secrets.load(client_id).await?;
    let matched = match known.filter(|_| identity.is_some()) {
        Some(known) => known.secrets.check(&parts.hasher, client_id, secret, context.now),
        None => StoredSecrets::check_nobody(&parts.hasher, client_id, secret),
    };
    matched.map(drop).ok_or(Failure::Wrong("client-secret"))
}
