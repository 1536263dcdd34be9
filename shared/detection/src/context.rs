//! What a user tells Portcullis about the account, so that rules can ask for it: hours, networks, automation, accounts.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Deserialize;

use crate::glob;
use crate::hours::{Hours, HoursError, HoursSettings};

/// What is normal in this account. The default knows nothing: rules that ask get no answer, and do not fire for it.
#[derive(Debug, Clone, Default)]
pub struct Context {
    pub(crate) hours: Option<Hours>,
    pub(crate) networks: Vec<IpNet>,
    pub(crate) automation: Vec<String>,
    pub(crate) accounts: BTreeSet<String>,
}

/// Why a context file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// Not YAML, or a member that is not known.
    #[error("context file: {0}")]
    Format(String),
    /// The working hours make no sense.
    #[error("context file: {0}")]
    Hours(#[from] HoursError),
    /// Not twelve digits.
    #[error("context file: {0:?} is no account number")]
    Account(String),
    /// Neither an ARN nor a pattern of one.
    #[error("context file: {0:?} is no ARN (it starts with `arn:`; `*` stands for any text)")]
    Principal(String),
    /// Larger than 64 KB.
    #[error("context file: larger than {MAX_CONTEXT_BYTES} bytes")]
    TooLarge,
}

impl Context {
    /// Reads `config/context.yml`.
    ///
    /// # Errors
    /// See [`ContextError`].
    pub fn parse(yaml: &str) -> Result<Self, ContextError> {
        if yaml.len() > MAX_CONTEXT_BYTES {
            return Err(ContextError::TooLarge);
        }
        let settings: Settings =
            serde_norway::from_str(yaml).map_err(|e| ContextError::Format(e.to_string()))?;
        for account in &settings.accounts {
            if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
                return Err(ContextError::Account(account.clone()));
            }
        }
        for pattern in &settings.automation {
            if !pattern.starts_with("arn:") {
                return Err(ContextError::Principal(pattern.clone()));
            }
        }
        Ok(Self {
            hours: settings.hours.map(Hours::new).transpose()?,
            networks: settings.networks,
            automation: settings.automation,
            accounts: settings.accounts,
        })
    }

    /// Whether one of these ARNs is automation's.
    pub(crate) fn is_automation(&self, arns: [&str; 2]) -> bool {
        self.automation
            .iter()
            .any(|pattern| arns.iter().any(|arn| !arn.is_empty() && glob::matches(pattern, arn)))
    }

    /// Whether `account` is neither `own` nor one of the user's accounts.
    pub(crate) fn is_foreign(&self, account: &str, own: &str) -> bool {
        account != own && !self.accounts.contains(account)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    hours: Option<HoursSettings>,
    #[serde(default)]
    networks: Vec<IpNet>,
    #[serde(default)]
    automation: Vec<String>,
    #[serde(default)]
    accounts: BTreeSet<String>,
}

/// Largest context file.
const MAX_CONTEXT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_file_is_checked() {
        let good = "hours: {time_zone: America/Sao_Paulo, from: '08:00', to: '19:00'}\nnetworks: [203.0.113.0/24]\n\
                    automation: ['arn:aws:iam::*:role/ci-*']\naccounts: ['111122223333']\n";
        let context = Context::parse(good).unwrap();
        assert!(context.is_automation(["arn:aws:iam::1:role/ci-a", ""]));
        assert!(!context.is_automation(["", "arn:aws:iam::1:user/a"]));
        assert!(
            !context.is_foreign("111122223333", "4")
                && context.is_foreign("5", "4")
                && !context.is_foreign("4", "4")
        );
        for (case, yaml, why) in [
            ("unknown member", "networkz: []", "unknown field"),
            ("no network", "networks: [10.0.0.0/33]", "invalid"),
            ("no account", "accounts: ['12']", "no account number"),
            ("no ARN", "automation: ['*']", "no ARN"),
            ("no zone", "hours: {time_zone: Mars/Base, from: '08:00', to: '19:00'}", "Mars/Base"),
        ] {
            let error = Context::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(why), "{case}: {error}");
        }
        assert!(matches!(Context::parse(&"#".repeat(MAX_CONTEXT_BYTES + 1)), Err(ContextError::TooLarge)));
        assert!(!Context::default().is_automation(["arn:aws:iam::1:role/ci", ""]));
    }
}
