//! How the client shows who it is (RFC 6749 section 2.3, RFC 7523 section 2.2, RFC 8705 section 2).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use portcullis_base::{ExposeSecret, SecretString, Timestamp};
use portcullis_token::{Claims, IssuedType, LocalSigner, NumericDate};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::error::ClientError;

/// The client's way of authenticating at the token service.
#[derive(Clone)]
pub enum Credential {
    /// `client_secret_basic`.
    Secret {
        /// The client's id.
        client_id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// `private_key_jwt`.
    PrivateKey {
        /// The client's id.
        client_id: String,
        /// Its key, under the name by which the token service knows it.
        signer: Arc<LocalSigner>,
        /// What the assertion names as its audience: the issuer, or the URL of the token endpoint.
        audience: String,
    },
    /// `tls_client_auth`: the certificate of the connection says it all.
    Certificate {
        /// The client's id.
        client_id: String,
    },
}

/// What a token request carries of the credential.
#[derive(Default)]
pub(super) struct Presented {
    pub(super) authorization: Option<HeaderValue>,
    pub(super) form: Vec<(&'static str, Zeroizing<String>)>,
}

impl Credential {
    pub(super) fn present(&self, now: Timestamp) -> Result<Presented, ClientError> {
        match self {
            Self::Secret { client_id, secret } => basic(client_id, secret),
            Self::PrivateKey { client_id, signer, audience } => {
                let assertion = Zeroizing::new(assertion(client_id, audience, signer, now)?);
                let kind = Zeroizing::new(ASSERTION_TYPE.to_owned());
                let form = vec![
                    ("client_id", Zeroizing::new(client_id.clone())),
                    ("client_assertion_type", kind),
                    ("client_assertion", assertion),
                ];
                Ok(Presented { authorization: None, form })
            }
            Self::Certificate { client_id } => {
                let form = vec![("client_id", Zeroizing::new(client_id.clone()))];
                Ok(Presented { authorization: None, form })
            }
        }
    }

    /// The client's id.
    pub fn client_id(&self) -> &str {
        match self {
            Self::Secret { client_id, .. }
            | Self::PrivateKey { client_id, .. }
            | Self::Certificate { client_id } => client_id,
        }
    }

    const fn method(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client_secret_basic",
            Self::PrivateKey { .. } => "private_key_jwt",
            Self::Certificate { .. } => "tls_client_auth",
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("client_id", &self.client_id())
            .field("method", &self.method())
            .finish_non_exhaustive()
    }
}

/// Both parts form-encoded before they are joined (RFC 6749 section 2.3.1): a colon in the id would move the border.
fn basic(client_id: &str, secret: &SecretString) -> Result<Presented, ClientError> {
    let mut pair =
        Zeroizing::new(String::with_capacity(3 * (client_id.len() + secret.expose_secret().len()) + 1));
    pair.extend(byte_serialize(client_id.as_bytes()));
    pair.push(':');
    pair.extend(byte_serialize(secret.expose_secret().as_bytes()));
    let text = Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes()))));
    let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::Request)?;
    value.set_sensitive(true);
    Ok(Presented { authorization: Some(value), form: Vec::new() })
}

fn assertion(
    client_id: &str,
    audience: &str,
    signer: &LocalSigner,
    now: Timestamp,
) -> Result<String, ClientError> {
    let iat = NumericDate::of(now);
    let mut claims = Claims::new(client_id, client_id, audience, iat.plus_seconds(ASSERTION_SECONDS));
    claims.iat = Some(iat);
    claims.jti = Some(unique()?);
    signer.issue_now(&claims, IssuedType::Jwt).map_err(|_| ClientError::Request)
}

fn unique() -> Result<String, ClientError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| ClientError::Request)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Long enough for clocks that disagree a little, short enough to be worth little to a thief.
const ASSERTION_SECONDS: u32 = 60;

#[cfg(test)]
mod tests {
    use portcullis_token::{Algorithm, AssertionPolicy, Jwks, UnverifiedToken};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn basic_encodes_both_parts_before_joining_them() {
        let secret = SecretString::from("p:ä%&+ z");
        let credential = Credential::Secret { client_id: "svc:a b".into(), secret };
        let header = credential.present(now()).unwrap().authorization.unwrap();
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
        assert_eq!(pair, "svc%3Aa+b:p%3A%C3%A4%25%26%2B+z");
        assert!(header.is_sensitive());
    }

    #[test]
    fn an_assertion_is_what_the_token_service_verifies() {
        let signer = Arc::new(LocalSigner::generate(Algorithm::Es256).unwrap());
        let keys = Jwks::new([signer.public().clone()]).unwrap();
        let audience = "https://sts.example".to_owned();
        let credential =
            Credential::PrivateKey { client_id: "svc.a".into(), signer, audience: audience.clone() };
        let policy = AssertionPolicy {
            audiences: vec![audience],
            algorithms: vec![Algorithm::Es256],
            max_lifetime_seconds: 60,
            leeway_seconds: 0,
        };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let presented = credential.present(now()).unwrap();
            let (_, text) = presented.form.iter().find(|(name, _)| *name == "client_assertion").unwrap();
            let token = UnverifiedToken::parse(text).unwrap();
            ids.push(policy.verify(&token, "svc.a", &keys, now()).unwrap().jti().to_owned());
        }
        assert_ne!(ids[0], ids[1], "each assertion is used once");
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let credential = Credential::Secret { client_id: "svc.a".into(), secret: "hunter2".into() };
        assert!(!format!("{credential:?}").contains("hunter2"));
    }
}
