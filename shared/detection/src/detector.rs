//! Judging records.

use jiff::Timestamp;
use rsigma_eval::evaluate_rule;

use crate::context::Context;
use crate::correlation::{self, Pending};
use crate::hit::Hit;
use crate::load::RuleSet;
use crate::record::Record;
use crate::rule::RuleInfo;
use crate::state::{CorrelationState, StateError};
use crate::view::View;

/// Rules and context, ready to judge.
#[derive(Debug, Default)]
pub struct Detector {
    rules: RuleSet,
    context: Context,
}

/// What the rules say of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rules on single events that matched.
    pub hits: Vec<Hit>,
    /// What the record adds to correlations: [`Detector::correlate`] completes it.
    pub pending: Vec<Pending>,
}

/// A record that cannot be judged. It must be reported: what cannot be read may hide what was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// Its inner parts are no JSON.
    #[error("event {event_id} cannot be judged: {reason}")]
    Unreadable {
        /// `eventID`.
        event_id: String,
        /// What is wrong.
        reason: String,
    },
    /// Correlation cannot remember.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Detector {
    /// A detector over these rules in this context.
    pub const fn new(rules: RuleSet, context: Context) -> Self {
        Self { rules, context }
    }

    /// What each rule says of itself.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.infos()
    }

    /// Judges one record by itself; `now` is when it is seen. Depends on nothing else.
    ///
    /// # Errors
    /// [`JudgeError::Unreadable`] when a rule needs a part of the record that cannot be read.
    pub fn judge(&self, record: &Record<'_>, now: Timestamp) -> Result<Verdict, JudgeError> {
        let view = View::new(record, &self.context);
        let mut verdict = Verdict::default();
        for position in self.rules.index.candidates(record) {
            let Some(rule) = self.rules.rules.get(position) else { continue };
            if evaluate_rule(&rule.compiled, &view).is_none() || (record.failed() && !rule.info.attempts) {
                continue;
            }
            if rule.alerts {
                verdict.hits.push(Hit::new(&view, &rule.info, now, None));
            }
            for (number, within) in &rule.feeds {
                let Some(correlation) = self.rules.correlations.get(*number) else { continue };
                let base = correlation.bases().get(*within);
                verdict.pending.extend(base.and_then(|base| correlation.pending(*number, base, &view, now)));
            }
        }
        match record.unreadable() {
            Some(reason) => {
                Err(JudgeError::Unreadable { event_id: record.id().to_owned(), reason: reason.to_owned() })
            }
            None => Ok(verdict),
        }
    }

    /// Completes the correlations of a verdict.
    ///
    /// # Errors
    /// When the state cannot be reached: the whole record must then be judged again, which counts nothing twice.
    pub async fn correlate<S: CorrelationState>(
        &self,
        pending: Vec<Pending>,
        state: &S,
    ) -> Result<Vec<Hit>, StateError> {
        correlation::complete(&self.rules.correlations, state, pending).await
    }

    /// Judges one record and completes its correlations.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub async fn examine<S: CorrelationState>(
        &self,
        record: &Record<'_>,
        state: &S,
        now: Timestamp,
    ) -> Result<Vec<Hit>, JudgeError> {
        let Verdict { mut hits, pending } = self.judge(record, now)?;
        hits.extend(self.correlate(pending, state).await?);
        Ok(hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::records;
    use crate::shipped::SHIPPED;

    /// The index only saves work: every rule, tried on every record, gives the same verdict.
    #[test]
    fn the_index_hides_no_rule() {
        let detector = Detector::new(RuleSet::load(SHIPPED).unwrap(), Context::default());
        let (mut judged, mut tried) = (0, 0);
        for folder in ["../../config/detections/tests", "tests/attacks"] {
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_none_or(|e| e != "json") {
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                // The records of a rule's events stand one a line, among brackets and commas.
                let lines = text.lines().filter_map(|line| Some((line.find('{')?, line.rfind('}')?, line)));
                let lines: Vec<&str> = lines.filter_map(|(from, to, line)| line.get(from..=to)).collect();
                let input = if text.trim_start().starts_with('[') { text.clone() } else { lines.join("\n") };
                for record in records(input.as_bytes()).filter_map(Result::ok) {
                    let view = View::new(&record, &detector.context);
                    let matching = |position: &usize| {
                        evaluate_rule(&detector.rules.rules[*position].compiled, &view).is_some()
                    };
                    let candidates: Vec<usize> = detector.rules.index.candidates(&record).collect();
                    let mut by_index: Vec<usize> = candidates.iter().copied().filter(matching).collect();
                    by_index.sort_unstable();
                    let all: Vec<usize> = (0..detector.rules.rules.len()).filter(matching).collect();
                    assert_eq!(by_index, all, "{}", record.json());
                    (judged, tried) = (judged + 1, tried + candidates.len());
                }
            }
        }
        assert!(judged > 500, "{judged} records");
        assert!(tried < judged * 8, "{tried} rules tried on {judged} records: the index saves no work");
    }
}
