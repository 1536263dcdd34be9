use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use authorizer_function::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_access::{ApiKey, ApiKeyStore, Identities, KnownApiKey, Rates, RouteGuard};
use portcullis_audit::{
    AuditError, AuditRecord, AuditSink, Auditor, AuditorSettings, MemoryAudit, OnAuditFailure,
};
use portcullis_base::{ManualClock, Timestamp};
use portcullis_lambda::{Failure, Handler, Invocation, Metrics};
use portcullis_limit::{
    Ask, LeasedLimiter, LimitStore, LimiterSettings, MemoryLimits, OnStoreFailure, Taken,
};
use portcullis_local::memory::{Credentials, Tokens};
use portcullis_secrets::{CacheSettings, CachedSecrets, SecretError, SecretSource, SecretVersions};
use portcullis_token::*;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://sts.example";
pub(crate) const USERS: &str = "https://users.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const PEPPER: &str = "a hashing key of more than 32 bytes";
pub(crate) const STAGE: &str = "arn:aws:execute-api:us-east-1:111122223333:abcde12345/prod";

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// One key per algorithm for all tests: making RSA keys takes long.
pub(crate) fn signer(algorithm: Algorithm) -> &'static LocalSigner {
    static SIGNERS: OnceLock<Vec<LocalSigner>> = OnceLock::new();
    let all = SIGNERS
        .get_or_init(|| Algorithm::ALL.into_iter().map(|a| LocalSigner::generate(a).unwrap()).collect());
    all.iter().find(|s| s.algorithm() == algorithm).unwrap()
}

/// Every call of every store, by name, in order.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<&'static str>>>);

impl Calls {
    fn add(&self, name: &'static str) {
        self.0.lock().unwrap().push(name);
    }

    /// What was called since this was last asked.
    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A store whose calls are counted, and that fails when it is told to.
#[derive(Clone)]
pub(crate) struct Counted<T> {
    pub(crate) inner: T,
    calls: Calls,
    failing: Arc<Mutex<bool>>,
}

impl<T> Counted<T> {
    fn new(inner: T, calls: &Calls) -> Self {
        Self { inner, calls: calls.clone(), failing: Arc::default() }
    }

    pub(crate) fn fail(&self, failing: bool) {
        *self.failing.lock().unwrap() = failing;
    }

    fn called(&self, name: &'static str) -> Result<&T, StoreError> {
        self.calls.add(name);
        if *self.failing.lock().unwrap() { Err(StoreError::Unavailable) } else { Ok(&self.inner) }
    }
}

pub(crate) type Sets = Arc<Mutex<HashMap<String, Jwks>>>;

impl JwksSource for Counted<Sets> {
    async fn fetch(&self, issuer: &str) -> Result<Jwks, JwksSourceError> {
        let sets = self.called("jwks").map_err(|_| JwksSourceError::Unavailable)?;
        sets.lock().unwrap().get(issuer).cloned().ok_or(JwksSourceError::Unavailable)
    }
}

impl RevocationStore for Counted<Tokens> {
    async fn add(&self, revocation: &Revocation) -> Result<(), StoreError> {
        RevocationStore::add(self.called("revoke")?, revocation).await
    }

    async fn since(&self, cursor: Option<&str>) -> Result<RevocationPage, StoreError> {
        self.called("revocations")?.since(cursor).await
    }
}

impl ReplayWindow for Counted<Tokens> {
    async fn first_use(&self, scope: &str, id: &str, until: Timestamp) -> Result<bool, StoreError> {
        self.called("replay")?.first_use(scope, id, until).await
    }
}

impl ApiKeyStore for Counted<Credentials> {
    async fn load(&self, id: &str) -> Result<Option<KnownApiKey>, StoreError> {
        ApiKeyStore::load(self.called("api-key")?, id).await
    }

    async fn replace(&self, key: &ApiKey, expected: u64) -> Result<bool, StoreError> {
        ApiKeyStore::replace(self.called("api-key-write")?, key, expected).await
    }

    async fn list(&self) -> Result<Vec<KnownApiKey>, StoreError> {
        ApiKeyStore::list(self.called("api-key-list")?).await
    }
}

impl SecretSource for Counted<()> {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        self.called("secret").map_err(|_| SecretError::Unavailable)?;
        assert_eq!(name, "pepper");
        Ok(SecretVersions { current: PEPPER.to_owned().into(), previous: None, since: None })
    }
}

