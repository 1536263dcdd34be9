use std::time::Duration;

use portcullis_base::Timestamp;

use crate::time::between;

/// For how long a key set does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    /// Up to this age it is used without asking.
    pub fresh: Duration,
    /// Up to this age it is used while its issuer cannot be reached. A key that the issuer took out stays good with us
    /// for that long.
    pub stale: Duration,
    /// The least time between two fetches, whatever reasons tokens give: anyone can write an unknown `kid`.
    pub min_interval: Duration,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(300),
            stale: Duration::from_secs(3600),
            min_interval: Duration::from_secs(10),
        }
    }
}

/// When a set was fetched, and when that was last tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetAge {
    /// The last success.
    pub fetched_at: Option<Timestamp>,
    /// The last try.
    pub attempted_at: Option<Timestamp>,
}

/// What to do about a token of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Use the set as it is, even if the key is not in it.
    Use,
    /// Fetch; if that fails there is nothing to use.
    Fetch,
    /// Fetch; if that fails the old set does.
    FetchOrUse,
    /// There is nothing to use, and it is too early to ask again.
    Refuse,
}

impl SetAge {
    /// Whether the last try failed, and what is in hand may have been changed since. Not while a try is under way.
    pub fn last_try_failed(&self) -> bool {
        self.attempted_at > self.fetched_at
    }
}

impl CachePolicy {
    /// For the ring of the stack itself, which costs one read of a table: a key that was found to be compromised is refused
    /// within 30 s, or within 2 min while the table cannot be read.
    pub const RING: Self = Self {
        fresh: Duration::from_secs(30),
        stale: Duration::from_secs(120),
        min_interval: Duration::from_secs(10),
    };

    /// Decides. `lacks_key`: there is a set, and the token's key is not in it.
    pub fn decide(&self, age: &SetAge, lacks_key: bool, now: Timestamp) -> Decision {
        let may_fetch = age.attempted_at.is_none_or(|at| now < at || between(at, now) >= self.min_interval);
        // A clock that went back makes a set from the future: take its age as unknown, that is, not fresh.
        let old = age.fetched_at.map(|at| if now < at { self.fresh } else { between(at, now) });
        let usable = old.is_some_and(|old| old < self.stale);
        let wanted = lacks_key || old.is_none_or(|old| old >= self.fresh);
        match (wanted, may_fetch, usable) {
            (false, _, _) | (true, false, true) => Decision::Use,
            (true, true, true) => Decision::FetchOrUse,
            (true, true, false) => Decision::Fetch,
            (true, false, false) => Decision::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn every_age_and_need() {
        let policy = CachePolicy::default();
        for (label, fetched, attempted, lacks, expected) in [
            ("never tried", None, None, false, Decision::Fetch),
            ("tried 9 s ago in vain", None, Some(9_991), false, Decision::Refuse),
            ("tried 10 s ago in vain", None, Some(9_990), false, Decision::Fetch),
            ("fresh", Some(9_701), Some(9_701), false, Decision::Use),
            ("fresh, unknown key", Some(9_701), Some(9_701), true, Decision::FetchOrUse),
            ("fetched 9 s ago, unknown key", Some(9_991), Some(9_991), true, Decision::Use),
            ("no longer fresh", Some(9_700), Some(9_700), false, Decision::FetchOrUse),
            ("no longer fresh, tried just now", Some(9_700), Some(9_999), false, Decision::Use),
            ("at the end of stale", Some(6_401), Some(9_000), false, Decision::FetchOrUse),
            ("too old", Some(6_400), Some(9_000), false, Decision::Fetch),
            ("too old, tried just now", Some(6_400), Some(9_999), false, Decision::Refuse),
            ("too old, unknown key, tried just now", Some(6_400), Some(9_999), true, Decision::Refuse),
            ("clock went back", Some(20_000), Some(20_000), false, Decision::FetchOrUse),
        ] {
            let age = SetAge { fetched_at: fetched.map(at), attempted_at: attempted.map(at) };
            assert_eq!(policy.decide(&age, lacks, at(10_000)), expected, "{label}");
        }
    }
}
