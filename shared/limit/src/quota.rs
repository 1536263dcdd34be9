//! How many in what time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `count` cells in each `period`, of which `burst` may come at once. A cell is one request of cost one.
///
/// As text: `2000/5m burst 100`, `10/s` (the burst is then the count). Units: `us`, `ms`, `s`, `m`, `h`, `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quota {
    count: u32,
    burst: u32,
    /// Microseconds: fine enough for a million cells a second, and dates in them are exact in the floating-point
    /// numbers of Redis scripts until the year 2255.
    period: i64,
}

/// A quota that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// Not of the form `COUNT/PERIOD [burst N]`.
    #[error("quota is not of the form `COUNT/PERIOD [burst N]`, such as `2000/5m burst 100`")]
    Form,
    /// The count is zero.
    #[error("quota allows nothing")]
    Zero,
    /// Shorter than a millisecond or longer than 366 days.
    #[error("quota period must be between a millisecond and 366 days")]
    Period,
    /// More than one cell in a microsecond.
    #[error("quota allows more than a cell a microsecond")]
    Rate,
    /// The burst is zero, or is more than ten years' worth.
    #[error("quota burst must be at least one, and at most what ten years allow")]
    Burst,
}

impl Quota {
    /// `count` in each `period` (whole microseconds; parts of one are dropped), all of which may come at once.
    ///
    /// # Errors
    /// When there is no such quota.
    pub fn per(count: u32, period: Duration) -> Result<Self, QuotaError> {
        if count == 0 {
            return Err(QuotaError::Zero);
        }
        let period = i64::try_from(period.as_micros()).map_err(|_| QuotaError::Period)?;
        if !(MIN_PERIOD..=MAX_PERIOD).contains(&period) {
            return Err(QuotaError::Period);
        }
        if i64::from(count) > period {
            return Err(QuotaError::Rate);
        }
        Ok(Self { count, burst: count, period })
    }

    /// The same with another burst.
    ///
    /// # Errors
    /// When the burst is zero or would take more than ten years to come back.
    pub fn burst(self, burst: u32) -> Result<Self, QuotaError> {
        let quota = Self { burst, ..self };
        if burst == 0 || quota.burst_time() > MAX_BURST_TIME { Err(QuotaError::Burst) } else { Ok(quota) }
    }

    /// How many may come at once.
    pub const fn burst_size(&self) -> u32 {
        self.burst
    }

    /// The share of one of `parts` equal parts: a rate that is `parts` times lower (rounded so that the parts are
    /// never more than the whole), and that part of the burst, but at least one.
    #[must_use]
    pub fn share(&self, parts: u32) -> Self {
        let parts = parts.max(1);
        let burst = (self.burst / parts).max(1);
        Self { burst, period: self.period.saturating_mul(i64::from(parts)), ..*self }
    }

    /// The most that the store grants in any window of this length, both ends included:
    /// `burst + window · count / period`, rounded down.
    pub fn admits_within(&self, window: Duration) -> u64 {
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        let cells =
            wide(window.saturating_add(self.burst_time())) * u128::from(self.count) / wide(self.period);
        u64::try_from(cells).unwrap_or(u64::MAX)
    }

    /// The time in which that many cells come back, in microseconds, rounded up: never more than the quota.
    pub(crate) fn time_of(&self, cells: u32) -> i64 {
        // Division of 128 bits takes many times as long, and is needed for very long periods only.
        if let Some(product) = u64::from(cells).checked_mul(self.period.unsigned_abs()) {
            return i64::try_from(product.div_ceil(self.count.into())).unwrap_or(i64::MAX);
        }
        let product = u128::from(cells) * wide(self.period);
        i64::try_from(product.div_ceil(self.count.into())).unwrap_or(i64::MAX)
    }

    /// How many cells come back in that many microseconds, rounded down.
    pub(crate) fn cells_in(&self, micros: i64) -> u32 {
        let micros = micros.max(0).unsigned_abs();
        if let Some(product) = micros.checked_mul(self.count.into()) {
            return u32::try_from(product / self.period.unsigned_abs()).unwrap_or(u32::MAX);
        }
        let product = u128::from(micros) * u128::from(self.count);
        u32::try_from(product / wide(self.period)).unwrap_or(u32::MAX)
    }

