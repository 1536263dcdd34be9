//! Vault or OpenBao: secrets in KV version 2 ([API](https://openbao.org/api-docs/secret/kv/kv-v2/)), and the transit engine
//! as the root of the key hierarchy.
//!
//! The few calls that it takes are made with an HTTP client, not with a Vault client library: that keeps the token
//! out of `Debug` output, the answer bounded and wiped, and redirects (which would carry the token away) refused.

mod kv;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod transit;
mod wire;

use portcullis_base::Clock;
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};

use self::session::Session;
pub use self::settings::{VaultAuth, VaultError, VaultSettings};
pub use self::transit::VaultTransit;
use self::wire::Wire;

/// [`SecretSource`] over a KV v2 mount.
///
/// A name is a path below the mount. The value is the JSON text of the secret's members, or, where the only member
/// is a string named `value`, that string. The previous version is the one before the current, unless it was
/// deleted or destroyed: destroying it ends a rotation.
#[derive(Debug)]
pub struct VaultSecrets<C> {
    wire: Wire,
    session: Session<C>,
    mount: String,
}

impl<C: Clock> VaultSecrets<C> {
    /// Makes the client; calls nothing yet.
    ///
    /// # Errors
    /// When the CA certificates cannot be read.
    pub fn new(settings: VaultSettings, clock: C) -> Result<Self, VaultError> {
        let wire = Wire::new(&settings)?;
        Ok(Self { wire, mount: settings.mount, session: Session::new(settings.auth, clock) })
    }

    async fn read(&self, path: &[&str]) -> Result<SecretVersions, SecretError> {
        let token = self.session.token(&self.wire).await?;
        match kv::versions(&self.wire, &token, path).await {
            // The token may have been revoked before its time; a new one decides whether it was that.
            Err(SecretError::Denied) => match self.session.instead_of(&token, &self.wire).await? {
                Some(token) => kv::versions(&self.wire, &token, path).await,
                None => Err(SecretError::Denied),
            },
            answer => answer,
        }
    }
}

impl<C: Clock> SecretSource for VaultSecrets<C> {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        let path = kv::path(&self.mount, name).ok_or(SecretError::NotFound)?;
        self.read(&path).await
    }
}
