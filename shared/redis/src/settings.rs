//! Where Redis is and who we are to it.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use portcullis_base::SecretString;
use url::Url;

/// How to reach Redis or Valkey and authenticate.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) database: u32,
    pub(crate) user: Option<String>,
    pub(crate) password: Password,
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
}

/// Asks for a password that is kept elsewhere; `None` where it is not to be had now.
pub type PasswordSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<SecretString>> + Send>> + Send + Sync>;

#[derive(Clone)]
pub(crate) enum Password {
    None,
    Known(SecretString),
    /// The one that was last known, and where it comes from.
    Kept(Option<SecretString>, PasswordSource),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Known(_) => "known",
            Self::Kept(..) => "kept elsewhere",
        })
    }
}

/// Settings that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// Not a URL of the form `rediss://host[:port][/database]`. A password does not belong in it.
    #[error("redis address is not of the form `rediss://host[:port][/database]`")]
    Address,
    /// Plain text beyond this machine would show the password to the network.
    #[error("redis address must be rediss, or redis on a loopback address")]
    Insecure,
    /// Not PEM certificates.
    #[error("redis CA certificates are malformed")]
    Certificates,
}

impl RedisSettings {
    /// Settings without authentication, with the system's CAs, and a quarter of a second a call.
    ///
    /// # Errors
    /// When `address` is not `rediss://…` (or `valkeys://…`), or `redis://…` on a loopback address.
    pub fn new(address: &str) -> Result<Self, RedisError> {
        let url = Url::parse(address).map_err(|_| RedisError::Address)?;
        let host = host_of(&url).ok_or(RedisError::Address)?;
        let tls = match url.scheme() {
            "rediss" | "valkeys" => true,
            "redis" | "valkey" if is_loopback(&host) => false,
            "redis" | "valkey" => return Err(RedisError::Insecure),
            _ => return Err(RedisError::Address),
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(DEFAULT_PORT),
            tls,
            database: database_of(&url)?,
            user: None,
            password: Password::None,
            ca_pem: None,
            timeout: Duration::from_millis(250),
        })
    }

    /// Authenticates as a user (`default` if none is named) with a password.
    #[must_use]
    pub fn with_credentials(self, user: Option<String>, password: SecretString) -> Self {
        Self { user, password: Password::Known(password), ..self }
    }

    /// Authenticates with a password that is kept elsewhere: `known` at first, if there is one; the source is asked where there
    /// is none, and when the server refuses the one that is known, as after a rotation.
    #[must_use]
    pub fn with_password_of(
        self,
        user: Option<String>,
        known: Option<SecretString>,
        source: PasswordSource,
    ) -> Self {
        Self { user, password: Password::Kept(known, source), ..self }
    }

    /// Trusts only these CA certificates (PEM, one or more) in place of the system's.
    #[must_use]
    pub fn with_ca_pem(self, ca_pem: Option<Vec<u8>>) -> Self {
        Self { ca_pem, ..self }
    }

    /// Time for one call, connecting included.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

/// The host alone, without what else an address may not hold.
fn host_of(url: &Url) -> Option<String> {
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    (bare && !host.is_empty()).then(|| host.to_owned())
}

fn database_of(url: &Url) -> Result<u32, RedisError> {
    match url.path().trim_start_matches('/') {
        "" => Ok(0),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| RedisError::Address)
        }
        _ => Err(RedisError::Address),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

const DEFAULT_PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tls_or_stays_on_this_machine() {
        use RedisError::{Address, Insecure};
        for (address, expected) in [
            ("rediss://cache.example", Ok(("cache.example", 6379, true, 0))),
            ("rediss://cache.example:6380/3", Ok(("cache.example", 6380, true, 3))),
            ("valkeys://cache.example/", Ok(("cache.example", 6379, true, 0))),
            ("rediss://[2001:db8::1]:1", Ok(("2001:db8::1", 1, true, 0))),
            ("redis://127.0.0.1:6399", Ok(("127.0.0.1", 6399, false, 0))),
            ("redis://[::1]", Ok(("::1", 6379, false, 0))),
            ("valkey://localhost/1", Ok(("localhost", 6379, false, 1))),
            ("redis://cache.example", Err(Insecure)),
            ("redis://10.0.0.1", Err(Insecure)),
            ("redis://127.0.0.1.example", Err(Insecure)),
            ("redis://localhost.example", Err(Insecure)),
            ("http://localhost", Err(Address)),
            ("unix:///run/redis.sock", Err(Address)),
            ("rediss://:pw@cache.example", Err(Address)),
            ("rediss://user@cache.example", Err(Address)),
            ("rediss://cache.example/x", Err(Address)),
            ("rediss://cache.example/1/2", Err(Address)),
            ("rediss://cache.example/99999999999", Err(Address)),
            ("rediss://cache.example?protocol=resp3", Err(Address)),
            ("rediss://cache.example/#insecure", Err(Address)),
            ("rediss://", Err(Address)),
            ("cache.example", Err(Address)),
            ("", Err(Address)),
        ] {
            let got = RedisSettings::new(address).map(|s| (s.host, s.port, s.tls, s.database));
            let expected = expected.map(|(host, port, tls, db)| (host.to_owned(), port, tls, db));
            assert_eq!(got, expected, "{address}");
        }
    }

    #[test]
    fn debug_output_shows_no_password() {
        let settings = RedisSettings::new("rediss://cache.example").unwrap();
        let settings = settings.with_credentials(Some("app".to_owned()), SecretString::from("hunter2"));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
