//! The root of the key hierarchy in Vault's or OpenBao's transit engine
//! ([API](https://openbao.org/api-docs/secret/transit/)).
//!
//! The token needs `update` on `<mount>/encrypt/<key>` and `<mount>/decrypt/<key>` of the two keys, and not `create`:
//! with it, transit makes a key that is missing.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_base::Clock;
use portcullis_pii::{KeyError, KeyWrapper, Purpose, WrappedDataKey};
use portcullis_secrets::SecretError;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::session::Session;
use crate::wire::{Body, Refusal, Wire};
use crate::{VaultError, VaultSettings};

/// [`KeyWrapper`] over a transit key for each purpose, of type `aes256-gcm96` or `chacha20-poly1305`.
///
/// The encryption context is sent both as `associated_data`, which the cipher authenticates, and as `context`, from which
/// a key that was made with `derived=true` is derived. Associated data alone binds it already: transit ignores `context`
/// where a key is not derived, so that must not be relied on.
///
/// Keys are made here and sent to be encrypted. In the clear they are wiped as soon as they are handed over; the HTTP
/// client's own buffers are not.
#[derive(Debug)]
pub struct VaultTransit<C> {
    wire: Wire,
    session: Session<C>,
    mount: String,
    conversation_key: String,
    media_key: String,
}

impl<C: Clock> VaultTransit<C> {
    /// Makes the client; calls nothing yet. The settings' mount is the one of the transit engine (usually `transit`).
    ///
    /// # Errors
    /// When the CA certificates cannot be read, or a name is not one that a key can have.
    pub fn new(
        settings: VaultSettings,
        conversation_key: &str,
        media_key: &str,
        clock: C,
    ) -> Result<Self, VaultError> {
        if ![conversation_key, media_key].into_iter().all(is_key_name) {
            return Err(VaultError::KeyName);
        }
        let wire = Wire::new(&settings)?;
        Ok(Self {
            wire,
            session: Session::new(settings.auth, clock),
            mount: settings.mount,
            conversation_key: conversation_key.to_owned(),
            media_key: media_key.to_owned(),
        })
    }

    fn key(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Conversation => &self.conversation_key,
            Purpose::Media => &self.media_key,
        }
    }

    async fn call(
        &self,
        operation: &'static str,
        purpose: Purpose,
        request: &Request<'_>,
    ) -> Result<Body, Refusal> {
        let path: Vec<&str> = self.mount.split('/').chain([operation, self.key(purpose)]).collect();
        let token = self.session.token(&self.wire).await?;
        match self.wire.ask(operation, &token, &path, request).await {
            // The token may have been revoked before its time; a new one decides whether it was that.
            Err(Refusal::Other(SecretError::Denied)) => {
                match self.session.instead_of(&token, &self.wire).await? {
                    Some(token) => self.wire.ask(operation, &token, &path, request).await,
                    None => Err(Refusal::Other(SecretError::Denied)),
                }
            }
            answer => answer,
        }
    }
}

impl<C: Clock> KeyWrapper for VaultTransit<C> {
    async fn generate(&self, purpose: Purpose, context: &[(&str, &str)]) -> Result<WrappedDataKey, KeyError> {
        let bound = Bound::of(purpose, context).ok_or(KeyError::Invalid)?;
        let mut plaintext = Zeroizing::new([0; 32]);
        rand::fill(plaintext.as_mut_slice()).map_err(|_| KeyError::Unavailable)?;
        let encoded = Zeroizing::new(STANDARD.encode(plaintext.as_slice()));
        let request = bound.request(Subject::Plaintext(&encoded));
        let body = self.call("encrypt", purpose, &request).await.map_err(|refusal| match refusal {
            // No such key, or one of a type that takes no associated data: a matter of the settings.
            Refusal::Request => KeyError::Refused,
            Refusal::Other(error) => key_error(error),
        })?;
        let answer: Answer<Encrypted<'_>> = serde_json::from_slice(&body).map_err(|_| KeyError::Invalid)?;
        if !is_ciphertext(answer.data.ciphertext) {
            return Err(KeyError::Invalid);
        }
        Ok(WrappedDataKey { plaintext, wrapped: answer.data.ciphertext.as_bytes().to_vec() })
    }

