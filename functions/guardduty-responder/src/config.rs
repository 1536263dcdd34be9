//! The function's settings, from its environment.

use portcullis_lambda::{ResponseConfig, Settings, SettingsError};

use crate::IncidentRoles;

/// The settings of the GuardDuty responder.
#[derive(Debug, Clone)]
pub struct Config {
    /// What both responders are told.
    pub response: ResponseConfig,
    /// `INCIDENT_READERS` (`auditor`) and `INCIDENT_MANAGERS` (`security-admin`): roles, separated by commas.
    pub roles: IncidentRoles,
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
        let shipped = IncidentRoles::default();
        let roles = IncidentRoles {
            readers: roles(&s, "INCIDENT_READERS", shipped.readers),
            managers: roles(&s, "INCIDENT_MANAGERS", shipped.managers),
        };
        match response {
            Some(response) => {
                s.finish()?;
                Ok(Self { response, roles })
            }
            None => Err(s.into_error()),
        }
    }
}

fn roles<L: Fn(&str) -> Option<String>>(s: &Settings<L>, name: &str, default: Vec<String>) -> Vec<String> {
    let Some(given) = s.optional(name) else { return default };
    given.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Config, SettingsError> {
        Config::from_lookup(|n| match n {
            n if n == name => Some(value.to_owned()),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "OWN_ROLE_ARN" => Some("arn:aws:iam::111122223333:role/responder".to_owned()),
            "NOTIFICATIONS_TOPIC_ARN" => Some("arn:aws:sns:eu-west-1:111122223333:incidents".to_owned()),
            "INCIDENTS_TABLE" | "AUDIT_TABLE" => Some(n.to_lowercase()),
            _ => None,
        })
    }

    #[test]
    fn roles_are_those_of_the_shipped_policies_or_as_set() {
        assert_eq!(with("", "").unwrap().roles, IncidentRoles::default());
        let roles = with("INCIDENT_MANAGERS", "soc-lead, security-admin,").unwrap().roles;
        assert_eq!(roles.managers, ["soc-lead", "security-admin"]);
        assert_eq!(roles.readers, ["auditor"]);
        assert!(with("INCIDENT_READERS", ",").unwrap().roles.readers.is_empty(), "managers alone");
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let error = Config::from_lookup(|_| None).unwrap_err().to_string();
        for name in
            ["AWS_REGION", "INCIDENTS_TABLE", "OWN_ROLE_ARN", "NOTIFICATIONS_TOPIC_ARN", "AUDIT_TABLE"]
        {
            assert!(error.contains(name), "{name}: {error}");
        }
        assert!(with("SAFETY", "x: 1").unwrap_err().to_string().contains("SAFETY"));
    }
}
