//! Finds personal data in chat text: Portuguese, English and Spanish, UTF-8 or any bytes.
//!
//! Most chat lines hold nothing. A first pass ([`gate`]) reads every byte once and says whether the text holds a
//! digit, `@` or `:`, and where a health or biometric term may be. Only then do the
//! detectors look, each anchored at such a byte and each with a bounded reach, so the whole stays linear in the
//! length of the text whatever the text is. A text with wide letters or digits, or with a number that unusual signs cut
//! apart, is looked at once more as plain ASCII would have it ([`fold`]).

mod birth;
mod brazil;
mod card;
mod email;
mod fold;
mod gate;
mod groups;
mod iban;
mod ip;
mod month;
mod numbers;
mod phone;
mod resolve;
mod ssn;
mod terms;
mod text;
mod vocabulary;
mod words;

use fold::Folded;
use gate::Gate;

/// What kind of personal data a [`Hit`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PiiKind {
    /// An e-mail address.
    Email,
    /// A payment card number: brand range, length and Luhn digit (ISO/IEC 7812-1).
    Card,
    /// A US social security number outside the ranges that are never issued.
    Ssn,
    /// A telephone number: E.164, or a national Brazilian, US, Mexican or Spanish form.
    Phone,
    /// A Brazilian taxpayer number of a person, with its two check digits.
    Cpf,
    /// A Brazilian taxpayer number of a company, digits or alphanumeric, with its two check digits.
    Cnpj,
    /// An international bank account number (ISO 13616), with its country's length and modulo 97.
    Iban,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address (RFC 4291 section 2.2).
    Ipv6,
    /// A date beside words about birth.
    DateOfBirth,
    /// A condition, treatment or examination beside words that tie it to a person.
    Health,
    /// A biometric characteristic or template.
    Biometric,
}

impl PiiKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Email,
        Self::Card,
        Self::Ssn,
        Self::Phone,
        Self::Cpf,
        Self::Cnpj,
        Self::Iban,
        Self::Ipv4,
        Self::Ipv6,
        Self::DateOfBirth,
        Self::Health,
        Self::Biometric,
    ];

    /// The stable lower-case name, as in policy files and command output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
            Self::Cpf => "cpf",
            Self::Cnpj => "cnpj",
            Self::Iban => "iban",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::DateOfBirth => "date_of_birth",
            Self::Health => "health",
            Self::Biometric => "biometric",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A stretch of personal data in a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
    /// What it is.
    pub kind: PiiKind,
    /// How sure: 0.95 for what a check digit or an unmistakable form proves, 0.8 for a form that other numbers may
    /// share or a date beside words of birth, 0.6 for words alone.
    pub confidence: f32,
}

/// All detectors, built once and shared.
#[derive(Debug, Clone)]
pub struct Detector {
    gate: Gate,
}

impl Detector {
    /// Builds every detector.
    pub fn new() -> Self {
        Self { gate: Gate::new() }
    }

    /// Finds everything in `text`, in order, without overlaps. Offsets are bytes and lie on character boundaries.
    pub fn scan(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.scan_into(text.as_bytes(), &mut hits);
        hits
    }

    /// Appends what is in `text` to `out`, in order and without overlaps. The bytes need not be UTF-8. Nothing is
    /// allocated but room in `out`, and a copy of a text that has to be folded.
    pub fn scan_into(&self, text: &[u8], out: &mut Vec<Hit>) {
        let base = out.len();
        if self.look(text, out) {
            self.look_at_folded(text, out);
        }
        resolve::resolve(out, base);
    }

    /// Asks every detector. Says whether the text is written in a way that they do not read.
    #[inline]
    fn look(&self, text: &[u8], out: &mut Vec<Hit>) -> bool {
        self.gate.each_term(text, |start, term| terms::at(text, start, term, out));
        let seen = Gate::seen(text);
        let mut odd = seen.wide_lead && fold::has_wide(text);
        if seen.anchor {
            email::scan(text, out);
            ip::scan_v6(text, out);
            brazil::scan_cnpj(text, out);
            odd |= numbers::scan(text, out);
        }
        odd
    }

    #[cold]
    fn look_at_folded(&self, text: &[u8], out: &mut Vec<Hit>) {
        let (folded, first) = (Folded::of(text), out.len());
        self.look(&folded.text, out);
        out.iter_mut().skip(first).for_each(|hit| folded.unfold(hit));
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

/// A check digit, or a form that nothing else has.
const CERTAIN: f32 = 0.95;
/// A form that other numbers may share, or a check digit on bare digits, or a date beside words of birth.
const LIKELY: f32 = 0.8;
/// Words alone.
const POSSIBLE: f32 = 0.6;
