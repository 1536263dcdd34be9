//! Correlation rules: thresholds over matching events of one group in a sliding window.
//!
//! Source: Sigma specification 2.0, "Sigma correlation rules". What a rule counts is a set of distinct values in a
//! window: the events themselves (`event_count`), a field's values (`value_count`), or the rules that matched
//! (`temporal`, `temporal_ordered`). A field that holds a list counts each of its items.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode,
};

use crate::hit::Hit;
use crate::rule::RuleInfo;
use crate::state::{CorrelationState, MAX_OBSERVATIONS, Observation, Series, StateError};
use crate::view::View;

/// A compiled correlation rule.
#[derive(Debug)]
pub(crate) struct Correlation {
    pub(crate) info: RuleInfo,
    kind: Kind,
    bases: Vec<Base>,
    group_by: Vec<String>,
    window: i64,
    test: Test,
}

/// A rule whose matches are counted.
#[derive(Debug)]
pub(crate) struct Base {
    /// As the correlation names it.
    pub(crate) reference: String,
    /// Position among the event rules.
    pub(crate) position: usize,
    /// Fields that stand for the correlation's aliases in this rule's events.
    aliases: Vec<(String, String)>,
}

#[derive(Debug)]
enum Kind {
    Events,
    Values(Vec<String>),
    Rules,
    RulesInOrder,
}

#[derive(Debug)]
enum Test {
    Count(Vec<(ConditionOperator, u64)>),
    Expression(ConditionExpr),
}

/// What one matching event adds to one correlation. The rest is up to the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    correlation: usize,
    series: Series,
    observations: Vec<Observation>,
    /// The hit, should the threshold be reached.
    hit: Hit,
}

impl Correlation {
    /// Compiles a rule; `resolve` finds an event rule by id, name or title.
    pub(crate) fn compile(
        rule: &CorrelationRule,
        info: RuleInfo,
        resolve: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, String> {
        if rule.window != WindowMode::Sliding {
            return Err(format!("window {:?} is not supported: only sliding", rule.window.as_str()));
        }
        let window = i64::try_from(rule.timespan.seconds).unwrap_or(i64::MAX);
        if !(1..=MAX_WINDOW_SECONDS).contains(&window) {
            return Err(format!(
                "a window of 1 s to {MAX_WINDOW_SECONDS} s is wanted, not {}",
                rule.timespan.original
            ));
        }
        if rule.rules.is_empty() || rule.rules.len() > MAX_BASES {
            return Err(format!("a correlation of 1 to {MAX_BASES} rules is wanted"));
        }
        let bases =
            rule.rules.iter().map(|reference| base(rule, reference, &resolve)).collect::<Result<_, _>>()?;
        let (kind, test) = kind_and_test(rule)?;
        Ok(Self { info, kind, bases, group_by: rule.group_by.clone(), window: window * 1000, test })
    }

    pub(crate) fn bases(&self) -> &[Base] {
        &self.bases
    }

    /// What a match of `base` in this event adds; nothing where the event lacks the field that is counted.
    pub(crate) fn pending(
        &self,
        number: usize,
        base: &Base,
        view: &View<'_, '_>,
        now: Timestamp,
    ) -> Option<Pending> {
        let at = view.record.time().as_millisecond();
        let event = view.record.id();
        let values = match &self.kind {
            Kind::Events => vec![event.to_owned()],
            Kind::Rules | Kind::RulesInOrder => vec![base.reference.clone()],
            Kind::Values(fields) => {
                fields.iter().flat_map(|field| view.strings(base.field(field))).take(MAX_VALUES).collect()
            }
        };
        let observations: Vec<_> = values
            .into_iter()
            .enumerate()
            .map(|(i, value)| Observation { at, key: format!("{event}/{i}/{}", base.reference), value })
            .collect();
        if observations.is_empty() {
            return None;
        }
        let group: Vec<String> =
            self.group_by.iter().map(|field| view.strings(base.field(field)).join(",")).collect();
        let series = Series { rule: self.info.id.clone(), group: group.join("\u{1f}") };
        let hit = Hit::new(view, &self.info, now, None);
        Some(Pending { correlation: number, series, observations, hit })
    }

    /// The count, where some window around `at` satisfies the rule.
    fn reached(&self, seen: &[Observation], at: i64) -> Option<usize> {
        // A window ends at an observation and contains the new one: events may come late, and in any order.
        let ends: BTreeSet<i64> =
            seen.iter().map(|o| o.at).filter(|end| *end >= at && *end - at < self.window).collect();
        ends.into_iter().find_map(|end| {
            let inside = || seen.iter().filter(|o| o.at <= end && o.at > end - self.window);
            let values: BTreeSet<&str> = inside().map(|o| &*o.value).collect();
            let ordered = !matches!(self.kind, Kind::RulesInOrder) || self.in_order(inside());
            (ordered && self.test.holds(&values)).then_some(values.len())
        })
    }

    /// Whether each rule has an observation that is not before that of the rule before it.
    fn in_order<'o>(&self, seen: impl Iterator<Item = &'o Observation>) -> bool {
        let mut by_time: Vec<&Observation> = seen.collect();
        by_time.sort_by_key(|o| o.at);
        let mut wanted = self.bases.iter().map(|base| &*base.reference).peekable();
        for observation in by_time {
            if wanted.peek().is_some_and(|next| *next == observation.value) {
                wanted.next();
            }
        }
        wanted.peek().is_none()
    }
}

