use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};

use crate::base64url;

/// Makes and reads refresh tokens. They are opaque to clients: family, generation and a random number under a MAC, so
/// that a token that we once gave out is told from one that somebody made up, without remembering every one.
pub struct RefreshTokens {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl RefreshTokens {
    /// The keys, of which the previous one still reads while a rotation is under way.
    ///
    /// # Errors
    /// When a key is shorter than 32 bytes.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Self, RefreshTokenError> {
        let key = |bytes: &[u8]| match bytes.len() {
            0..MIN_KEY => Err(RefreshTokenError::Key),
            _ => Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
        };
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()? })
    }

    /// Makes a token, and gives what a client is to keep.
    ///
    /// # Errors
    /// When there are no random numbers to be had.
    pub fn make(
        &self,
        family: FamilyId,
        generation: u32,
    ) -> Result<(RefreshToken, String), RefreshTokenError> {
        let mut nonce = [0; 16];
        rand::fill(&mut nonce).map_err(|_| RefreshTokenError::Random)?;
        let token = RefreshToken { family, generation, nonce };
        let mut bytes = token.body();
        let tag = hmac::sign(&self.current, &mac_input(&bytes));
        bytes.extend_from_slice(tag.as_ref());
        Ok((token, base64url::encode(&bytes)))
    }

    /// Reads a token that we made.
    ///
    /// # Errors
    /// [`RefreshTokenError::Invalid`] for anything else.
    pub fn read(&self, text: &str) -> Result<RefreshToken, RefreshTokenError> {
        let bytes = base64url::decode_array::<{ BODY + TAG }>(text).ok_or(RefreshTokenError::Invalid)?;
        let (body, tag) = bytes.split_at_checked(BODY).ok_or(RefreshTokenError::Invalid)?;
        let input = mac_input(body);
        let ours = |key: &hmac::Key| hmac::verify(key, &input, tag).is_ok();
        if ours(&self.current) || self.previous.as_ref().is_some_and(ours) {
            RefreshToken::of(body).ok_or(RefreshTokenError::Invalid)
        } else {
            Err(RefreshTokenError::Invalid)
        }
    }
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshTokens")
    }
}

/// The name of a family: random, and no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FamilyId([u8; 16]);

impl FamilyId {
    /// A new one.
    ///
    /// # Errors
    /// When there are no random numbers to be had.
    pub fn random() -> Result<Self, RefreshTokenError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| RefreshTokenError::Random)?;
        Ok(Self(id))
    }

    /// Reads what its `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode_array(text).map(Self)
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

/// A refresh token that we made: nothing is known yet of whether it is still good.
#[derive(Clone)]
pub struct RefreshToken {
    family: FamilyId,
    generation: u32,
    nonce: [u8; 16],
}

impl RefreshToken {
    /// Its family.
    pub const fn family(&self) -> FamilyId {
        self.family
    }

    /// How many rotations were before it.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What the family's record keeps of it: useless for making it.
    pub fn fingerprint(&self) -> String {
        base64url::encode(digest(&SHA256, &self.nonce).as_ref())
    }

    fn body(&self) -> Vec<u8> {
        [&[VERSION][..], &self.family.0, &self.generation.to_be_bytes(), &self.nonce].concat()
    }

    fn of(body: &[u8]) -> Option<Self> {
        let (version, rest) = body.split_first()?;
        let (family, rest) = rest.split_first_chunk::<16>()?;
        let (generation, nonce) = rest.split_first_chunk::<4>()?;
        (*version == VERSION).then_some(())?;
        Some(Self {
            family: FamilyId(*family),
            generation: u32::from_be_bytes(*generation),
            nonce: nonce.try_into().ok()?,
        })
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("family", &self.family)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshTokenError {
    /// It is none of ours.
    #[error("refresh token is invalid")]
    Invalid,
    /// A key is too short.
    #[error("refresh token key is shorter than 32 bytes")]
    Key,
    /// No random numbers.
    #[error("no random numbers")]
    Random,
}

fn mac_input(body: &[u8]) -> Vec<u8> {
    [DOMAIN, body].concat()
}

const DOMAIN: &[u8] = b"portcullis:refresh-token:v1\0";
const VERSION: u8 = 1;
const BODY: usize = 1 + 16 + 4 + 16;
const TAG: usize = 32;
const MIN_KEY: usize = 32;
