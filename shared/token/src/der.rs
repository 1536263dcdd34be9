//! The two DER structures that stand between keys and tokens: RSAPublicKey and ECDSA-Sig-Value.

/// `SEQUENCE { INTEGER, INTEGER }` with nothing else in it and nothing after it: the two numbers, big-endian, without
/// leading zeros. `None` for anything else, negative or non-minimal numbers included.
pub(crate) fn two_integers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, rest) = element(der, SEQUENCE)?;
    let (first, after) = integer(inner)?;
    let (second, end) = integer(after)?;
    (rest.is_empty() && end.is_empty()).then_some((first, second))
}

fn integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, rest) = element(der, INTEGER)?;
    match body {
        [] => None,
        [0, next, ..] if *next < 0x80 => None,
        [0, magnitude @ ..] => Some((magnitude, rest)),
        [first, ..] if *first >= 0x80 => None,
        magnitude => Some((magnitude, rest)),
    }
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, body) = match rest {
        [short, body @ ..] if *short < 0x80 => (usize::from(*short), body),
        [0x81, n, body @ ..] if *n >= 0x80 => (usize::from(*n), body),
        [0x82, high, low, body @ ..] if *high > 0 => (usize::from(u16::from_be_bytes([*high, *low])), body),
        _ => return None,
    };
    body.split_at_checked(length)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_distinguished_encodings_are_read() {
        type Numbers = Option<(&'static [u8], &'static [u8])>;
        let cases: [(&str, &[u8], Numbers); 12] = [
            ("two numbers", &[0x30, 6, 2, 1, 5, 2, 1, 7], Some((&[5], &[7]))),
            ("high bit", &[0x30, 7, 2, 2, 0, 0x80, 2, 1, 7], Some((&[0x80], &[7]))),
            ("empty", &[], None),
            ("one number", &[0x30, 3, 2, 1, 5], None),
            ("three numbers", &[0x30, 9, 2, 1, 5, 2, 1, 7, 2, 1, 9], None),
            ("bytes after it", &[0x30, 6, 2, 1, 5, 2, 1, 7, 0], None),
            ("negative", &[0x30, 6, 2, 1, 0x85, 2, 1, 7], None),
            ("leading zero", &[0x30, 7, 2, 2, 0, 5, 2, 1, 7], None),
            ("empty number", &[0x30, 5, 2, 0, 2, 1, 7], None),
            ("long form of a short length", &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 7], None),
            ("length past the end", &[0x30, 60, 2, 1, 5, 2, 1, 7], None),
            ("indefinite length", &[0x30, 0x80, 2, 1, 5, 2, 1, 7, 0, 0], None),
        ];
        for (label, der, expected) in cases {
            assert_eq!(two_integers(der), expected, "{label}");
        }
    }
}
