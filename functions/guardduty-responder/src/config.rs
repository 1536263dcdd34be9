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
