//! Which rules a record can match at all: most records are judged by a handful of rules.
//!
//! A rule is filed under values that a member of the record must have for the rule to match. That is found from the
//! rule's condition alone, and only where it is certain; a rule without such a member is tried on every record.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SelectorPattern, SigmaRule, SigmaValue,
};

use crate::record::{Record, text};

/// Rules by the values that they need.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_value: [HashMap<String, Vec<usize>>; MEMBERS.len()],
    always: Vec<usize>,
}

impl Index {
    /// Files a rule.
    pub(crate) fn add(&mut self, position: usize, rule: &SigmaRule) {
        for (member, by_value) in MEMBERS.iter().zip(&mut self.by_value) {
            let Some(values) = needed(rule, member) else { continue };
            for value in values {
                by_value.entry(value).or_default().push(position);
            }
            return;
        }
        self.always.push(position);
    }

    /// Positions of the rules that may match.
    pub(crate) fn candidates<'i>(&'i self, record: &Record<'_>) -> impl Iterator<Item = usize> + 'i {
        let head = record.head();
        let values = [&head.event_name, &head.error_code, &head.identity.kind, &head.event_source];
        let mut filed: [&[usize]; MEMBERS.len()] = [&[]; MEMBERS.len()];
        for ((slot, by_value), value) in filed.iter_mut().zip(&self.by_value).zip(values) {
            let value = text(value.as_ref());
            if !value.is_empty() && !by_value.is_empty() {
                *slot = by_value.get(&*lowercase(value)).map_or(&[], Vec::as_slice);
            }
        }
        filed.into_iter().flatten().chain(&self.always).copied()
    }
}

/// Values of which a record's member has one, whenever the rule matches; `None` where that is not certain.
fn needed(rule: &SigmaRule, member: &str) -> Option<BTreeSet<String>> {
    let named = &rule.detection.named;
    let of = |name: &str| named.get(name).and_then(|detection| by_detection(detection, member));
    union(rule.detection.conditions.iter().map(|condition| {
        by_condition(condition, &|pattern, all| match pattern {
            Pattern::Name(name) => of(name),
            Pattern::Selector(selector) => {
                let sets =
                    named.keys().filter(|name| selector.matches_detection_name(name)).map(|name| of(name));
                if all { smallest(sets) } else { union(sets) }
            }
        })
    }))
}

enum Pattern<'p> {
    Name(&'p str),
    Selector(&'p SelectorPattern),
}

type Resolve<'r> = &'r dyn Fn(Pattern<'_>, bool) -> Option<BTreeSet<String>>;

fn by_condition(condition: &ConditionExpr, resolve: Resolve<'_>) -> Option<BTreeSet<String>> {
    match condition {
        ConditionExpr::And(parts) => smallest(parts.iter().map(|part| by_condition(part, resolve))),
        ConditionExpr::Or(parts) => union(parts.iter().map(|part| by_condition(part, resolve))),
        ConditionExpr::Not(_) => None,
        ConditionExpr::Identifier(name) => resolve(Pattern::Name(name), true),
        ConditionExpr::Selector { quantifier, pattern } => match quantifier {
            Quantifier::All => resolve(Pattern::Selector(pattern), true),
            Quantifier::Any => resolve(Pattern::Selector(pattern), false),
            // None of them need match.
            Quantifier::Count(0) => None,
            Quantifier::Count(_) => resolve(Pattern::Selector(pattern), false),
        },
    }
}

fn by_detection(detection: &Detection, member: &str) -> Option<BTreeSet<String>> {
    match detection {
        Detection::AllOf(items) => smallest(items.iter().map(|item| by_item(item, member))),
        Detection::And(parts) => smallest(parts.iter().map(|part| by_detection(part, member))),
        Detection::AnyOf(parts) => union(parts.iter().map(|part| by_detection(part, member))),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => None,
    }
}

/// An item of plain strings, compared for equality.
fn by_item(item: &DetectionItem, member: &str) -> Option<BTreeSet<String>> {
    if item.field.name.as_deref() != Some(member)
        || item.field.modifiers.iter().any(|m| *m != Modifier::Cased)
    {
        return None;
    }
    let plain = |value: &SigmaValue| match value {
        SigmaValue::String(string) => {
            string.as_plain().filter(|plain| !plain.is_empty()).map(|plain| plain.to_lowercase())
        }
        _ => None,
    };
    item.values.iter().map(plain).collect::<Option<BTreeSet<_>>>().filter(|values| !values.is_empty())
}

/// All of the parts hold: the one that narrows most.
fn smallest(sets: impl Iterator<Item = Option<BTreeSet<String>>>) -> Option<BTreeSet<String>> {
    sets.flatten().min_by_key(BTreeSet::len)
}

/// One of the parts holds: any of their values. Without a part nothing is certain.
fn union(mut sets: impl Iterator<Item = Option<BTreeSet<String>>>) -> Option<BTreeSet<String>> {
    let first = sets.next()??;
    sets.try_fold(first, |mut all, set| {
        all.extend(set?);
        Some(all)
    })
}

fn lowercase(value: &str) -> Cow<'_, str> {
    if value.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
        Cow::Owned(value.to_lowercase())
    } else {
        Cow::Borrowed(value)
    }
}

