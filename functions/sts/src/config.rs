//! The function's settings, from its environment.

use std::time::Duration;

use portcullis_access::Identities;
use portcullis_lambda::{
    AuditConfig, LimitsConfig, Settings, SettingsError, SigningAlgorithms, SigningConfig,
};
use portcullis_token::{Algorithm, FamilyPolicy};

use crate::{Issuer, StsSettings, UserIssuer, issuer};

/// The settings of the token service.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ISSUER`, `AUDIENCE`, `SIGNING_ALGORITHM` (default `ES256`), `ADDRESS_RATE`, `CLIENT_RATE` (quotas), `APPROVAL_MINUTES`
    /// (1 to 15; 15), `REFRESH_DAYS` (1 to 90; 30), `REFRESH_IDLE_DAYS` (1 to 90; 7), `REFRESH_GRACE_SECONDS` (0 to 60; 10),
    /// `VIEWER_ADDRESS_HEADER` (only behind CloudFront, which writes it).
    pub settings: StsSettings,
    /// `IDENTITIES`: an identities file as YAML; the shipped one where absent.
    pub identities: Identities,
    /// `USER_ISSUERS`: see [`crate::parse_user_issuers`]; none where absent.
    pub user_issuers: Vec<UserIssuer>,
    /// The signing keys, and where they are.
    pub signing: SigningConfig,
    /// `TOKENS_TABLE`.
    pub tokens_table: String,
    /// `CREDENTIALS_TABLE`.
    pub credentials_table: String,
    /// Where rate limits are, and what happens while they fail.
    pub limits: LimitsConfig,
    /// Where security events go.
    pub audit: AuditConfig,
    /// `CREDENTIALS_KEY_SECRET`: name of the secret whose bytes (32 at least) client secrets are hashed with.
    pub credentials_key_secret: String,
    /// `REFRESH_KEY_SECRET`: name of the secret whose bytes (32 at least) refresh tokens are authenticated with.
    pub refresh_key_secret: String,
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
        let signing = SigningConfig::read(&mut s);
        let settings = sts_settings(&mut s, &signing.keeper.algorithms);
        let identities = identities(&mut s, &signing.keeper.algorithms);
        let user_issuers = user_issuers(&mut s);
        let [tokens_table, credentials_table] =
            ["TOKENS_TABLE", "CREDENTIALS_TABLE"].map(|name| s.required(name));
        let limits = LimitsConfig::read(&mut s);
        let audit = AuditConfig::read(&mut s);
        let credentials_key_secret = s.required("CREDENTIALS_KEY_SECRET");
        let refresh_key_secret = s.required("REFRESH_KEY_SECRET");
        let log_level = s.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        // What is not there was told to be wrong.
        let (Some(settings), Some(identities)) = (settings, identities) else { return Err(s.into_error()) };
        s.finish()?;
        Ok(Self {
            settings,
            identities,
            user_issuers,
            signing,
            tokens_table,
            credentials_table,
            limits,
            audit,
            credentials_key_secret,
            refresh_key_secret,
            log_level,
        })
    }
}

fn sts_settings<L: Fn(&str) -> Option<String>>(
    s: &mut Settings<L>,
    algorithms: &[Algorithm],
) -> Option<StsSettings> {
    let (issuer, audience) = (s.required("ISSUER"), s.required("AUDIENCE"));
    let issuer = match Issuer::parse(&issuer) {
        Ok(issuer) => Some(issuer),
        Err(error) => {
            s.problem(format!("ISSUER: {error}"));
            None
        }
    };
    let default = algorithms.first().copied().unwrap_or(Algorithm::Es256);
    let default = if algorithms.contains(&Algorithm::Es256) { Algorithm::Es256 } else { default };
    let algorithm = s.parsed(
        "SIGNING_ALGORITHM",
        SigningAlgorithms(vec![default]),
        |a| matches!(&*a.0, [one] if algorithms.contains(one)),
    );
    let mut settings = StsSettings::new(issuer?, audience).ok()?;
    settings.algorithm = algorithm.0.first().copied().unwrap_or(default);
    settings.viewer_address_header = s.optional("VIEWER_ADDRESS_HEADER");
    settings.address_rate = s.parsed("ADDRESS_RATE", settings.address_rate, |_| true);
    settings.client_rate = s.parsed("CLIENT_RATE", settings.client_rate, |_| true);
    let minutes = s.parsed("APPROVAL_MINUTES", 15_u32, |n| (1..=15).contains(n));
    settings.approval_lifetime = Duration::from_secs(u64::from(minutes) * 60);
    settings.family = FamilyPolicy {
        lifetime: of_days(s.parsed("REFRESH_DAYS", 30, |n| (1..=90).contains(n))),
        idle: of_days(s.parsed("REFRESH_IDLE_DAYS", 7, |n| (1..=90).contains(n))),
        grace: Duration::from_secs(s.parsed("REFRESH_GRACE_SECONDS", 10, |n| *n <= 60)),
    };
    Some(settings)
}

