//! Secrets of a laptop's stack that need no file of their own: each follows from the root key.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis_base::SecretString;
use zeroize::Zeroizing;

use crate::RootKey;

impl RootKey {
    /// The key that client secrets and API keys are hashed with.
    pub fn hasher_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive("credential hashes")
    }

    /// The key that refresh tokens are sealed with.
    pub fn refresh_token_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive("refresh tokens")
    }

    /// The secret of a client of the local stack. Whoever holds the root key can say it, so that the command that asks
    /// for a token needs no setting; the stack itself keeps only its hash, as in AWS.
    pub fn client_secret(&self, client: &str) -> SecretString {
        let secret = self.derive(&format!("client secret/{client}"));
        BASE64_URL_SAFE_NO_PAD.encode(secret.as_slice()).into()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_base::ExposeSecret;

    use super::*;

    #[test]
    fn each_use_has_a_secret_of_its_own_and_always_the_same() {
        let root = RootKey::from_bytes([7; 32]);
        let said = |root: &RootKey, client: &str| root.client_secret(client).expose_secret().to_owned();
        assert_eq!(said(&root, "svc.analyst"), said(&RootKey::from_bytes([7; 32]), "svc.analyst"));
        assert_eq!(said(&root, "svc.analyst").len(), 43);
        assert_ne!(said(&root, "svc.analyst"), said(&root, "svc.actuator"));
        assert_ne!(said(&root, "svc.analyst"), said(&RootKey::from_bytes([8; 32]), "svc.analyst"));
        assert_ne!(root.hasher_key(), root.refresh_token_key());
    }
}
