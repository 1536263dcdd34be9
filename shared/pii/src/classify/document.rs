//! A YAML document that is walked entry by entry, so that every problem is reported and not only the first.

use serde_norway::{Mapping, Value};

use super::error::PolicyProblem;

/// The text of a document, and what was found wrong with it so far.
#[derive(Debug)]
pub(super) struct Document<'y> {
    yaml: &'y str,
    problems: Vec<PolicyProblem>,
}

impl<'y> Document<'y> {
    /// Reads the document's mapping.
    pub(super) fn open(yaml: &'y str) -> (Self, Option<Mapping>) {
        let mut document = Self { yaml, problems: Vec::new() };
        if yaml.len() > MAX_LEN {
            document.problem(None, format!("longer than {MAX_LEN} bytes"));
            return (document, None);
        }
        let root = match serde_norway::from_str(yaml) {
            Ok(Value::Mapping(root)) => Some(root),
            Ok(_) => {
                document.problem(None, "not a mapping".to_owned());
                None
            }
            Err(error) => {
                let line = error.location().map(|place| place.line());
                document.problem(line, format!("not YAML: {error}"));
                None
            }
        };
        (document, root)
    }

    /// The problems.
    pub(super) fn into_problems(self) -> Vec<PolicyProblem> {
        self.problems
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, line: Option<usize>, message: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(PolicyProblem { line, message });
        }
    }

    /// Notes a problem with the entry of that name: the line is that of the name's last mention outside comments.
    pub(super) fn problem_with(&mut self, name: &str, message: String) {
        let line = self.line_of(name);
        self.problem(line, message);
    }

    /// The entries of a mapping by name. `place` names it in problems.
    pub(super) fn entries(&mut self, place: &str, value: Option<Value>) -> Vec<(String, Value)> {
        match value {
            Some(Value::Mapping(mapping)) => self.named(place, mapping),
            Some(_) => {
                self.problem_with(last(place), format!("{place} is not a mapping"));
                Vec::new()
            }
            None => {
                self.problem(None, format!("{place} is missing"));
                Vec::new()
            }
        }
    }

    /// The entries of a mapping whose keys are texts.
    pub(super) fn named(&mut self, place: &str, mapping: Mapping) -> Vec<(String, Value)> {
        let mut entries = Vec::new();
        for (key, value) in mapping {
            match key {
                Value::String(key) => entries.push((key, value)),
                _ => self.problem_with(last(place), format!("{place} has a key that is no text")),
            }
        }
        entries
    }

    /// A list of names: 1–64 ASCII letters, digits and `._-`, at most 256 of them.
    pub(super) fn names(&mut self, place: &str, value: Option<Value>) -> Vec<String> {
        let Some(Value::Sequence(values)) = value else {
            self.problem_with(last(place), format!("{place} is not a list"));
            return Vec::new();
        };
        if values.len() > MAX_NAMES {
            self.problem_with(last(place), format!("{place} has more than {MAX_NAMES} entries"));
            return Vec::new();
        }
        values.into_iter().filter_map(|value| self.name(place, value)).collect()
    }

    fn name(&mut self, place: &str, value: Value) -> Option<String> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        match value {
            Value::String(name) if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) => {
                Some(name)
            }
            Value::String(name) => {
                let shown: String = name.chars().take(MAX_NAME).collect();
                self.problem_with(&name, format!("{place}: {shown:?} is no name"));
                None
            }
            _ => {
                self.problem_with(last(place), format!("{place} has an entry that is no text"));
                None
            }
        }
    }

    fn line_of(&self, name: &str) -> Option<usize> {
        let code = |line: &'y str| line.split_once('#').map_or(line, |(code, _)| code);
        let mentions = |line: &str| {
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || "._-".contains(c)));
            words.any(|word| word == name)
        };
        let lines = self.yaml.lines().enumerate().filter(|(_, line)| mentions(code(line)));
        lines.last().map(|(i, _)| i + 1)
    }
}

fn last(place: &str) -> &str {
    place.rsplit('/').next().unwrap_or(place)
}

const MAX_LEN: usize = 64 * 1024;
const MAX_NAMES: usize = 256;
const MAX_NAME: usize = 64;
const MAX_PROBLEMS: usize = 100;
