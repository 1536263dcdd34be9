//! Payment cards: brand range and length, grouping as on the card, Luhn digit (ISO/IEC 7812-1).

use super::groups::{Group, Groups, Join, goes_on_before, joined_by, shaped};
use super::numbers::Site;
use super::text::{at, digits_end, is_digit, number, word_at};
use super::{CERTAIN, PiiKind};

/// A card at the site.
pub(super) fn find(text: &[u8], site: &Site, groups: &Groups) -> Option<(usize, PiiKind, f32)> {
    if site.plus || groups.cut && groups.count() == 0 {
        return None;
    }
    let count = (1..=groups.count()).rev().find(|count| {
        is_card(groups.digits(*count))
            && is_written_so(groups.first(*count))
            && stands_alone(text, site, groups, *count)
    })?;
    let end = groups.first(count).last()?.end;
    (count > 1 || !site.is_an_id(text, CARD_WORDS)).then_some((end, PiiKind::Card, CERTAIN))
}

fn is_card(digits: &[u8]) -> bool {
    (13..=19).contains(&digits.len()) && is_issued(digits) && luhn(digits)
}

/// Whether a brand issues numbers that begin so, of that length.
fn is_issued(digits: &[u8]) -> bool {
    let len = digits.len();
    let prefix = digits.iter().take(6).fold(0u32, |n, d| n * 10 + u32::from(*d));
    BRANDS.iter().any(|(from, to, lens)| (*from..=*to).contains(&prefix) && lens.contains(&len))
}

/// Luhn's check digit.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| match (i % 2, u32::from(*d)) {
            (0, d) => d,
            (_, d) if d > 4 => d * 2 - 9,
            (_, d) => d * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_written_so(groups: &[Group]) -> bool {
    let one_join = joined_by(groups, Join::Blank) || joined_by(groups, Join::Dash);
    groups.len() == 1 || (one_join && GROUPINGS.iter().any(|lens| shaped(groups, lens)))
}

/// In groups of four, a fifth group before or after makes it some longer number, unless it can be the expiry.
fn stands_alone(text: &[u8], site: &Site, groups: &Groups, count: usize) -> bool {
    let end = groups.first(count).last().map_or(0, |g| g.end);
    let ends = !site.glued_after(text, end) || goes_on_as_a_card_does(text, end);
    if count == 1 {
        return ends;
    }
    let expiry = groups.digits(count + 1).get(groups.digits(count).len()..).is_some_and(is_expiry);
    let longer = groups.join_after(count).is_some() && groups.len_after(count) >= 4 && !expiry;
    let dashed = groups.join_after(count) == Some(Join::Dash) && !expiry_at(text, end + 1);
    let continued = goes_on_before(text, site.start) && site.digits_before(text) >= 4;
    !longer && !dashed && !continued && (groups.join_after(count).is_some() || ends)
}

/// Month and year without a sign between, or the year alone.
fn is_expiry(digits: &[u8]) -> bool {
    matches!(digits, [0, 1..=9, _, _] | [1, 0..=2, _, _] | [2, 0, 2..=4, _])
}

/// What people put behind a card's number without a blank: `/12/29`, `:123`, `,123`, `-12/29`.
fn goes_on_as_a_card_does(text: &[u8], end: usize) -> bool {
    match at(text, end) {
        b'/' | b':' | b',' => is_digit(at(text, end + 1)),
        b'-' => expiry_at(text, end + 1),
        _ => false,
    }
}

/// Whether `12/29` or `12/2029` is at `i`.
fn expiry_at(text: &[u8], i: usize) -> bool {
    let (month_end, year) = (i + 2, i + 3);
    let year_end = digits_end(text, year);
    let month = number(text, i, month_end).is_some_and(|month| (1..=12).contains(&month));
    month && at(text, month_end) == b'/' && matches!(year_end - year, 2 | 4) && !word_at(text, year_end)
}

/// First and last six digits of issuer ranges, and the lengths issued in them.
const BRANDS: &[(u32, u32, &[usize])] = &[
    (220_000, 220_499, &[16, 17, 18, 19]),
    (222_100, 272_099, &[16]),
    (300_000, 305_999, &[14, 16, 19]),
    (309_500, 309_599, &[14, 16, 19]),
    (340_000, 349_999, &[15]),
    (352_800, 358_999, &[16, 17, 18, 19]),
    (360_000, 369_999, &[14, 16, 19]),
    (370_000, 379_999, &[15]),
    (380_000, 399_999, &[14, 16, 19]),
    (400_000, 499_999, &[13, 16, 19]),
    (500_000, 509_999, &[13, 14, 15, 16, 17, 18, 19]),
    (510_000, 559_999, &[16]),
    (560_000, 589_999, &[13, 14, 15, 16, 17, 18, 19]),
    (600_000, 600_999, &[16]),
    (601_100, 601_199, &[16, 17, 18, 19]),
    (606_282, 606_282, &[16, 19]),
    (620_000, 629_999, &[16, 17, 18, 19]),
    (630_400, 630_499, &[13, 14, 15, 16, 17, 18, 19]),
    (636_200, 639_999, &[13, 14, 15, 16, 17, 18, 19]),
    (644_000, 659_999, &[16, 17, 18, 19]),
    (670_000, 679_999, &[13, 14, 15, 16, 17, 18, 19]),
    (979_200, 979_299, &[16]),
];
/// How cards of those lengths are embossed and typed.
const GROUPINGS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 3, 3, 3],
    &[4, 4, 5],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4, 3],
    &[6, 13],
    &[8, 8],
];
const CARD_WORDS: &[&[u8]] = &[
    b"card*",
    "cartão".as_bytes(),
    b"cartao",
    "cartões".as_bytes(),
    b"tarjeta*",
    b"visa",
    b"mastercard",
    b"amex",
    b"credit*",
    "crédito".as_bytes(),
    "débito".as_bytes(),
    b"debit*",
    b"pan",
];
