//! A token service over memory, and requests as the gateway hands them on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use portcullis_access::Identities;
use portcullis_audit::{Auditor, AuditorSettings, MemoryAudit};
use portcullis_base::{Clock, ManualClock, Timestamp};
use portcullis_lambda::{Failure, Handler, Invocation, Metrics};
use portcullis_limit::{LeasedLimiter, LimiterSettings, MemoryLimits};
use portcullis_local::memory::{Credentials, Tokens};
use portcullis_local::{LocalSealer, RootKey};
use portcullis_token::{
    Algorithm, Audience, Claims, ClientSecretStore as _, FollowPolicy, IssuedType, IssuerPolicy, Jwks,
    JwksSource, JwksSourceError, KeeperSettings, KeyKeeper, LocalSigner, NumericDate, Presentation,
    RefreshTokens, RevocationFollower, SealedKeys, SecretHasher, StoredSecrets, TokenError, TokenType,
    VerifiedToken, Verifier,
};
use serde_json::{Value, json};
use sts_function::{Issuer, Parts, Ports, StsFunction, StsSettings, UserIssuer, UserIssuers, UserTokens};

pub(crate) struct Memory;

impl Ports for Memory {
    type Secrets = Credentials;
    type ApiKeys = Credentials;
    type Lockouts = Credentials;
    type Families = Tokens;
    type Revocations = Tokens;
    type Replay = Tokens;
    type Approvals = Tokens;
    type Ring = Tokens;
    type Keys = SealedKeys<Tokens, LocalSealer>;
    type Issuers = OutsideIssuer;
    type Limits = MemoryLimits;
    type Audit = Arc<MemoryAudit>;
    type Clock = Arc<ManualClock>;
}

/// An OIDC issuer outside: Cognito, Keycloak.
#[derive(Clone)]
pub(crate) struct OutsideIssuer {
    pub(crate) key: Arc<LocalSigner>,
    /// Its key set is not to be had.
    pub(crate) is_down: Arc<AtomicBool>,
}

impl JwksSource for OutsideIssuer {
    async fn fetch(&self, _: &str) -> Result<Jwks, JwksSourceError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(JwksSourceError::Unavailable);
        }
        Jwks::new([self.key.public().clone()]).map_err(|_| JwksSourceError::Malformed)
    }
}

pub(crate) struct Sts {
    pub(crate) function: StsFunction<Memory>,
    pub(crate) tokens: Tokens,
    pub(crate) credentials: Credentials,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) outside: OutsideIssuer,
    /// The key of `svc.optimizer`, which authenticates by assertion.
    pub(crate) client_key: LocalSigner,
    pub(crate) metrics: Arc<std::sync::Mutex<Vec<String>>>,
}

pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const OUTSIDE: &str = "https://idp.example/pool";
pub(crate) const OIDC: &str = "https://oidc.example";
pub(crate) const START: i64 = 1_800_000_000;

/// What a test may set otherwise.
pub(crate) struct Options {
    pub(crate) settings: fn(&mut StsSettings),
    pub(crate) auditor: AuditorSettings,
    pub(crate) algorithms: Vec<Algorithm>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: |_| {},
            auditor: AuditorSettings::new("sts"),
            // RSA keys take long to make: only for the tests that need them.
            algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
        }
    }
}

pub(crate) async fn sts() -> Sts {
    sts_with(Options::default()).await
}

/// One whose tokens are signed with that algorithm.
pub(crate) async fn sts_of(algorithm: Algorithm) -> Sts {
    let settings: fn(&mut StsSettings) = match algorithm {
        Algorithm::Rs256 => |s| s.algorithm = Algorithm::Rs256,
        Algorithm::EdDsa => |s| s.algorithm = Algorithm::EdDsa,
        _ => |_| {},
    };
    let algorithms = vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    sts_with(Options { settings, algorithms, ..Options::default() }).await
}