impl LimitStore for Counted<Arc<MemoryLimits>> {
    async fn take(&self, key: &str, ask: &Ask) -> Result<Taken, portcullis_limit::StoreError> {
        let limits = self.called("limit").map_err(|_| portcullis_limit::StoreError::Unavailable)?;
        limits.take(key, ask).await
    }
}

impl AuditSink for Counted<Arc<MemoryAudit>> {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        self.calls.add("audit");
        self.inner.append(records).await
    }
}

pub(crate) struct Test;

impl Ports for Test {
    type Jwks = Counted<Sets>;
    type Revocations = Counted<Tokens>;
    type Replay = Counted<Tokens>;
    type ApiKeys = Counted<Credentials>;
    type Secrets = Counted<()>;
    type Limits = Counted<Arc<MemoryLimits>>;
    type Audit = Counted<Arc<MemoryAudit>>;
    type Clock = Arc<ManualClock>;
}

/// What differs from world to world.
pub(crate) struct Setup {
    pub(crate) settings: AuthorizerSettings,
    pub(crate) identities: Identities,
    pub(crate) rates: Rates,
    pub(crate) on_limits_failure: OnStoreFailure,
    pub(crate) on_audit_failure: OnAuditFailure,
    pub(crate) issuers: Issuers,
}

pub(crate) struct World {
    pub(crate) function: AuthorizerFunction<Test>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) calls: Calls,
    pub(crate) keys: Counted<Sets>,
    pub(crate) tokens: Counted<Tokens>,
    pub(crate) credentials: Counted<Credentials>,
    pub(crate) limits: Counted<Arc<MemoryLimits>>,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) metrics: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            settings: AuthorizerSettings::default(),
            identities: Identities::shipped().unwrap(),
            rates: Rates::shipped().unwrap(),
            on_limits_failure: OnStoreFailure::Refuse,
            on_audit_failure: OnAuditFailure::Refuse,
            issuers: issuers(),
        };
        change(&mut setup);
        let (calls, clock) = (Calls::default(), Arc::new(ManualClock::at(at(NOW))));
        let own = Jwks::new(Algorithm::ALL.map(|a| signer(a).public().clone())).unwrap();
        let users = Jwks::new([signer(Algorithm::Rs256).public().clone()]).unwrap();
        let sets = HashMap::from([(ISSUER.to_owned(), own), (USERS.to_owned(), users)]);
        let keys = Counted::new(Arc::new(Mutex::new(sets)), &calls);
        let tokens = Counted::new(Tokens::with_clock(clock.clone()), &calls);
        let credentials = Counted::new(Credentials::with_clock(clock.clone()), &calls);
        let limits = Counted::new(Arc::new(MemoryLimits::default()), &calls);
        let audit = Arc::new(MemoryAudit::new(10_000));
        let (metrics, lines) = Metrics::memory("authorizer");
        let issuers = setup.issuers;
        let limiter_settings =
            LimiterSettings { on_store_failure: setup.on_limits_failure, ..LimiterSettings::default() };
        let auditor_settings =
            AuditorSettings { on_failure: setup.on_audit_failure, ..AuditorSettings::new("authorizer") };
        let secrets = CachedSecrets::new(Counted::new((), &calls), clock.clone(), CacheSettings::default());
        let parts = Parts::<Test> {
            verifier: CachedVerifier::new(
                issuers.verifier(),
                issuers.key_source(keys.clone()),
                clock.clone(),
                CachePolicy::default(),
            ),
            issuers,
            revocations: RevocationFollower::new(tokens.clone(), clock.clone(), FollowPolicy::default()),
            replay: tokens.clone(),
            api_keys: ApiKeys::new(credentials.clone(), secrets, "pepper", clock.clone()),
            identities: setup.identities,
            guard: RouteGuard::shipped().unwrap(),
            rates: setup.rates,
            limiter: LeasedLimiter::new(limits.clone(), clock.clone(), limiter_settings),
            auditor: Auditor::new(Counted::new(audit.clone(), &calls), clock.clone(), auditor_settings),
            clock: clock.clone(),
            metrics,
            settings: setup.settings,
        };
        let function = AuthorizerFunction::new(parts);
        Self { function, clock, calls, keys, tokens, credentials, limits, audit, metrics: lines }
    }

    pub(crate) async fn judge(&self, request: &Request<'_>) -> Verdict {
        self.function.judge(request).await
    }

    /// The answer to an event, as the gateway gets it.
    pub(crate) async fn answer(&self, event: &Value) -> Result<Value, Failure> {
        let invocation = Invocation { request_id: "i-1".to_owned(), deadline: Timestamp::MAX };
        let bytes = self.function.handle(event.to_string().as_bytes(), &invocation).await?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    /// The event codes recorded so far, with the reason where there is one.
    pub(crate) fn codes(&self) -> Vec<String> {
        self.audit.codes()
    }

    /// The last record, as text.
    pub(crate) fn last_record(&self) -> String {
        self.audit.records().last().map(|r| r.body().to_owned()).unwrap_or_default()
    }

    pub(crate) fn metric_lines(&self) -> String {
        self.metrics.lock().unwrap().join("\n")
    }
}

