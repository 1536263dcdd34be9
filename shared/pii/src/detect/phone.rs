//! Telephone numbers: E.164, and the national forms of Brazil, the US, Mexico and Spain.
//!
//! Digits alone are a phone only where a word says so; grouped as a country groups them, they are one by themselves.

use super::groups::{Group, Groups, Join, goes_on_before, joined_by, shaped};
use super::numbers::Site;
use super::text::{at, before, glued_after};
use super::{CERTAIN, Hit, LIKELY, PiiKind};

/// A phone at the site.
pub(super) fn find(text: &[u8], site: &Site, groups: &Groups) -> Option<Hit> {
    let open = before(text, site.start, 1) == b'(' && groups.join_after(1) == Some(Join::Close);
    let worded = Lazy::new(|| site.after_words(text, PHONE_WORDS));
    (1..=groups.count()).rev().find_map(|count| {
        let number = Number { groups: groups.first(count), digits: groups.digits(count), open };
        let end = number.groups.last()?.end;
        let form = if site.plus { number.international() } else { number.national() };
        let confidence = match form? {
            Form::Certain => CERTAIN,
            Form::Likely => LIKELY,
            Form::Bare if worded.get() => LIKELY,
            Form::Bare => return None,
        };
        let ends = ends_here(text, groups, &number, count, end, site.plus);
        let begins = site.plus || number.has_signs() || !goes_on_before(text, site.start);
        let id = !site.plus
            && !worded.get()
            && (site.is_an_id(text, PHONE_WORDS) || after_currency(text, site.start));
        let start = site.start - usize::from(site.plus || open);
        (ends && begins && !id).then_some(Hit { start, end, kind: PiiKind::Phone, confidence })
    })
}

/// Looking for words costs more than looking at groups: once at most.
struct Lazy<F: Fn() -> bool>(std::cell::OnceCell<bool>, F);

impl<F: Fn() -> bool> Lazy<F> {
    fn new(f: F) -> Self {
        Self(std::cell::OnceCell::new(), f)
    }

    fn get(&self) -> bool {
        *self.0.get_or_init(&self.1)
    }
}

fn ends_here(
    text: &[u8],
    groups: &Groups,
    number: &Number<'_>,
    count: usize,
    end: usize,
    plus: bool,
) -> bool {
    match groups.join_after(count) {
        Some(Join::Blank | Join::Open) => plus || number.has_signs(),
        // `(11) 3123-4567) …`: a bracket of the sentence.
        Some(Join::Close) => true,
        Some(Join::Dash | Join::Dot) => false,
        None if groups.cut && groups.count() == count => false,
        None => !glued_after(text, end) && !matches!(part_of_amount(text, end), Some(true)),
    }
}

fn part_of_amount(text: &[u8], end: usize) -> Option<bool> {
    let sign = if at(text, end) == b' ' { end + 1 } else { end };
    Some(at(text, sign) == b'$' || (at(text, sign) == 0xE2 && at(text, sign + 1) == 0x82))
}

/// `R$ 612 345 678`, `€ 612 345 678`.
fn after_currency(text: &[u8], start: usize) -> bool {
    let end = if before(text, start, 1) == b' ' { start - 1 } else { start };
    before(text, end, 1) == b'$' || (before(text, end, 3) == 0xE2 && before(text, end, 2) == 0x82)
}

/// How sure a form is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// Only where a word says so.
    Bare,
    Likely,
    Certain,
}

/// Digits in groups.
#[derive(Debug, Clone, Copy)]
struct Number<'a> {
    groups: &'a [Group],
    digits: &'a [u8],
    /// The first group is in brackets.
    open: bool,
}

impl<'a> Number<'a> {
    /// Signs other than blanks hold the groups together.
    fn has_signs(&self) -> bool {
        self.open || self.groups.iter().skip(1).any(|g| g.join != Join::Blank)
    }

    fn shaped(&self, lens: &[usize]) -> bool {
        shaped(self.groups, lens)
    }