pub(crate) async fn sts_with(options: Options) -> Sts {
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(START).unwrap()));
    let dynamic: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let (tokens, credentials) = (Tokens::with_clock(Arc::clone(&dynamic)), Credentials::with_clock(dynamic));
    let hasher = || SecretHasher::new(&[1; 32]).unwrap();
    let client_key = LocalSigner::generate(Algorithm::Es256).unwrap();
    let identities = Identities::parse(&identities(&client_key)).unwrap();
    for identity in identities.iter() {
        let current = hasher().hash(&identity.id, &secret_of(&identity.id).into());
        let secrets = StoredSecrets { current, other: None };
        credentials.replace(&identity.id, &secrets, 0).await.unwrap();
    }
    static OUTSIDE_KEY: OnceLock<Arc<LocalSigner>> = OnceLock::new();
    let generate = || Arc::new(LocalSigner::generate(Algorithm::Rs256).unwrap());
    let outside =
        OutsideIssuer { key: Arc::clone(OUTSIDE_KEY.get_or_init(generate)), is_down: Arc::default() };
    let audit = Arc::new(MemoryAudit::default());
    let mut settings = StsSettings::new(Issuer::parse(ISSUER).unwrap(), AUDIENCE).unwrap();
    settings.address_rate = "100000/s".parse().unwrap();
    settings.client_rate = "100000/s".parse().unwrap();
    (options.settings)(&mut settings);
    let (max_age, rotate_every) = (Duration::from_secs(300), Duration::from_secs(60 * 24 * 3600));
    let keeper = KeeperSettings::new(options.algorithms, max_age, rotate_every);
    let sealer = LocalSealer::new(&RootKey::from_bytes([3; 32]));
    let (metrics, lines) = Metrics::memory("sts");
    let parts = Parts::<Memory> {
        identities,
        secrets: credentials.clone(),
        api_keys: credentials.clone(),
        hasher: hasher(),
        lockouts: credentials.clone(),
        families: tokens.clone(),
        refresh_tokens: RefreshTokens::new(&[2; 32], None).unwrap(),
        revocations: RevocationFollower::new(
            tokens.clone(),
            Arc::clone(&clock),
            FollowPolicy { fresh: Duration::ZERO, stale: Duration::ZERO },
        ),
        replay: tokens.clone(),
        approvals: tokens.clone(),
        keeper: KeyKeeper::new(
            tokens.clone(),
            SealedKeys::new(tokens.clone(), sealer),
            Arc::clone(&clock),
            keeper,
        ),
        user_issuers: UserIssuers::new(user_issuers(), outside.clone(), Arc::clone(&clock), 5).unwrap(),
        limiter: LeasedLimiter::new(
            MemoryLimits::default(),
            Arc::clone(&clock),
            LimiterSettings { namespace: "sts", max_lease: 1, ..LimiterSettings::default() },
        ),
        auditor: Auditor::new(Arc::clone(&audit), Arc::clone(&clock), options.auditor),
        clock: Arc::clone(&clock),
        metrics,
        settings,
    };
    let function = StsFunction::new(parts).unwrap();
    Sts { function, tokens, credentials, audit, clock, outside, client_key, metrics: lines }
}

/// Cognito with its access tokens, and an issuer of ID tokens.
fn user_issuers() -> Vec<UserIssuer> {
    let app = || vec!["app".to_owned()];
    let of = |name: &str, issuer: &str, audience, tokens| UserIssuer {
        name: name.to_owned(),
        policy: IssuerPolicy::new(issuer, audience, &[Algorithm::Rs256])
            .unwrap()
            .with_token_type(TokenType::JwtOrAbsent),
        jwks_uri: format!("{issuer}/jwks"),
        tokens,
    };
    vec![
        of("cognito", OUTSIDE, Audience::ClientIdAnyOf(app()), UserTokens::Access),
        of("oidc", OIDC, Audience::AnyOf(app()), UserTokens::Id { clients: app() }),
    ]
}

