//! Reading rule files: all problems at once, each with its file and line.

use std::collections::{HashMap, HashSet};
use std::fmt;

use rsigma_eval::{CompiledRule, compile_rule};
use rsigma_parser::{CorrelationRule, SigmaCollection, SigmaRule, parse_sigma_yaml};

use crate::correlation::Correlation;
use crate::index::Index;
use crate::rule::{Attributes, RuleInfo, asks_about_failure, fields_of, techniques};
use crate::view::{DERIVED, PREFIX};

/// Rules that are ready to judge records.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(crate) rules: Vec<EventRule>,
    pub(crate) index: Index,
    pub(crate) correlations: Vec<Correlation>,
}

/// A rule on single events.
#[derive(Debug)]
pub(crate) struct EventRule {
    pub(crate) info: RuleInfo,
    pub(crate) compiled: CompiledRule,
    /// Whether a match is a hit. A rule that only feeds correlations is none.
    pub(crate) alerts: bool,
    /// Correlations that count this rule's matches: their position, and that of the rule within them.
    pub(crate) feeds: Vec<(usize, usize)>,
}

/// Everything that is wrong with the rule files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RuleErrors(pub Vec<RuleProblem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    /// The file's name, as it was given.
    pub file: String,
    /// Where the rule begins, or the error where that is known; from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl RuleSet {
    /// Reads rule files: pairs of a file's name and its YAML. A file holds one rule or several documents.
    ///
    /// # Errors
    /// All problems of all files; then no rule is taken, since a set with holes would look complete.
    pub fn load<N, Y>(files: impl IntoIterator<Item = (N, Y)>) -> Result<Self, RuleErrors>
    where
        N: Into<String>,
        Y: AsRef<str>,
    {
        let mut loader = Loader::default();
        let mut correlations = Vec::new();
        for (count, (name, yaml)) in files.into_iter().enumerate() {
            let source = Source { name: name.into(), yaml: yaml.as_ref().to_owned() };
            if count >= MAX_FILES {
                loader.problem(&source, 1, format!("more than {MAX_FILES} rule files"));
                break;
            }
            let Some(collection) = loader.parse(&source) else { continue };
            for rule in &collection.rules {
                loader.add_rule(&source, rule);
            }
            for filter in &collection.filters {
                let line = source.line_of(&filter.title);
                loader.problem(
                    &source,
                    line,
                    "a Sigma filter: not supported, put the exception into the rule".to_owned(),
                );
            }
            correlations.extend(collection.correlations.into_iter().map(|rule| (source.clone(), rule)));
        }
        // References go across files: correlations come when all rules are known.
        for (source, rule) in &correlations {
            loader.add_correlation(source, rule);
        }
        loader.finish()
    }

    /// What each rule says of itself, event rules first. Rules that only feed correlations are left out.
    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        let events = self.rules.iter().filter(|rule| rule.alerts).map(|rule| &rule.info);
        events.chain(self.correlations.iter().map(|rule| &rule.info))
    }
}

#[derive(Clone)]
struct Source {
    name: String,
    yaml: String,
}

#[derive(Default)]
struct Loader {
    set: RuleSet,
    problems: Vec<RuleProblem>,
    ids: HashSet<String>,
    /// Event rules by what a correlation may call them: id, name or title.
    known: HashMap<String, usize>,
}

impl Loader {
    fn problem(&mut self, source: &Source, line: usize, message: String) {
        self.problems.push(RuleProblem { file: source.name.clone(), line, message });
    }

    fn parse(&mut self, source: &Source) -> Option<SigmaCollection> {
        if source.yaml.len() > MAX_FILE_BYTES {
            self.problem(source, 1, format!("larger than {MAX_FILE_BYTES} bytes"));
            return None;
        }
        match parse_sigma_yaml(&source.yaml) {
            Ok(collection) if collection.errors.is_empty() && !collection.is_empty() => {
                return Some(collection);
            }
            Ok(collection) if collection.errors.is_empty() => self.problem(source, 1, "no rule".to_owned()),
            Ok(collection) => {
                for error in collection.errors {
                    let line = source.line_of_error(&error);
                    self.problem(source, line, error);
                }
            }
            Err(error) => self.problem(source, source.line_of_error(&error.to_string()), error.to_string()),
        }
        None
    }

    fn add_rule(&mut self, source: &Source, rule: &SigmaRule) {
        let line = source.line_of(rule.id.as_ref().unwrap_or(&rule.title));
        match self.event_rule(source, rule) {
            Ok(event_rule) => {
                let position = self.set.rules.len();
                self.register(source, line, &event_rule.info);
                let names = [rule.id.as_ref(), rule.name.as_ref(), Some(&rule.title)];
                for name in names.into_iter().flatten() {
                    self.known.entry(name.clone()).or_insert(position);
                }
                self.set.index.add(position, rule);
                self.set.rules.push(event_rule);
            }
            Err(message) => self.problem(source, line, message),
        }
    }

