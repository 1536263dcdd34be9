//! The function's settings, from its environment.

use std::time::Duration;

use portcullis_lambda::{AuditConfig, Settings, SettingsError, SigningConfig};

use crate::RotationSettings;

/// The settings of the rotation function. Those of the signing keys must be the token service's.
#[derive(Debug, Clone)]
pub struct Config {
    /// `CLIENT_SECRET_PREFIX` (default `portcullis/clients/`), `CLIENT_SECRET_GRACE_MINUTES` (1 to 10080; 60).
    pub settings: RotationSettings,
    /// The signing keys, and where they are.
    pub signing: SigningConfig,
    /// `TOKENS_TABLE`.
    pub tokens_table: String,
    /// `CREDENTIALS_TABLE`.
    pub credentials_table: String,
    /// `CREDENTIALS_KEY_SECRET`: name of the secret whose bytes (32 at least) client secrets are hashed with.
    pub credentials_key_secret: String,
    /// `AUDIT_TABLE`, `AUDIT_ON_FAILURE` and what else there is.
    pub audit: AuditConfig,
    /// `LOG_LEVEL`: a `tracing` filter; `info` where absent.
    pub log_level: String,
}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// Everything that is missing or not valid, at once.
    #[expect(clippy::disallowed_methods, reason = "the one place where this function reads its environment")]
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads settings from `lookup`.
    ///
    /// # Errors
    /// Everything that is missing or not valid, at once.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut s = Settings::new(lookup);
        let defaults = RotationSettings::default();
        let minutes = s.parsed("CLIENT_SECRET_GRACE_MINUTES", 60_u64, |n| (1..=10_080).contains(n));
        let settings = RotationSettings {
            prefix: s.parsed("CLIENT_SECRET_PREFIX", defaults.prefix, |p: &String| p.ends_with('/')),
            grace: Duration::from_secs(minutes * 60),
        };
        let signing = SigningConfig::read(&mut s);
        let config = Self {
            settings,
            signing,
            tokens_table: s.required("TOKENS_TABLE"),
            credentials_table: s.required("CREDENTIALS_TABLE"),
            credentials_key_secret: s.required("CREDENTIALS_KEY_SECRET"),
            audit: AuditConfig::read(&mut s),
            log_level: s.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
        };
        s.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_lambda::{SignerSetting, SigningAlgorithms};
    use portcullis_token::Algorithm;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Config, SettingsError> {
        Config::from_lookup(|n| match n {
            n if n == name => Some(value.to_owned()),
            "TOKENS_TABLE"
            | "CREDENTIALS_TABLE"
            | "CREDENTIALS_KEY_SECRET"
            | "AUDIT_TABLE"
            | "SIGNING_KEY_ID" => Some(n.to_lowercase()),
            _ => None,
        })
    }

    #[test]
    fn defaults_hold_where_nothing_is_set() {
        let config = with("", "").unwrap();
        assert_eq!(config.settings, RotationSettings::default());
        assert_eq!(config.signing.keeper.algorithms, SigningAlgorithms::default().0);
        assert_eq!(config.signing.keeper.policy.rotate_every, Duration::from_secs(60 * 86_400));
        assert_eq!(config.signing.signer, SignerSetting::Sealed { key_id: "signing_key_id".to_owned() });
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error = Config::from_lookup(|_| None).unwrap_err();
        assert_eq!(error.problems().len(), 5, "{error}");
    }

    #[test]
    fn settings_are_taken_over_or_refused() {
        assert_eq!(
            with("CLIENT_SECRET_GRACE_MINUTES", "5").unwrap().settings.grace,
            Duration::from_secs(300)
        );
        assert_eq!(with("CLIENT_SECRET_PREFIX", "x/clients/").unwrap().settings.prefix, "x/clients/");
        assert_eq!(
            with("SIGNING_ALGORITHMS", "EdDSA").unwrap().signing.keeper.algorithms,
            [Algorithm::EdDsa]
        );
        assert_eq!(
            with("SIGNER", "kms").unwrap().signing.signer,
            SignerSetting::Kms { prefix: "portcullis/signing".to_owned() }
        );
        for (name, value) in [
            ("CLIENT_SECRET_GRACE_MINUTES", "0"),
            ("CLIENT_SECRET_PREFIX", "x"),
            ("SIGNING_ALGORITHMS", "HS256"),
            ("SIGNING_ALGORITHMS", "ES256 ES256"),
            ("JWKS_MAX_AGE_SECONDS", "1"),
            ("KEY_ROTATION_DAYS", "365"),
            ("SIGNER", "file"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.to_string().contains(name), "{name}={value}: {error}");
        }
    }
}