    /// The time in which the whole burst comes back, in microseconds.
    pub(crate) fn burst_time(&self) -> i64 {
        self.time_of(self.burst)
    }

    /// The period in microseconds.
    pub(crate) const fn period(&self) -> i64 {
        self.period
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let mut words = text.split_whitespace();
        let (count, period) = words.next().and_then(|rate| rate.split_once('/')).ok_or(QuotaError::Form)?;
        let quota = Self::per(number(count)?, period_of(period)?);
        match (words.next(), words.next(), words.next()) {
            (None, ..) => quota,
            (Some("burst"), Some(burst), None) => {
                let burst = number(burst)?;
                quota?.burst(burst)
            }
            _ => Err(QuotaError::Form),
        }
    }
}

impl TryFrom<String> for Quota {
    type Error = QuotaError;

    fn try_from(text: String) -> Result<Self, QuotaError> {
        text.parse()
    }
}

impl From<Quota> for String {
    fn from(quota: Quota) -> Self {
        quota.to_string()
    }
}

/// The text that parses to the same quota.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, micros) =
            UNITS.iter().rfind(|(_, micros)| self.period % micros == 0).unwrap_or(&("us", 1));
        write!(f, "{}/", self.count)?;
        match self.period / micros {
            1 => f.write_str(unit)?,
            many => write!(f, "{many}{unit}")?,
        }
        if self.burst == self.count { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

fn period_of(text: &str) -> Result<Duration, QuotaError> {
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(QuotaError::Form)?;
    let (digits, unit) = text.split_at_checked(split).ok_or(QuotaError::Form)?;
    let many: u64 = if digits.is_empty() { 1 } else { number(digits)? };
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(QuotaError::Form)?;
    many.checked_mul(micros.unsigned_abs()).map(Duration::from_micros).ok_or(QuotaError::Period)
}

/// Digits only: `parse` alone would take a sign.
fn number<N: FromStr>(text: &str) -> Result<N, QuotaError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuotaError::Form);
    }
    text.parse().map_err(|_| QuotaError::Form)
}

/// Everything that is widened here is positive.
fn wide(micros: i64) -> u128 {
    u128::from(micros.unsigned_abs())
}

