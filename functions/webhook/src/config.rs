//! The function's settings, from its environment.

use std::time::Duration;

use portcullis_lambda::{AuditConfig, Settings, SettingsError};

use crate::{HandlerSettings, SendSettings};

/// The settings of the webhook function.
#[derive(Debug, Clone)]
pub struct Config {
    /// `TEXT_QUEUE_URL`: queue of text-like items.
    pub text_queue_url: String,
    /// `MEDIA_QUEUE_URL`: queue of media items.
    pub media_queue_url: String,
    /// `CLAIM_CHECK_BUCKET`: bucket of items over the queues' size limit.
    pub claim_check_bucket: String,
    /// `SECRET_PROVIDER`: where the webhook's secret is kept.
    pub secrets: SecretProvider,
    /// `WEBHOOK_SECRET_ID`, `WEBHOOK_PATH` (default `/webhook`), `META_CLIENT_CN`, `PREVIOUS_SECRET_HOURS` (default 24, at
    /// most 168), `QUEUE_MAX_BYTES` (default 1048576, SQS's own limit), `SEND_BUDGET_MS` (default 5000).
    pub handler: HandlerSettings,
    /// `AUDIT_TABLE`, `AUDIT_ON_FAILURE` and what else there is.
    pub audit: AuditConfig,
    /// `LOG_LEVEL`: a `tracing` filter; `info` where absent.
    pub log_level: String,
}

/// Where the webhook's secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretProvider {
    /// `aws`: AWS Secrets Manager.
    Aws,
    /// `vault`: Vault or OpenBao KV v2.
    Vault(VaultConfig),
}

/// How Vault is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultConfig {
    /// `VAULT_ADDR`: `https://…`.
    pub address: String,
    /// `VAULT_MOUNT`: mount of the KV engine; `secret` where absent.
    pub mount: String,
    /// `VAULT_NAMESPACE`.
    pub namespace: Option<String>,
    /// `VAULT_ROLE_ID`: the AppRole's id.
    pub role_id: String,
    /// `VAULT_SECRET_ID_FILE`: the file that holds the AppRole's secret id. A file, since a Lambda's environment is
    /// readable by whoever may read its configuration.
    pub secret_id_file: String,
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
        let defaults = SendSettings::default();
        let config = Self {
            text_queue_url: s.required("TEXT_QUEUE_URL"),
            media_queue_url: s.required("MEDIA_QUEUE_URL"),
            claim_check_bucket: s.required("CLAIM_CHECK_BUCKET"),
            secrets: secret_provider(&mut s),
            handler: HandlerSettings {
                secret_id: s.required("WEBHOOK_SECRET_ID"),
                path: s.parsed("WEBHOOK_PATH", "/webhook".to_owned(), |p: &String| p.starts_with('/')),
                client_cn: s.optional("META_CLIENT_CN"),
                previous_for: Duration::from_secs(
                    s.parsed("PREVIOUS_SECRET_HOURS", 24_u64, |hours| *hours <= 168) * 3_600,
                ),
                send: SendSettings {
                    max_bytes: s.parsed("QUEUE_MAX_BYTES", defaults.max_bytes, |n| QUEUE_LIMITS.contains(n)),
                    budget: Duration::from_millis(
                        s.parsed("SEND_BUDGET_MS", 5_000, |ms| (100..=25_000).contains(ms)),
                    ),
                    ..defaults
                },
            },
            audit: AuditConfig::read(&mut s),
            log_level: s.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
        };
        s.finish()?;
        Ok(config)
    }
}

fn secret_provider<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> SecretProvider {
    match s.optional("SECRET_PROVIDER").as_deref() {
        None | Some("aws") => SecretProvider::Aws,
        Some("vault") => SecretProvider::Vault(VaultConfig {
            address: s.required("VAULT_ADDR"),
            mount: s.optional("VAULT_MOUNT").unwrap_or_else(|| "secret".to_owned()),
            namespace: s.optional("VAULT_NAMESPACE"),
            role_id: s.required("VAULT_ROLE_ID"),
            secret_id_file: s.required("VAULT_SECRET_ID_FILE"),
        }),
        Some(_) => {
            s.problem("SECRET_PROVIDER is neither aws nor vault");
            SecretProvider::Aws
        }
    }
}

// What SQS lets a queue's MaximumMessageSize be, with room for a claim ticket at the lower end.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
const QUEUE_LIMITS: std::ops::RangeInclusive<usize> = 4_096..=1_048_576;

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(name: &str) -> Option<String> {
        let value = match name {
            "TEXT_QUEUE_URL" => "https://queue.example/text.fifo",
            "MEDIA_QUEUE_URL" => "https://queue.example/media.fifo",
            "CLAIM_CHECK_BUCKET" => "claims",
            "WEBHOOK_SECRET_ID" => "portcullis/webhook",
            "AUDIT_TABLE" => "portcullis-audit",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn with(name: &'static str, value: &'static str) -> Result<Config, SettingsError> {
        Config::from_lookup(|n| if n == name { Some(value.to_owned()) } else { complete(n) })
    }

    #[test]
    fn defaults_hold_where_nothing_is_set() {
        let config = Config::from_lookup(complete).unwrap();
        assert_eq!(config.handler, HandlerSettings::new("portcullis/webhook"));
        assert_eq!((config.secrets, config.log_level.as_str()), (SecretProvider::Aws, "info"));
        assert_eq!(config.handler.send.max_bytes, 1_048_576);
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error =
            Config::from_lookup(|name| (name == "SECRET_PROVIDER").then(|| "vault".to_owned())).unwrap_err();
        for name in [
            "TEXT_QUEUE_URL",
            "MEDIA_QUEUE_URL",
            "CLAIM_CHECK_BUCKET",
            "WEBHOOK_SECRET_ID",
            "AUDIT_TABLE",
            "VAULT_ADDR",
            "VAULT_ROLE_ID",
            "VAULT_SECRET_ID_FILE",
        ] {
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        for (name, value) in [
            ("QUEUE_MAX_BYTES", "0"),
            ("QUEUE_MAX_BYTES", "4095"),
            ("QUEUE_MAX_BYTES", "1048577"),
            ("QUEUE_MAX_BYTES", "many"),
            ("PREVIOUS_SECRET_HOURS", "169"),
            ("PREVIOUS_SECRET_HOURS", "-1"),
            ("SEND_BUDGET_MS", "0"),
            ("SEND_BUDGET_MS", "60000"),
            ("WEBHOOK_PATH", "webhook"),
            ("SECRET_PROVIDER", "env"),
            ("SECRET_PROVIDER", "AWS"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.to_string().contains(name), "{name}={value}: {error}");
        }
    }

    #[test]
    fn settings_are_taken_over() {
        assert_eq!(with("QUEUE_MAX_BYTES", "262144").unwrap().handler.send.max_bytes, 262_144);
        assert_eq!(with("SEND_BUDGET_MS", "2500").unwrap().handler.send.budget, Duration::from_millis(2_500));
        for (hours, expected) in [("0", 0), ("168", 604_800)] {
            let held = with("PREVIOUS_SECRET_HOURS", hours).unwrap().handler.previous_for;
            assert_eq!(held, Duration::from_secs(expected));
        }
        assert_eq!(with("WEBHOOK_PATH", "/wa").unwrap().handler.path, "/wa");
        let cn = with("META_CLIENT_CN", "client.webhooks.fbclientcerts.com").unwrap().handler.client_cn;
        assert_eq!(cn.as_deref(), Some("client.webhooks.fbclientcerts.com"));
    }
}
