//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling), on one number.
//!
//! The TAT is the instant at which the bucket will be full. A cell costs `period / count`; it conforms if the TAT,
//! counted from now at the earliest, plus its cost lies no more than the burst's time ahead of now. Instants are
//! microseconds since the Unix epoch.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_base::Timestamp;

use crate::{Basis, Decision, Quota};

/// What a store is asked: cells from a bucket, between a least and a most.
///
/// An ask knows its arithmetic, so that no store needs any: a store grants the first of the [`Rung`]s for which
/// `max(TAT, now) + cost ≤ ceiling`, and that sum is the new TAT. All adapters decide alike, to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    now: i64,
    ceiling: i64,
    rungs: Vec<Rung>,
    /// The TAT when it was last seen: it can only have grown.
    seen: Option<i64>,
}

/// One size of grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// How many cells.
    pub cells: u32,
    /// What they add to the TAT, in microseconds.
    pub cost: i64,
}

/// What a store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The cells granted: those of one of the rungs, or none.
    pub granted: u32,
    /// The TAT after that; when nothing was granted, as found, but not before now.
    pub tat: i64,
}

impl Ask {
    /// Asks for `at_most` cells, or half of them, or a quarter …, or `at_least`: the most that the bucket has.
    pub fn new(quota: &Quota, at_least: NonZeroU32, at_most: u32, now: Timestamp) -> Self {
        let now = now.as_microsecond();
        let rungs =
            ladder(at_least.get(), at_most).map(|cells| Rung { cells, cost: quota.time_of(cells) }).collect();
        Self { now, ceiling: now.saturating_add(quota.burst_time()), rungs, seen: None }
    }

    /// Tells the store what the TAT was when it was last seen: a hint, for stores that must guess.
    #[must_use]
    pub fn with_seen(self, seen: Option<i64>) -> Self {
        Self { seen, ..self }
    }

    /// Whether the bucket is likely to be full: it is not, if the TAT was ahead of now when last seen.
    pub fn expects_full(&self) -> bool {
        self.seen.is_none_or(|tat| tat <= self.now)
    }

    /// The instant of the ask.
    pub const fn now(&self) -> i64 {
        self.now
    }

    /// The latest TAT that a grant may lead to. From then on the bucket is full, and the store may forget it.
    pub const fn ceiling(&self) -> i64 {
        self.ceiling
    }

    /// The sizes of grant, the largest first. Never empty.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// The answer, for the TAT that the store holds (`None`: the bucket is full).
    pub fn answer(&self, stored: Option<i64>) -> Taken {
        let tat = stored.map_or(self.now, |stored| stored.max(self.now));
        self.rungs
            .iter()
            .map(|rung| Taken { granted: rung.cells, tat: tat.saturating_add(rung.cost) })
            .find(|taken| taken.tat <= self.ceiling)
            .unwrap_or(Taken { granted: 0, tat })
    }
}

/// A bucket in memory: the whole algorithm for one key and one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    tat: Option<i64>,
}

impl Bucket {
    /// Takes `cost` cells at `now` if they are there.
    pub fn check(&mut self, quota: &Quota, cost: NonZeroU32, now: Timestamp) -> Decision {
        let ask = Ask::new(quota, cost, cost.get(), now);
        let taken = ask.answer(self.tat);
        if taken.granted > 0 {
            self.tat = Some(taken.tat);
            return Decision {
                allowed: true,
                remaining: remaining(quota, taken.tat, ask.now),
                retry_after: Duration::ZERO,
                reset: micros(taken.tat.saturating_sub(ask.now)),
                basis: Basis::Store,
            };
        }
        let again = conforms_at(quota, cost, taken.tat);
        Decision {
            allowed: false,
            remaining: remaining(quota, taken.tat, ask.now),
            retry_after: micros(again.saturating_sub(ask.now)),
            reset: micros(taken.tat.saturating_sub(ask.now)),
            basis: if cost.get() > quota.burst_size() { Basis::OverBurst } else { Basis::Store },
        }
    }
}

/// The cells left in a bucket.
pub(crate) fn remaining(quota: &Quota, tat: i64, now: i64) -> u32 {
    let full_in = tat.saturating_sub(now).max(0);
    quota.cells_in(quota.burst_time().saturating_sub(full_in)).min(quota.burst_size())
}

/// When `cost` cells will be there, if nobody else takes any. A bucket with that TAT has them at no earlier instant.
pub(crate) fn conforms_at(quota: &Quota, cost: NonZeroU32, tat: i64) -> i64 {
    tat.saturating_add(quota.time_of(cost.get())).saturating_sub(quota.burst_time())
}