const UNITS: [(&str, i64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];
const MIN_PERIOD: i64 = 1_000;
const MAX_PERIOD: i64 = 366 * 86_400_000_000;
const MAX_BURST_TIME: i64 = 10 * MAX_PERIOD;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(text: &str) -> Quota {
        text.parse().unwrap()
    }

    #[test]
    fn quotas_parse_or_say_why_not() {
        use QuotaError::{Burst, Form, Period, Rate, Zero};
        let of = |count, micros, burst| Ok(Quota { count, burst, period: micros });
        for (text, expected) in [
            ("2000/5m burst 100", of(2000, 300_000_000, 100)),
            ("10/s", of(10, 1_000_000, 10)),
            ("  10/1s   burst  1 ", of(10, 1_000_000, 1)),
            ("5/250ms", of(5, 250_000, 5)),
            ("1/1000us", of(1, 1_000, 1)),
            ("1/h burst 3", of(1, 3_600_000_000, 3)),
            ("4294967295/366d", of(u32::MAX, MAX_PERIOD, u32::MAX)),
            ("1/d burst 3660", of(1, 86_400_000_000, 3_660)),
            ("0/s", Err(Zero)),
            ("10/0s", Err(Period)),
            ("1/999us", Err(Period)),
            ("1/367d", Err(Period)),
            ("1/4294967295d", Err(Period)),
            ("1/4294967296us", of(1, 4_294_967_296, 1)),
            ("1001/ms", Err(Rate)),
            ("10/s burst 0", Err(Burst)),
            ("1/d burst 3661", Err(Burst)),
            ("", Err(Form)),
            ("10", Err(Form)),
            ("10/", Err(Form)),
            ("/s", Err(Form)),
            ("10/5", Err(Form)),
            ("10/5S", Err(Form)),
            ("10/5 s", Err(Form)),
            ("10/s burst", Err(Form)),
            ("10/s 5", Err(Form)),
            ("10/s burst 5 5", Err(Form)),
            ("10/s Burst 5", Err(Form)),
            ("-1/s", Err(Form)),
            ("+1/s", Err(Form)),
            ("1/+1s", Err(Form)),
            ("1e3/s", Err(Form)),
            ("1.5/s", Err(Form)),
            ("4294967296/366d", Err(Form)),
            ("١٠/s", Err(Form)),
        ] {
            assert_eq!(text.parse::<Quota>(), expected, "{text:?}");
        }
    }

    #[test]
    fn quotas_read_from_configuration() {
        let read: Quota = serde_json::from_str(r#""2000/5m burst 100""#).unwrap();
        assert_eq!(read, Quota::per(2000, Duration::from_secs(300)).unwrap().burst(100).unwrap());
        assert_eq!(serde_json::to_string(&read).unwrap(), r#""2000/5m burst 100""#);
        assert!(serde_json::from_str::<Quota>(r#""lots""#).is_err());
    }

    #[test]
    fn times_and_cells_are_rounded_against_the_caller() {
        for (text, cells, micros) in [
            ("2000/5m", 1, 150_000),
            ("3/s", 1, 333_334),
            ("3/s", 2, 666_667),
            ("3/s", 3, 1_000_000),
            ("7/s", 1, 142_858),
            ("1000000/s", 1, 1),
            ("4294967295/366d", 1, 7_363),
        ] {
            let quota = quota(text);
            assert_eq!(quota.time_of(cells), micros, "{text}");
            assert_eq!(quota.cells_in(micros), cells, "{text}");
            assert_eq!(quota.cells_in(micros - 1), cells - 1, "{text}");
        }
        assert_eq!(quota("3/s").time_of(u32::MAX), 1_431_655_765_000_000);
        assert_eq!(quota("10/s").cells_in(-1), 0);
        assert_eq!(quota("1000/ms").cells_in(i64::MAX), u32::MAX);
    }

    #[test]
    fn a_window_admits_the_burst_and_its_rate() {
        let quota = quota("10/s burst 5");
        for (millis, cells) in [(0, 5), (99, 5), (100, 6), (1_000, 15), (10_000, 105)] {
            assert_eq!(quota.admits_within(Duration::from_millis(millis)), cells, "{millis} ms");
        }
        assert!(quota.admits_within(Duration::MAX) > 1_000_000_000);
    }

    #[test]
    fn shares_are_never_more_than_the_whole() {
        for (text, parts, expected) in [
            ("2000/5m burst 100", 4, "2000/20m burst 25"),
            ("10/s burst 3", 4, "10/4s burst 1"),
            ("10/s burst 3", 0, "10/s burst 3"),
        ] {
            assert_eq!(quota(text).share(parts), quota(expected), "{text} by {parts}");
        }
    }

    proptest! {
        #[test]
        fn text_and_quota_are_one(count in 1u32.., micros in MIN_PERIOD..=MAX_PERIOD, burst in 1u32..) {
            let quota = Quota::per(count, Duration::from_micros(micros.unsigned_abs())).and_then(|q| q.burst(burst));
            prop_assume!(quota.is_ok());
            prop_assert_eq!(quota.unwrap().to_string().parse(), quota);
        }

        #[test]
        fn cells_and_times_are_inverse(count in 1u32.., micros in MIN_PERIOD..=MAX_PERIOD, cells in 1u32..) {
            let quota = Quota::per(count, Duration::from_micros(micros.unsigned_abs()));
            prop_assume!(quota.is_ok());
            let quota = quota.unwrap();
            let time = quota.time_of(cells);
            prop_assume!(time < i64::MAX);
            prop_assert!(quota.cells_in(time) >= cells);
            prop_assert!(quota.cells_in(time - 1) < cells);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9]{0,12}/[0-9]{0,12}[smhdu]{0,2} (burst )?[0-9]{0,12}") {
            let _ = text.parse::<Quota>();
        }
    }
}
