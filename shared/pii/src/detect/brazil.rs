//! Brazilian taxpayer numbers: CPF of persons and CNPJ of companies, with their two check digits (modulo 11).

use memchr::memchr_iter;

use super::groups::{Groups, Join, shaped};
use super::numbers::Site;
use super::text::{at, glued_after, glued_before, in_opaque_token, part};
use super::{CERTAIN, Hit, LIKELY, PiiKind};

/// A CPF at the site: `ddd.ddd.ddd-dd`, `ddddddddd-dd`, or eleven bare digits.
pub(super) fn find_cpf(text: &[u8], site: &Site, groups: &Groups) -> Option<(usize, PiiKind, f32)> {
    let (count, formatted) = cpf_shape(groups)?;
    if site.plus || !is_cpf(groups.digits(count)) {
        return None;
    }
    let end = groups.first(count).last()?.end;
    let goes_on = groups.join_after(count).is_some_and(|join| join != Join::Blank);
    if goes_on || glued_after(text, end) || (!formatted && site.is_an_id(text, CPF_WORDS)) {
        return None;
    }
    let sure = formatted || site.after_words(text, CPF_WORDS);
    Some((end, PiiKind::Cpf, if sure { CERTAIN } else { LIKELY }))
}

fn cpf_shape(groups: &Groups) -> Option<(usize, bool)> {
    let joins = |count| groups.first(count).iter().skip(1).map(|g| g.join);
    if shaped(groups.first(4), &[3, 3, 3, 2]) {
        let dotted = joins(4).eq([Join::Dot, Join::Dot, Join::Dash]);
        let even = [Join::Blank, Join::Dash, Join::Dot].iter().any(|join| joins(4).all(|j| j == *join));
        let blanks_then_dash = joins(4).eq([Join::Blank, Join::Blank, Join::Dash]);
        return (dotted || even || blanks_then_dash).then_some((4, dotted));
    }
    if shaped(groups.first(2), &[9, 2]) && joins(2).eq([Join::Dash]) {
        return Some((2, true));
    }
    shaped(groups.first(1), &[11]).then_some((1, false))
}

/// Fourteen bare digits that are a CNPJ.
pub(super) fn find_bare_cnpj(text: &[u8], site: &Site, groups: &Groups) -> Option<(usize, PiiKind, f32)> {
    if site.plus || !shaped(groups.first(1), &[14]) || !is_cnpj(part(text, site.start, site.end)) {
        return None;
    }
    let goes_on = groups.join_after(1).is_some_and(|join| join != Join::Blank);
    if goes_on || glued_after(text, site.end) || site.is_an_id(text, CNPJ_WORDS) {
        return None;
    }
    let sure = site.after_words(text, CNPJ_WORDS);
    Some((site.end, PiiKind::Cnpj, if sure { CERTAIN } else { LIKELY }))
}

/// Fourteen bare letters and digits that are a CNPJ, where the word says so or the root is mostly digits.
pub(super) fn find_bare_alphanumeric_cnpj(text: &[u8], start: usize, end: usize) -> Option<Hit> {
    let token = part(text, start, end);
    if token.len() != 14 || !is_cnpj(token) || glued_before(text, start) || glued_after(text, end) {
        return None;
    }
    let site = Site { start, end, plus: false };
    let sure = site.after_words(text, CNPJ_WORDS);
    let likely =
        !site.is_an_id(text, CNPJ_WORDS) && part(text, start + 8, end - 2).iter().all(u8::is_ascii_digit);
    let confidence = if sure { CERTAIN } else { LIKELY };
    (sure || likely).then_some(Hit { start, end, kind: PiiKind::Cnpj, confidence })
}

/// Every formatted CNPJ: `XX.XXX.XXX/XXXX-dd` or `XXXXXXXX/XXXX-dd`, anchored at its slash.
pub(super) fn scan_cnpj(text: &[u8], out: &mut Vec<Hit>) {
    for slash in memchr_iter(b'/', text) {
        let Some(start) = root_start(text, slash) else { continue };
        let end = slash + 8;
        let compact = part(text, start, end).iter().filter(|b| b.is_ascii_alphanumeric());
        let mut number = [0; 14];
        number.iter_mut().zip(compact).for_each(|(to, from)| *to = *from);
        let whole = at(text, slash + 5) == b'-' && is_cnpj(&number);
        if whole && !glued_before(text, start) && !glued_after(text, end) && !in_opaque_token(text, start) {
            out.push(Hit { start, end, kind: PiiKind::Cnpj, confidence: CERTAIN });
        }
    }
}

fn root_start(text: &[u8], slash: usize) -> Option<usize> {
    let after = part(text, slash + 1, slash + 8);
    let dotted = slash.checked_sub(10).filter(|start| {
        let root = part(text, *start, slash);
        masks(root, b"xx.xxx.xxx")
    });
    let start = dotted
        .or_else(|| slash.checked_sub(8).filter(|start| masks(part(text, *start, slash), b"xxxxxxxx")))?;
    masks(after, b"xxxx-xx").then_some(start)
}

fn masks(bytes: &[u8], mask: &[u8]) -> bool {
    let fits =
        |(b, m): (&u8, &u8)| if *m == b'x' { b.is_ascii_digit() || b.is_ascii_uppercase() } else { b == m };
    bytes.len() == mask.len() && bytes.iter().zip(mask).all(fits)
}

/// Weights 10–2 and 11–2 over digit values (Receita Federal). Numbers of one repeated digit pass but are never issued.
fn is_cpf(digits: &[u8]) -> bool {
    let (Some(first), Some(second), [.., x, y]) = (digits.get(..9), digits.get(..10), digits) else {
        return false;
    };
    digits.len() == 11 && !repeated(digits) && check_digit(first, 10) == *x && check_digit(second, 11) == *y
}

/// Weights 2–9 from the right over the values ASCII − 48 (Instrução Normativa RFB 2.229/2024); the last two are digits.
fn is_cnpj(number: &[u8]) -> bool {
    let mut values = [0; 14];
    values.iter_mut().zip(number).for_each(|(to, from)| *to = from.wrapping_sub(b'0'));
    let written = number.len() == 14 && number.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let (Some(first), Some(second), [.., x, y]) = (values.get(..12), values.get(..13), values) else {
        return false;
    };
    written
        && x < 10
        && y < 10
        && !repeated(&values)
        && check_digit(first, 9) == x
        && check_digit(second, 9) == y
}

/// Modulo 11 with weights that grow from 2 at the right up to `heaviest` and begin again; 10 and 11 count as 0.
fn check_digit(values: &[u8], heaviest: u32) -> u8 {
    let weights = (2..=heaviest).cycle();
    let sum: u32 = values.iter().rev().zip(weights).map(|(v, w)| u32::from(*v) * w).sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => u8::try_from(11 - rest).unwrap_or(0),
    }
}

fn repeated(values: &[u8]) -> bool {
    values.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

const CPF_WORDS: &[&[u8]] = &[b"cpf", b"cpfs", b"c.p.f", b"contribuinte", b"cadastro de pessoa*"];
const CNPJ_WORDS: &[&[u8]] = &[b"cnpj", b"cnpjs", b"c.n.p.j", b"empresa", b"company"];
