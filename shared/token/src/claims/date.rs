use portcullis_base::Timestamp;

use crate::strict_json::Value;

/// A `NumericDate` (RFC 7519 section 2): seconds since the Unix epoch, which may have a fraction.
///
/// Kept in milliseconds. Negative ones and those after the year 9999 are refused, so that no sum can overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumericDate(i64);

impl NumericDate {
    /// The date of so many whole seconds, or `None` outside 1970 to 9999.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        (0..=MAX_SECONDS).contains(&seconds).then(|| Self(seconds * 1000))
    }

    /// The start of the second of `at`; what is before 1970 counts as 1970.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_second().clamp(0, MAX_SECONDS) * 1000)
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// So many seconds later, at most the end of the year 9999.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self((self.0 + i64::from(seconds) * 1000).min(MAX_SECONDS * 1000))
    }

    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Int(seconds) => Self::from_seconds(*seconds),
            Value::Float(seconds) => Self::from_float(*seconds),
            _ => None,
        }
    }

    fn from_float(seconds: f64) -> Option<Self> {
        if !(0.0..=MAX_SECONDS as f64).contains(&seconds) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "in range by the check above; less than a ms is lost"
        )]
        let millis = (seconds * 1000.0) as i64;
        Some(Self(millis))
    }
}

const MAX_SECONDS: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_kind() {
        for (label, value, millis) in [
            ("integer", Value::Int(1_700_000_000), Some(1_700_000_000_000)),
            ("zero", Value::Int(0), Some(0)),
            ("fraction", Value::Float(1.5), Some(1_500)),
            ("exponent form", Value::Float(1.7e9), Some(1_700_000_000_000)),
            ("end of 9999", Value::Int(253_402_300_799), Some(253_402_300_799_000)),
            ("year 10000", Value::Int(253_402_300_800), None),
            ("milliseconds by mistake", Value::Int(1_700_000_000_000), None),
            ("huge", Value::Float(1e300), None),
            ("over i64", Value::Float(18_446_744_073_709_551_615.0), None),
            ("negative", Value::Int(-1), None),
            ("negative fraction", Value::Float(-0.5), None),
            ("smallest integer", Value::Int(i64::MIN), None),
            ("text", Value::Text("1700000000".into()), None),
            ("true", Value::Bool(true), None),
            ("null", Value::Null, None),
        ] {
            assert_eq!(NumericDate::read(&value).map(NumericDate::millis), millis, "{label}");
        }
    }

    #[test]
    fn sums_stay_in_range() {
        let last = NumericDate::from_seconds(MAX_SECONDS).unwrap();
        assert_eq!(last.plus_seconds(u32::MAX), last);
        assert_eq!(NumericDate::of(Timestamp::MIN).seconds(), 0);
        assert_eq!(NumericDate::of(Timestamp::from_millisecond(1_999).unwrap()).millis(), 1_000);
    }
}
