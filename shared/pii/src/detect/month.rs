//! Month names in three languages.

use super::text::{before, letter_len_before, part};
use super::words::word_end;

/// Where the month's name that ends just before `end` begins; `None` if no month's name ends there.
pub(super) fn start_before(text: &[u8], end: usize) -> Option<usize> {
    let mut start = end;
    while end - start < LONGEST {
        match letter_len_before(text, start) {
            0 => break,
            n => start -= n,
        }
    }
    let whole = part(text, start, end);
    let known = NAMES.iter().any(|name| word_end(whole, 0, name) == Some(whole.len()));
    (known && !before(text, start, 1).is_ascii_alphanumeric()).then_some(start)
}

const LONGEST: usize = 11;
const NAMES: &[&[u8]] = &[
    b"janeiro",
    b"fevereiro",
    "março".as_bytes(),
    b"marco",
    b"abril",
    b"maio",
    b"junho",
    b"julho",
    b"agosto",
    b"setembro",
    b"outubro",
    b"novembro",
    b"dezembro",
    b"enero",
    b"febrero",
    b"marzo",
    b"mayo",
    b"junio",
    b"julio",
    b"septiembre",
    b"setiembre",
    b"octubre",
    b"noviembre",
    b"diciembre",
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
    b"jan",
    b"fev",
    b"feb",
    b"mar",
    b"abr",
    b"apr",
    b"mai",
    b"jun",
    b"jul",
    b"ago",
    b"aug",
    b"set",
    b"sep",
    b"sept",
    b"out",
    b"oct",
    b"nov",
    b"dez",
    b"dec",
    b"ene",
    b"dic",
];