    fn event_rule(&self, source: &Source, rule: &SigmaRule) -> Result<EventRule, String> {
        if self.set.rules.len() >= MAX_RULES {
            return Err(format!("more than {MAX_RULES} rules"));
        }
        let source_is = |field: &Option<String>, wanted: &str| {
            field.as_ref().is_none_or(|f| f.eq_ignore_ascii_case(wanted))
        };
        if rule.logsource.product.is_none()
            || !source_is(&rule.logsource.product, "aws")
            || !source_is(&rule.logsource.service, "cloudtrail")
        {
            return Err(
                "not a rule for CloudTrail: logsource must be product aws, service cloudtrail".to_owned()
            );
        }
        let unknown = |field: &&str| field.strip_prefix(PREFIX).is_some_and(|name| !DERIVED.contains(&name));
        if let Some(field) = fields_of(rule).into_iter().find(unknown) {
            return Err(format!("no field is named {field} (there are {PREFIX}{{{}}})", DERIVED.join(", ")));
        }
        let attributes = Attributes::read(&rule.custom_attributes)?;
        let info = RuleInfo {
            id: identity(source, rule.id.as_ref(), rule.name.as_ref()),
            name: rule.name.clone().unwrap_or_else(|| source.stem().to_owned()),
            file: source.name.clone(),
            title: rule.title.clone(),
            severity: rule.level.into(),
            techniques: techniques(&rule.tags),
            incident_type: attributes.incident,
            contain: attributes.contain,
            attempts: attributes.attempts || asks_about_failure(rule),
        };
        let compiled = compile_rule(rule).map_err(|e| e.to_string())?;
        Ok(EventRule { info, compiled, alerts: true, feeds: Vec::new() })
    }

    fn add_correlation(&mut self, source: &Source, rule: &CorrelationRule) {
        let line = source.line_of(rule.id.as_ref().unwrap_or(&rule.title));
        match self.correlation(source, rule) {
            Ok(correlation) => {
                self.register(source, line, &correlation.info);
                let number = self.set.correlations.len();
                for (within, base) in correlation.bases().iter().enumerate() {
                    if let Some(event_rule) = self.set.rules.get_mut(base.position) {
                        event_rule.feeds.push((number, within));
                        event_rule.alerts &= rule.generate;
                    }
                }
                self.set.correlations.push(correlation);
            }
            Err(message) => self.problem(source, line, message),
        }
    }

    fn correlation(&self, source: &Source, rule: &CorrelationRule) -> Result<Correlation, String> {
        let attributes = Attributes::read(&rule.custom_attributes)?;
        let info = RuleInfo {
            id: identity(source, rule.id.as_ref(), rule.name.as_ref()),
            name: rule.name.clone().unwrap_or_else(|| source.stem().to_owned()),
            file: source.name.clone(),
            title: rule.title.clone(),
            severity: rule.level.into(),
            techniques: techniques(&rule.tags),
            incident_type: attributes.incident,
            contain: attributes.contain,
            attempts: true,
        };
        Correlation::compile(rule, info, |reference| self.known.get(reference).copied())
    }

    fn register(&mut self, source: &Source, line: usize, info: &RuleInfo) {
        if !self.ids.insert(info.id.clone()) {
            self.problem(source, line, format!("another rule has the id {:?}", info.id));
        }
    }

    fn finish(self) -> Result<RuleSet, RuleErrors> {
        if self.problems.is_empty() { Ok(self.set) } else { Err(RuleErrors(self.problems)) }
    }
}

impl Source {
    fn stem(&self) -> &str {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).unwrap_or(name)
    }

    /// The line of the member (`id` or `title`) that has this value, or else the first.
    fn line_of(&self, value: &str) -> usize {
        let has = |line: &str| {
            let given = line.split_once(':').map_or("", |(_, given)| given.trim().trim_matches(['\'', '"']));
            given == value
        };
        self.yaml.lines().position(has).map_or(1, |line| line + 1)
    }

    /// The line that an error of the parser names, or that of the first document that is wrong when read alone.
    fn line_of_error(&self, error: &str) -> usize {
        let named = error
            .split_once("line ")
            .map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
        if let Some(line) = named.and_then(|line| line.parse().ok()) {
            return line;
        }
        let mut starts = vec![0];
        starts.extend(
            self.yaml.lines().enumerate().filter(|(_, line)| line.starts_with("---")).map(|(i, _)| i + 1),
        );
        let lines: Vec<&str> = self.yaml.lines().collect();
        let ends = starts.iter().skip(1).copied().chain([lines.len() + 1]);
        let wrong = starts.iter().zip(ends).find(|(start, end)| {
            let document =
                lines.get(**start..end.saturating_sub(1).min(lines.len())).unwrap_or_default().join("\n");
            parse_sigma_yaml(&document).map_or(true, |c| c.errors.iter().any(|e| e == error))
        });
        wrong.map_or(1, |(start, _)| start + 1)
    }
}

fn identity(source: &Source, id: Option<&String>, name: Option<&String>) -> String {
    id.or(name).cloned().unwrap_or_else(|| source.stem().to_owned())
}

/// Largest rule file. The largest of SigmaHQ has 30 KB.
const MAX_FILE_BYTES: usize = 128 * 1024;
/// Most rule files.
const MAX_FILES: usize = 5000;
/// Most event rules.
const MAX_RULES: usize = 5000;