fn identities<L: Fn(&str) -> Option<String>>(
    s: &mut Settings<L>,
    algorithms: &[Algorithm],
) -> Option<Identities> {
    let read = s.optional("IDENTITIES").map_or_else(Identities::shipped, |yaml| Identities::parse(&yaml));
    let identities = match read {
        Ok(identities) => identities,
        Err(error) => {
            s.problem(format!("IDENTITIES: {error}"));
            return None;
        }
    };
    // It would be refused every token.
    let keyless = |a: Algorithm| !algorithms.contains(&a);
    if let Some(identity) = identities.iter().find(|i| i.signing_algorithm.is_some_and(keyless)) {
        s.problem(format!("IDENTITIES: the algorithm of {} is none of SIGNING_ALGORITHMS", identity.id));
    }
    Some(identities)
}

fn user_issuers<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Vec<UserIssuer> {
    let Some(yaml) = s.optional("USER_ISSUERS") else { return Vec::new() };
    issuer::parse_user_issuers(&yaml).unwrap_or_else(|error| {
        s.problem(format!("USER_ISSUERS: {error}"));
        Vec::new()
    })
}

fn of_days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}

#[cfg(test)]
mod tests {
    use portcullis_lambda::SignerSetting;
    use portcullis_limit::OnStoreFailure;

    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Config, SettingsError> {
        Config::from_lookup(|name| {
            let changed = changes.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
            let value = changed.or(match name {
                "ISSUER" => Some("https://id.example"),
                "AUDIENCE" => Some("https://api.example"),
                "SIGNING_KEY_ID"
                | "TOKENS_TABLE"
                | "CREDENTIALS_TABLE"
                | "LIMITS_TABLE"
                | "AUDIT_TABLE"
                | "CREDENTIALS_KEY_SECRET"
                | "REFRESH_KEY_SECRET" => Some("x"),
                _ => None,
            });
            value.map(str::to_owned)
        })
    }

    #[test]
    fn what_must_be_set_is_enough() {
        let config = read(&[]).unwrap();
        assert_eq!(config.settings.algorithm, Algorithm::Es256);
        assert_eq!(config.signing.keeper.algorithms.len(), 3);
        assert_eq!(config.signing.keeper.policy.rotate_every.as_secs(), 60 * 24 * 3600);
        assert_eq!(config.audit.on_failure, portcullis_audit::OnAuditFailure::Refuse);
        assert_eq!(config.limits.on_failure, OnStoreFailure::Refuse);
        assert_eq!(config.signing.signer, SignerSetting::Sealed { key_id: "x".to_owned() });
    }

    #[test]
    fn a_header_speaks_for_the_viewer_only_where_it_is_set() {
        assert_eq!(read(&[]).unwrap().settings.viewer_address_header, None);
        let behind = read(&[("VIEWER_ADDRESS_HEADER", "x-viewer-address")]).unwrap();
        assert_eq!(behind.settings.viewer_address_header.as_deref(), Some("x-viewer-address"));
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error = Config::from_lookup(|_| None).unwrap_err();
        for name in [
            "ISSUER",
            "AUDIENCE",
            "SIGNING_KEY_ID",
            "TOKENS_TABLE",
            "CREDENTIALS_TABLE",
            "LIMITS_TABLE",
            "AUDIT_TABLE",
            "CREDENTIALS_KEY_SECRET",
            "REFRESH_KEY_SECRET",
        ] {
            assert!(error.to_string().contains(&format!("{name} is not set")), "{name}: {error}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_rather_than_replaced() {
        for (name, value) in [
            ("ISSUER", "http://id.example"),
            ("SIGNING_ALGORITHMS", "HS256"),
            ("SIGNING_ALGORITHMS", "ES256 ES256"),
            ("SIGNING_ALGORITHMS", "PS256"),
            ("SIGNING_ALGORITHM", "PS256"),
            ("SIGNING_ALGORITHM", "ES256 EdDSA"),
            ("IDENTITIES", "version: 7"),
            ("USER_ISSUERS", "- {}"),
            ("JWKS_MAX_AGE_SECONDS", "59"),
            ("KEY_ROTATION_DAYS", "91"),
            ("KEY_ROTATION_DAYS", "29"),
            ("SIGNER", "memory"),
            ("AUDIT_ON_FAILURE", "ignore"),
            ("LIMITS_ON_FAILURE", "0"),
            ("LIMITS_ON_FAILURE", "allow"),
            ("ADDRESS_RATE", "many"),
            ("APPROVAL_MINUTES", "16"),
            ("REFRESH_GRACE_SECONDS", "61"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains(value), "{name}={value}: {error}");
        }
    }

    #[test]
    fn an_identity_whose_algorithm_has_no_key_is_told() {
        let identities = "version: 1
identities:
  - {id: svc.a, role: svc.bff, audiences: [], token_lifetime_minutes: 5, auth_methods: [client_secret_basic], grants: [client_credentials], rate: 1/s, signing_algorithm: RS256}
";
        assert!(read(&[("IDENTITIES", identities)]).is_ok());
        let error = read(&[("IDENTITIES", identities), ("SIGNING_ALGORITHMS", "ES256")]).unwrap_err();
        assert!(error.to_string().contains("svc.a"), "{error}");
    }
}
