//! Goes from number to number and asks the detectors that begin at digits.

use super::fold::odd_after;
use super::groups::Groups;
use super::text::{at, before, glued_after, glued_before, in_opaque_token, is_digit, part, word_before};
use super::words::{ends_with_any, near_before};
use super::{CERTAIN, Hit, birth, brazil, card, iban, ip, phone, ssn};

/// Says whether some number goes on behind signs that no detector reads.
pub(super) fn scan(text: &[u8], out: &mut Vec<Hit>) -> bool {
    let (mut place, mut odd) = (0, false);
    while let Some((start, end)) = next_token(text, place) {
        place = end;
        odd = odd || odd_after(text, end);
        if part(text, start, end).iter().all(u8::is_ascii_digit) {
            place = number(text, start, end, out).max(end);
        } else {
            mixed(text, start, end, out);
        }
        birth::find(text, start, end, out);
    }
    odd
}

/// The next run of letters and digits with a digit in it.
fn next_token(text: &[u8], place: usize) -> Option<(usize, usize)> {
    let digit = place + text.get(place..)?.iter().position(u8::is_ascii_digit)?;
    let word = |b: &u8| b.is_ascii_alphanumeric();
    let start = digit - part(text, place, digit).iter().rev().take_while(|b| word(b)).count();
    let end = digit + text.get(digit..)?.iter().take_while(|b| word(b)).count();
    Some((start, end))
}

/// A token of digits alone. Returns where to go on: past what was surely found.
fn number(text: &[u8], start: usize, end: usize, out: &mut Vec<Hit>) -> usize {
    ip::find_v4(text, start, out);
    let plus = before(text, start, 1) == b'+';
    if end - start > LONGEST || glued_before(text, start) || (plus && word_before(text, start - 1)) {
        return end;
    }
    let site = Site { start, end, plus };
    let groups = Groups::read(text, start);
    let detectors = [card::find, ssn::find, brazil::find_cpf, brazil::find_bare_cnpj];
    let found = detectors.iter().filter_map(|find| find(text, &site, &groups));
    let hits = found.map(|(end, kind, confidence)| Hit { start, end, kind, confidence });
    let mut past = end;
    for hit in hits.chain(phone::find(text, &site, &groups)).filter(|_| !in_opaque_token(text, start)) {
        out.push(hit);
        // What is only likely may cover the beginning of something certain.
        if hit.confidence >= CERTAIN {
            past = past.max(hit.end);
        }
    }
    past
}

/// A token of letters and digits.
fn mixed(text: &[u8], start: usize, end: usize, out: &mut Vec<Hit>) {
    let found = iban::find(text, start).or_else(|| brazil::find_bare_alphanumeric_cnpj(text, start, end));
    if let Some(hit) = found.filter(|_| !in_opaque_token(text, start)) {
        out.push(hit);
    }
}

/// Where a number begins, and what stands before it.
#[derive(Debug)]
pub(super) struct Site {
    /// The first digit.
    pub(super) start: usize,
    /// Past the first run of digits.
    pub(super) end: usize,
    /// Whether `+` stands before it.
    pub(super) plus: bool,
}

impl Site {
    /// Whether one of `entries` stands shortly before.
    pub(super) fn after_words(&self, text: &[u8], entries: &[&[u8]]) -> bool {
        near_before(text, self.start, NEAR, entries)
    }

    /// Whether what is just before says that this is the number of a thing (`order id 411…`, `#411…`, `pedido: 411…`),
    /// and none of `unless` stands near.
    pub(super) fn is_an_id(&self, text: &[u8], unless: &[&[u8]]) -> bool {
        let gap = part(text, self.start.saturating_sub(ID_GAP), self.start);
        let gap = gap.iter().rev().take_while(|b| b" :=#.\"'".contains(b)).count();
        let word_end = self.start - gap;
        let says = |entries| ends_with_any(text, word_end, ID_NEAR, entries);
        let with_colon = matches!(at(text, word_end), b':' | b'=' | b'"');
        let marked = part(text, word_end, self.start).contains(&b'#')
            || says(ID_WORDS)
            || (with_colon && says(ID_WORDS_WITH_COLON));
        marked && !self.after_words(text, unless)
    }

    /// How many digits the number has that stands just before, over one blank; 0 where it is the end of something
    /// longer, such as a date.
    pub(super) fn digits_before(&self, text: &[u8]) -> usize {
        let end = self.start.saturating_sub(1);
        let digits =
            part(text, end.saturating_sub(NEAR), end).iter().rev().take_while(|b| is_digit(**b)).count();
        if glued_before(text, end - digits) { 0 } else { digits }
    }

    /// Whether what ends at `end` goes on as a longer token.
    pub(super) fn glued_after(&self, text: &[u8], end: usize) -> bool {
        glued_after(text, end)
    }
}

/// Longer runs of digits are no number that a person has.
const LONGEST: usize = 19;
/// Bytes before a number in which a word says what it is.
const NEAR: usize = 48;
/// The longest words that say that a number numbers a thing.
const ID_NEAR: usize = 24;
/// Signs between such a word and the number.
const ID_GAP: usize = 4;
const ID_WORDS: &[&[u8]] = &[
    b"id",
    b"ids",
    b"uuid",
    b"guid",
    b"sku",
    b"imei",
    b"nsu",
    b"wamid",
    b"timestamp",
    b"epoch",
    b"protocolo",
    b"order number",
    b"order no",
    b"order id",
    b"tracking number",
    b"tracking no",
    b"tracking code",
    b"ticket number",
    b"invoice number",
    b"pedido n",
    b"pedido num",
    "pedido nº".as_bytes(),
    "pedido número".as_bytes(),
    b"pedido numero",
    "código de rastreio".as_bytes(),
    b"codigo de rastreio",
    b"rastreio",
    b"rastreamento",
    b"rastreo",
    "número de guía".as_bytes(),
    b"nota fiscal",
    b"nf",
    b"transaction",
    "transação".as_bytes(),
    "transacción".as_bytes(),
    b"build",
];
const ID_WORDS_WITH_COLON: &[&[u8]] = &[
    b"order",
    b"pedido",
    b"tracking",
    b"ticket",
    b"invoice",
    b"factura",
    b"fatura",
    b"ref",
    b"referencia",
    "referência".as_bytes(),
    b"encomenda",
    b"envio",
    "envío".as_bytes(),
    b"lote",
    b"batch",
    b"session",
    b"request",
    b"message",
    b"ts",
    b"time",
    b"created at",
    b"updated at",
    b"nonce",
    b"version",
];
