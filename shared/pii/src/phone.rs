//! One spelling for each phone number.

use std::fmt;

/// A phone number in international form, digits only: what WhatsApp calls `wa_id`, with its two known irregularities
/// evened out so that a number typed by a person and the same number from WhatsApp are equal.
///
/// - Brazil: mobile numbers had eight digits before the ninth was put in front, and WhatsApp still sends many accounts
///   without it. The 9 is added where a national number has eight digits and starts like a mobile one (6 to 9).
/// - Mexico: the former mobile prefix 1 after the country code (`521…`) is removed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Takes a number with country code: `+55 (11) 91234-5678`, `0055 11…`, `5511912345678`.
    ///
    /// # Errors
    /// [`PhoneError`] unless it has 8 to 15 digits, not starting with 0, and nothing but the usual separators.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let text = text.trim();
        let international = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(text);
        if international.len() > MAX_TEXT
            || !international.chars().all(|c| c.is_ascii_digit() || is_separator(c))
        {
            return Err(PhoneError);
        }
        let digits: String = international.chars().filter(char::is_ascii_digit).collect();
        if digits.starts_with('0') || !(8..=15).contains(&digits.len()) {
            return Err(PhoneError);
        }
        Ok(Self(even_out(digits)))
    }

    /// The digits, country code first, without `+`.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

/// Shows how long the number is, not the number.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({} digits)", self.0.len())
    }
}

/// Not a phone number with country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number in international form")]
pub struct PhoneError;

fn even_out(digits: String) -> String {
    match digits.as_bytes() {
        [b'5', b'5', _, _, subscriber @ ..] if is_old_brazilian_mobile(subscriber) => {
            let (start, end) = digits.split_at_checked(4).unwrap_or((&digits, ""));
            format!("{start}9{end}")
        }
        [b'5', b'2', b'1', national @ ..] if national.len() == 10 => {
            format!("52{}", digits.get(3..).unwrap_or_default())
        }
        _ => digits,
    }
}

fn is_old_brazilian_mobile(subscriber: &[u8]) -> bool {
    subscriber.len() == 8 && matches!(subscriber.first(), Some(b'6'..=b'9'))
}

const fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}')
}

/// Bytes of a number with generous separators.
const MAX_TEXT: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_are_equal() {
        let table = [
            ("Brazil, wa_id without the ninth digit", "553181234567", "5531981234567"),
            ("Brazil, with it", "5531981234567", "5531981234567"),
            ("Brazil, typed", "+55 (31) 98123-4567", "5531981234567"),
            ("Brazil, typed with 00", "0055 31 98123.4567", "5531981234567"),
            ("Brazil, landline stays", "551131234567", "551131234567"),
            ("Brazil, no-break space", "+55\u{a0}11\u{a0}91234\u{a0}5678", "5511912345678"),
            ("Mexico, former mobile prefix", "5215512345678", "525512345678"),
            ("Mexico, today", "+52 55 1234 5678", "525512345678"),
            ("Mexico, a national number that starts with 1 stays", "521234567890", "521234567890"),
            ("United States", "+1 (650) 555-1234", "16505551234"),
            ("Spain", "34 612 345 678", "34612345678"),
            ("shortest", "12345678", "12345678"),
            ("longest", "123456789012345", "123456789012345"),
        ];
        for (case, text, digits) in table {
            assert_eq!(Phone::parse(text).as_ref().map(Phone::digits), Ok(digits), "{case}");
            assert_eq!(Phone::parse(digits).as_ref().map(Phone::digits), Ok(digits), "{case}: is stable");
        }
    }

    #[test]
    fn what_is_no_international_number_is_refused() {
        let long = " 1".repeat(30);
        let table = [
            ("empty", ""),
            ("only separators", "+ () -"),
            ("too short", "1234567"),
            ("too long", "1234567890123456"),
            ("national with 0", "011 91234-5678"),
            ("000 prefix", "00055119123"),
            ("two plus signs", "++5511912345678"),
            ("letters", "5511912345678x"),
            ("a username", "maria.silva"),
            ("a user id", "BR.1234567890123"),
            ("other digits", "٥٥١١٩١٢٣٤٥٦٧٨"),
            ("endless separators", long.as_str()),
        ];
        for (case, text) in table {
            assert_eq!(Phone::parse(text), Err(PhoneError), "{case}");
        }
    }

    #[test]
    fn debug_output_hides_the_number() {
        assert_eq!(format!("{:?}", Phone::parse("5511912345678").unwrap()), "Phone(13 digits)");
    }
}
