//! Health and biometric terms, where words nearby tie them to a person.

use super::text::word_before;
use super::vocabulary::{ABOUT_A_PERSON, ABOUT_IDENTITY, Term};
use super::words::{near_after, near_before, word_end};
use super::{Hit, POSSIBLE, PiiKind};

/// Looks at a place where the first pass says that `term` may begin.
pub(super) fn at(text: &[u8], start: usize, term: &Term, out: &mut Vec<Hit>) {
    let end = if word_before(text, start) { None } else { word_end(text, start, &term.entry) };
    if let Some(end) = end.filter(|end| tied(text, start, *end, term.kind)) {
        out.push(Hit { start, end, kind: term.kind, confidence: POSSIBLE });
    }
}

fn tied(text: &[u8], start: usize, end: usize, kind: PiiKind) -> bool {
    let (ties, foreign): (_, &[&[u8]]) = match kind {
        PiiKind::Biometric => (ABOUT_IDENTITY, NOT_IDENTITY),
        _ => (ABOUT_A_PERSON, NOT_HEALTH),
    };
    let near = |reach, entries: &[&[u8]]| {
        near_before(text, start, reach, entries) || near_after(text, end, reach, b"\n", entries)
    };
    near(REACH, ties) && !near(FOREIGN_REACH, foreign)
}

/// Bytes around a term within which a word ties it to a person.
const REACH: usize = 56;
/// Bytes around a term within which a word says that something else is meant.
const FOREIGN_REACH: usize = 24;
/// Horoscopes, campaigns and economics.
const NOT_HEALTH: &[&[u8]] = &[
    b"zodiac*",
    "zodíac*".as_bytes(),
    b"horoscop*",
    "horóscop*".as_bytes(),
    b"signo",
    b"sign",
    b"capricorn*",
    b"econom*",
    b"great depression",
    b"tropic*",
    "trópico*".as_bytes(),
];
/// Footprints and the prints of machines.
const NOT_IDENTITY: &[&[u8]] =
    &[b"carbon*", b"ecol*", b"browser", b"navegador", b"ssh", b"gpg", b"pgp", b"certificate"];
