//! Internet addresses: dotted IPv4, and IPv6 in every form of RFC 4291 section 2.2.

use std::net::Ipv6Addr;

use memchr::memchr_iter;

use super::text::{at, before, digits_end, is_digit, number, part, word_at, word_before};
use super::words::near_before;
use super::{CERTAIN, Hit, PiiKind};

/// An IPv4 address at the digit at `start`.
pub(super) fn find_v4(text: &[u8], start: usize, out: &mut Vec<Hit>) {
    if let Some(end) = v4_end(text, start).filter(|_| !near_before(text, start, VERSION_NEAR, VERSION_WORDS))
    {
        out.push(Hit { start, end, kind: PiiKind::Ipv4, confidence: CERTAIN });
    }
}

fn v4_end(text: &[u8], start: usize) -> Option<usize> {
    let glued = word_before(text, start) || matches!(before(text, start, 1), b'.' | b'-' | b',');
    let mut end = octet_end(text, start).filter(|_| !glued)?;
    for _ in 0..3 {
        end = octet_end(text, end + 1).filter(|_| at(text, end) == b'.')?;
    }
    let goes_on = matches!(at(text, end), b'.' | b',' | b'-') && is_digit(at(text, end + 1));
    (!goes_on && !word_at(text, end)).then_some(end)
}

/// Past 0–255 without leading zeros.
fn octet_end(text: &[u8], start: usize) -> Option<usize> {
    let end = digits_end(text, start);
    let leading_zero = at(text, start) == b'0' && end > start + 1;
    (!leading_zero && number(text, start, end)? <= 255).then_some(end)
}

/// Every IPv6 address, anchored at its first colon.
pub(super) fn scan_v6(text: &[u8], out: &mut Vec<Hit>) {
    let mut past = 0;
    for colon in memchr_iter(b':', text) {
        if colon < past {
            continue;
        }
        let group = part(text, past.max(colon.saturating_sub(4)), colon);
        let start = colon - group.iter().rev().take_while(|b| b.is_ascii_hexdigit()).count();
        let run = text.get(start..).unwrap_or_default();
        let end = start + run.iter().take_while(|b| b.is_ascii_hexdigit() || b":.".contains(b)).count();
        past = end.max(colon + 1);
        // `addr:2001:db8::1`: the label's own colon is not the address's.
        let label = u8::from(start == colon && at(text, colon + 1) != b':');
        let start = start + usize::from(label);
        if let Some(end) = v6_end(text, start, end) {
            out.push(Hit { start, end, kind: PiiKind::Ipv6, confidence: CERTAIN });
        }
    }
}

fn v6_end(text: &[u8], start: usize, end: usize) -> Option<usize> {
    if end - start > LONGEST_V6
        || word_at(text, end)
        || word_before(text, start)
        || before(text, start, 1) == b'.'
    {
        return None;
    }
    let mut token = part(text, start, end);
    // The punctuation of the sentence.
    while let Some(rest) =
        token.strip_suffix(b".").or_else(|| token.strip_suffix(b":").filter(|t| !t.ends_with(b":")))
    {
        token = rest;
    }
    let colons = token.iter().filter(|b| **b == b':').count();
    let address = (colons >= 2 && is_telling(token)).then(|| std::str::from_utf8(token).ok())??;
    address.parse::<Ipv6Addr>().is_ok().then_some(start + token.len())
}

/// `::` alone, `a::b` of a programming language, and eight pairs of an EUI-64 are no addresses of anyone.
fn is_telling(token: &[u8]) -> bool {
    let mut groups = token.split(|b| *b == b':').filter(|g| !g.is_empty());
    let count = groups.clone().count();
    let digit = token.iter().any(u8::is_ascii_digit);
    count > 0 && (digit || count >= 3) && !(count == 8 && groups.all(|g| g.len() == 2))
}

/// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` and the punctuation after it.
const LONGEST_V6: usize = 48;
const VERSION_NEAR: usize = 14;
const VERSION_WORDS: &[&[u8]] = &[
    b"version",
    "versão".as_bytes(),
    b"versao",
    "versión".as_bytes(),
    b"v",
    b"ver",
    b"release",
    b"firmware",
    b"build",
    b"section",
    "seção".as_bytes(),
    "sección".as_bytes(),
    b"chapter",
    b"update",
    b"ios",
    b"android",
];
