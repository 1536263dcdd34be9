//! How bad: bands with no gaps between them.

use std::fmt;

use portcullis_detection::Severity;
use serde::{Deserialize, Serialize};

/// A band of severity.
///
/// Source: GuardDuty User Guide, "Severity levels of GuardDuty findings"; requirements, section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Below 4.
    Low,
    /// From 4, below 7.
    Medium,
    /// From 7, below 9.
    High,
    /// 9 and above.
    Critical,
}

impl Band {
    /// The band of a GuardDuty severity. What is no number is treated as the worst: it is never overlooked.
    pub fn of(severity: f64) -> Self {
        if severity < 4.0 {
            Self::Low
        } else if severity < 7.0 {
            Self::Medium
        } else if severity < 9.0 {
            Self::High
        } else {
            Self::Critical
        }
    }

    /// The name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

impl From<Severity> for Band {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Informational | Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
            Severity::Critical => Self::Critical,
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_meet_with_no_gap() {
        for (severity, expected) in [
            (0.0, Band::Low),
            (3.9, Band::Low),
            (3.999_999, Band::Low),
            (4.0, Band::Medium),
            (6.95, Band::Medium),
            (7.0, Band::High),
            (8.9, Band::High),
            (8.999, Band::High),
            (9.0, Band::Critical),
            (10.0, Band::Critical),
            (-1.0, Band::Low),
            (f64::NAN, Band::Critical),
        ] {
            assert_eq!(Band::of(severity), expected, "{severity}");
        }
    }

    #[test]
    fn sigma_levels_have_a_band_and_bands_are_ordered() {
        assert_eq!(Band::from(Severity::Informational), Band::Low);
        assert_eq!(Band::from(Severity::Critical), Band::Critical);
        assert!(Band::Low < Band::Medium && Band::Medium < Band::High && Band::High < Band::Critical);
    }
}