impl Base {
    fn field<'f>(&'f self, field: &'f str) -> &'f str {
        self.aliases.iter().find(|(alias, _)| alias == field).map_or(field, |(_, mapped)| mapped)
    }
}

impl Test {
    fn holds(&self, values: &BTreeSet<&str>) -> bool {
        match self {
            Self::Count(predicates) => {
                let count = u64::try_from(values.len()).unwrap_or(u64::MAX);
                predicates.iter().all(|(operator, limit)| match operator {
                    ConditionOperator::Lt => count < *limit,
                    ConditionOperator::Lte => count <= *limit,
                    ConditionOperator::Gt => count > *limit,
                    ConditionOperator::Gte => count >= *limit,
                    ConditionOperator::Eq => count == *limit,
                    ConditionOperator::Neq => count != *limit,
                })
            }
            Self::Expression(expression) => holds(expression, values),
        }
    }
}

fn holds(expression: &ConditionExpr, values: &BTreeSet<&str>) -> bool {
    match expression {
        ConditionExpr::And(parts) => parts.iter().all(|part| holds(part, values)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| holds(part, values)),
        ConditionExpr::Not(part) => !holds(part, values),
        ConditionExpr::Identifier(rule) => values.contains(rule.as_str()),
        // Refused when the rule is loaded.
        ConditionExpr::Selector { .. } => false,
    }
}

/// Adds what is pending to the state and gives the hits of the thresholds that it reached.
pub(crate) async fn complete<S: CorrelationState>(
    correlations: &[Correlation],
    state: &S,
    pending: Vec<Pending>,
) -> Result<Vec<Hit>, StateError> {
    let mut hits = Vec::new();
    for Pending { correlation, series, observations, mut hit } in pending {
        let Some(rule) = correlations.get(correlation) else { continue };
        let at = hit.time.as_millisecond();
        let last = at.max(hit.seen_at.as_millisecond()).saturating_add(rule.window.saturating_mul(2));
        let expires_at = last.div_euclid(1000).saturating_add(KEPT_LONGER_SECONDS);
        let seen = state.observe(&series, &observations, rule.window, expires_at).await?;
        let Some(count) = rule.reached(&seen, at) else { continue };
        if state.claim(&series, &hit.event_id, at, rule.window, expires_at).await? {
            hit.count = Some(count);
            hits.push(hit);
        }
    }
    Ok(hits)
}

fn base(
    rule: &CorrelationRule,
    reference: &str,
    resolve: impl Fn(&str) -> Option<usize>,
) -> Result<Base, String> {
    let position =
        resolve(reference).ok_or_else(|| format!("no event rule has the id or name {reference:?}"))?;
    let mapped =
        rule.aliases.iter().filter_map(|a| Some((a.alias.clone(), a.mapping.get(reference)?.clone())));
    Ok(Base { reference: reference.to_owned(), position, aliases: mapped.collect() })
}

fn kind_and_test(rule: &CorrelationRule) -> Result<(Kind, Test), String> {
    let kind = match rule.correlation_type {
        CorrelationType::EventCount => Kind::Events,
        CorrelationType::ValueCount => Kind::Values(counted_fields(&rule.condition)?),
        CorrelationType::Temporal => Kind::Rules,
        CorrelationType::TemporalOrdered => Kind::RulesInOrder,
        other => return Err(format!("correlation type {:?} is not supported", other.as_str())),
    };
    let test = match &rule.condition {
        CorrelationCondition::Threshold { predicates, .. } => {
            let most = u64::try_from(MAX_OBSERVATIONS / 2).unwrap_or(0);
            if predicates.iter().any(|(_, limit)| *limit > most) {
                return Err(format!("a threshold of at most {most} is supported"));
            }
            Test::Count(predicates.clone())
        }
        CorrelationCondition::Extended(expression) if names_only(expression) => {
            Test::Expression(expression.clone())
        }
        CorrelationCondition::Extended(_) => {
            return Err("`1 of` in a correlation is not supported".to_owned());
        }
    };
    // An absence is never observed: no event arrives that says that none did.
    let nothing = test.holds(&BTreeSet::new());
    if nothing { Err("the condition holds where nothing happened".to_owned()) } else { Ok((kind, test)) }
}

fn counted_fields(condition: &CorrelationCondition) -> Result<Vec<String>, String> {
    match condition {
        CorrelationCondition::Threshold { field: Some(fields), .. } => Ok(fields.clone()),
        _ => Err("value_count needs a field".to_owned()),
    }
}

fn names_only(expression: &ConditionExpr) -> bool {
    match expression {
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => parts.iter().all(names_only),
        ConditionExpr::Not(part) => names_only(part),
        ConditionExpr::Identifier(_) => true,
        ConditionExpr::Selector { .. } => false,
    }
}

/// Longest window: longer ones hold more state than a threshold is worth.
const MAX_WINDOW_SECONDS: i64 = 7 * 24 * 3600;
/// Most rules in one correlation.
const MAX_BASES: usize = 50;
/// Most values that one event adds.
const MAX_VALUES: usize = 200;
/// State is kept this much longer than it is needed: deliveries are late by minutes, audits by hours.
const KEPT_LONGER_SECONDS: i64 = 24 * 3600;
