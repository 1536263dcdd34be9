//! Typed settings, read once, with all errors told at once.

use std::fmt;
use std::str::FromStr;

/// Reads settings by name and remembers everything that is wrong with them.
pub struct Settings<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Settings<L> {
    /// Settings behind a lookup: the environment, or a table in a test.
    pub const fn new(lookup: L) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// A setting that must be there and not be empty.
    pub fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is not set"));
            String::new()
        })
    }

    /// A setting that may be absent; empty counts as absent.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    /// A setting with a default, of a type that parses, for which `valid` must hold.
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: T, valid: impl Fn(&T) -> bool) -> T {
        let Some(text) = self.optional(name) else { return default };
        match text.parse() {
            Ok(value) if valid(&value) => value,
            _ => {
                self.problems.push(format!("{name} is not valid"));
                default
            }
        }
    }

    /// Remembers a problem that the caller found.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Ends a reading that cannot go on.
    pub fn into_error(self) -> SettingsError {
        SettingsError(self.problems)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Everything that was wrong, in one. Names settings, never values.
    pub fn finish(self) -> Result<(), SettingsError> {
        if self.problems.is_empty() { Ok(()) } else { Err(SettingsError(self.problems)) }
    }
}

/// Settings that are missing or not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    /// One sentence a problem.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings: {}", self.0.join("; "))
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_at_once_and_no_value_with_it() {
        let mut settings = Settings::new(|name: &str| match name {
            "PORT" => Some("hunter2".to_owned()),
            "EMPTY" => Some("  ".to_owned()),
            "NAME" => Some(" x ".to_owned()),
            _ => None,
        });
        assert_eq!(settings.required("NAME"), "x");
        assert_eq!(settings.required("EMPTY"), "");
        assert_eq!(settings.required("GONE"), "");
        assert_eq!(settings.parsed("PORT", 80_u16, |_| true), 80);
        assert_eq!(settings.parsed("DEFAULTED", 7_u16, |_| false), 7);
        let error = settings.finish().unwrap_err();
        assert_eq!(error.to_string(), "settings: EMPTY is not set; GONE is not set; PORT is not valid");
    }

    #[test]
    fn a_value_outside_its_range_is_a_problem() {
        let mut settings = Settings::new(|_: &str| Some("0".to_owned()));
        settings.parsed("SECONDS", 5_u32, |s| *s > 0);
        assert_eq!(settings.finish().unwrap_err().problems(), ["SECONDS is not valid"]);
    }
}
