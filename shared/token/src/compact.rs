//! JWS compact serialization (RFC 7515 section 7.1) and its header, before anything is trusted.

use std::ops::Bound::{self, Excluded, Unbounded};

use crate::jwk::MAX_KID;
use crate::strict_json::{self, JsonFault, Object, Value};
use crate::{TokenError, base64url};

/// The three parts, still encoded.
pub(crate) struct Compact<'a> {
    header: &'a str,
    pub(crate) payload: &'a str,
    signature: &'a str,
    /// Header and payload with the dot: what is signed.
    pub(crate) signing_input: &'a str,
}

impl<'a> Compact<'a> {
    pub(crate) fn split(text: &'a str) -> Result<Self, TokenError> {
        if text.trim_start().starts_with('{') {
            return Err(TokenError::JsonSerialization);
        }
        let mut dots = memchr::memchr_iter(b'.', text.as_bytes());
        let (first, second) = match (dots.next(), dots.next(), dots.count()) {
            (Some(first), Some(second), 0) => (first, second),
            (_, _, 2) => return Err(TokenError::Encrypted),
            _ => return Err(TokenError::NotCompact),
        };
        let part = |range: (Bound<usize>, Bound<usize>)| text.get(range).ok_or(TokenError::NotCompact);
        Ok(Self {
            header: part((Unbounded, Excluded(first)))?,
            payload: part((Excluded(first), Excluded(second)))?,
            signature: part((Excluded(second), Unbounded))?,
            signing_input: part((Unbounded, Excluded(second)))?,
        })
    }

    pub(crate) fn header(&self) -> Result<Vec<u8>, TokenError> {
        base64url::decode(self.header).ok_or(TokenError::Base64)
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, TokenError> {
        base64url::decode(self.payload).ok_or(TokenError::Base64)
    }

    pub(crate) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        if self.signature.is_empty() {
            return Err(TokenError::SignatureEmpty);
        }
        base64url::decode(self.signature).ok_or(TokenError::Base64)
    }
}

/// The members of a header that matter. Checked: no `none`, no extension, every known member of its type.
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) typ: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) cty: Option<String>,
    /// Brings its own key, or says where to fetch one.
    pub(crate) carries_key: bool,
}

impl Header {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TokenError> {
        Self::of(&Self::object(json)?)
    }

    pub(crate) fn object(json: &[u8]) -> Result<Object<'_>, TokenError> {
        strict_json::parse(json).map_err(|fault| match fault {
            JsonFault::Malformed => TokenError::HeaderMalformed,
            JsonFault::Duplicate => TokenError::DuplicateMember,
        })
    }

    pub(crate) fn of(object: &Object<'_>) -> Result<Self, TokenError> {
        let alg = text(object, "alg")?.ok_or(TokenError::HeaderMalformed)?;
        if alg.eq_ignore_ascii_case("none") {
            return Err(TokenError::AlgorithmNone);
        }
        if object.has("enc") {
            return Err(TokenError::Encrypted);
        }
        // RFC 7797: with `b64` false other bytes are signed than are shown. It must stand in `crit`, but a header
        // that leaves it out of there must not get through either.
        match object.get("b64") {
            None | Some(Value::Bool(true)) => {}
            Some(_) => return Err(TokenError::UnencodedPayload),
        }
        // RFC 7515 section 4.1.11: what is listed must be understood, and nothing is.
        if object.has("crit") {
            return Err(TokenError::CriticalHeader);
        }
        Ok(Self {
            alg,
            typ: text(object, "typ")?,
            kid: text(object, "kid")?,
            cty: text(object, "cty")?,
            carries_key: CARRIERS.into_iter().any(|name| object.has(name)),
        })
    }

    /// `typ` in lower case without the optional `application/` (RFC 7515 section 4.1.9).
    pub(crate) fn media_type(&self) -> Option<String> {
        self.typ.as_deref().map(media_type)
    }

    /// Whether the payload says that it is a token itself (RFC 7519 section 5.2).
    pub(crate) fn is_nested(&self) -> bool {
        self.cty.as_deref().is_some_and(|cty| media_type(cty).ends_with("jwt"))
    }
}

fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        _ => lower,
    }
}

fn text(object: &Object<'_>, name: &str) -> Result<Option<String>, TokenError> {
    match object.text(name) {
        Ok(Some(t)) if t.len() > MAX_KID => Err(TokenError::HeaderMalformed),
        Ok(found) => Ok(found.map(str::to_owned)),
        Err(_) => Err(TokenError::HeaderMalformed),
    }
}

const CARRIERS: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];
