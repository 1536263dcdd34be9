//! E-mail addresses: from every `@` outwards, to what RFC 5321 section 4.5.3.1 bounds and chat uses.

use memchr::memchr_iter;

use super::text::{at, before, is_digit, letter_len, letter_len_before, part, word_at};
use super::{CERTAIN, Hit, PiiKind};

pub(super) fn scan(text: &[u8], out: &mut Vec<Hit>) {
    for sign in memchr_iter(b'@', text) {
        if let Some((start, end)) = address(text, sign) {
            out.push(Hit { start, end, kind: PiiKind::Email, confidence: CERTAIN });
        }
    }
}

fn address(text: &[u8], sign: usize) -> Option<(usize, usize)> {
    let start = local_start(text, sign)?;
    let end = domain_end(text, sign + 1)?;
    let start = if at(text, end) == b'_' { past_italics(text, start, sign) } else { start };
    (!credentials_of_a_url(text, start)).then_some((start, end))
}

/// Back over the local part: letters, digits and `._%+'-`, without signs at its beginning or before the `@`.
fn local_start(text: &[u8], sign: usize) -> Option<usize> {
    let floor = sign.saturating_sub(LOCAL_MAX + 1);
    let mut start = sign;
    while start > floor {
        match letter_len_before(text, start) {
            0 if is_local(before(text, start, 1)) && part(text, start - 1, start + 1) != b".." => start -= 1,
            0 => break,
            n => start -= n,
        }
    }
    while start < sign && b".%+'-".contains(&at(text, start)) {
        start += 1;
    }
    // An unbounded run before the sign is a blob, not a name.
    (start < sign && sign - start <= LOCAL_MAX && before(text, sign, 1) != b'.').then_some(start)
}

/// Of `_ana@example.com_` the underscores are chat's italics.
fn past_italics(text: &[u8], start: usize, sign: usize) -> usize {
    let underscores = part(text, start, sign).iter().take_while(|b| **b == b'_').count();
    if start + underscores < sign { start + underscores } else { start }
}

fn is_local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"._%+'-".contains(&b)
}

/// Past the longest run of labels that ends in a top-level domain; `None` where there is none.
fn domain_end(text: &[u8], domain: usize) -> Option<usize> {
    let mut best = None;
    let mut label = domain;
    while label < domain + DOMAIN_MAX {
        let Some(end) = label_end(text, label) else { break };
        if label > domain
            && is_top_level(part(text, label, end))
            && !word_at(text, end)
            && at(text, end) != b'@'
        {
            best = Some((label, end));
        }
        if at(text, end) != b'.' {
            break;
        }
        label = end + 1;
    }
    best.filter(|(top, end)| !FILE_TYPES.iter().any(|t| part(text, *top, *end).eq_ignore_ascii_case(t)))
        .map(|b| b.1)
}

fn label_end(text: &[u8], label: usize) -> Option<usize> {
    let mut end = label;
    // Of a script whose letters take three bytes, such as Chinese or Hindi: then of nothing else.
    while end - label <= LABEL_MAX && leads_long_letter(text, end) {
        end += 3;
    }
    if end > label {
        return (end - label <= LABEL_MAX).then_some(end);
    }
    while end - label <= LABEL_MAX {
        match letter_len(text, end) {
            0 if is_digit(at(text, end)) || at(text, end) == b'-' => end += 1,
            0 => break,
            n => end += n,
        }
    }
    let trimmed = part(text, label, end);
    let hyphens = trimmed.iter().rev().take_while(|b| **b == b'-').count();
    let end = end - hyphens;
    (end > label && end - label <= LABEL_MAX && at(text, label) != b'-').then_some(end)
}

/// Letters only, two at least: of ASCII, or none of ASCII; or a punycode label (RFC 5890 section 2.3.2.1).
fn is_top_level(label: &[u8]) -> bool {
    let letters = label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    // Labels hold letters, digits and hyphens only: what is not ASCII is a letter, of two bytes at least.
    let international = label.len() >= 4 && !label.iter().any(u8::is_ascii);
    letters
        || international
        || (label.len() > 4 && label.get(..4).is_some_and(|x| x.eq_ignore_ascii_case(b"xn--")))
}

/// Whether a letter of three bytes is at `i`: U+0800 to U+1FFF, kana, Chinese, Hangul; not the signs at U+2000 to U+303F.
fn leads_long_letter(text: &[u8], i: usize) -> bool {
    let goes_on = |i| matches!(at(text, i), 0x80..=0xBF);
    let leads = match at(text, i) {
        0xE0 | 0xE1 | 0xE4..=0xED => true,
        0xE3 => at(text, i + 1) != 0x80,
        _ => false,
    };
    leads && goes_on(i + 1) && goes_on(i + 2)
}

/// `scheme://user:password@host` is no address.
fn credentials_of_a_url(text: &[u8], start: usize) -> bool {
    if !matches!(before(text, start, 1), b':' | b'/') {
        return false;
    }
    let reach = part(text, start.saturating_sub(URL_REACH), start);
    let from = reach.iter().rposition(u8::is_ascii_whitespace).map_or(0, |i| i + 1);
    let token = reach.get(from..).unwrap_or_default();
    memchr::memmem::find(token, b"://")
        .is_some_and(|i| !token.get(i + 3..).unwrap_or_default().contains(&b'/'))
}

const LOCAL_MAX: usize = 64;
const LABEL_MAX: usize = 63;
const DOMAIN_MAX: usize = 253;
const URL_REACH: usize = 128;
/// `image@2x.png` names a file.
const FILE_TYPES: [&[u8]; 8] = [b"png", b"jpg", b"jpeg", b"gif", b"webp", b"svg", b"js", b"css"];