fn issuers() -> Issuers {
    let list = json!([
        {"issuer": ISSUER, "jwks_uri": "https://sts.example/sts/jwks", "audiences": [AUDIENCE],
         "algorithms": ["RS256", "ES256", "EdDSA"],
         "roles": ["svc.analyst", "svc.optimizer", "svc.enterprise", "svc.actuator", "svc.memory", "svc.bff",
                   "security-admin", "auditor", "pii-reader"]},
        {"issuer": USERS, "jwks_uri": "https://users.example/keys", "client_ids": ["web"],
         "algorithms": ["RS256"], "typ": "any", "roles": ["auditor"]},
    ]);
    let list = IssuerSettings::parse_list(&list.to_string()).unwrap();
    Issuers::new(&list[0], &list[1..], 5).unwrap()
}

/// Claims of a token of `id`, with all that its role may have.
pub(crate) fn claims(id: &str) -> Value {
    let identities = Identities::shipped().unwrap();
    let identity = identities.find(id).unwrap();
    json!({"iss": ISSUER, "sub": id, "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW, "jti": format!("t-{id}"),
           "client_id": id, "scope": identity.scope().to_string(), "roles": [identity.role]})
}

pub(crate) fn header(algorithm: Algorithm) -> Value {
    json!({"alg": algorithm, "typ": "at+jwt", "kid": signer(algorithm).kid()})
}

pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

pub(crate) fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token over any text of header and payload, truly signed.
pub(crate) fn signed(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = signer(algorithm).sign_now(input.as_bytes()).unwrap();
    format!("{input}.{}", b64(signature))
}

pub(crate) fn es256(claims: &Value) -> String {
    signed(Algorithm::Es256, &header(Algorithm::Es256).to_string(), &claims.to_string())
}

/// A good token of an identity.
pub(crate) fn token_of(id: &str) -> String {
    es256(&claims(id))
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<'static> {
    Request {
        method: method.to_owned().into(),
        path: path.to_owned().into(),
        uri: format!("https://api.example{path}").into(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned().into(), (*v).to_owned().into())).collect(),
        source_address: Some("192.0.2.10".into()),
        certificate: None,
        request_id: "r-1".into(),
    }
}

/// A request that reads a conversation with a token.
pub(crate) fn read_with(token: &str) -> Request<'static> {
    request("GET", "/conversations/0f1e", &[("Authorization", &format!("Bearer {token}"))])
}

/// The gateway's event for a request with a token.
pub(crate) fn event(method: &str, path: &str, token: &str) -> Value {
    json!({
        "type": "REQUEST", "methodArn": format!("{STAGE}/{method}{path}"), "path": path, "httpMethod": method,
        "headers": {"Authorization": format!("Bearer {token}")},
        "multiValueHeaders": {"Authorization": [format!("Bearer {token}")]},
        "requestContext": {"requestId": "r-1", "domainName": "api.example", "path": format!("/prod{path}"),
                           "identity": {"sourceIp": "192.0.2.10"}},
    })
}

pub(crate) fn allowed(verdict: &Verdict) -> &Grant {
    match verdict {
        Verdict::Allow(grant) => grant,
        other => panic!("not allowed: {other:?}"),
    }
}
