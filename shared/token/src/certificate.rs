//! Binding to a client certificate (RFC 8705 section 3): the token names the SHA-256 of its DER form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Thumbprint;

impl Thumbprint {
    /// The `x5t#S256` of a certificate in DER form.
    pub fn of_certificate_der(der: &[u8]) -> Self {
        Self::of(der)
    }

    /// The same from PEM, as API Gateway hands a client's certificate on. `None` unless it is one certificate.
    pub fn of_certificate_pem(pem: &str) -> Option<Self> {
        if pem.len() > MAX_PEM {
            return None;
        }
        let body = pem.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
        let base64: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(base64).ok()?;
        // A certificate is a SEQUENCE whose length is that of the whole.
        let length = match der.get(..4)? {
            [0x30, 0x82, high, low] => usize::from(u16::from_be_bytes([*high, *low])) + 4,
            [0x30, 0x81, length, _] => usize::from(*length) + 3,
            _ => return None,
        };
        (length == der.len()).then(|| Self::of_certificate_der(&der))
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const MAX_PEM: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    #[test]
    fn pem_and_der_give_one_thumbprint() {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend([7; 256]);
        let expected = Thumbprint::of_certificate_der(&der);
        assert_eq!(Thumbprint::of_certificate_pem(&pem(&der)), Some(expected));
        assert_eq!(Thumbprint::of_certificate_pem(&pem(&der).replace('\n', "\r\n")), Some(expected));
    }

    #[test]
    fn what_is_not_one_certificate_has_no_thumbprint() {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend([7; 256]);
        let two = pem(&der).repeat(2);
        let trailing = pem(&[&der[..], b"x"].concat());
        for (label, text) in [
            ("empty", ""),
            ("no armour", "MIIB"),
            ("key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"),
            ("two", &*two),
            ("bytes after it", &*trailing),
            ("not base64", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"),
            ("empty body", "-----BEGIN CERTIFICATE----------END CERTIFICATE-----"),
        ] {
            assert_eq!(Thumbprint::of_certificate_pem(text), None, "{label}");
        }
    }
}
