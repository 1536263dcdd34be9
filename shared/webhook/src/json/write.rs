//! Writing JSON.

use super::scan::next_special;

/// Appends `text` as a JSON string, in characters that a queue message may hold.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    if next_special(text.as_bytes(), 0) == text.len() && text.is_ascii() {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| write_char(out, c));
    }
    out.push('"');
}

/// Appends a number.
pub fn write_number(out: &mut String, number: u64) {
    let mut digits = [b'0'; 20];
    let (mut left, mut length) = (number, 0);
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        length += 1;
        if left == 0 {
            break;
        }
    }
    let written = digits.get(digits.len() - length..).and_then(|d| std::str::from_utf8(d).ok());
    out.push_str(written.unwrap_or_default());
}

fn write_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        c if c < ' ' => {
            out.push_str("\\u00");
            for nibble in [u32::from(c) >> 4, u32::from(c) & 15] {
                out.push(char::from_digit(nibble, 16).unwrap_or('0'));
            }
        }
        // Not allowed in XML, and so not in a queue message either.
        '\u{fffe}' => out.push_str("\\ufffe"),
        '\u{ffff}' => out.push_str("\\uffff"),
        c => out.push(c),
    }
}
