//! The classification file, version 1.

use std::collections::BTreeMap;

use serde_norway::Value;

use super::document::Document;
use super::{Access, Class, ClassificationPolicy, PolicyError, Rule};
use crate::detect::PiiKind;

/// Reads a file.
pub(super) fn parse(yaml: &str) -> Result<ClassificationPolicy, PolicyError> {
    let (mut document, root) = Document::open(yaml);
    let policy = root.and_then(|root| {
        let entries = document.named("the file", root);
        policy(&mut document, entries)
    });
    let problems = document.into_problems();
    match policy {
        Some(policy) if problems.is_empty() => Ok(policy),
        _ => Err(PolicyError::new(problems)),
    }
}

fn policy(document: &mut Document<'_>, entries: Vec<(String, Value)>) -> Option<ClassificationPolicy> {
    let mut parts = Parts::take(document, "", entries, &["version", "unnamed", "classes", "fields", "kinds"]);
    match parts.part("version") {
        Some(Value::Number(n)) if n.as_u64() == Some(1) => {}
        Some(_) => document.problem_with("version", "version is not 1".to_owned()),
        None => document.problem(None, "version is missing".to_owned()),
    }
    let unnamed = unnamed(document, parts.part("unnamed").as_ref());
    let rules = rules(document, parts.part("classes"));
    let fields = by_class(document, "fields", parts.part("fields"));
    let kinds = kinds(document, parts.part("kinds"));
    let fields = fields.into_iter().map(|(name, class)| (name.to_ascii_lowercase(), class)).collect();
    unnamed.map(|unnamed| ClassificationPolicy { unnamed, rules, fields, kinds })
}

fn unnamed(document: &mut Document<'_>, value: Option<&Value>) -> Option<Class> {
    let class = value.and_then(Value::as_str).and_then(Class::parse);
    if class.is_none() {
        document.problem_with("unnamed", "unnamed is not one of the four classes".to_owned());
    }
    class
}

fn rules(document: &mut Document<'_>, value: Option<Value>) -> BTreeMap<Class, Rule> {
    let mut rules = BTreeMap::new();
    let present = value.is_some();
    for (name, value) in document.entries("classes", value) {
        let Some(class) = class(document, "classes", &name) else { continue };
        let rule = rule(document, &name, value);
        rules.insert(class, rule);
    }
    for class in Class::ALL {
        if present && !rules.contains_key(&class) {
            document.problem_with("classes", format!("classes has no {}", class.as_str()));
        }
    }
    rules
}

fn rule(document: &mut Document<'_>, name: &str, value: Value) -> Rule {
    let place = |part: &str| format!("classes/{name}/{part}");
    let entries = document.entries(&format!("classes/{name}"), Some(value));
    let known = ["retention_days", "encryption_required", "read_full", "read_masked"];
    let mut parts = Parts::take(document, &format!("classes/{name}/"), entries, &known);
    let days =
        parts.part("retention_days").as_ref().and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let days = days.filter(|days| (1..=MAX_RETENTION_DAYS).contains(days));
    if days.is_none() {
        let problem =
            format!("{} is not a number of days from 1 to {MAX_RETENTION_DAYS}", place("retention_days"));
        document.problem_with("retention_days", problem);
    }
    let encryption = parts.part("encryption_required").as_ref().and_then(Value::as_bool);
    if encryption.is_none() {
        document.problem_with(
            "encryption_required",
            format!("{} is not true or false", place("encryption_required")),
        );
    }
    let mut access = BTreeMap::new();
    for (part, allowed) in [("read_full", Access::Full), ("read_masked", Access::Masked)] {
        for role in document.names(&place(part), parts.part(part)) {
            if access.insert(role.clone(), allowed).is_some() {
                document.problem_with(&role, format!("classes/{name} names the role {role} twice"));
            }
        }
    }
    Rule { retention_days: days.unwrap_or(1), encryption_required: encryption.unwrap_or(true), access }
}