/// The shipped identities, but that `svc.optimizer` has a key, `svc.memory` a subject name instead of a URI, and
/// `svc.analyst` may use HTTP Basic alone.
fn identities(client_key: &LocalSigner) -> String {
    let all =
        "[client_secret_basic, client_secret_post, client_secret_json, private_key_jwt, tls_client_auth]";
    let jwks = Jwks::new([client_key.public().clone()]).unwrap().to_json();
    let entry = |id: &str, more: &str| {
        format!("  - {{id: {id}, role: {id}, token_lifetime_minutes: 10, rate: 10/s, {more}}}\n")
    };
    let mut yaml = "version: 1\nidentities:\n".to_owned();
    let client = "grants: [client_credentials]";
    yaml += &entry("svc.analyst", &format!("audiences: [], auth_methods: [client_secret_basic], {client}"));
    yaml += &entry(
        "svc.optimizer",
        &format!(
            "audiences: [svc.enterprise], auth_methods: {all}, jwks: {jwks}, spiffe_id: 'spiffe://example.org/svc.optimizer', {client}"
        ),
    );
    yaml += &entry(
        "svc.enterprise",
        &format!(
            "audiences: [svc.actuator], auth_methods: {all}, may_act: [svc.actuator], grants: [client_credentials, token-exchange]"
        ),
    );
    yaml += &entry(
        "svc.actuator",
        &format!(
            "audiences: [svc.enterprise], auth_methods: {all}, spiffe_id: 'spiffe://example.org/svc.actuator', grants: [client_credentials, token-exchange]"
        ),
    );
    yaml += &entry(
        "svc.memory",
        &format!(
            "audiences: [], auth_methods: {all}, tls_subject_dn: CN=svc.memory, grants: [client_credentials, token-exchange]"
        ),
    );
    yaml += &entry(
        "svc.bff",
        &format!(
            "audiences: [svc.memory], auth_methods: {all}, may_act: [svc.memory], refresh: true, grants: [client_credentials, refresh_token, token-exchange]"
        ),
    );
    for (id, role) in [("ops.admin", "security-admin"), ("ops.auditor", "auditor")] {
        yaml += &format!(
            "  - {{id: {id}, role: {role}, token_lifetime_minutes: 5, rate: 10/s, audiences: [], auth_methods: {all}, {client}}}\n"
        );
    }
    yaml
}

pub(crate) fn secret_of(client: &str) -> String {
    format!("secret of {client}: 100%")
}

/// A request as the gateway hands it on.
#[derive(Clone)]
pub(crate) struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    base64: bool,
    address: String,
    query: Option<Value>,
    certificate: Value,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            base64: false,
            address: "192.0.2.1".to_owned(),
            query: None,
            certificate: Value::Null,
        }
    }

    /// A form at the token endpoint.
    pub(crate) fn token(parameters: &[(&str, &str)]) -> Self {
        Self::form("/sts/token", parameters)
    }

    pub(crate) fn form(path: &str, parameters: &[(&str, &str)]) -> Self {
        let body = parameters.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v)));
        Self::new("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(&body.collect::<Vec<_>>().join("&"))
    }

    pub(crate) fn client_credentials() -> Self {
        Self::token(&[("grant_type", "client_credentials")])
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    pub(crate) fn base64(mut self) -> Self {
        self.body = self.body.map(|body| BASE64_STANDARD.encode(body));
        self.base64 = true;
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.address = address.to_owned();
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query = Some(json!({name: value}));
        self
    }

    /// HTTP Basic with the client's own secret.
    pub(crate) fn basic(self, client: &str) -> Self {
        self.basic_with(client, &secret_of(client))
    }

    pub(crate) fn basic_with(self, client: &str, secret: &str) -> Self {
        let credentials = format!("{}:{}", encode(client), encode(secret));
        self.header("Authorization", &format!("Basic {}", BASE64_STANDARD.encode(credentials)))
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn certificate(mut self, pem: &str, subject: &str) -> Self {
        self.certificate = json!({"clientCertPem": pem, "subjectDN": subject});
        self
    }

    fn event(&self) -> Vec<u8> {
        let mut multi: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.headers {
            multi.entry(name).or_default().push(value);
        }
        let last: BTreeMap<&str, &str> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        serde_json::to_vec(&json!({
            "httpMethod": self.method, "path": self.path, "headers": last, "multiValueHeaders": multi,
            "queryStringParameters": self.query, "body": self.body, "isBase64Encoded": self.base64,
            "requestContext": {
                "requestId": "r-1",
                "identity": {"sourceIp": self.address, "clientCert": self.certificate},
            },
        }))
        .unwrap()
    }
}

/// What the gateway gets back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Status and `error`.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}")).to_owned()
    }
}

impl Sts {
    pub(crate) async fn send(&self, call: &Call) -> Answer {
        self.send_bytes(&call.event()).await
    }

    /// The answer as the gateway gets it.
    pub(crate) async fn send_raw(&self, event: &[u8]) -> Value {
        serde_json::from_slice(&self.function.handle(event, &invocation()).await.unwrap()).unwrap()
    }

