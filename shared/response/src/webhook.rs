//! Signing outgoing webhooks, as [Standard Webhooks](https://www.standardwebhooks.com) does, so that receivers verify with
//! a library that exists: HMAC-SHA256 over `id.timestamp.body`, base64, under `whsec_…` secrets.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_base::{ExposeSecret, SecretString, Timestamp};

/// Signs with the current secret and, during a rotation, with the previous one too.
pub struct WebhookSigner {
    keys: Vec<hmac::Key>,
}

/// The headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`: the same when a message is sent again.
    pub id: String,
    /// `webhook-timestamp`: seconds since the epoch.
    pub timestamp: String,
    /// `webhook-signature`: one `v1,…` for each secret, with a space between.
    pub signature: String,
}

/// Why a secret is refused. Never holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("webhook secret: not `whsec_` and base64 of 24 to 64 bytes")]
pub struct WebhookKeyError;

impl WebhookSigner {
    /// A signer with these secrets: the current one, and the previous while receivers change over.
    ///
    /// # Errors
    /// When a secret is not of the form `whsec_<base64>`, or shorter or longer than it may be.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, WebhookKeyError> {
        let keys = [Some(current), previous].into_iter().flatten().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The headers for a body sent now.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> SignedHeaders {
        let timestamp = at.as_second().to_string();
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        let signatures: Vec<String> =
            self.keys.iter().map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed)))).collect();
        SignedHeaders { id: id.to_owned(), timestamp, signature: signatures.join(" ") }
    }
}

impl std::fmt::Debug for WebhookSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSigner").field("secrets", &self.keys.len()).finish()
    }
}

fn key(secret: &SecretString) -> Result<hmac::Key, WebhookKeyError> {
    let encoded = secret.expose_secret().strip_prefix("whsec_").ok_or(WebhookKeyError)?;
    let decoded = SecretBytes(STANDARD.decode(encoded).map_err(|_| WebhookKeyError)?);
    if !(24..=64).contains(&decoded.0.len()) {
        return Err(WebhookKeyError);
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &decoded.0))
}

/// Wiped when dropped.
struct SecretBytes(Vec<u8>);

impl Drop for SecretBytes {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    /// The vector of the Standard Webhooks libraries' own tests.
    #[test]
    fn the_published_vector_is_met() {
        let signer = WebhookSigner::new(&secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None).unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let headers = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(headers.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(headers.timestamp, "1614265330");
    }

    #[test]
    fn both_secrets_sign_while_they_rotate() {
        let (new, old) = (
            secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        );
        let signer = WebhookSigner::new(&new, Some(&old)).unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let headers = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        let signatures: Vec<&str> = headers.signature.split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert_eq!(signatures[1], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(signatures[0], signatures[1]);
    }

    #[test]
    fn weak_or_malformed_secrets_are_refused_and_never_shown() {
        for text in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"] {
            assert!(WebhookSigner::new(&secret(text), None).is_err(), "{text}");
        }
        let signer = WebhookSigner::new(&secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), None).unwrap();
        assert!(!format!("{signer:?}").contains("Mf"));
    }
}