    /// After `+`: the country's own lengths where we know them, else 8 to 15 digits (E.164).
    fn international(&self) -> Option<Form> {
        let digits = self.digits;
        let valid = match digits {
            [0, ..] => false,
            [1, rest @ ..] => is_us(rest),
            [5, 5, rest @ ..] => is_brazilian(rest),
            [5, 2, 1, rest @ ..] if rest.len() == 10 => is_mexican(rest),
            [5, 2, rest @ ..] => is_mexican(rest),
            [3, 4, rest @ ..] => is_spanish(rest),
            _ => match LENGTHS.iter().find(|(code, _, _)| starts_with(digits, code)) {
                Some((code, min, max)) => (*min..=*max).contains(&(digits.len() - code.len())),
                None => (8..=15).contains(&digits.len()),
            },
        };
        valid.then_some(Form::Certain)
    }

    /// The surest of the countries' forms.
    fn national(&self) -> Option<Form> {
        let forms = [self.brazilian(), self.us(), self.mexican(), self.spanish(), self.with_country_code()];
        forms.into_iter().flatten().max()
    }

    /// `(11) 91234-5678`, `11 3123-4567`, `011 91234 5678`; without its area code only where a word says so.
    fn brazilian(&self) -> Option<Form> {
        let local = (self.shaped(&[5, 4]) || self.shaped(&[9])) && matches!(self.digits, [9, ..]);
        if local || (self.shaped(&[4, 4]) && matches!(self.digits, [2..=5, ..])) {
            return Some(Form::Bare);
        }
        let trunk = matches!(self.digits, [0, ..]);
        if !is_brazilian(self.digits.get(usize::from(trunk)..)?) {
            return None;
        }
        let area = 2 + usize::from(trunk);
        let formatted = match self.groups {
            [_] => false,
            [first, .., last] if first.len == area => {
                last.len == 4 || self.open || self.has_signs() || self.is_mobile(trunk)
            }
            [_, last] => last.len == 4 && last.join == Join::Dash,
            _ => false,
        };
        Some(if formatted { Form::Likely } else { Form::Bare })
    }

    fn is_mobile(&self, trunk: bool) -> bool {
        self.digits.len() == 11 + usize::from(trunk)
    }

    /// `(415) 555-2671`, `415-555-2671`, `1-415-555-2671`; blanks alone only where a word says so.
    fn us(&self) -> Option<Form> {
        let trunk = matches!(self.digits, [1, ..]);
        if !is_us(self.digits.get(usize::from(trunk)..)?) {
            return None;
        }
        let grouped =
            self.shaped(&[3, 3, 4]) || self.shaped(&[1, 3, 3, 4]) || (self.open && self.shaped(&[3, 7]));
        Some(if grouped && self.has_signs() { Form::Likely } else { Form::Bare })
    }

    /// `55 1234 5678`, `(222) 123 4567`, `81-12-34-56-78`.
    fn mexican(&self) -> Option<Form> {
        if !is_mexican(self.digits) {
            return None;
        }
        let metropolis = matches!(self.digits, [5, 5 | 6, ..] | [3, 3, ..] | [8, 1, ..]);
        let two =
            metropolis && (self.shaped(&[2, 4, 4]) || (self.shaped(&[2, 2, 2, 2, 2]) && self.has_signs()));
        let three = self.has_signs() && (self.shaped(&[3, 3, 4]) || self.shaped(&[3, 3, 2, 2]));
        Some(if two || three { Form::Likely } else { Form::Bare })
    }

    /// `612 345 678`, `612 34 56 78`, `91 123 45 67`; dots are also how amounts are written.
    fn spanish(&self) -> Option<Form> {
        if !is_spanish(self.digits) {
            return None;
        }
        let grouped = [&[3, 3, 3][..], &[3, 2, 2, 2], &[2, 3, 2, 2]].iter().any(|lens| self.shaped(lens));
        let dotted = joined_by(self.groups, Join::Dot);
        Some(if grouped && !dotted { Form::Likely } else { Form::Bare })
    }

    /// The country's code without its `+`, or after `00`.
    fn with_country_code(&self) -> Option<Form> {
        let exit = if matches!(self.digits, [0, 0, ..]) { 2 } else { 0 };
        let digits = self.digits.get(exit..)?;
        let (code, valid) = match digits {
            [5, 5, rest @ ..] => (2, is_brazilian(rest)),
            [3, 4, rest @ ..] => (2, is_spanish(rest)),
            [5, 2, 1, rest @ ..] if rest.len() == 10 => (2, is_mexican(rest)),
            [5, 2, rest @ ..] => (2, is_mexican(rest)),
            _ => return None,
        };
        let split = matches!(self.groups, [first, _, ..] if first.len == code + exit);
        // `5511912345678`, as chat platforms write it: country, area and a mobile's 9 leave little to chance.
        let whole = matches!(digits, [5, 5, _, _, 9, ..]) && digits.len() == 13;
        valid.then_some(if split || whole || exit > 0 { Form::Likely } else { Form::Bare })
    }
}

