//! The function over adapters in memory that crash where they are told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_audit::{AuditError, AuditRecord, AuditSink, Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{Clock, ExposeSecret, ManualClock, SecretString, Timestamp};
use portcullis_lambda::{Failure, Handler, Invocation};
use portcullis_local::memory::{Credentials, StagedSecrets, Tokens};
use portcullis_secrets::{Put, SecretError, SecretStages, SecretState};
use portcullis_token::{
    Algorithm, ClientSecretStore, KeeperSettings, KeyKeeper, KeyRing, KeyRingStore, KeySealer, KnownSecrets,
    SealContext, SealedKeys, SealerError, SecretHash, SecretHasher, SecretMatch, StoreError, StoredSecrets,
};
use rotation_function::{Parts, Ports, RotationFunction, RotationSettings};
use serde_json::{Value, json};

pub(crate) const CLIENT: &str = "svc.actuator";
pub(crate) const NAME: &str = "portcullis/clients/svc.actuator";
pub(crate) const TOKEN: &str = "00000000-0000-4000-8000-000000000001";
pub(crate) const FIRST: &str = "the first secret, made by hand";
pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
const FAULT: SecretError = SecretError::Unavailable;

pub(crate) fn token(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// Where to crash: at which call of a port, and whether it was done before.
#[derive(Clone, Copy)]
pub(crate) struct Crash {
    pub(crate) at: u32,
    pub(crate) after: bool,
}

/// Counts the calls of all ports.
#[derive(Clone, Default)]
pub(crate) struct Crashes(Arc<Mutex<(u32, Option<Crash>)>>);

impl Crashes {
    pub(crate) fn set(&self, crash: Option<Crash>) {
        *self.0.lock().unwrap() = (0, crash);
    }

    /// A call, which fails before or after it is done if it is the one. From then on the process is dead.
    async fn call<T, E>(&self, error: E, done: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let (n, crash) = {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            *state
        };
        match crash {
            Some(Crash { at, after: false }) if n >= at => Err(error),
            Some(Crash { at, after: true }) if n == at => done.await.and(Err(error)),
            Some(Crash { at, after: true }) if n > at => Err(error),
            _ => done.await,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Fragile<T>(T, Crashes);

impl SecretStages for Fragile<StagedSecrets> {
    async fn describe(&self, secret: &str) -> Result<SecretState, SecretError> {
        self.1.call(FAULT, self.0.describe(secret)).await
    }

    async fn value(&self, secret: &str, version: &str) -> Result<Option<SecretString>, SecretError> {
        self.1.call(FAULT, self.0.value(secret, version)).await
    }

    async fn put_pending(
        &self,
        secret: &str,
        version: &str,
        value: &SecretString,
    ) -> Result<Put, SecretError> {
        self.1.call(FAULT, self.0.put_pending(secret, version, value)).await
    }

    async fn promote(&self, secret: &str, from: &str, to: &str) -> Result<(), SecretError> {
        self.1.call(FAULT, self.0.promote(secret, from, to)).await
    }
}

impl ClientSecretStore for Fragile<Credentials> {
    async fn load(&self, client: &str) -> Result<Option<KnownSecrets>, StoreError> {
        self.1.call(StoreError::Unavailable, ClientSecretStore::load(&self.0, client)).await
    }

    async fn replace(
        &self,
        client: &str,
        secrets: &StoredSecrets,
        expected: u64,
    ) -> Result<bool, StoreError> {
        self.1
            .call(StoreError::Unavailable, ClientSecretStore::replace(&self.0, client, secrets, expected))
            .await
    }
}

impl KeyRingStore for Fragile<Tokens> {
    async fn load(&self) -> Result<(KeyRing, u64), StoreError> {
        self.1.call(StoreError::Unavailable, KeyRingStore::load(&self.0)).await
    }

    async fn save(&self, ring: &KeyRing, expected: u64) -> Result<bool, StoreError> {
        self.1.call(StoreError::Unavailable, KeyRingStore::save(&self.0, ring, expected)).await
    }
}

impl AuditSink for Fragile<Arc<MemoryAudit>> {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        self.1.call(AuditError::Unavailable, self.0.append(records)).await
    }
}

/// Seals nothing: what is tested is not the seal.
pub(crate) struct Open;

impl KeySealer for Open {
    async fn seal(
        &self,
        private: &zeroize::Zeroizing<Vec<u8>>,
        _: SealContext<'_>,
    ) -> Result<Vec<u8>, SealerError> {
        Ok(private.to_vec())
    }

    async fn open(
        &self,
        sealed: &[u8],
        _: SealContext<'_>,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, SealerError> {
        Ok(sealed.to_vec().into())
    }
}

pub(crate) struct Memory;

impl Ports for Memory {
    type Stages = Fragile<StagedSecrets>;
    type Secrets = Fragile<Credentials>;
    type Ring = Fragile<Tokens>;
    type Keys = SealedKeys<Tokens, Open>;
    type Audit = Fragile<Arc<MemoryAudit>>;
    type Clock = Arc<ManualClock>;
}

pub(crate) struct World {
    pub(crate) stages: StagedSecrets,
    pub(crate) credentials: Credentials,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) crash: Crashes,
    tokens: Tokens,
    function: RotationFunction<Memory>,
}

fn hasher() -> SecretHasher {
    SecretHasher::new(&[7; 32]).unwrap()
}

impl World {
    /// A client whose first secret is in both places.
    pub(crate) async fn new() -> Self {
        let world = Self::unregistered();
        let first = StoredSecrets { current: world.hash(FIRST), other: None };
        assert!(ClientSecretStore::replace(&world.credentials, CLIENT, &first, 0).await.unwrap());
        world
    }

    /// A client whose first secret is in Secrets Manager alone.
    pub(crate) fn unregistered() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
        let (stages, crash) = (StagedSecrets::default(), Crashes::default());
        stages.add(NAME, "v1", &json!({"client_id": CLIENT, "client_secret": FIRST}).to_string());
        let (credentials, tokens) = (Credentials::default(), Tokens::default());
        let audit = Arc::new(MemoryAudit::default());
        let keys = SealedKeys::new(tokens.clone(), Open);
        let day = Duration::from_secs(24 * 3_600);
        let settings = KeeperSettings::new(vec![Algorithm::EdDsa], Duration::from_secs(300), 60 * day);
        let function = RotationFunction::new(Parts {
            stages: Fragile(stages.clone(), crash.clone()),
            secrets: Fragile(credentials.clone(), crash.clone()),
            hasher: hasher(),
            keeper: KeyKeeper::new(Fragile(tokens.clone(), crash.clone()), keys, clock.clone(), settings),
            auditor: Auditor::new(
                Fragile(audit.clone(), crash.clone()),
                clock.clone(),
                AuditorSettings::new("rotation"),
            ),
            clock: clock.clone(),
            settings: RotationSettings::default(),
        });
        Self { stages, credentials, audit, clock, crash, tokens, function }
    }

    /// A whole rotation, as Secrets Manager does it.
    pub(crate) async fn rotate(&self, token: &str) -> Result<(), Failure> {
        self.stages.begin(NAME, token);
        self.steps(token).await
    }

    pub(crate) async fn steps(&self, token: &str) -> Result<(), Failure> {
        for step in STEPS {
            self.step(step, token).await?;
        }
        Ok(())
    }

    pub(crate) async fn step(&self, step: &str, token: &str) -> Result<Value, Failure> {
        self.step_of(NAME, step, token).await
    }

    pub(crate) async fn step_of(&self, name: &str, step: &str, token: &str) -> Result<Value, Failure> {
        self.invoke(&json!({"Step": step, "SecretId": name, "ClientRequestToken": token})).await
    }

    /// How many changes the schedule made.
    pub(crate) async fn schedule(&self) -> Result<u64, Failure> {
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        Ok(self.invoke(&event).await?["changes"].as_u64().unwrap())
    }

    async fn invoke(&self, event: &Value) -> Result<Value, Failure> {
        let invocation = Invocation { request_id: "r-1".into(), deadline: self.clock.now() };
        let answer = self.function.handle(event.to_string().as_bytes(), &invocation).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// The client secret in a stage.
    pub(crate) fn secret_in(&self, stage: &str) -> Option<String> {
        let value: Value = serde_json::from_str(self.stages.value_in(NAME, stage)?.expose_secret()).unwrap();
        assert_eq!(value["client_id"], CLIENT);
        Some(value["client_secret"].as_str().unwrap().to_owned())
    }

    /// What the token service says to a secret.
    pub(crate) async fn check(&self, secret: &str) -> Option<SecretMatch> {
        let known = ClientSecretStore::load(&self.credentials, CLIENT).await.unwrap()?;
        known.secrets.check(&hasher(), CLIENT, &SecretString::from(secret), self.clock.now())
    }

    pub(crate) fn hash(&self, secret: &str) -> SecretHash {
        hasher().hash(CLIENT, &SecretString::from(secret))
    }

    /// How many keys the ring names.
    pub(crate) async fn function_keys(&self) -> usize {
        KeyRingStore::load(&self.tokens).await.unwrap().0.keys().len()
    }
}
