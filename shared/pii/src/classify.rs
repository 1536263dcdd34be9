//! What class a record is of, from its fields' names and what is found in them, and what follows from the class.

mod class;
mod document;
mod error;
mod policy_file;

use std::collections::{BTreeMap, BTreeSet};

pub use class::{Access, Class};
pub use error::{PolicyError, PolicyProblem};

use crate::detect::{Detector, PiiKind};

/// Classes, their rules, and what belongs to each: the content of a classification file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassificationPolicy {
    unnamed: Class,
    rules: BTreeMap<Class, Rule>,
    fields: BTreeMap<String, Class>,
    kinds: BTreeMap<PiiKind, Class>,
}

/// What follows from a class.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    retention_days: u32,
    encryption_required: bool,
    /// Roles that may read something.
    access: BTreeMap<String, Access>,
}

/// What the policy says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification<'p> {
    /// The strictest class involved.
    pub class: Class,
    /// Something personal is in it: a field of class [`Class::Pii`] or stricter that is not empty, or a hit of one.
    pub pii_detected: bool,
    /// The same for [`Class::Sensitive`].
    pub sensitive_detected: bool,
    /// Days after which the record is deleted: the shortest of the classes involved.
    pub retention_days: u32,
    /// Whether any class involved asks for encryption.
    pub encryption_required: bool,
    /// What was found.
    pub kinds: BTreeSet<PiiKind>,
    /// Who may read records of this class; a role that is not in it reads nothing.
    pub access: &'p BTreeMap<String, Access>,
}

impl ClassificationPolicy {
    /// Reads a classification file (YAML, at most 64 KiB).
    ///
    /// # Errors
    /// Everything that is wrong with it, at once: what is not YAML, unknown or missing entries, names and numbers out
    /// of bounds, a kind without a class, a field or kind with two, a role that reads both in full and masked.
    pub fn parse(yaml: &str) -> Result<Self, PolicyError> {
        policy_file::parse(yaml)
    }

    /// Classifies a record given as field names and texts. A field that the policy
    /// does not name, and a record without content, is of the file's class `unnamed`.
    pub fn classify<'p, 't>(
        &'p self,
        detector: &Detector,
        fields: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Classification<'p> {
        let mut classes = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        let mut hits = Vec::new();
        for (name, text) in fields {
            detector.scan_into(text.as_bytes(), &mut hits);
            kinds.extend(hits.drain(..).map(|hit| hit.kind));
            classes.extend((!text.is_empty()).then(|| self.class_of_field(name).unwrap_or(self.unnamed)));
        }
        classes.extend(kinds.iter().map(|kind| self.class_of_kind(*kind)));
        if classes.is_empty() {
            classes.insert(self.unnamed);
        }
        self.conclude(&classes, kinds)
    }

    /// What a role may see of a class. A role that the class does not name sees nothing.
    pub fn access(&self, class: Class, role: &str) -> Access {
        self.rules.get(&class).and_then(|rule| rule.access.get(role)).copied().unwrap_or(Access::None)
    }

    /// Class of a field by its name, whatever the case of its letters; `None` if the policy does not name it.
    pub fn class_of_field(&self, name: &str) -> Option<Class> {
        let any_case =
            || self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, class)| class);
        self.fields.get(name).or_else(any_case).copied()
    }

    /// Class of what a detector finds.
    pub fn class_of_kind(&self, kind: PiiKind) -> Class {
        // Every kind has a class: the file is refused otherwise.
        self.kinds.get(&kind).copied().unwrap_or(Class::Sensitive)
    }

    /// Days that records of a class are kept.
    pub fn retention_days(&self, class: Class) -> u32 {
        self.rules.get(&class).map_or(SHORTEST_RETENTION, |rule| rule.retention_days)
    }

    /// Every role that some class names, once, in order of name.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let roles: BTreeSet<&str> =
            self.rules.values().flat_map(|rule| rule.access.keys()).map(String::as_str).collect();
        roles.into_iter()
    }

    fn conclude(&self, classes: &BTreeSet<Class>, kinds: BTreeSet<PiiKind>) -> Classification<'_> {
        let class = classes.last().copied().unwrap_or(self.unnamed);
        let rules = || classes.iter().filter_map(|class| self.rules.get(class));
        Classification {
            class,
            pii_detected: class >= Class::Pii,
            sensitive_detected: class >= Class::Sensitive,
            retention_days: rules().map(|rule| rule.retention_days).min().unwrap_or(SHORTEST_RETENTION),
            encryption_required: rules().any(|rule| rule.encryption_required),
            kinds,
            access: self.rules.get(&class).map_or(&NOBODY, |rule| &rule.access),
        }
    }
}

impl Default for ClassificationPolicy {
    /// What the shipped `config/classification.yaml` says, without reading it.
    fn default() -> Self {
        policy_file::shipped()
    }
}

const SHORTEST_RETENTION: u32 = 1;
static NOBODY: BTreeMap<String, Access> = BTreeMap::new();
