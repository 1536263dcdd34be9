//! Basic credentials (RFC 7617), both halves encoded as in a form (RFC 6749 section 2.3.1).

use base64::prelude::{BASE64_STANDARD, Engine};
use portcullis_base::SecretString;

use crate::form;

/// What an `Authorization` header of that scheme shows.
pub(crate) struct Basic {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
}

impl Basic {
    /// Reads the header; `None` for another scheme, and for whatever is not exactly such credentials.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, credentials) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") || credentials.len() > MAX_BYTES {
            return None;
        }
        let bytes = BASE64_STANDARD.decode(credentials.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (id, secret) = text.split_once(':')?;
        let decoded = |text| form::decode(text).ok();
        Some(Self { id: decoded(id)?.into_owned(), secret: decoded(secret)?.into_owned().into() })
    }
}

const MAX_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use portcullis_base::ExposeSecret;
    use proptest::prelude::*;

    use super::*;

    fn basic(text: &str) -> Option<(String, String)> {
        let Basic { id, secret } = Basic::parse(&format!("Basic {}", BASE64_STANDARD.encode(text)))?;
        Some((id, secret.expose_secret().to_owned()))
    }

    #[test]
    fn basic_credentials_are_form_encoded_halves() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        for (text, expected) in [
            ("svc.bff:secret", pair("svc.bff", "secret")),
            ("svc.bff:a%3Ab+c", pair("svc.bff", "a:b c")),
            ("svc.bff:with:colons", pair("svc.bff", "with:colons")),
            ("svc.bff:", pair("svc.bff", "")),
            (":secret", pair("", "secret")),
            ("svc.bff", None),
            ("svc.bff:50%", None),
            ("svc.bff:%ff", None),
            ("svc.bff:%00", None),
        ] {
            assert_eq!(basic(text), expected, "{text}");
        }
        for header in ["", "Basic", "Basic !!", "Bearer abc", "Digest x", "Basic /w==", "basic"] {
            assert!(Basic::parse(header).is_none(), "{header:?}");
        }
        assert!(Basic::parse(&format!("Basic {}", "A".repeat(4096))).is_none());
        assert!(Basic::parse("bAsIc YTpi").is_some(), "schemes have no case");
    }

    proptest! {
        #[test]
        fn any_credentials_survive_the_encoding(id in "[a-z.]{1,20}", secret in "[^\\p{Cc}]{0,40}") {
            let encode = |s: &str| url::form_urlencoded::byte_serialize(s.as_bytes()).collect::<String>();
            prop_assert_eq!(basic(&format!("{}:{}", encode(&id), encode(&secret))), Some((id, secret)));
        }

        #[test]
        fn no_header_panics(header in ".{0,80}") {
            let _verdict = Basic::parse(&header);
        }
    }
}
