//! Shows a text without what is personal in it: for logs, and for roles that may see the last four digits.

use crate::detect::{Hit, PiiKind};

/// The text with every hit masked.
///
/// Of card, phone, taxpayer, security and account numbers the last four characters stay; of an e-mail address its
/// first letter and its domain; of everything else nothing, but its kind in brackets. Hits may overlap and come in
/// any order; what they cover is never shown, also where their offsets are not of this text.
pub fn mask(text: &str, hits: &[Hit]) -> String {
    let mut ordered: Vec<&Hit> =
        hits.iter().filter(|hit| hit.start < hit.end && hit.start < text.len()).collect();
    ordered.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let mut masked = String::with_capacity(text.len());
    let mut shown_to = 0;
    for hit in ordered {
        let (start, end) = (boundary_before(text, hit.start), boundary_after(text, hit.end));
        if end <= shown_to {
            continue;
        }
        if start < shown_to {
            // The rest of a hit that another one covers in part: shown of neither.
            masked.push_str(HIDDEN);
        } else {
            masked.push_str(text.get(shown_to..start).unwrap_or_default());
            mask_hit(text.get(start..end).unwrap_or_default(), hit.kind, &mut masked);
        }
        shown_to = end;
    }
    masked.push_str(text.get(shown_to..).unwrap_or_default());
    masked
}

/// A whole value masked: its last four characters, and nothing of a value shorter than eight characters.
pub fn mask_all(text: &str) -> String {
    let chars = text.chars().count();
    let mut masked = HIDDEN.to_owned();
    if chars >= MIN_SHOWN {
        masked.extend(text.chars().skip(chars - TAIL));
    }
    masked
}

fn mask_hit(value: &str, kind: PiiKind, masked: &mut String) {
    match kind {
        PiiKind::Card | PiiKind::Ssn | PiiKind::Phone | PiiKind::Cpf | PiiKind::Cnpj | PiiKind::Iban => {
            mask_number(value, masked);
        }
        PiiKind::Email => mask_email(value, masked),
        PiiKind::Ipv4 | PiiKind::Ipv6 | PiiKind::DateOfBirth | PiiKind::Health | PiiKind::Biometric => {
            masked.extend(["[", kind.as_str(), "]"]);
        }
    }
}

/// The last four letters and digits, whatever the signs between them.
fn mask_number(value: &str, masked: &mut String) {
    let written: Vec<char> = value.chars().filter(char::is_ascii_alphanumeric).collect();
    masked.push_str(HIDDEN);
    if written.len() >= MIN_SHOWN {
        masked.extend(written.iter().skip(written.len() - TAIL));
    }
}

/// `ana@example.com` as `a***@example.com`; a name of one or two letters entirely.
fn mask_email(value: &str, masked: &mut String) {
    let Some((name, domain)) = value.rsplit_once('@') else {
        masked.push_str(HIDDEN);
        return;
    };
    masked.extend(name.chars().next().filter(|_| name.chars().count() > 2));
    masked.extend(["***@", domain]);
}

fn boundary_before(text: &str, i: usize) -> usize {
    (0..=i.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

fn boundary_after(text: &str, i: usize) -> usize {
    (i..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len())
}

const HIDDEN: &str = "****";
/// Characters that stay.
const TAIL: usize = 4;
/// Shorter values show nothing: four characters would be half of them.
const MIN_SHOWN: usize = 8;