/// The members to file under, the most telling first. The order of `candidates` is this one.
const MEMBERS: [&str; 4] = ["eventName", "errorCode", "userIdentity.type", "eventSource"];

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(detection: &str) -> (usize, Vec<String>) {
        let yaml =
            format!("title: t\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n{detection}");
        let rule = rsigma_parser::parse_sigma_yaml(&yaml).unwrap().into_result().unwrap().rules.remove(0);
        MEMBERS
            .iter()
            .enumerate()
            .find_map(|(i, member)| Some((i, needed(&rule, member)?.into_iter().collect())))
            .unwrap_or((9, Vec::new()))
    }

    #[test]
    fn a_rule_is_filed_only_under_what_it_must_have() {
        for (case, detection, expected) in [
            ("name", "  a: {eventSource: s, eventName: [X, Y]}\n  condition: a", (0, vec!["x", "y"])),
            ("source", "  a: {eventSource: S, eventName|startswith: X}\n  condition: a", (3, vec!["s"])),
            (
                "either name",
                "  a: {eventName: X}\n  b: {eventName: Y}\n  condition: a or b",
                (0, vec!["x", "y"]),
            ),
            (
                "a name or nothing",
                "  a: {eventName: X}\n  b: {awsRegion: Y}\n  condition: a or b",
                (9, vec![]),
            ),
            (
                "one of",
                "  s_a: {eventName: X}\n  s_b: {eventName: Y}\n  condition: 1 of s_*",
                (0, vec!["x", "y"]),
            ),
            (
                "all of",
                "  s_a: {eventName: X}\n  s_b: {awsRegion: Y}\n  condition: all of s_*",
                (0, vec!["x"]),
            ),
            ("not", "  a: {eventName: X}\n  condition: not a", (9, vec![])),
            (
                "a filter",
                "  a: {eventName: X}\n  f: {eventName: Y}\n  condition: a and not f",
                (0, vec!["x"]),
            ),
            ("a wildcard", "  a: {eventName: 'X*'}\n  condition: a", (9, vec![])),
            (
                "a list of maps",
                "  a:\n    - {eventName: X}\n    - {eventName: Y}\n  condition: a",
                (0, vec!["x", "y"]),
            ),
            ("errors", "  a: {errorCode: AccessDenied}\n  condition: a", (1, vec!["accessdenied"])),
            ("root", "  a: {userIdentity.type: Root}\n  condition: a", (2, vec!["root"])),
            ("null", "  a: {eventName: null}\n  condition: a", (9, vec![])),
            ("exists", "  a: {eventName|exists: true}\n  condition: a", (9, vec![])),
            (
                "two conditions",
                "  a: {eventName: X}\n  b: {eventName: Y}\n  condition: [a, b]",
                (0, vec!["x", "y"]),
            ),
        ] {
            let (member, values) = needs(detection);
            assert_eq!((member, values.iter().map(String::as_str).collect::<Vec<_>>()), expected, "{case}");
        }
    }
}
