//! The backend of secrets that the settings name.

use std::path::Path;

use portcullis_aws::{SdkConfig, SecretsManager};
use portcullis_lambda::{BoxError, SystemClock};
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};
use portcullis_vault::{VaultAuth, VaultSecrets, VaultSettings};
use webhook_function::config::{SecretProvider, VaultConfig};

/// AWS Secrets Manager, or Vault.
pub(crate) enum Backend {
    Aws(SecretsManager),
    Vault(Box<VaultSecrets<SystemClock>>),
}

impl Backend {
    pub(crate) fn new(provider: &SecretProvider, sdk: &SdkConfig) -> Result<Self, BoxError> {
        match provider {
            SecretProvider::Aws => Ok(Self::Aws(SecretsManager::new(sdk))),
            SecretProvider::Vault(config) => Ok(Self::Vault(Box::new(vault(config)?))),
        }
    }
}

impl SecretSource for Backend {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        match self {
            Self::Aws(backend) => backend.fetch(name).await,
            Self::Vault(backend) => backend.fetch(name).await,
        }
    }
}

fn vault(config: &VaultConfig) -> Result<VaultSecrets<SystemClock>, BoxError> {
    // The path may be told; the content is a credential.
    let secret_id = std::fs::read_to_string(Path::new(&config.secret_id_file))
        .map_err(|e| format!("VAULT_SECRET_ID_FILE cannot be read: {e}"))?;
    let auth = VaultAuth::AppRole {
        mount: "approle".to_owned(),
        role_id: config.role_id.clone(),
        secret_id: secret_id.trim().to_owned().into(),
    };
    let settings = VaultSettings::new(&config.address, auth)?
        .with_mount(config.mount.clone())
        .with_namespace(config.namespace.clone());
    Ok(VaultSecrets::new(settings, SystemClock)?)
}
