//! Meta's signature: HMAC-SHA256 of the raw body under the app secret, in `X-Hub-Signature-256`.
//!
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validating-payloads>

use std::fmt;

use aws_lc_rs::hmac;

use crate::json::{Decoded, NotJson, Reader};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-Hub-Signature-256";

/// The app secrets that are valid now, as ready HMAC keys.
pub struct AppSecrets {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl AppSecrets {
    /// `previous` is still accepted while a rotation is under way, so that no message is lost by it.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Self {
        Self { current: key(current), previous: previous.map(key) }
    }
}

impl fmt::Debug for AppSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSecrets").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

/// A body that Meta signed. Only [`verify`] makes one.
#[derive(Clone, Copy)]
pub struct VerifiedWebhook<'a> {
    raw: &'a [u8],
    /// Where the body was decoded from JSON: what decoding learned of it.
    decoded: Option<&'a Decoded>,
    by_previous: bool,
}

impl<'a> VerifiedWebhook<'a> {
    /// Whether the previous app secret made the signature and the current one did not.
    pub const fn signed_with_previous(&self) -> bool {
        self.by_previous
    }

    /// The bytes that were signed.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// A reader of the body.
    pub(crate) fn reader(&self) -> Result<Reader<'a>, NotJson> {
        match self.decoded {
            Some(decoded) => Reader::nested(decoded),
            None => Reader::of_bytes(self.raw),
        }
    }
}

impl fmt::Debug for VerifiedWebhook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedWebhook").field("bytes", &self.raw.len()).finish()
    }
}

/// Why a body is not taken as Meta's. The caller learns none of this: all three get the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature header.
    #[error("signature is missing")]
    Missing,
    /// Not `sha256=` and 64 hex digits.
    #[error("signature is malformed")]
    Malformed,
    /// Signed with neither secret, or changed on the way.
    #[error("signature does not match")]
    Mismatch,
}

impl SignatureError {
    /// A stable word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "signature-missing",
            Self::Malformed => "signature-malformed",
            Self::Mismatch => "signature-mismatch",
        }
    }
}

/// Checks the signature of `raw` in constant time, under the current secret and then under the previous one.
///
/// # Errors
/// When the header is missing or malformed, or neither secret made it.
pub fn verify<'a>(
    raw: &'a [u8],
    header: Option<&str>,
    secrets: &AppSecrets,
) -> Result<VerifiedWebhook<'a>, SignatureError> {
    let tag = parse(header.ok_or(SignatureError::Missing)?).ok_or(SignatureError::Malformed)?;
    let signed_by = |secret: &hmac::Key| hmac::verify(secret, raw, &tag).is_ok();
    let by_previous = !signed_by(&secrets.current);
    if by_previous && !secrets.previous.as_ref().is_some_and(signed_by) {
        return Err(SignatureError::Mismatch);
    }
    Ok(VerifiedWebhook { raw, decoded: None, by_previous })
}

/// As [`verify`], for a body that was a string in a JSON text: [`crate::route`] then works faster.
///
/// # Errors
/// As [`verify`].
pub fn verify_decoded<'a>(
    body: &'a Decoded,
    header: Option<&str>,
    secrets: &AppSecrets,
) -> Result<VerifiedWebhook<'a>, SignatureError> {
    let verified = verify(body.bytes(), header, secrets)?;
    Ok(VerifiedWebhook { decoded: Some(body), ..verified })
}

/// The header value with which Meta would send `raw`: for the command line and for tests.
pub fn sign(raw: &[u8], secret: &[u8]) -> String {
    format!("{PREFIX}{}", hex::encode(hmac::sign(&key(secret), raw)))
}

fn parse(header: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = header.strip_prefix(PREFIX)?.as_bytes().try_into().ok()?;
    let mut tag = [0; 32];
    let mut bad = 0;
    for (byte, pair) in tag.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(nibble);
        bad |= high | low;
        *byte = high << 4 | low;
    }
    (bad < 16).then_some(tag)
}

/// The value of a hex digit; 16 or more for anything else.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 16,
    }
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