    /// The failure of an invocation that is no request.
    pub(crate) async fn fail(&self, event: &[u8]) -> Failure {
        self.function.handle(event, &invocation()).await.unwrap_err()
    }

    async fn send_bytes(&self, event: &[u8]) -> Answer {
        let answer = self.send_raw(event).await;
        let text = answer["body"].as_str().unwrap().to_owned();
        Answer {
            status: u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap(),
            headers: serde_json::from_value(answer["headers"].clone()).unwrap(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// An access token of a client for itself.
    pub(crate) async fn token_of(&self, client: &str) -> String {
        let answer = self.send(&Call::client_credentials().basic(client)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("access_token")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn jwks(&self) -> Jwks {
        Jwks::parse(self.send(&Call::new("GET", "/sts/jwks")).await.text.as_bytes()).unwrap()
    }

    /// Verifies as a resource does: with the published keys.
    pub(crate) async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError> {
        self.verify_for(token, AUDIENCE, Presentation::default()).await
    }

    pub(crate) async fn verify_for(
        &self,
        token: &str,
        audience: &str,
        presented: Presentation<'_>,
    ) -> Result<VerifiedToken, TokenError> {
        let keys = std::collections::HashMap::from([(ISSUER.to_owned(), Arc::new(self.jwks().await))]);
        verifier(audience).verify(token, &keys, presented, self.now())
    }

    pub(crate) async fn claims(&self, token: &str) -> Claims {
        self.verify(token).await.unwrap().into_claims()
    }

    /// A token of a user at the issuer outside, with Cognito's claims.
    pub(crate) fn user_token(&self, change: fn(&mut Claims)) -> String {
        let now = NumericDate::of(self.now());
        let mut claims = Claims {
            iat: Some(now),
            client_id: Some("app".to_owned()),
            aud: Vec::new(),
            ..Claims::new(OUTSIDE, "user-7", "", now.plus_seconds(600))
        };
        change(&mut claims);
        self.outside.key.issue_now(&claims, IssuedType::Jwt).unwrap()
    }

    /// An ID token of a user at the other issuer outside.
    pub(crate) fn id_token(&self, change: fn(&mut Claims)) -> String {
        let now = NumericDate::of(self.now());
        let mut claims =
            Claims { iat: Some(now), ..Claims::new(OIDC, "user-9", "app", now.plus_seconds(600)) };
        claims.other.insert("at_hash".to_owned(), json!("x"));
        change(&mut claims);
        self.outside.key.issue_now(&claims, IssuedType::Jwt).unwrap()
    }

    /// Codes of the audit trail, of all that was recorded so far.
    pub(crate) fn codes(&self) -> Vec<String> {
        self.audit.codes()
    }
}

fn invocation() -> Invocation {
    Invocation { request_id: "i-1".to_owned(), deadline: Timestamp::MAX }
}

pub(crate) fn verifier(audience: &str) -> Verifier {
    let policy =
        IssuerPolicy::new(ISSUER, Audience::AnyOf(vec![audience.to_owned()]), &Algorithm::ALL).unwrap();
    Verifier::new(vec![policy.with_max_lifetime(900)], 5).unwrap()
}

pub(crate) fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs any header and payload.
pub(crate) fn jws(key: &LocalSigner, header: &Value, payload: &Value) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(payload.to_string()));
    let signature = key.sign_now(input.as_bytes()).unwrap();
    format!("{input}.{}", b64(signature))
}

/// A DPoP proof for a request to an endpoint.
pub(crate) fn proof(key: &LocalSigner, path: &str, jti: &str, at: i64, token: Option<&str>) -> String {
    let mut payload = json!({"jti": jti, "htm": "POST", "htu": format!("{ISSUER}{path}"), "iat": at});
    if let Some(token) = token {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        payload["ath"] = json!(b64(hash));
    }
    proof_of(key, &payload)
}

pub(crate) fn proof_of(key: &LocalSigner, payload: &Value) -> String {
    let mut jwk = serde_json::to_value(key.public()).unwrap();
    jwk.as_object_mut().unwrap().retain(|name, _| !["use", "kid", "alg"].contains(&name.as_str()));
    jws(key, &json!({"typ": "dpop+jwt", "alg": key.public().algorithm(), "jwk": jwk}), payload)
}
