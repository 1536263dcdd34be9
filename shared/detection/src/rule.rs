//! What a rule says besides its condition: who it is, how bad, which technique, and what may follow.

use std::collections::HashMap;
use std::fmt;

use rsigma_parser::{Detection, DetectionItem, Level, SigmaRule};
use serde::{Deserialize, Serialize};

/// How bad a hit is: Sigma's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Informational,
    /// Rarely an incident.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// An incident, whatever the reason.
    Critical,
}

/// The kind of incident that a hit opens; playbooks are chosen by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IncidentType {
    /// Credentials are in the wrong hands.
    CompromisedCredentials,
    /// Malicious software runs.
    MalwareDetected,
    /// Data leaves, or is about to.
    DataExfiltration,
    /// The service is flooded.
    DdosAttack,
    /// Somebody does what they should not.
    UnauthorizedAccess,
    /// Resources are used to mine, or to work, for somebody else.
    CryptoMining,
    /// A way back in was built.
    Backdoor,
    /// Anything else: also every rule that does not say.
    #[default]
    Generic,
}

/// A rule's description, the same for event and correlation rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// The Sigma id; without one the name, without that the file's name.
    pub id: String,
    /// The Sigma name: short, for people.
    pub name: String,
    /// The file that it was read from.
    pub file: String,
    /// The Sigma title.
    pub title: String,
    /// The Sigma level; medium without one.
    pub severity: Severity,
    /// ATT&CK techniques from the tags, such as `T1562.008`.
    pub techniques: Vec<String>,
    /// `portcullis.incident` of the rule.
    pub incident_type: IncidentType,
    /// `portcullis.contain` of the rule: whether a playbook may act on a hit without being asked.
    pub contain: bool,
    /// Whether a call that failed can be a hit: `portcullis.attempts` of the rule, or its condition asks about failures.
    pub attempts: bool,
}

/// The member `portcullis` of a rule file. Rules from elsewhere have none: they alert, and never contain.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Attributes {
    pub(crate) incident: IncidentType,
    pub(crate) contain: bool,
    pub(crate) attempts: bool,
}

impl Attributes {
    pub(crate) fn read<V: Serialize>(custom: &HashMap<String, V>) -> Result<Self, String> {
        let Some(value) = custom.get("portcullis") else { return Ok(Self::default()) };
        let value = serde_json::to_value(value).map_err(|e| format!("portcullis: {e}"))?;
        serde_json::from_value(value).map_err(|e| format!("portcullis: {e}"))
    }
}

/// The techniques among Sigma tags: `attack.t1562.008` is `T1562.008`.
pub(crate) fn techniques(tags: &[String]) -> Vec<String> {
    let technique = |tag: &String| {
        let id = tag.strip_prefix("attack.t").or_else(|| tag.strip_prefix("attack.T"))?;
        let (main, sub) = id.split_once('.').map_or((id, None), |(main, sub)| (main, Some(sub)));
        let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        (digits(main, 4) && sub.is_none_or(|sub| digits(sub, 3))).then(|| format!("T{id}"))
    };
    tags.iter().filter_map(technique).collect()
}

/// Whether a rule's condition looks at whether the call failed.
pub(crate) fn asks_about_failure(rule: &SigmaRule) -> bool {
    let fields = ["errorCode", "errorMessage", "portcullis.failed", "responseElements.ConsoleLogin"];
    fields_of(rule).iter().any(|field| fields.contains(field))
}

/// Every field that a rule's detections name.
pub(crate) fn fields_of(rule: &SigmaRule) -> Vec<&str> {
    let mut fields = Vec::new();
    for detection in rule.detection.named.values() {
        collect_fields(detection, &mut fields);
    }
    fields
}

fn collect_fields<'r>(detection: &'r Detection, fields: &mut Vec<&'r str>) {
    let of = |items: &'r [DetectionItem]| items.iter().filter_map(|item| item.field.name.as_deref());
    match detection {
        Detection::AllOf(items) => fields.extend(of(items)),
        Detection::AnyOf(inner) | Detection::And(inner) => {
            inner.iter().for_each(|d| collect_fields(d, fields));
        }
        // The fields of an array's members are named from the array.
        Detection::ArrayMatch { field, .. } => fields.push(field),
        Detection::Keywords(_) | Detection::Conditional { .. } => {}
    }
}

impl From<Option<Level>> for Severity {
    fn from(level: Option<Level>) -> Self {
        match level {
            Some(Level::Informational) => Self::Informational,
            Some(Level::Low) => Self::Low,
            None | Some(Level::Medium) => Self::Medium,
            Some(Level::High) => Self::High,
            Some(Level::Critical) => Self::Critical,
        }
    }
}

impl Severity {
    /// The level's name in Sigma.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl IncidentType {
    /// The name that playbooks, alerts and the audit log use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CompromisedCredentials => "COMPROMISED_CREDENTIALS",
            Self::MalwareDetected => "MALWARE_DETECTED",
            Self::DataExfiltration => "DATA_EXFILTRATION",
            Self::DdosAttack => "DDOS_ATTACK",
            Self::UnauthorizedAccess => "UNAUTHORIZED_ACCESS",
            Self::CryptoMining => "CRYPTO_MINING",
            Self::Backdoor => "BACKDOOR",
            Self::Generic => "GENERIC",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for IncidentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_those_of_attack_and_nothing_else() {
        let tags = [
            "attack.t1562.008",
            "attack.T1078",
            "attack.defense-evasion",
            "attack.t12",
            "attack.t1562.8",
            "cve.2020-1",
        ];
        assert_eq!(techniques(&tags.map(str::to_owned)), ["T1562.008", "T1078"]);
    }

    #[test]
    fn names_are_the_same_in_json_and_in_text() {
        for kind in [
            IncidentType::CompromisedCredentials,
            IncidentType::MalwareDetected,
            IncidentType::DataExfiltration,
            IncidentType::DdosAttack,
            IncidentType::UnauthorizedAccess,
            IncidentType::CryptoMining,
            IncidentType::Backdoor,
            IncidentType::Generic,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for severity in
            [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
        {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
        assert!(Severity::High > Severity::Medium);
    }
}