const PREFIX: &str = "sha256=";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 4231, test case 2.
    const JEFE: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const NOTHING: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn published_vector_is_made_and_accepted() {
        assert_eq!(sign(NOTHING, b"Jefe"), JEFE);
        let verified = verify(NOTHING, Some(JEFE), &AppSecrets::new(b"Jefe", None)).unwrap();
        assert_eq!(verified.raw(), NOTHING);
    }

    #[test]
    fn header_forms() {
        use SignatureError::{Malformed, Mismatch, Missing};
        let digits = JEFE.strip_prefix("sha256=").unwrap();
        let upper = format!("sha256={}", digits.to_uppercase());
        let mixed = JEFE.replacen("5bdcc146", "5BDCC146", 1);
        for (label, header, expected) in [
            ("absent", None, Err(Missing)),
            ("empty", Some(""), Err(Malformed)),
            ("no prefix", Some(digits), Err(Malformed)),
            ("prefix only", Some("sha256="), Err(Malformed)),
            ("capital prefix", Some(&*format!("SHA256={digits}")), Err(Malformed)),
            ("sha1", Some(&*format!("sha1={digits}")), Err(Malformed)),
            ("63 digits", JEFE.get(..70), Err(Malformed)),
            ("65 digits", Some(&*format!("{JEFE}0")), Err(Malformed)),
            ("62 digits", JEFE.get(..69), Err(Malformed)),
            ("not hex", Some(&*format!("sha256={}", "g".repeat(64))), Err(Malformed)),
            ("leading space", Some(&*format!(" {JEFE}")), Err(Malformed)),
            ("trailing newline", Some(&*format!("{JEFE}\n")), Err(Malformed)),
            ("multi-byte characters", Some(&*format!("sha256={}", "é".repeat(32))), Err(Malformed)),
            ("two values", Some(&*format!("{JEFE},{JEFE}")), Err(Malformed)),
            ("all zero", Some(&*format!("sha256={}", "0".repeat(64))), Err(Mismatch)),
            ("lower case", Some(JEFE), Ok(())),
            ("upper case", Some(&*upper), Ok(())),
            ("mixed case", Some(&*mixed), Ok(())),
        ] {
            let got = verify(NOTHING, header, &AppSecrets::new(b"Jefe", None)).map(|_| ());
            assert_eq!(got, expected, "{label}");
        }
    }

    #[test]
    fn both_secrets_are_valid_during_a_rotation_and_no_third() {
        let both = AppSecrets::new(b"new", Some(b"old"));
        for (label, secret, accepted) in [
            ("current", "new", true),
            ("previous", "old", true),
            ("before that", "older", false),
            ("empty", "", false),
        ] {
            let header = sign(b"{}", secret.as_bytes());
            assert_eq!(verify(b"{}", Some(&header), &both).is_ok(), accepted, "{label}");
        }
        let header = sign(b"{}", b"old");
        assert!(verify(b"{}", Some(&header), &AppSecrets::new(b"new", None)).is_err());
    }

    #[test]
    fn debug_output_shows_neither_secret_nor_body() {
        let secrets = AppSecrets::new(b"hunter2hunter2", None);
        let header = sign(b"ola", b"hunter2hunter2");
        let shown = format!("{secrets:?}{:?}", verify(b"ola", Some(&header), &secrets).unwrap());
        assert_eq!(shown, "AppSecrets { previous: false, .. }VerifiedWebhook { bytes: 3 }");
    }

    proptest! {
        #[test]
        fn any_changed_bit_of_the_body_is_refused(
            body in proptest::collection::vec(any::<u8>(), 1..300), bit in any::<proptest::sample::Index>(),
        ) {
            let secrets = AppSecrets::new(b"current", Some(b"previous"));
            let header = sign(&body, b"current");
            prop_assert!(verify(&body, Some(&header), &secrets).is_ok());
            let mut changed = body.clone();
            let bit = bit.index(body.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify(&changed, Some(&header), &secrets).unwrap_err(), SignatureError::Mismatch);
        }

        #[test]
        fn any_changed_digit_of_the_signature_is_refused(at in 0..64_usize, by in 1..16_u8) {
            let header = sign(b"{\"entry\":[]}", b"current");
            let mut changed = header.into_bytes();
            let digit = char::from(changed[7 + at]).to_digit(16).unwrap();
            changed[7 + at] = char::from_digit((digit + u32::from(by)) % 16, 16).unwrap() as u8;
            let changed = String::from_utf8(changed).unwrap();
            let verdict = verify(b"{\"entry\":[]}", Some(&changed), &AppSecrets::new(b"current", None));
            prop_assert_eq!(verdict.unwrap_err(), SignatureError::Mismatch);
        }

        #[test]
        fn no_header_at_all_makes_a_panic(header in ".*") {
            let verdict = verify(b"{}", Some(&header), &AppSecrets::new(b"current", None));
            prop_assert!(verdict.is_err());
        }
    }
}