fn kinds(document: &mut Document<'_>, value: Option<Value>) -> BTreeMap<PiiKind, Class> {
    let mut kinds = BTreeMap::new();
    let present = value.is_some();
    for (name, class) in by_class(document, "kinds", value) {
        match PiiKind::parse(&name) {
            Some(kind) => drop(kinds.insert(kind, class)),
            None => document.problem_with(&name, format!("kinds: {name} is no kind that is detected")),
        }
    }
    for kind in PiiKind::ALL {
        if present && !kinds.contains_key(&kind) {
            document.problem_with("kinds", format!("kinds: {} has no class", kind.as_str()));
        }
    }
    kinds
}

/// Lists of names under their classes, turned round. A name is in one list only.
fn by_class(document: &mut Document<'_>, place: &str, value: Option<Value>) -> BTreeMap<String, Class> {
    let mut names = BTreeMap::new();
    for (key, value) in document.entries(place, value) {
        let Some(class) = class(document, place, &key) else { continue };
        for name in document.names(&format!("{place}/{key}"), Some(value)) {
            if names.insert(name.clone(), class).is_some() {
                document.problem_with(&name, format!("{place}: {name} stands there twice"));
            }
        }
    }
    names
}

fn class(document: &mut Document<'_>, place: &str, name: &str) -> Option<Class> {
    let class = Class::parse(name);
    if class.is_none() {
        document.problem_with(name, format!("{place}: {name:?} is not one of the four classes"));
    }
    class
}

/// The known entries of a mapping.
struct Parts(BTreeMap<String, Value>);

impl Parts {
    fn take(document: &mut Document<'_>, place: &str, entries: Vec<(String, Value)>, known: &[&str]) -> Self {
        let (parts, unknown): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(k, _)| known.contains(&k.as_str()));
        for (key, _) in unknown {
            document.problem_with(&key, format!("{place}{key} is unknown"));
        }
        Self(parts.into_iter().collect())
    }

    fn part(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }
}

/// The shipped file, said in code: a policy is there even where no file is.
pub(super) fn shipped() -> ClassificationPolicy {
    let personal = || rule_of(7, true, &["pii-reader", "svc.memory"], &["auditor", "svc.bff"]);
    let rules = BTreeMap::from([
        (Class::Sensitive, personal()),
        (Class::Pii, personal()),
        (Class::Internal, Rule { retention_days: 30, ..personal() }),
        (Class::Public, rule_of(30, false, &EVERYONE, &[])),
    ]);
    let fields =
        SHIPPED_FIELDS.iter().flat_map(|(c, names)| names.iter().map(|n| ((*n).to_owned(), *c))).collect();
    let kind_class = |kind| match kind {
        PiiKind::Card | PiiKind::Health | PiiKind::Biometric => Class::Sensitive,
        _ => Class::Pii,
    };
    let kinds = PiiKind::ALL.into_iter().map(|kind| (kind, kind_class(kind))).collect();
    ClassificationPolicy { unnamed: Class::Internal, rules, fields, kinds }
}

fn rule_of(retention_days: u32, encryption_required: bool, full: &[&str], masked: &[&str]) -> Rule {
    let of =
        |roles: &[&str], access| roles.iter().map(move |r| ((*r).to_owned(), access)).collect::<Vec<_>>();
    let access = of(full, Access::Full).into_iter().chain(of(masked, Access::Masked)).collect();
    Rule { retention_days, encryption_required, access }
}

const MAX_RETENTION_DAYS: u32 = 3650;
const EVERYONE: [&str; 9] = [
    "pii-reader",
    "auditor",
    "security-admin",
    "svc.analyst",
    "svc.optimizer",
    "svc.enterprise",
    "svc.actuator",
    "svc.memory",
    "svc.bff",
];
const SHIPPED_FIELDS: [(Class, &[&str]); 4] = [
    (Class::Sensitive, &["payment_info", "health_data", "biometric_data"]),
    (Class::Pii, &["user_phone", "phone", "wa_id", "name", "email", "address"]),
    (Class::Internal, &["session_id", "conversation_id", "metadata"]),
    (Class::Public, &["product_info", "general_responses"]),
];
