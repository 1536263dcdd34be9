//! Where Vault is and who we are to it.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_base::SecretString;
use reqwest::Url;

/// How to reach Vault and authenticate.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    pub(crate) address: Url,
    pub(crate) auth: VaultAuth,
    pub(crate) mount: String,
    pub(crate) namespace: Option<String>,
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
}

/// How to authenticate.
#[derive(Debug, Clone)]
pub enum VaultAuth {
    /// A token that somebody else (an agent, an operator) keeps alive.
    Token(SecretString),
    /// AppRole: a token of our own, renewed while it may be, then replaced by a new login.
    AppRole {
        /// Where the method is mounted, usually `approle`.
        mount: String,
        /// The role's id.
        role_id: String,
        /// The secret id.
        secret_id: SecretString,
    },
}

/// Settings that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Not a URL of the form `https://host[:port][/prefix]`.
    #[error("vault address is not an https URL")]
    Address,
    /// Plain HTTP beyond this machine would show the token to the network.
    #[error("vault address must be https, or http on a loopback address")]
    Insecure,
    /// Not PEM certificates.
    #[error("vault CA certificates are malformed")]
    Certificates,
    /// Not a name that a transit key can have.
    #[error("transit key name is malformed")]
    KeyName,
    /// The HTTP client could not be made.
    #[error("vault client could not be made")]
    Client,
}

impl VaultSettings {
    /// Settings for the mount `secret`, no namespace, the system's CAs, and two seconds a request.
    ///
    /// # Errors
    /// When `address` is not `https://…`, or `http://…` on a loopback address.
    pub fn new(address: &str, auth: VaultAuth) -> Result<Self, VaultError> {
        Ok(Self {
            address: parse(address)?,
            auth,
            mount: "secret".to_owned(),
            namespace: None,
            ca_pem: None,
            timeout: Duration::from_secs(2),
        })
    }

    /// The path at which the engine is mounted: KV v2, or transit for [`crate::VaultTransit`].
    #[must_use]
    pub fn with_mount(self, mount: impl Into<String>) -> Self {
        Self { mount: mount.into(), ..self }
    }

    /// The namespace (Vault Enterprise, OpenBao 2.3 and later), sent as `X-Vault-Namespace`.
    #[must_use]
    pub fn with_namespace(self, namespace: Option<String>) -> Self {
        Self { namespace, ..self }
    }

    /// Trusts only these CA certificates (PEM, one or more) in place of the system's.
    #[must_use]
    pub fn with_ca_pem(self, ca_pem: Option<Vec<u8>>) -> Self {
        Self { ca_pem, ..self }
    }

    /// Time for one request, connecting included.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

fn parse(address: &str) -> Result<Url, VaultError> {
    let url = Url::parse(address).map_err(|_| VaultError::Address)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match url.scheme() {
        _ if !bare || url.host_str().is_none() => Err(VaultError::Address),
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(VaultError::Insecure),
        _ => Err(VaultError::Address),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_stays_on_this_machine() {
        let cases = [
            ("https://vault.example:8200", None),
            ("https://vault.example/prefix", None),
            ("http://127.0.0.1:8200", None),
            ("http://127.9.9.9:8200", None),
            ("http://[::1]:8200", None),
            ("http://localhost:8200", None),
            ("http://vault.example:8200", Some(VaultError::Insecure)),
            ("http://10.0.0.1:8200", Some(VaultError::Insecure)),
            ("http://localhost.example", Some(VaultError::Insecure)),
            ("http://127.0.0.1.example", Some(VaultError::Insecure)),
            ("ftp://localhost", Some(VaultError::Address)),
            ("https://user:pw@vault.example", Some(VaultError::Address)),
            ("https://vault.example?x=1", Some(VaultError::Address)),
            ("vault.example:8200", Some(VaultError::Address)),
            ("", Some(VaultError::Address)),
        ];
        for (address, expected) in cases {
            assert_eq!(parse(address).err(), expected, "{address}");
        }
    }
}
