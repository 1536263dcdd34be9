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
    /// events of global services, where absent. `AUDIT_LOOKBACK_MINUTES`: how far back the first audit begins (15 to
    /// 129600, which is all that CloudTrail keeps; 60).
    pub audit: AuditSettings,
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
        let minutes = s.parsed("AUDIT_LOOKBACK_MINUTES", 60_u64, |n| (15..=90 * 24 * 60).contains(n));
        let audit = AuditSettings { regions, lookback: Duration::from_secs(minutes * 60) };
        match response {
            Some(response) => {
                s.finish()?;
                Ok(Self { response, correlation_table, context, audit })
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
    let is_region = |region: &String| (9..=20).contains(&region.len()) && region.bytes().all(name);
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
