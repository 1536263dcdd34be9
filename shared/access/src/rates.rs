//! How much each caller may ask for: the file of rates.

use std::collections::BTreeMap;

use portcullis_limit::Quota;
use serde::Deserialize;

use crate::{FileError, file};

/// Rates at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    /// Of one source address (IPv6: one /64).
    pub address: Quota,
    /// Of a principal that has none of its own in the identities file.
    pub principal: Quota,
    /// Of API keys, by tier.
    tiers: BTreeMap<String, Quota>,
}

impl Rates {
    /// Reads a file of the form of `config/access/rates.yml`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(yaml: &str) -> Result<Self, FileError> {
        let file: RatesFile = file::read(yaml)?;
        file::check_version(file.version)?;
        if file.tiers.is_empty() {
            return Err(FileError::entry("tiers", "there is none"));
        }
        Ok(Self { address: file.address, principal: file.principal, tiers: file.tiers })
    }

    /// The file that the stack ships.
    ///
    /// # Errors
    /// Never, as a test holds.
    pub fn shipped() -> Result<Self, FileError> {
        Self::parse(SHIPPED)
    }

    /// The rate of a tier. A tier that there is not has the lowest rate of all, so that a mistake in a key opens nothing.
    pub fn of_tier(&self, tier: &str) -> Quota {
        let lowest = || self.tiers.values().min_by_key(|q| q.admits_within(HOUR)).copied();
        self.tiers.get(tier).copied().or_else(lowest).unwrap_or(self.principal)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatesFile {
    version: u32,
    address: Quota,
    principal: Quota,
    tiers: BTreeMap<String, Quota>,
}

const SHIPPED: &str = include_str!("../../../config/access/rates.yml");
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_an_unknown_tier_has_the_lowest() {
        let rates = Rates::shipped().unwrap();
        assert_eq!(rates.of_tier("high"), "1200/m burst 120".parse().unwrap());
        assert_eq!(rates.of_tier("platinum"), rates.of_tier("trial"));
        assert_ne!(rates.of_tier("platinum"), rates.of_tier("high"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let sound = "version: 1\naddress: 1/s\nprincipal: 1/s\ntiers: {a: 1/s}\n";
        assert!(Rates::parse(sound).is_ok());
        for (label, yaml) in [
            ("no tier", sound.replace("{a: 1/s}", "{}")),
            ("a tier twice", sound.replace("{a: 1/s}", "{a: 1/s, a: 2/s}")),
            ("no address", sound.replace("address: 1/s\n", "")),
            ("not a rate", sound.replace("address: 1/s", "address: none")),
            ("an unknown field", format!("{sound}global: 1/s\n")),
        ] {
            assert!(Rates::parse(&yaml).is_err(), "{label}");
        }
    }
}
