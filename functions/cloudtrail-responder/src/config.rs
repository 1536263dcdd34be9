//! The function's settings, from its environment.

use std::time::Duration;

use portcullis_detection::Context;
use portcullis_lambda::{ResponseConfig, Settings, SettingsError};

use crate::AuditSettings;

/// The settings of the CloudTrail responder.
#[derive(Debug, Clone)]
pub struct Config {
    /// What both responders are told.
    pub response: ResponseConfig,
    /// `CORRELATION_TABLE`: name of the table in which correlation rules remember.
    pub correlation_table: String,
    /// `DETECTION_CONTEXT`: what the rules are told of the account, as YAML; the shipped context where absent.
    pub context: Context,
    /// `AUDIT_REGIONS`: regions whose history is read, separated by commas; `AWS_REGION` and `us-east-1`, which has the
    /// events of global services, where absent. `AUDIT_LOOKBACK_MINUTES`: how far back the first audit begins (30 to
    /// 129600, which is all that CloudTrail keeps; 60): the last quarter of an hour is not read yet.
    pub audit: AuditSettings,
    /// `AUDIT_READ_ONLY_EVENTS`: whether the audit reads calls that only read, which are most by far (`true`). Where
    /// EventBridge does not deliver them, or the audit falls behind with them, `false`.
    pub audit_reads: bool,
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
        let response = ResponseConfig::read(&mut s);
        let correlation_table = s.required("CORRELATION_TABLE");
        let context = context(&mut s);
        let regions = regions(&mut s);
        let minutes = s.parsed("AUDIT_LOOKBACK_MINUTES", 60_u64, |n| (30..=90 * 24 * 60).contains(n));
        let audit = AuditSettings { regions, lookback: Duration::from_secs(minutes * 60) };
        let audit_reads = s.parsed("AUDIT_READ_ONLY_EVENTS", true, |_| true);
        match response {
            Some(response) => {
                s.finish()?;
                Ok(Self { response, correlation_table, context, audit, audit_reads })
            }
            None => Err(s.into_error()),
        }
    }
}

fn context<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Context {
    let yaml = s.optional("DETECTION_CONTEXT").unwrap_or_else(|| SHIPPED_CONTEXT.to_owned());
    Context::parse(&yaml).unwrap_or_else(|error| {
        s.problem(format!("DETECTION_CONTEXT: {error}"));
        Context::default()
    })
}

fn regions<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Vec<String> {
    let own = s.optional("AWS_REGION").unwrap_or_default();
    let given = s.optional("AUDIT_REGIONS").unwrap_or_else(|| format!("{own},{GLOBAL}"));
    let mut regions: Vec<String> =
        given.split(',').map(str::trim).filter(|region| !region.is_empty()).map(str::to_owned).collect();
    regions.sort();
    regions.dedup();
    let name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_region = |region: &String| {
        let form = region.split('-').count() >= 3 && region.ends_with(|last: char| last.is_ascii_digit());
        form && region.len() <= 32 && region.bytes().all(name)
    };
    if regions.is_empty() || regions.len() > MAX_REGIONS || !regions.iter().all(is_region) {
        s.problem("AUDIT_REGIONS is not valid");
    }
    regions
}

/// Where CloudTrail records what global services do.
const GLOBAL: &str = "us-east-1";

/// More than there are.
const MAX_REGIONS: usize = 64;

const SHIPPED_CONTEXT: &str = include_str!("../../../config/context.yml");

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Config, SettingsError> {
        Config::from_lookup(|n| match n {
            n if n == name => Some(value.to_owned()),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "OWN_ROLE_ARN" => Some("arn:aws:iam::111122223333:role/responder".to_owned()),
            "NOTIFICATIONS_TOPIC_ARN" => Some("arn:aws:sns:eu-west-1:111122223333:incidents".to_owned()),
            "INCIDENTS_TABLE" | "CORRELATION_TABLE" | "AUDIT_TABLE" => Some(n.to_lowercase()),
            _ => None,
        })
    }

    #[test]
    fn defaults_hold_where_nothing_is_set() {
        let config = with("", "").unwrap();
        assert_eq!(config.correlation_table, "correlation_table");
        assert_eq!(config.audit.regions, ["eu-west-1", "us-east-1"]);
        assert_eq!(config.audit.lookback, Duration::from_secs(3600));
        assert_eq!(with("AWS_REGION", "us-east-1").unwrap().audit.regions, ["us-east-1"], "once");
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error = Config::from_lookup(|_| None).unwrap_err().to_string();
        for name in ["AWS_REGION", "INCIDENTS_TABLE", "CORRELATION_TABLE", "OWN_ROLE_ARN", "AUDIT_TABLE"] {
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn settings_are_taken_over_or_refused() {
        let regions =
            with("AUDIT_REGIONS", " us-gov-west-1, eu-central-1 ,eu-central-1,").unwrap().audit.regions;
        assert_eq!(regions, ["eu-central-1", "us-gov-west-1"]);
        assert_eq!(
            with("AUDIT_LOOKBACK_MINUTES", "1440").unwrap().audit.lookback,
            Duration::from_secs(86_400)
        );
        assert!(with("AUDIT_LOOKBACK_MINUTES", "30").is_ok());
        assert!(with("", "").unwrap().audit_reads);
        assert!(!with("AUDIT_READ_ONLY_EVENTS", "false").unwrap().audit_reads);
        for (name, value) in [
            ("AUDIT_REGIONS", ","),
            ("AUDIT_REGIONS", "everywhere"),
            ("AUDIT_REGIONS", "EU-WEST-1"),
            ("AUDIT_REGIONS", "eu-west-1;us-east-1"),
            ("AUDIT_LOOKBACK_MINUTES", "29"),
            ("AUDIT_LOOKBACK_MINUTES", "129601"),
            ("AUDIT_READ_ONLY_EVENTS", "no"),
            ("DETECTION_CONTEXT", "accounts: ['1']"),
            ("DETECTION_CONTEXT", "unknown: 1"),
            ("PLAYBOOKS", "x"),
        ] {
            let error = with(name, value).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
    }
}
