//! The contract of [`CorrelationState`]: what is near is seen, once, by everyone; and one event a window may alert.

#![expect(clippy::expect_used, reason = "test support: a panic is a failed test")]

use futures_util::future::join_all;
use portcullis_detection::{CorrelationState, MAX_OBSERVATIONS, Observation, Series};

use super::fresh;

/// Runs the suite over handles of one store, each as a container of its own would have it.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite<S: CorrelationState>(stores: &[S]) {
    near_is_seen_once_and_in_order(stores).await;
    series_are_apart(stores).await;
    long_values_stay_distinct(stores).await;
    a_flood_is_bounded(stores).await;
    of_many_at_once_somebody_sees_all(stores).await;
    one_event_a_window_alerts(stores).await;
    of_many_claims_at_once_one_holds(stores).await;
}

async fn near_is_seen_once_and_in_order<S: CorrelationState>(stores: &[S]) {
    let series = series();
    for (label, new, expected) in [
        ("first", 1000, vec![1000]),
        ("again", 1000, vec![1000]),
        ("at the window's edge", 1100, vec![1000, 1100]),
        ("beyond it", 1101, vec![1100, 1101]),
        ("late", 950, vec![950, 1000]),
        ("before 1970", -50, vec![-50]),
    ] {
        let seen = observe(pick(stores, new), &series, &[at(new)]).await;
        assert_eq!(seen.iter().map(|o| o.at).collect::<Vec<_>>(), expected, "{label}");
        assert!(seen.iter().all(|o| *o == at(o.at)), "{label}: {seen:?}");
    }
}

async fn series_are_apart<S: CorrelationState>(stores: &[S]) {
    let (one, other) = (series(), series());
    observe(pick(stores, 0), &one, &[at(1)]).await;
    assert_eq!(observe(pick(stores, 1), &other, &[at(2)]).await, [at(2)]);
    let same_rule = Series { group: fresh("group"), ..one };
    assert_eq!(observe(pick(stores, 0), &same_rule, &[at(3)]).await, [at(3)]);
}

async fn long_values_stay_distinct<S: CorrelationState>(stores: &[S]) {
    let series = series();
    let long = |tail: &str| "x".repeat(4000) + tail;
    let new: Vec<_> = ["a", "b", "a"]
        .iter()
        .enumerate()
        .map(|(i, tail)| Observation { at: 7, key: format!("e/{i}"), value: long(tail) })
        .collect();
    let seen = observe(pick(stores, 0), &series, &new).await;
    let distinct: std::collections::BTreeSet<_> = seen.iter().map(|o| &o.value).collect();
    assert_eq!((seen.len(), distinct.len()), (3, 2));
}

async fn a_flood_is_bounded<S: CorrelationState>(stores: &[S]) {
    let series = &series();
    let times: Vec<i64> = (0..i64::try_from(MAX_OBSERVATIONS).unwrap_or_default() + 20).collect();
    for some in times.chunks(50) {
        join_all(some.iter().map(|n| {
            let new = Observation { at: n / 20, ..at(*n) };
            async move { observe(pick(stores, *n), series, &[new]).await }
        }))
        .await;
    }
    let seen = observe(pick(stores, 0), series, &[at(40)]).await;
    // A window before the new one, and one after it.
    assert!((MAX_OBSERVATIONS / 2..=2 * MAX_OBSERVATIONS).contains(&seen.len()), "{}", seen.len());
    assert!(seen.is_sorted_by_key(|o| o.at));
}

async fn of_many_at_once_somebody_sees_all<S: CorrelationState>(stores: &[S]) {
    let series = &series();
    let seen =
        join_all((0..12).map(|n| async move { observe(pick(stores, n), series, &[at(n)]).await })).await;
    assert!(seen.iter().any(|seen| seen.len() == 12), "nobody saw all twelve");
}

async fn one_event_a_window_alerts<S: CorrelationState>(stores: &[S]) {
    let series = series();
    for (label, id, at, expected) in [
        ("first", "a", 1000, true),
        ("delivered again", "a", 1000, true),
        ("another near it", "b", 1050, false),
        ("a late one near it", "b", 901, false),
        ("the next window", "c", 1100, true),
        ("an older burst that arrives late", "d", 900, true),
        ("between two that hold theirs", "e", 1000, false),
        ("still its own", "a", 1000, true),
    ] {
        let claimed = pick(stores, at).claim(&series, id, at, WINDOW, LATER).await;
        assert_eq!(claimed, Ok(expected), "{label}");
    }
}

async fn of_many_claims_at_once_one_holds<S: CorrelationState>(stores: &[S]) {
    let series = &series();
    let claims = join_all((0..8).map(|n| async move {
        let id = format!("e{n}");
        // Around the border of two slices, where a careless store would let two through.
        pick(stores, n).claim(series, &id, 1996 + n, WINDOW, LATER).await
    }))
    .await;
    let held = claims.iter().filter(|claim| **claim == Ok(true)).count();
    assert!(held <= 1, "{claims:?}");
    // Whoever lost to a conflict may ask again; in the end exactly one holds it.
    let mut holders = 0;
    for n in 0..8 {
        let claim = pick(stores, n).claim(series, &format!("e{n}"), 1996 + n, WINDOW, LATER).await;
        holders += usize::from(claim == Ok(true));
    }
    assert_eq!(holders, 1);
}

async fn observe<S: CorrelationState>(store: &S, series: &Series, new: &[Observation]) -> Vec<Observation> {
    store.observe(series, new, WINDOW, LATER).await.expect("an answer")
}

fn at(at: i64) -> Observation {
    Observation { at, key: format!("event{at}/0/rule"), value: format!("value of {at}") }
}

fn series() -> Series {
    Series { rule: fresh("rule"), group: fresh("group") }
}

fn pick<S>(stores: &[S], n: i64) -> &S {
    let count = i64::try_from(stores.len()).unwrap_or(1);
    usize::try_from(n.rem_euclid(count)).ok().and_then(|n| stores.get(n)).expect("a store")
}

const WINDOW: i64 = 100;
/// In the year 2100: nothing is forgotten while the suite runs.
const LATER: i64 = 4_102_444_800;
