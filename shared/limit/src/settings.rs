use std::time::Duration;

use crate::Quota;

/// How a [`crate::LeasedLimiter`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimiterSettings {
    /// The first part of every key in the store: limiters with different ones share no bucket.
    pub namespace: &'static str,
    /// The longest life of a lease. For a quota it is no longer than a twentieth of the period.
    pub lease: Duration,
    /// The most cells of a lease. For a quota it is no more than a quarter of the burst (but one at least), so that
    /// one container cannot starve the others.
    pub max_lease: u32,
    /// At most this many keys are kept in memory, those used last.
    pub max_keys: usize,
    /// What happens while the store fails.
    pub on_store_failure: OnStoreFailure,
    /// After a failure the store is left alone for this long, whatever the key; then one request tries it.
    pub pause: Duration,
}

/// What happens to requests that no lease covers while the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// They are refused.
    Refuse,
    /// They pass within a limit of the container's own: its share of the quota among so many containers. With as many
    /// containers as stated, all together stay within the quota, counted anew from the failure; with more they do not.
    Allow {
        /// The number of containers to expect.
        containers: u32,
    },
}

impl std::str::FromStr for OnStoreFailure {
    type Err = UnknownOnStoreFailure;

    /// `refuse`, or the number of containers to expect.
    fn from_str(text: &str) -> Result<Self, UnknownOnStoreFailure> {
        match text.parse::<u32>() {
            _ if text == "refuse" => Ok(Self::Refuse),
            Ok(containers @ 1..) => Ok(Self::Allow { containers }),
            _ => Err(UnknownOnStoreFailure),
        }
    }
}

/// Neither `refuse` nor a number of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither refuse nor a number of containers")]
pub struct UnknownOnStoreFailure;

impl Default for LimiterSettings {
    fn default() -> Self {
        Self {
            namespace: "limit",
            lease: Duration::from_secs(1),
            max_lease: 64,
            max_keys: 10_000,
            on_store_failure: OnStoreFailure::Refuse,
            pause: Duration::from_millis(250),
        }
    }
}

impl LimiterSettings {
    /// How long a leased cell may be spent. In any window of length `W`, by these containers' clocks, at most
    /// `quota.admits_within(W + lease_of(quota))` requests pass while the store answers.
    pub fn lease_of(&self, quota: &Quota) -> Duration {
        crate::gcra::micros(quota.period() / LEASES_PER_PERIOD).min(self.lease)
    }

    /// The most cells of a lease.
    pub(crate) fn max_lease_of(&self, quota: &Quota) -> u32 {
        (quota.burst_size() / LEASES_PER_BURST).min(self.max_lease).max(1)
    }
}

const LEASES_PER_PERIOD: i64 = 20;
const LEASES_PER_BURST: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_fit_their_quota() {
        let settings = LimiterSettings::default();
        for (text, millis, cells) in [
            ("2000/5m burst 100", 1_000, 25),
            ("2000/5m", 1_000, 64),
            ("100/s burst 100", 50, 25),
            ("100/s burst 3", 50, 1),
            ("1/ms", 0, 1),
        ] {
            let quota = text.parse().unwrap();
            assert_eq!(settings.lease_of(&quota).as_millis(), millis, "{text}");
            assert_eq!(settings.max_lease_of(&quota), cells, "{text}");
        }
    }

    #[test]
    fn what_happens_while_the_store_fails_is_said_in_one_way() {
        for (text, expected) in [
            ("refuse", Some(OnStoreFailure::Refuse)),
            ("8", Some(OnStoreFailure::Allow { containers: 8 })),
            ("0", None),
            ("-1", None),
            ("allow", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
    }
}
