//! How the stack signs: the settings that the token service and the rotation of its keys must have alike.

use std::str::FromStr;
use std::time::Duration;

use portcullis_token::{Algorithm, KeeperSettings};

use crate::Settings;

/// The settings of the signing keys.
#[derive(Debug, Clone)]
pub struct SigningConfig {
    /// `SIGNING_ALGORITHMS` (space between; default `ES256 EdDSA RS256`), `JWKS_MAX_AGE_SECONDS` (60 to 3600; 300),
    /// `KEY_ROTATION_DAYS` (30 to 90; 60).
    pub keeper: KeeperSettings,
    /// `SIGNER`, `SIGNING_KEY_ID`, `SIGNING_KEY_PREFIX`.
    pub signer: SignerSetting,
}

/// Where private signing keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerSetting {
    /// `SIGNER=sealed` (default): sealed by the KMS key `SIGNING_KEY_ID`, held in memory while they sign.
    Sealed {
        /// The KMS key: id, ARN or alias.
        key_id: String,
    },
    /// `SIGNER=kms`: in KMS, which they never leave, under aliases that begin with `alias/<SIGNING_KEY_PREFIX>/`.
    Kms {
        /// The prefix; `portcullis/signing` where absent.
        prefix: String,
    },
}

impl SigningConfig {
    /// Reads them.
    pub fn read<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Self {
        let algorithms = s.parsed("SIGNING_ALGORITHMS", SigningAlgorithms::default(), |_| true).0;
        let max_age = s.parsed("JWKS_MAX_AGE_SECONDS", 300_u64, |n| (60..=3600).contains(n));
        let days = s.parsed("KEY_ROTATION_DAYS", 60_u64, |n| (30..=90).contains(n));
        let (max_age, rotate_every) =
            (Duration::from_secs(max_age), Duration::from_secs(days * 24 * 60 * 60));
        let signer = match s.optional("SIGNER").as_deref() {
            None | Some("sealed") => SignerSetting::Sealed { key_id: s.required("SIGNING_KEY_ID") },
            Some("kms") => SignerSetting::Kms {
                prefix: s.optional("SIGNING_KEY_PREFIX").unwrap_or_else(|| "portcullis/signing".to_owned()),
            },
            Some(_) => {
                s.problem("SIGNER is neither sealed nor kms");
                SignerSetting::Sealed { key_id: String::new() }
            }
        };
        Self { keeper: KeeperSettings::new(algorithms, max_age, rotate_every), signer }
    }
}

/// Algorithms by their names, with a space between, each once. PS256 signs nothing here: few verifiers know it, and RSA keys
/// sign RS256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningAlgorithms(pub Vec<Algorithm>);

impl Default for SigningAlgorithms {
    fn default() -> Self {
        Self(vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256])
    }
}

impl FromStr for SigningAlgorithms {
    type Err = NotSigningAlgorithms;

    fn from_str(text: &str) -> Result<Self, NotSigningAlgorithms> {
        let mut algorithms = Vec::new();
        for name in text.split_ascii_whitespace() {
            let known = Self::default().0.into_iter().find(|a| a.as_str() == name);
            let algorithm = known.filter(|a| !algorithms.contains(a)).ok_or(NotSigningAlgorithms)?;
            algorithms.push(algorithm);
        }
        if algorithms.is_empty() { Err(NotSigningAlgorithms) } else { Ok(Self(algorithms)) }
    }
}

/// Not a list of distinct signing algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSigningAlgorithms;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_named_once_each_and_as_registered() {
        for (text, good) in [
            ("ES256", true),
            ("RS256 ES256  EdDSA", true),
            ("", false),
            ("ES256 ES256", false),
            ("PS256", false),
            ("HS256", false),
            ("es256", false),
            ("Ed25519", false),
        ] {
            assert_eq!(text.parse::<SigningAlgorithms>().is_ok(), good, "{text:?}");
        }
    }
}
