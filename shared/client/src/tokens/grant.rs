//! The answer of a token endpoint (RFC 6749 section 5).

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::error::{ClientError, OauthError};

/// An access token, ready for the header. Wiped as far as we hold it, and never in `Debug` output.
pub(crate) struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// The value of `Authorization`.
    pub(crate) fn header(&self) -> Result<HeaderValue, ClientError> {
        let text = Zeroizing::new(format!("Bearer {}", *self.0));
        let mut value = HeaderValue::from_str(&text).map_err(|_| ClientError::TokenMalformed)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// A token, and how long it lives from when it was asked for.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) token: AccessToken,
    pub(crate) lifetime: Duration,
}

impl Grant {
    /// Reads a successful answer.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ClientError> {
        let members = Members::read(body).ok_or(ClientError::TokenMalformed)?;
        // A DPoP-bound token is of no use to a client that makes no proofs.
        let bearer = members.token_type.is_some_and(|t| t.eq_ignore_ascii_case("bearer"));
        let token =
            members.access_token.filter(|t| bearer && is_token68(t)).ok_or(ClientError::TokenMalformed)?;
        let seconds = members.expires_in.unwrap_or(UNSTATED_SECONDS);
        if !(1..=MAX_SECONDS).contains(&seconds) {
            return Err(ClientError::TokenMalformed);
        }
        Ok(Self { token: AccessToken(token), lifetime: Duration::from_secs(seconds) })
    }

    /// Reads the error code of an answer.
    pub(crate) fn error(body: &[u8]) -> OauthError {
        let code = Members::read(body).and_then(|members| members.error);
        code.map_or(OauthError::Other, |code| OauthError::parse(&code))
    }
}

fn is_token68(token: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    !token.is_empty() && token.len() <= MAX_TOKEN && token.bytes().all(allowed)
}

/// The members that count. An object only, none of them twice; what else the object holds is passed over (section 5.1).
#[derive(Default)]
struct Members {
    access_token: Option<Zeroizing<String>>,
    token_type: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
}

impl Members {
    fn read(body: &[u8]) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let members = reader.deserialize_map(MembersVisitor).ok()?;
        reader.end().ok()?;
        Some(members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            let fresh = match name.as_str() {
                "access_token" => members.access_token.replace(Zeroizing::new(map.next_value()?)).is_none(),
                "token_type" => members.token_type.replace(map.next_value()?).is_none(),
                "expires_in" => members.expires_in.replace(map.next_value()?).is_none(),
                "error" => members.error.replace(map.next_value()?).is_none(),
                _ => map.next_value::<IgnoredAny>().map(|_| true)?,
            };
            if !fresh {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(members)
    }
}

/// Where `expires_in` is absent: asked for anew soon.
const UNSTATED_SECONDS: u64 = 60;
const MAX_SECONDS: u64 = 24 * 60 * 60;
const MAX_TOKEN: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_answer() {
        let long = format!(r#"{{"access_token":"{}","token_type":"bearer"}}"#, "a".repeat(MAX_TOKEN + 1));
        for (label, body, lifetime) in [
            ("plain", r#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":900}"#, Some(900)),
            (
                "lower case, more members",
                r#"{"x":[1,{}],"access_token":"a","token_type":"bearer","expires_in":1}"#,
                Some(1),
            ),
            ("no lifetime", r#"{"access_token":"a","token_type":"bearer"}"#, Some(60)),
            ("no life", r#"{"access_token":"a","token_type":"bearer","expires_in":0}"#, None),
            ("negative life", r#"{"access_token":"a","token_type":"bearer","expires_in":-5}"#, None),
            ("a life of years", r#"{"access_token":"a","token_type":"bearer","expires_in":99999999}"#, None),
            ("life as text", r#"{"access_token":"a","token_type":"bearer","expires_in":"900"}"#, None),
            ("dpop", r#"{"access_token":"a","token_type":"DPoP","expires_in":900}"#, None),
            ("no type", r#"{"access_token":"a","expires_in":900}"#, None),
            ("no token", r#"{"token_type":"bearer","expires_in":900}"#, None),
            ("empty token", r#"{"access_token":"","token_type":"bearer"}"#, None),
            ("header injection", r#"{"access_token":"a\r\nx: y","token_type":"bearer"}"#, None),
            ("two tokens", r#"{"access_token":"a","access_token":"b","token_type":"bearer"}"#, None),
            ("array form", r#"["a","bearer",900]"#, None),
            ("something behind it", r#"{"access_token":"a","token_type":"bearer"}{}"#, None),
            ("page", "<html>", None),
            ("nothing", "", None),
            ("too long", &*long, None),
        ] {
            let read = Grant::parse(body.as_bytes()).ok().map(|grant| grant.lifetime.as_secs());
            assert_eq!(read, lifetime, "{label}");
        }
    }

    #[test]
    fn error_codes() {
        for (body, expected) in [
            (r#"{"error":"invalid_client","error_description":"x"}"#, OauthError::InvalidClient),
            (r#"{"error":"slow_down"}"#, OauthError::Other),
            (r#"{"error":5}"#, OauthError::Other),
            ("", OauthError::Other),
        ] {
            assert_eq!(Grant::error(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn the_token_is_not_in_debug_output() {
        let grant = Grant::parse(br#"{"access_token":"hunter2","token_type":"bearer"}"#).unwrap();
        assert!(!format!("{grant:?}").contains("hunter2"));
        assert!(!format!("{:?}", grant.token.header().unwrap()).contains("hunter2"));
        assert_eq!(grant.token.header().unwrap().to_str().unwrap(), "Bearer hunter2");
    }
}
