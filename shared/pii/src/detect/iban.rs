//! International bank account numbers (ISO 13616): country, length, modulo 97.

use super::text::{at, glued_after, glued_before, is_digit};
use super::{CERTAIN, Hit, PiiKind};

/// An IBAN at `start`, bare or in groups of four.
pub(super) fn find(text: &[u8], start: usize) -> Option<Hit> {
    let country = [at(text, start), at(text, start + 1)];
    let len = LENGTHS.iter().find(|(code, _)| **code == country)?.1;
    if !is_digit(at(text, start + 2)) || !is_digit(at(text, start + 3)) || glued_before(text, start) {
        return None;
    }
    let mut number = [0; LONGEST];
    let end = read(text, start, number.get_mut(..len)?)?;
    let ends = !glued_after(text, end);
    (ends && remainder(number.get(..len)?) == 1).then_some(Hit {
        start,
        end,
        kind: PiiKind::Iban,
        confidence: CERTAIN,
    })
}

/// Fills `number` and returns the place past it.
fn read(text: &[u8], start: usize, number: &mut [u8]) -> Option<usize> {
    let mut place = start;
    for (i, to) in number.iter_mut().enumerate() {
        if i > 0 && i % 4 == 0 && matches!(at(text, place), b' ' | b'-') {
            place += 1;
        }
        *to = at(text, place);
        if !to.is_ascii_digit() && !to.is_ascii_uppercase() {
            return None;
        }
        place += 1;
    }
    Some(place)
}

/// Of the number with its first four characters at its end, letters as 10–35, divided by 97.
fn remainder(number: &[u8]) -> u32 {
    let (front, rest) = number.split_at_checked(4).unwrap_or((number, &[]));
    rest.iter().chain(front).fold(0, |sum, b| match b {
        b'0'..=b'9' => (sum * 10 + u32::from(b - b'0')) % 97,
        _ => (sum * 100 + u32::from(b.wrapping_sub(b'A')) + 10) % 97,
    })
}

const LONGEST: usize = 34;
/// Lengths by country (SWIFT IBAN registry).
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];