fn starts_with(digits: &[u8], code: &[u8]) -> bool {
    digits.len() >= code.len() && digits.iter().zip(code).all(|(d, c)| d + b'0' == *c)
}

/// Area code and eight digits from 2–5, or nine from 9 (Anatel).
fn is_brazilian(digits: &[u8]) -> bool {
    let (area, rest) = match digits {
        [a, b, rest @ ..] => (a * 10 + b, rest),
        _ => return false,
    };
    let subscriber = match rest {
        [9, ..] => rest.len() == 9,
        [2..=5, ..] => rest.len() == 8,
        _ => false,
    };
    subscriber && AREAS_OF_BRAZIL.contains(&area)
}

/// Area code and exchange begin with 2–9 and are no service codes (NANP).
fn is_us(digits: &[u8]) -> bool {
    match digits {
        [2..=9, 1, 1, ..] | [_, _, _, 2..=9, 1, 1, ..] | [_, 9, ..] => false,
        [2..=9, _, _, 2..=9, ..] => digits.len() == 10,
        _ => false,
    }
}

fn is_mexican(digits: &[u8]) -> bool {
    digits.len() == 10 && matches!(digits, [2..=9, b, ..] if *b != 0 || digits.first() == Some(&6))
}

/// Mobiles 6 and 71–79, fixed lines 81–88 and 91–98 (CNMC).
fn is_spanish(digits: &[u8]) -> bool {
    digits.len() == 9 && matches!(digits, [6, ..] | [7, 1..=9, ..] | [8 | 9, 1..=8, ..])
}

const AREAS_OF_BRAZIL: [u8; 67] = [
    11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 24, 27, 28, 31, 32, 33, 34, 35, 37, 38, 41, 42, 43, 44, 45,
    46, 47, 48, 49, 51, 53, 54, 55, 61, 62, 63, 64, 65, 66, 67, 68, 69, 71, 73, 74, 75, 77, 79, 81, 82, 83,
    84, 85, 86, 87, 88, 89, 91, 92, 93, 94, 95, 96, 97, 98, 99,
];
/// Country codes whose national numbers have a known length.
const LENGTHS: &[(&[u8], usize, usize)] = &[
    (b"44", 9, 10),
    (b"33", 9, 9),
    (b"49", 6, 11),
    (b"39", 8, 11),
    (b"351", 9, 9),
    (b"54", 10, 11),
    (b"56", 9, 9),
    (b"57", 10, 10),
    (b"51", 8, 9),
    (b"593", 8, 9),
    (b"595", 8, 9),
    (b"598", 7, 8),
    (b"591", 8, 8),
    (b"507", 7, 8),
    (b"506", 8, 8),
    (b"502", 8, 8),
    (b"91", 10, 10),
    (b"86", 10, 11),
    (b"81", 9, 10),
    (b"61", 9, 9),
    (b"353", 7, 9),
    (b"31", 9, 9),
    (b"32", 8, 9),
    (b"41", 9, 9),
    (b"244", 9, 9),
    (b"258", 8, 9),
];
const PHONE_WORDS: &[&[u8]] = &[
    b"phone*",
    b"tel",
    b"telefone*",
    b"telefono*",
    "teléfono".as_bytes(),
    "teléfonos".as_bytes(),
    b"telephone*",
    b"fone*",
    b"cel",
    b"celular*",
    b"cell",
    b"cellphone",
    b"movil",
    "móvil".as_bytes(),
    "móviles".as_bytes(),
    b"mobile",
    b"whats",
    b"whatsapp*",
    b"wpp",
    b"wa",
    b"zap",
    b"zapzap",
    b"call",
    b"text me",
    b"sms",
    b"fax",
    b"ligue",
    b"ligar",
    b"liga",
    b"llame",
    b"llama",
    b"llamar",
    "llámame".as_bytes(),
    b"llamame",
    b"contato",
    b"contacto",
    b"contact",
    b"user phone",
    b"wa id",
    b"my number",
    "meu número".as_bytes(),
    b"meu numero",
    "mi número".as_bytes(),
    b"mi numero",
];