    async fn unwrap(
        &self,
        purpose: Purpose,
        context: &[(&str, &str)],
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let bound = Bound::of(purpose, context).ok_or(KeyError::Invalid)?;
        let ciphertext = std::str::from_utf8(wrapped).ok().filter(|text| is_ciphertext(text));
        let request = bound.request(Subject::Ciphertext(ciphertext.ok_or(KeyError::Invalid)?));
        let body = self.call("decrypt", purpose, &request).await.map_err(|refusal| match refusal {
            Refusal::Request => KeyError::Invalid,
            Refusal::Other(error) => key_error(error),
        })?;
        let answer: Answer<Decrypted> = serde_json::from_slice(&body).map_err(|_| KeyError::Invalid)?;
        // Room for what base64 of this length could hold at most.
        let mut decoded = Zeroizing::new([0; 33]);
        let length = STANDARD.decode_slice(answer.data.plaintext.as_bytes(), decoded.as_mut_slice());
        match (length, decoded.first_chunk::<32>()) {
            (Ok(32), Some(key)) => Ok(Zeroizing::new(*key)),
            _ => Err(KeyError::Invalid),
        }
    }
}

/// What a key is bound to, in base64 as transit wants it.
struct Bound(String);

impl Bound {
    /// An encryption context is a map, so the order of its pairs does not count (as in AWS KMS): sorted by name, each
    /// string behind its length, after a name of this encoding and the purpose. `None` where a name stands twice.
    fn of(purpose: Purpose, context: &[(&str, &str)]) -> Option<Self> {
        let mut pairs = context.to_vec();
        pairs.sort_unstable();
        if pairs.windows(2).any(|w| matches!(w, [(a, _), (b, _)] if a == b)) {
            return None;
        }
        let texts = [DOMAIN, purpose.as_str()].into_iter().chain(pairs.iter().flat_map(|(n, v)| [*n, *v]));
        let mut bytes = Vec::new();
        for text in texts {
            bytes.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Some(Self(STANDARD.encode(bytes)))
    }

    fn request<'a>(&'a self, subject: Subject<'a>) -> Request<'a> {
        Request { subject, context: &self.0, associated_data: &self.0 }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(flatten)]
    subject: Subject<'a>,
    context: &'a str,
    associated_data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Subject<'a> {
    Plaintext(&'a str),
    Ciphertext(&'a str),
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted<'a> {
    ciphertext: &'a str,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Wiped,
}

/// Text that is wiped when dropped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Wiped(String);

impl Wiped {
    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn key_error(error: SecretError) -> KeyError {
    match error {
        SecretError::Unavailable => KeyError::Unavailable,
        SecretError::Malformed => KeyError::Invalid,
        SecretError::Denied | SecretError::NotFound => KeyError::Refused,
    }
}

impl From<SecretError> for Refusal {
    fn from(error: SecretError) -> Self {
        Self::Other(error)
    }
}

/// `vault:v<version>:<base64>`; some 100 bytes for a key of 32.
fn is_ciphertext(text: &str) -> bool {
    text.len() <= MAX_CIPHERTEXT && text.starts_with("vault:v")
}

fn is_key_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.starts_with('.')
}

const DOMAIN: &str = "portcullis-kek/1";
const MAX_CIPHERTEXT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(context: &[(&str, &str)]) -> Option<String> {
        Bound::of(Purpose::Media, context).map(|bound| bound.0)
    }

    #[test]
    fn contexts_that_differ_never_share_an_encoding() {
        assert_eq!(bound(&[("a", "1"), ("b", "2")]), bound(&[("b", "2"), ("a", "1")]));
        let different = [
            bound(&[]),
            bound(&[("", "")]),
            bound(&[("a", "1"), ("b", "2")]),
            bound(&[("a", "2"), ("b", "1")]),
            bound(&[("a", "bc")]),
            bound(&[("ab", "c")]),
            Bound::of(Purpose::Conversation, &[]).map(|bound| bound.0),
        ];
        let distinct: std::collections::BTreeSet<_> = different.iter().flatten().collect();
        assert_eq!(distinct.len(), different.len());
        assert_eq!(bound(&[("a", "1"), ("a", "2")]), None, "which of the two would it be?");
    }

    #[test]
    fn the_encoding_is_fixed() {
        // Keys that were wrapped by an earlier version must open.
        let expected = b"\0\0\0\x10portcullis-kek/1\0\0\0\x05media\0\0\0\x01a\0\0\0\x011";
        assert_eq!(STANDARD.decode(bound(&[("a", "1")]).unwrap()).unwrap(), expected);
    }

    #[test]
    fn key_names_are_one_segment_of_a_path() {
        for (name, good) in [
            ("portcullis-media", true),
            ("a.b_c", true),
            ("", false),
            ("..", false),
            (".hidden", false),
            ("a/b", false),
            ("a?b", false),
            ("ä", false),
        ] {
            assert_eq!(is_key_name(name), good, "{name}");
        }
    }
}
