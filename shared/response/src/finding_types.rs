//! Which incident a finding type opens: `config/finding-types.yml`.

use std::collections::{BTreeMap, HashMap};

use portcullis_detection::IncidentType;
use serde::Deserialize;

/// Finding type to incident type.
#[derive(Debug, Clone, Default)]
pub struct FindingTypes {
    types: HashMap<String, IncidentType>,
}

/// Why the file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindingTypesError {
    /// Larger than 256 KB.
    #[error("finding types: larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not YAML of this form.
    #[error("finding types: {0}")]
    Format(String),
    /// A type stands twice.
    #[error("finding types: {0} stands twice")]
    Twice(String),
    /// Not of the form `Purpose:Resource/Family`.
    #[error("finding types: {0:?} is no finding type")]
    NotAType(String),
}

impl FindingTypes {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`FindingTypesError`].
    pub fn parse(yaml: &str) -> Result<Self, FindingTypesError> {
        if yaml.len() > MAX_BYTES {
            return Err(FindingTypesError::TooLarge);
        }
        let file: File =
            serde_norway::from_str(yaml).map_err(|e| FindingTypesError::Format(e.to_string()))?;
        let mut types = HashMap::new();
        for (incident, names) in file.types {
            for name in names {
                if !is_type(&name) {
                    return Err(FindingTypesError::NotAType(name));
                }
                if types.insert(name.clone(), incident).is_some() {
                    return Err(FindingTypesError::Twice(name));
                }
            }
        }
        Ok(Self { types })
    }

    /// The incident that a type opens; what is not listed is generic.
    pub fn incident(&self, kind: &str) -> IncidentType {
        self.types.get(kind).copied().unwrap_or_default()
    }

    /// Whether a type is listed.
    pub fn knows(&self, kind: &str) -> bool {
        self.types.contains_key(kind)
    }

    /// How many are listed.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

fn is_type(name: &str) -> bool {
    let Some((purpose, rest)) = name.split_once(':') else { return false };
    rest.split_once('/').is_some_and(|(resource, family)| {
        !purpose.is_empty() && !resource.is_empty() && !family.is_empty() && name.len() <= 200
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Where the list comes from: for people.
    #[serde(rename = "sources")]
    _sources: Vec<SourcePage>,
    types: BTreeMap<IncidentType, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourcePage {
    #[serde(rename = "page")]
    _page: String,
    #[serde(rename = "read")]
    _read: String,
}

const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_checked_and_the_unlisted_is_generic() {
        let types = FindingTypes::parse("sources: []\ntypes: {BACKDOOR: ['Backdoor:EC2/Spambot']}").unwrap();
        assert_eq!(types.incident("Backdoor:EC2/Spambot"), IncidentType::Backdoor);
        assert_eq!(types.incident("Backdoor:EC2/Spambot.New"), IncidentType::Generic);
        assert!(types.knows("Backdoor:EC2/Spambot") && !types.knows("x"));
        for (case, yaml, why) in [
            ("twice", "sources: []\ntypes: {BACKDOOR: ['A:B/C'], GENERIC: ['A:B/C']}", "twice"),
            ("no type", "sources: []\ntypes: {BACKDOOR: ['A/C']}", "no finding type"),
            ("unknown incident", "sources: []\ntypes: {BACKDOORS: ['A:B/C']}", "unknown variant"),
            ("unknown member", "sources: []\ntypes: {}\nx: 1", "unknown field"),
        ] {
            let error = FindingTypes::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(why), "{case}: {error}");
        }
        assert_eq!(FindingTypes::parse(&"#".repeat(MAX_BYTES + 1)).unwrap_err(), FindingTypesError::TooLarge);
    }
}
