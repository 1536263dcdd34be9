//! What the function is made of.

use std::time::Duration;

use portcullis_audit::{AuditSink, Auditor};
use portcullis_base::Clock;
use portcullis_secrets::SecretStages;
use portcullis_token::{ClientSecretStore, KeyKeeper, KeyRingStore, SecretHasher, SigningKeys};

/// The adapters that the function runs on.
pub trait Ports: Send + Sync + 'static {
    /// Secrets Manager.
    type Stages: SecretStages;
    /// The hashes of client secrets.
    type Secrets: ClientSecretStore;
    /// The key ring.
    type Ring: KeyRingStore;
    /// The private halves of its keys.
    type Keys: SigningKeys;
    /// Where security events are kept.
    type Audit: AuditSink;
    /// The time.
    type Clock: Clock;
}

/// The function's parts, wired.
pub struct Parts<P: Ports> {
    /// Secrets Manager.
    pub stages: P::Stages,
    /// The hashes of client secrets.
    pub secrets: P::Secrets,
    /// Hashes client secrets, as the token service does.
    pub hasher: SecretHasher,
    /// Keeps the signing keys.
    pub keeper: KeyKeeper<P::Ring, P::Keys, P::Clock>,
    /// Records rotations.
    pub auditor: Auditor<P::Audit, P::Clock>,
    /// The time.
    pub clock: P::Clock,
    /// What an operator may set.
    pub settings: RotationSettings,
}

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationSettings {
    /// Names of client secrets begin with this; what follows is the client's id.
    pub prefix: String,
    /// How long the old secret is good after its rotation: clients fetch the new one within this time.
    pub grace: Duration,
}

impl Default for RotationSettings {
    fn default() -> Self {
        Self { prefix: "portcullis/clients/".to_owned(), grace: Duration::from_secs(60 * 60) }
    }
}
