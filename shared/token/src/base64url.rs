//! base64url without padding, as RFC 7515 section 2 wants it: no `=`, no white space, no loose trailing bits.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes, or `None` for anything but the one canonical encoding.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes exactly `N` bytes.
pub(crate) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

/// Encodes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Encodes onto the end of `out`.
pub(crate) fn encode_into(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_encoding_is_read() {
        for (label, text, expected) in [
            ("plain", "Zm9v", Some(&b"foo"[..])),
            ("two bytes", "Zm8", Some(b"fo")),
            ("empty", "", Some(b"")),
            ("padded", "Zm8=", None),
            ("loose trailing bits", "Zm9", None),
            ("one character over", "Zm9vA", None),
            ("standard alphabet", "+/+/", None),
            ("white space", "Zm 9v", None),
            ("newline at the end", "Zm9v\n", None),
            ("not ASCII", "Zm9vé", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{label}");
        }
        assert_eq!(decode_array::<2>("Zm9v"), None);
        assert_eq!(encode(b"\xfb\xff"), "-_8");
    }
}
