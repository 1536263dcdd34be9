use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portcullis_pii::{KeyError, KeyStore, Purpose, StoredBranchKey, StoredSubjectKey};

use super::faults::{Faults, locked};

/// The subject-keys table in memory. Clones share it.
#[derive(Clone, Default)]
pub struct Keys(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    faults: Faults<KeyError>,
}

#[derive(Default)]
struct State {
    branches: BTreeMap<(Purpose, u32), StoredBranchKey>,
    subjects: BTreeMap<(String, Purpose), StoredSubjectKey>,
    index: Option<Vec<u8>>,
}

impl Keys {
    /// The next `calls` calls answer with `error`.
    pub fn fail_next(&self, calls: usize, error: KeyError) {
        self.0.faults.add(calls, &error);
    }

    /// How many subject keys there are.
    pub fn subject_count(&self) -> usize {
        locked(&self.0.state).subjects.len()
    }

    /// Destroys every subject key, as an erasure does those of one subject.
    pub fn destroy_subjects(&self) {
        locked(&self.0.state).subjects.clear();
    }
}

impl KeyStore for Keys {
    async fn branch_key(
        &self,
        purpose: Purpose,
        version: Option<u32>,
    ) -> Result<Option<StoredBranchKey>, KeyError> {
        self.0.faults.check()?;
        let range = (purpose, version.unwrap_or(0))..=(purpose, version.unwrap_or(u32::MAX));
        Ok(locked(&self.0.state).branches.range(range).next_back().map(|(_, key)| key.clone()))
    }

    async fn add_branch_key(&self, key: &StoredBranchKey) -> Result<bool, KeyError> {
        self.0.faults.check()?;
        let mut state = locked(&self.0.state);
        Ok(add(&mut state.branches, (key.purpose, key.version), key))
    }

    async fn subject_key(
        &self,
        subject: &str,
        purpose: Purpose,
    ) -> Result<Option<StoredSubjectKey>, KeyError> {
        self.0.faults.check()?;
        Ok(locked(&self.0.state).subjects.get(&(subject.to_owned(), purpose)).cloned())
    }

    async fn add_subject_key(&self, key: &StoredSubjectKey) -> Result<bool, KeyError> {
        self.0.faults.check()?;
        let mut state = locked(&self.0.state);
        Ok(add(&mut state.subjects, (key.subject.clone(), key.purpose), key))
    }

    async fn index_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        self.0.faults.check()?;
        Ok(locked(&self.0.state).index.clone())
    }

    async fn add_index_key(&self, wrapped: &[u8]) -> Result<bool, KeyError> {
        self.0.faults.check()?;
        let index = &mut locked(&self.0.state).index;
        if index.is_some() {
            return Ok(false);
        }
        *index = Some(wrapped.to_vec());
        Ok(true)
    }
}

fn add<K: Ord, V: Clone>(map: &mut BTreeMap<K, V>, key: K, value: &V) -> bool {
    if map.contains_key(&key) {
        return false;
    }
    map.insert(key, value.clone());
    true
}
