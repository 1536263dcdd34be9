//! The port behind which correlation remembers, and its implementation in memory.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the observations of one correlation rule and one group are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The correlation rule's id.
    pub rule: String,
    /// The values of its `group-by` fields, such as the principal. May be long: an adapter keys by a digest of it.
    pub group: String,
}

/// One matching event, or one distinct value in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// Unique within the series: the same event (or, in a count of values, the same value of the same event) has the
    /// same key however often it comes.
    pub key: String,
    /// What a rule counts: the event's id, a field's value, or the id of the rule that matched.
    pub value: String,
}

/// The state cannot be read or written now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("correlation state: {0}")]
pub struct StateError(pub String);

/// Remembers observations across events and containers.
///
/// `DynamoDB`: an item per series and time slice with a map of observations; `observe` is one `UpdateItem` (the map
/// entry's name is the observation's key, so a repeat changes nothing) and a consistent read of the neighbouring slices.
pub trait CorrelationState: Send + Sync {
    /// Adds the observations, then returns every observation of the series at most `window` milliseconds before or
    /// after one of them. Adding comes before reading, and reads are consistent: of two containers that add at once, at
    /// least one sees both. What is there already is not added again. A series holds at most [`MAX_OBSERVATIONS`] in a
    /// window; what comes beyond may be dropped, since no rule counts so far. Entries may be forgotten after
    /// `expires_at` (seconds since the Unix epoch).
    fn observe(
        &self,
        series: &Series,
        observations: &[Observation],
        window: i64,
        expires_at: i64,
    ) -> impl Future<Output = Result<Vec<Observation>, StateError>> + Send;

    /// Takes the right to alert on this series with the event of that id and time, in one atomic step. True where no
    /// other event within `window` of it has it; true again for the event that has it, so that an alert that was lost in
    /// a crash is repeated.
    fn claim(
        &self,
        series: &Series,
        event_id: &str,
        at: i64,
        window: i64,
        expires_at: i64,
    ) -> impl Future<Output = Result<bool, StateError>> + Send;
}

/// Most observations of a series in one window.
pub const MAX_OBSERVATIONS: usize = 1000;

/// Correlation state of one process: for tests, the command line, and the local stack.
#[derive(Debug, Default)]
pub struct MemoryState {
    series: Mutex<BTreeMap<Series, Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    observations: BTreeMap<(i64, String), String>,
    claims: Vec<(i64, String)>,
}

impl MemoryState {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Series, Kept>> {
        // Every change is one insertion: a panic elsewhere leaves no half of one.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CorrelationState for MemoryState {
    fn observe(
        &self,
        series: &Series,
        observations: &[Observation],
        window: i64,
        _expires_at: i64,
    ) -> impl Future<Output = Result<Vec<Observation>, StateError>> + Send {
        let mut all = self.lock();
        let kept = all.entry(series.clone()).or_default();
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        for new in observations {
            from = from.min(new.at.saturating_sub(window));
            to = to.max(new.at.saturating_add(window));
            let near = (new.at.saturating_sub(window), String::new())..=(new.at, new.key.clone());
            if kept.observations.range(near).count() < MAX_OBSERVATIONS {
                kept.observations.entry((new.at, new.key.clone())).or_insert_with(|| new.value.clone());
            }
        }
        let found = kept.observations.iter().filter(|((at, _), _)| (from..=to).contains(at));
        let found =
            found.map(|((at, key), value)| Observation { at: *at, key: key.clone(), value: value.clone() });
        ready(Ok(found.collect()))
    }

    fn claim(
        &self,
        series: &Series,
        event_id: &str,
        at: i64,
        window: i64,
        _expires_at: i64,
    ) -> impl Future<Output = Result<bool, StateError>> + Send {
        let mut all = self.lock();
        let claims = &mut all.entry(series.clone()).or_default().claims;
        let near = claims.iter().find(|(other, _)| other.abs_diff(at) < window.unsigned_abs());
        let own = claims.iter().any(|(_, id)| id == event_id);
        let taken = near.is_some() && !own;
        if !taken && !own {
            claims.push((at, event_id.to_owned()));
        }
        ready(Ok(!taken))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;

    fn series() -> Series {
        Series { rule: "r".into(), group: "g".into() }
    }

    fn at(at: i64) -> Observation {
        Observation { at, key: format!("k{at}"), value: "v".into() }
    }

    fn seen(state: &MemoryState, new: i64) -> Vec<i64> {
        let found = state.observe(&series(), &[at(new)], 100, 0).now_or_never().unwrap().unwrap();
        found.into_iter().map(|o| o.at).collect()
    }

    #[test]
    fn what_is_near_is_seen_once_and_in_order() {
        let state = MemoryState::default();
        assert_eq!(seen(&state, 1000), [1000]);
        assert_eq!(seen(&state, 1000), [1000]);
        assert_eq!(seen(&state, 1100), [1000, 1100]);
        assert_eq!(seen(&state, 1101), [1100, 1101]);
        assert_eq!(seen(&state, 950), [950, 1000]);
    }

    #[test]
    fn a_series_is_bounded() {
        let state = MemoryState::default();
        let many: Vec<Observation> =
            (0..5000).map(|i| Observation { at: 1, key: format!("{i:05}"), value: String::new() }).collect();
        let found = state.observe(&series(), &many, 100, 0).now_or_never().unwrap().unwrap();
        assert_eq!(found.len(), MAX_OBSERVATIONS);
    }

    #[test]
    fn one_event_a_window_may_alert_and_may_repeat_its_alert() {
        let state = MemoryState::default();
        let claim = |id: &str, at| state.claim(&series(), id, at, 100, 0).now_or_never().unwrap().unwrap();
        assert!(claim("a", 1000));
        assert!(claim("a", 1000), "delivered again");
        assert!(!claim("b", 1050));
        assert!(!claim("b", 901), "late");
        assert!(claim("c", 1100), "the next window");
        assert!(claim("d", 900), "an older burst that arrives late");
        assert!(claim("a", 1000), "still its own");
    }
}
