//! What a role sees of a message that it reads masked: what a list names, as the detectors leave it, and of everything
//! else only that it is there.

use portcullis_pii::{Class, Hit, Phone, PiiKind, mask, mask_all};
use serde_json::{Map, Value};

use crate::content::taken_apart;
use crate::{Parts, Ports};

/// Names of members, one below the other.
type Path = &'static [&'static str];

/// An item of WhatsApp. Of one that cannot be taken apart nothing is shown.
pub(crate) fn masked_item<P: Ports>(parts: &Parts<P>, json: &str) -> Value {
    masked(parts, json, SHOWN)
}

/// What came with an item about who sent it: nothing is shown but the end of the number.
pub(crate) fn masked_contact<P: Ports>(parts: &Parts<P>, json: &str) -> Value {
    masked(parts, json, &[])
}

fn masked<P: Ports>(parts: &Parts<P>, json: &str, shown: &[Path]) -> Value {
    let Some(mut value) = taken_apart(json) else { return HIDDEN.into() };
    hide(parts, &mut value, "", shown);
    value
}

/// Masks every leaf under `value`, the member `name`; `shown` is where, from here, the texts are that are shown.
fn hide<P: Ports>(parts: &Parts<P>, value: &mut Value, name: &str, shown: &[Path]) {
    match value {
        Value::String(text) if shown.contains(&&[][..]) => *text = without_personal_data(parts, text),
        Value::String(text) if is_number_of_somebody(name, text) => *text = mask_all(text),
        Value::String(text) => HIDDEN.clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(parts, value, name, shown)),
        Value::Object(members) => *members = hide_members(parts, std::mem::take(members), shown),
        // A place on earth is two numbers, and an answer to a question of health one `true`.
        Value::Number(_) | Value::Bool(_) => *value = Value::Null,
        Value::Null => {}
    }
}

fn hide_members<P: Ports>(
    parts: &Parts<P>,
    members: Map<String, Value>,
    shown: &[Path],
) -> Map<String, Value> {
    let members = members.into_iter().enumerate();
    members
        .map(|(n, (name, mut value))| {
            // An operator's policy may call a member personal that the list names.
            let personal = parts.policy.class_of_field(&name) >= Some(Class::Pii);
            let below = shown.iter().filter_map(|path| path.split_first());
            let below = below.filter(|(first, _)| **first == name && !personal).map(|(_, rest)| rest);
            let below: Vec<Path> = below.collect();
            hide(parts, &mut value, &name, &below);
            (if is_plain(&name) { name } else { format!("hidden-{n}") }, value)
        })
        .collect()
}

/// A name that a form's author gives, not one that holds an answer.
fn is_plain(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    name.len() <= MAX_NAME
        && name.bytes().all(fits)
        && name.bytes().filter(u8::is_ascii_digit).count() < MIN_DIGITS_HIDDEN
}

/// The number of a person by its member's name and its form: `wa_id`, `new_wa_id`, `recipient_id`, `from`, `phone`, ….
fn is_number_of_somebody(name: &str, text: &str) -> bool {
    let named = name.ends_with("_id") || name.ends_with("phone") || matches!(name, "from" | "to");
    named && Phone::parse(text).is_ok()
}

/// The text without what the detectors find in it, nor any long number: which those are that nobody has, no detector
/// knows of every country.
fn without_personal_data<P: Ports>(parts: &Parts<P>, text: &str) -> String {
    let mut hits = parts.detector.scan(text);
    hits.extend(long_numbers(text));
    mask(text, &hits)
}

fn long_numbers(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    let (mut start, mut count) = (0, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_numeric() {
            start = if count == 0 { at } else { start };
            count += 1;
            continue;
        }
        if count >= MIN_DIGITS_HIDDEN {
            hits.push(Hit { start, end: at, kind: PiiKind::Phone, confidence: 0.0 });
        }
        count = 0;
    }
    hits
}

/// Texts that are shown, by the names of the members that lead to them; lists on the way have none.
const SHOWN: &[Path] = &[
    &["text", "body"],
    &["image", "caption"],
    &["video", "caption"],
    &["document", "caption"],
    &["button", "text"],
    &["interactive", "button_reply", "title"],
    &["interactive", "list_reply", "title"],
    &["interactive", "list_reply", "description"],
    &["reaction", "emoji"],
];
const HIDDEN: &str = "****";
/// Shorter numbers are shown: times, amounts, postal codes.
const MIN_DIGITS_HIDDEN: usize = 7;
const MAX_NAME: usize = 64;