/// A span of that many microseconds; a negative one is none.
pub(crate) fn micros(span: i64) -> Duration {
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

fn ladder(at_least: u32, at_most: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(at_most.max(at_least)), move |cells| {
        (*cells > at_least).then(|| (cells / 2).max(at_least))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(text: &str) -> Quota {
        text.parse().unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn cells(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    /// `(milliseconds, cost, allowed, remaining, retry after ms, reset ms)`.
    type Step = (i64, u32, bool, u32, u64, u64);

    #[test]
    fn a_bucket_empties_refills_and_forgives_clocks() {
        let tables: [(&str, &str, &[Step]); 9] = [
            (
                "the burst, then one an interval",
                "10/s burst 3",
                &[
                    (0, 1, true, 2, 0, 100),
                    (0, 1, true, 1, 0, 200),
                    (0, 1, true, 0, 0, 300),
                    (0, 1, false, 0, 100, 300),
                    (99, 1, false, 0, 1, 201),
                    (100, 1, true, 0, 0, 300),
                    (101, 1, false, 0, 99, 299),
                ],
            ),
            (
                "no burst: evenly spaced",
                "1/s burst 1",
                &[
                    (0, 1, true, 0, 0, 1000),
                    (999, 1, false, 0, 1, 1),
                    (1000, 1, true, 0, 0, 1000),
                    (2500, 1, true, 0, 0, 1000),
                    (3000, 1, false, 0, 500, 500),
                    (3500, 1, true, 0, 0, 1000),
                ],
            ),
            (
                "a refusal costs nothing",
                "1/s burst 1",
                &[
                    (0, 1, true, 0, 0, 1000),
                    (500, 1, false, 0, 500, 500),
                    (600, 1, false, 0, 400, 400),
                    (1000, 1, true, 0, 0, 1000),
                ],
            ),
            (
                "idle for ever is one burst, not more",
                "10/s burst 2",
                &[
                    (0, 1, true, 1, 0, 100),
                    (86_400_000, 1, true, 1, 0, 100),
                    (86_400_000, 1, true, 0, 0, 200),
                    (86_400_000, 1, false, 0, 100, 200),
                ],
            ),
            (
                "cost counts, all or nothing",
                "10/s burst 5",
                &[
                    (0, 3, true, 2, 0, 300),
                    (0, 3, false, 2, 100, 300),
                    (0, 2, true, 0, 0, 500),
                    (100, 3, false, 1, 200, 400),
                    (300, 3, true, 0, 0, 500),
                ],
            ),
            (
                "the whole burst in one",
                "10/s burst 5",
                &[(0, 5, true, 0, 0, 500), (499, 5, false, 4, 1, 1), (500, 5, true, 0, 0, 500)],
            ),
            (
                "the clock goes back: nothing is given twice",
                "10/s burst 2",
                &[
                    (1000, 2, true, 0, 0, 200),
                    (500, 1, false, 0, 600, 700),
                    (-5000, 1, false, 0, 6_100, 6_200),
                    (1100, 1, true, 0, 0, 200),
                ],
            ),
            (
                "the clock jumps ahead and back: what was taken ahead is owed",
                "10/s burst 2",
                &[(60_000, 1, true, 1, 0, 100), (0, 1, false, 0, 60_000, 60_100)],
            ),
            (
                "before the epoch too",
                "10/s burst 1",
                &[(-1000, 1, true, 0, 0, 100), (-950, 1, false, 0, 50, 50), (-900, 1, true, 0, 0, 100)],
            ),
        ];
        for (label, text, steps) in tables {
            let (quota, mut bucket) = (quota(text), Bucket::default());
            for (index, &(now, cost, allowed, remaining, retry, reset)) in steps.iter().enumerate() {
                let got = bucket.check(&quota, cells(cost), at(now));
                let want = Decision {
                    allowed,
                    remaining,
                    retry_after: Duration::from_millis(retry),
                    reset: Duration::from_millis(reset),
                    basis: Basis::Store,
                };
                assert_eq!(got, want, "{label}, step {index}");
            }
        }
    }

    #[test]
    fn more_than_the_burst_never_passes() {
        let got = Bucket::default().check(&quota("10/s burst 2"), cells(3), at(0));
        assert!(!got.allowed);
        assert_eq!(got.basis, Basis::OverBurst);
    }

    #[test]
    fn an_ask_climbs_down_to_what_is_there() {
        let quota = quota("10/s burst 20");
        // TAT in milliseconds after now, least, most, granted.
        for (label, ahead, least, most, granted) in [
            ("a full bucket", None, 1, 16, 16),
            ("long full", Some(-5_000), 1, 16, 16),
            ("just enough", Some(400), 1, 16, 16),
            ("half", Some(401), 1, 16, 8),
            ("a quarter", Some(1_201), 1, 16, 4),
            ("the last one", Some(1_900), 1, 16, 1),
            ("none", Some(1_901), 1, 16, 0),
            ("empty", Some(2_000), 1, 16, 0),
            ("beyond", Some(9_000), 1, 16, 0),
            ("not less than the least", Some(1_500), 6, 16, 0),
            ("the least", Some(1_400), 6, 16, 6),
            ("odd sizes", Some(1_400), 1, 13, 6),
            ("a most below the least is the least", None, 5, 2, 5),
            ("over the burst", None, 21, 21, 0),
        ] {
            let ask = Ask::new(&quota, cells(least), most, at(0));
            let taken = ask.answer(ahead.map(|ms| ms * 1_000));
            assert_eq!(taken.granted, granted, "{label}");
            let from = ahead.unwrap_or(0).max(0) * 1_000;
            assert_eq!(taken.tat, from + i64::from(granted) * 100_000, "{label}");
            assert_eq!(ask.ceiling(), 2_000_000, "{label}");
        }
    }

    #[test]
    fn rungs_fall_by_halves_and_end_at_the_least() {
        let sizes = |least, most| -> Vec<u32> {
            let ask = Ask::new(&quota("10/s"), cells(least), most, at(0));
            ask.rungs().iter().map(|rung| rung.cells).collect()
        };
        assert_eq!(sizes(1, 1), [1]);
        assert_eq!(sizes(1, 13), [13, 6, 3, 1]);
        assert_eq!(sizes(5, 13), [13, 6, 5]);
        assert_eq!(sizes(1, u32::MAX).len(), 32);
    }

    #[test]
    fn the_ends_of_time_saturate() {
        let quota = quota("1/366d burst 10");
        for now in [Timestamp::MIN, Timestamp::MAX] {
            for tat in [None, Some(i64::MIN), Some(i64::MAX)] {
                let taken = Ask::new(&quota, cells(1), 1, now).answer(tat);
                assert_eq!(taken.granted, u32::from(tat != Some(i64::MAX)), "{now} {tat:?}");
            }
        }
    }
}
