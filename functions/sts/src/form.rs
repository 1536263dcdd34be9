//! The form body (RFC 6749 appendix B), read strictly: what two readers could read differently is refused.

use std::borrow::Cow;
use std::fmt;

/// The parameters of a form: none twice, none empty.
#[derive(Default, PartialEq, Eq)]
pub struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Reads `application/x-www-form-urlencoded`. Parameters without a value count as absent (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// See [`FormError`].
    pub fn parse(body: &'a [u8]) -> Result<Self, FormError> {
        let text = std::str::from_utf8(body).map_err(|_| FormError::Malformed)?;
        let mut names: Vec<Cow<'a, str>> = Vec::new();
        let mut form = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if names.contains(&name) {
                return Err(FormError::Repeated);
            }
            if names.len() >= MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            names.push(name.clone());
            if !value.is_empty() {
                form.0.push((name, value));
            }
        }
        Ok(form)
    }

    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }
}

/// The names: the values are secrets and tokens.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a form is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// It is not UTF-8, or an escape is not two hexadecimal digits, or a character is one of control.
    #[error("form is malformed")]
    Malformed,
    /// A parameter is there twice (RFC 6749 section 3.2).
    #[error("form repeats a parameter")]
    Repeated,
    /// Over 32 parameters.
    #[error("form has too many parameters")]
    TooMany,
}

/// `+` is a space, `%hh` a byte, everything else itself. Also what RFC 6749 section 2.3.1 wants of Basic credentials.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, FormError> {
    let decoded = if text.bytes().any(|b| matches!(b, b'+' | b'%')) {
        let mut out = Vec::with_capacity(text.len());
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            out.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                    let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                    let (Some(high), Some(low)) = (high, low) else { return Err(FormError::Malformed) };
                    u8::try_from(high * 16 + low).map_err(|_| FormError::Malformed)?
                }
                other => other,
            });
        }
        Cow::Owned(String::from_utf8(out).map_err(|_| FormError::Malformed)?)
    } else {
        Cow::Borrowed(text)
    };
    if decoded.chars().any(char::is_control) { Err(FormError::Malformed) } else { Ok(decoded) }
}

const MAX_PARAMETERS: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_are_read_as_appendix_b_says() {
        let form = Form::parse(b"grant_type=client_credentials&scope=a%3Ab+c&empty=&bare&x=%C3%A9").unwrap();
        assert_eq!(form.value("grant_type"), Some("client_credentials"));
        assert_eq!(form.value("scope"), Some("a:b c"));
        assert_eq!((form.value("empty"), form.value("bare"), form.value("none")), (None, None, None));
        assert_eq!(form.value("x"), Some("\u{e9}"));
        assert_eq!(Form::parse(b"").unwrap(), Form::default());
    }

    #[test]
    fn what_is_written_of_a_form_holds_no_value() {
        let form = Form::parse(b"client_id=svc.bff&client_secret=SECRET").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"client_id", "client_secret"}"#);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let many = (0..33).map(|i| format!("p{i}=x")).collect::<Vec<_>>().join("&");
        for (label, body, error) in [
            ("repeated", &b"scope=a&scope=a"[..], FormError::Repeated),
            ("repeated, once escaped", b"scope=a&sc%6fpe=b", FormError::Repeated),
            ("repeated, once empty", b"scope=&scope=b", FormError::Repeated),
            ("half an escape", b"a=%4", FormError::Malformed),
            ("no digits", b"a=%zz", FormError::Malformed),
            ("a sign for a digit", b"a=%+1", FormError::Malformed),
            ("not utf-8", b"a=\xff", FormError::Malformed),
            ("not utf-8, escaped", b"a=%ff", FormError::Malformed),
            ("a nul", b"a=%00", FormError::Malformed),
            ("a line break", b"a=%0a", FormError::Malformed),
            ("too many", many.as_bytes(), FormError::TooMany),
        ] {
            assert_eq!(Form::parse(body), Err(error), "{label}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _verdict = Form::parse(&bytes);
        }

        #[test]
        fn what_the_url_standard_writes_is_read_back(value in "[^\\p{Cc}]{1,40}") {
            let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("k", &value).finish();
            let form = Form::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(form.value("k"), Some(value.as_str()));
        }
    }
}
