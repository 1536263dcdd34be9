//! The files that a user edits: YAML, bounded, with nothing unknown and nothing twice.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

/// What is wrong with a file of `config/access`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Longer than 256 KiB.
    #[error("file is longer than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not YAML, or not of the form that is expected: an unknown field, a field twice, another type.
    #[error("file is malformed: {0}")]
    Malformed(String),
    /// Of a version that is not known.
    #[error("file is not of version 1")]
    Version,
    /// Two entries of one name.
    #[error("{0} is there twice")]
    Twice(String),
    /// An entry that cannot be.
    #[error("{entry}: {problem}")]
    Entry {
        /// Its name.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl FileError {
    pub(crate) fn entry(entry: impl Into<String>, problem: &'static str) -> Self {
        Self::Entry { entry: entry.into(), problem }
    }
}

/// Reads a file of that form. Two steps, since only a generic mapping refuses equal keys at every level.
pub(crate) fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, FileError> {
    if yaml.len() > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    let malformed = |error: serde_norway::Error| FileError::Malformed(error.to_string());
    let tree: serde_norway::Value = serde_norway::from_str(yaml).map_err(malformed)?;
    if !tree.is_mapping() {
        return Err(FileError::Malformed("not a mapping".to_owned()));
    }
    serde_norway::from_value(tree).map_err(malformed)
}

pub(crate) fn check_version(version: u32) -> Result<(), FileError> {
    if version == 1 { Ok(()) } else { Err(FileError::Version) }
}

/// A list as a set; nothing may be in it twice.
pub(crate) fn unique<T: Ord + ToString>(items: Vec<T>) -> Result<BTreeSet<T>, FileError> {
    let mut set = BTreeSet::new();
    for item in items {
        if set.contains(&item) {
            return Err(FileError::Twice(item.to_string()));
        }
        set.insert(item);
    }
    Ok(set)
}

/// Whether it does as the name of an identity or a role: short, and of letters, digits, `-`, `.`, `_`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

const MAX_BYTES: usize = 256 * 1024;
