//! Dates of birth: a date with words of birth on its line, close by.

use super::month;
use super::text::{at, before, digits_end, is_digit, number, part, word_at, word_before};
use super::words::{near_after, near_before};
use super::{Hit, LIKELY, PiiKind};

/// A date of birth that begins with, or ends with the year in, the token `start..end`.
pub(super) fn find(text: &[u8], start: usize, end: usize, out: &mut Vec<Hit>) {
    let date = numeric(text, start).map(|end| (start, end)).or_else(|| Some((named(text, start, end)?, end)));
    let of_birth = |(start, end): &(usize, usize)| {
        near_before(text, *start, REACH_BEFORE, BIRTH)
            || near_after(text, *end, REACH_AFTER, b"\n.;!?", BIRTH)
    };
    if let Some((start, end)) = date.filter(of_birth) {
        out.push(Hit { start, end, kind: PiiKind::DateOfBirth, confidence: LIKELY });
    }
}

/// `12/03/1990`, `12-3-90`, `03.12.1990`, `1990-03-12`. Returns the place past it.
fn numeric(text: &[u8], start: usize) -> Option<usize> {
    let joined = matches!(before(text, start, 1), b'/' | b'-' | b'.') && is_digit(before(text, start, 2));
    if joined || word_before(text, start) {
        return None;
    }
    let sign = |i| at(text, i);
    let first = digits_end(text, start);
    let join = Some(sign(first)).filter(|b| matches!(b, b'/' | b'-' | b'.'))?;
    let second = digits_end(text, first + 1);
    let third = digits_end(text, second + 1);
    let a = number(text, start, first)?;
    let b = number(text, first + 1, second)?;
    let c = number(text, second + 1, third).filter(|_| sign(second) == join)?;
    let is_date = match (first - start, third - second - 1) {
        (4, 1 | 2) => is_year(a) && (1..=12).contains(&b) && (1..=31).contains(&c),
        (1 | 2, 4) => is_day_and_month(a, b) && is_year(c),
        (1 | 2, 2) => is_day_and_month(a, b),
        _ => false,
    };
    let goes_on =
        (sign(third) == join && is_digit(sign(third + 1))) || (word_at(text, third) && sign(third) != b'T');
    (is_date && !goes_on).then_some(third)
}

/// `12 de março de 1990`, `March 12th, 1990`, `12/mar/1990`: from the year `start..end` back to the day.
fn named(text: &[u8], start: usize, end: usize) -> Option<usize> {
    number(text, start, end).filter(|year| end - start == 4 && is_year(*year))?;
    let place = over_joins(text, start);
    if let Some(month) = month::start_before(text, place) {
        return day_start(text, over_joins(text, month));
    }
    let day = day_start(text, place)?;
    month::start_before(text, over_joins(text, day))
}

/// Back over blanks, commas, signs and the small words between the parts of a date.
fn over_joins(text: &[u8], mut i: usize) -> usize {
    for _ in 0..3 {
        while matches!(before(text, i, 1), b' ' | b',' | b'/' | b'-' | b'.') {
            i -= 1;
        }
        let Some(word) = SMALL.iter().find(|w| {
            let from = i.saturating_sub(w.len());
            part(text, from, i).eq_ignore_ascii_case(w) && !word_before(text, from)
        }) else {
            break;
        };
        i -= word.len();
    }
    i
}

/// Where the day that ends just before `end` begins: 1–31, perhaps with an ordinal's ending.
fn day_start(text: &[u8], end: usize) -> Option<usize> {
    let tail = part(text, end.saturating_sub(2), end);
    let ordinal =
        [&b"st"[..], b"nd", b"rd", b"th", "º".as_bytes()].iter().any(|o| tail.eq_ignore_ascii_case(o));
    let end = if ordinal { end - 2 } else { end };
    let digits = part(text, end.saturating_sub(3), end).iter().rev().take_while(|b| is_digit(**b)).count();
    let start = end - digits;
    let day = number(text, start, end).filter(|day| digits <= 2 && (1..=31).contains(day));
    day.filter(|_| !word_before(text, start)).map(|_| start)
}

fn is_year(n: u32) -> bool {
    (1900..=2099).contains(&n)
}

/// Day first as in most of the world, or month first as in the US.
fn is_day_and_month(a: u32, b: u32) -> bool {
    let (day, month) = (1..=31, 1..=12);
    (day.contains(&a) && month.contains(&b)) || (month.contains(&a) && day.contains(&b))
}

const REACH_BEFORE: usize = 48;
const REACH_AFTER: usize = 28;
const SMALL: [&[u8]; 4] = [b"de", b"del", b"of", b"do"];
const BIRTH: &[&[u8]] = &[
    b"nasc",
    b"nascimento",
    b"nascido*",
    b"nascida*",
    b"nasci",
    b"nasceu",
    b"dn",
    b"aniversario",
    "aniversário".as_bytes(),
    b"nacimiento",
    "nací".as_bytes(),
    b"naci",
    "nació".as_bytes(),
    b"nacido*",
    b"nacida*",
    b"nac",
    "cumpleaños".as_bytes(),
    b"cumpleanos",
    b"born",
    b"birth",
    b"birthday",
    b"birthdate",
    b"bday",
    b"dob",
    b"d.o.b",
    b"date of birth",
    b"birth date",
    b"birth day",
];
