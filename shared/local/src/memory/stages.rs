use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portcullis_base::{ExposeSecret, SecretString};
use portcullis_secrets::{CURRENT, PENDING, PREVIOUS, Put, SecretError, SecretStages, SecretState};

use super::faults::locked;

/// Secrets with versions and stages in memory, as Secrets Manager keeps them. Clones share them.
#[derive(Clone, Default)]
pub struct StagedSecrets(Arc<Mutex<BTreeMap<String, Staged>>>);

#[derive(Default)]
struct Staged {
    values: BTreeMap<String, SecretString>,
    stages: BTreeMap<String, Vec<String>>,
    rotates: bool,
}

impl StagedSecrets {
    /// A secret that rotates, with its first version.
    pub fn add(&self, name: &str, version: &str, value: &str) {
        let mut staged = Staged { rotates: true, ..Staged::default() };
        staged.values.insert(version.to_owned(), value.into());
        staged.stages.insert(version.to_owned(), vec![CURRENT.to_owned()]);
        locked(&self.0).insert(name.to_owned(), staged);
    }

    /// Begins a rotation, as Secrets Manager does before it calls the first step: a pending version without a value.
    pub fn begin(&self, name: &str, version: &str) {
        if let Some(staged) = locked(&self.0).get_mut(name) {
            staged.move_stage(PENDING, version);
        }
    }

    /// Switches rotation off.
    pub fn stop_rotation(&self, name: &str) {
        if let Some(staged) = locked(&self.0).get_mut(name) {
            staged.rotates = false;
        }
    }

    /// The value in a stage.
    pub fn value_in(&self, name: &str, stage: &str) -> Option<SecretString> {
        let secrets = locked(&self.0);
        let staged = secrets.get(name)?;
        staged.values.get(staged.version_in(stage)?).cloned()
    }
}

impl Staged {
    fn version_in(&self, stage: &str) -> Option<&str> {
        let found = self.stages.iter().find(|(_, stages)| stages.iter().any(|s| s == stage));
        found.map(|(version, _)| version.as_str())
    }

    fn move_stage(&mut self, stage: &str, version: &str) {
        for stages in self.stages.values_mut() {
            stages.retain(|s| s != stage);
        }
        self.stages.entry(version.to_owned()).or_default().push(stage.to_owned());
    }
}

impl SecretStages for StagedSecrets {
    async fn describe(&self, secret: &str) -> Result<SecretState, SecretError> {
        let secrets = locked(&self.0);
        let staged = secrets.get(secret).ok_or(SecretError::NotFound)?;
        let versions = staged.stages.iter().map(|(id, stages)| (id.clone(), stages.clone())).collect();
        Ok(SecretState { name: secret.to_owned(), rotates: staged.rotates, versions })
    }

    async fn value(&self, secret: &str, version: &str) -> Result<Option<SecretString>, SecretError> {
        Ok(locked(&self.0).get(secret).and_then(|staged| staged.values.get(version).cloned()))
    }

    async fn put_pending(
        &self,
        secret: &str,
        version: &str,
        value: &SecretString,
    ) -> Result<Put, SecretError> {
        let mut secrets = locked(&self.0);
        let staged = secrets.get_mut(secret).ok_or(SecretError::NotFound)?;
        if let Some(known) = staged.values.get(version) {
            let same = known.expose_secret() == value.expose_secret();
            return Ok(if same { Put::Stored } else { Put::AlreadyThere });
        }
        staged.values.insert(version.to_owned(), value.clone());
        staged.move_stage(PENDING, version);
        Ok(Put::Stored)
    }

    async fn promote(&self, secret: &str, from: &str, to: &str) -> Result<(), SecretError> {
        let mut secrets = locked(&self.0);
        let staged = secrets.get_mut(secret).ok_or(SecretError::NotFound)?;
        if from == to {
            return Ok(());
        }
        if staged.version_in(CURRENT) != Some(from) || !staged.values.contains_key(to) {
            return Err(SecretError::Malformed);
        }
        staged.move_stage(CURRENT, to);
        staged.move_stage(PREVIOUS, from);
        Ok(())
    }
}
