//! Where the functions keep their rate limits, and what happens while they cannot be told.

use portcullis_limit::{LimitsPlace, OnStoreFailure};

use crate::Settings;

/// The settings of rate limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// `LIMITS_TABLE`: a table of DynamoDB; or `LIMITS_REDIS_URL`: Redis or Valkey at `rediss://host[:port][/database]`, as
    /// `LIMITS_REDIS_USER` (the default user where absent) with the password in the secret of the name
    /// `LIMITS_REDIS_SECRET` (without a password where absent). Exactly one of table and URL.
    pub place: LimitsPlace,
    /// `LIMITS_ON_FAILURE`: `refuse` (default) or the number of containers to expect, each of which then allows its share.
    pub on_failure: OnStoreFailure,
}

impl LimitsConfig {
    /// Reads them.
    pub fn read<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Self {
        let on_failure = s.parsed("LIMITS_ON_FAILURE", OnStoreFailure::Refuse, |_| true);
        let user = s.optional("LIMITS_REDIS_USER");
        let secret = s.optional("LIMITS_REDIS_SECRET");
        if user.is_some() && secret.is_none() {
            // Without it the name would be dropped, and the default user's rights be used.
            s.problem("LIMITS_REDIS_USER is set without LIMITS_REDIS_SECRET, its password");
        }
        let place = match (s.optional("LIMITS_TABLE"), s.optional("LIMITS_REDIS_URL")) {
            (Some(table), None) => LimitsPlace::Table(table),
            (None, Some(address)) => LimitsPlace::Redis { address, user, secret },
            (Some(table), Some(_)) => {
                s.problem("LIMITS_TABLE and LIMITS_REDIS_URL are both set: limits are in one place");
                LimitsPlace::Table(table)
            }
            (None, None) => {
                s.problem("LIMITS_TABLE is not set (nor LIMITS_REDIS_URL)");
                LimitsPlace::Table(String::new())
            }
        };
        Self { place, on_failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<LimitsConfig, String> {
        let of = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let mut settings = Settings::new(of);
        let config = LimitsConfig::read(&mut settings);
        settings.finish().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn limits_are_in_exactly_one_place() {
        let table = read(&[("LIMITS_TABLE", "t")]).unwrap();
        assert_eq!(table.place, LimitsPlace::Table("t".to_owned()));
        assert_eq!(table.on_failure, OnStoreFailure::Refuse);
        let address = "rediss://cache.example".to_owned();
        for (label, set, user, secret) in [
            ("bare", &[("LIMITS_REDIS_URL", "rediss://cache.example")][..], None, None),
            (
                "with credentials",
                &[
                    ("LIMITS_REDIS_URL", "rediss://cache.example"),
                    ("LIMITS_REDIS_USER", "u"),
                    ("LIMITS_REDIS_SECRET", "s"),
                ],
                Some("u".to_owned()),
                Some("s".to_owned()),
            ),
        ] {
            let expected = LimitsPlace::Redis { address: address.clone(), user, secret };
            assert_eq!(read(set).unwrap().place, expected, "{label}");
        }
        for (label, set) in [
            ("neither", &[][..]),
            ("both", &[("LIMITS_TABLE", "t"), ("LIMITS_REDIS_URL", "rediss://hunter2")]),
            ("a user alone", &[("LIMITS_REDIS_USER", "hunter2")]),
            ("no password", &[("LIMITS_REDIS_URL", "rediss://c"), ("LIMITS_REDIS_USER", "hunter2")]),
        ] {
            let error = read(set).unwrap_err();
            assert!(
                error.contains(if label == "no password" { "LIMITS_REDIS_SECRET" } else { "LIMITS_TABLE" })
                    && !error.contains("hunter2"),
                "{label}: {error}"
            );
        }
    }
}
