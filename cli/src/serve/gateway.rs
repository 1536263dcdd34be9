//! What API Gateway does in AWS: knows the routes, asks the authorizer, and answers for it.

use std::borrow::Cow;
use std::time::Duration;

use authorizer_function::{
    ApiKeyMode, ApiKeys, AuthorizerFunction, AuthorizerSettings, Certificate, Grant, IssuerSettings, Issuers,
    MtlsMode, Parts, Request, Verdict,
};
use axum::http::request;
use portcullis_access::{PolicySet, Rates, Roles, RouteAccess, RouteGuard, Routes};
use portcullis_base::Problem;
use portcullis_lambda::{Metrics, ProxyResponse, SystemClock};
use portcullis_limit::MemoryLimits;
use portcullis_local::Store;
use portcullis_token::{Algorithm, CachePolicy, CachedVerifier, DPOP_ALGS, FollowPolicy, RevocationFollower};
use sts_function::Issuer;

use super::identity::{self, LocalJwks};
use super::secrets::LocalSecrets;
use super::stack::{LocalPorts, Stack};
use crate::failure::Failure;

impl authorizer_function::Ports for LocalPorts {
    type Jwks = LocalJwks;
    type Revocations = Store;
    type Replay = Store;
    type ApiKeys = Store;
    type Secrets = LocalSecrets;
    type Limits = MemoryLimits;
    type Audit = Store;
    type Clock = SystemClock;
}

/// The routes and their authorizer.
pub(crate) struct Gateway {
    routes: Routes,
    authorizer: AuthorizerFunction<LocalPorts>,
    url: String,
}

/// A request that may go on to its function.
pub(crate) struct Admitted {
    /// The authorizer's context; none on a public route.
    pub(crate) context: Option<Vec<(Cow<'static, str>, Cow<'static, str>)>>,
}

impl Gateway {
    /// The gateway of a stack whose tokens come from `issuer`.
    pub(crate) fn new(stack: &Stack, issuer: &Issuer, mtls: MtlsMode) -> Result<Self, Failure> {
        let wrong = |e: &dyn std::fmt::Display| identity::wrong(e);
        let own = IssuerSettings {
            issuer: issuer.as_str().to_owned(),
            jwks_uri: Some(issuer.endpoint("/sts/jwks")),
            jwks: None,
            audiences: vec![issuer.as_str().to_owned()],
            client_ids: Vec::new(),
            algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256],
            typ: None,
            max_lifetime_seconds: Some(900),
            roles: Roles::shipped().map_err(|e| wrong(&e))?.iter().map(|role| role.name.clone()).collect(),
        };
        let routes = Routes::shipped().and_then(|routes| routes.with(LOCAL_ROUTES)).map_err(|e| wrong(&e))?;
        let issuers = Issuers::new(&own, &[], LEEWAY_SECONDS).map_err(|e| wrong(&e))?;
        let keys = issuers.key_source(LocalJwks(identity::keeper(stack)));
        let parts = Parts::<LocalPorts> {
            verifier: CachedVerifier::new(issuers.verifier(), keys, SystemClock, KEYS),
            issuers,
            revocations: RevocationFollower::new(stack.store.clone(), SystemClock, FollowPolicy::default()),
            replay: stack.store.clone(),
            api_keys: ApiKeys::with_hasher(stack.store.clone(), identity::hasher(&stack.root)?, SystemClock),
            identities: stack.identities.clone(),
            guard: RouteGuard::new(PolicySet::shipped().map_err(|e| wrong(&e))?, routes.clone()),
            rates: Rates::shipped().map_err(|e| wrong(&e))?,
            limiter: identity::limiter("api"),
            auditor: identity::auditor(stack, "authorizer"),
            clock: SystemClock,
            metrics: Metrics::off("authorizer"),
            settings: AuthorizerSettings {
                mtls,
                api_keys: ApiKeyMode::Alternative,
                public_url: Some(issuer.as_str().to_owned()),
                ..AuthorizerSettings::default()
            },
        };
        Ok(Self { routes, authorizer: AuthorizerFunction::new(parts), url: issuer.as_str().to_owned() })
    }

    /// Lets a request through, or answers it. `certificate`: the client certificate of its connection, in PEM.
    pub(crate) async fn admit(
        &self,
        head: &request::Parts,
        certificate: Option<&str>,
    ) -> Result<Admitted, ProxyResponse> {
        let (method, path) = (head.method.as_str(), head.uri.path());
        let Some(route) = self.routes.find(method, path) else { return Err(self.no_route(path)) };
        if route.access == RouteAccess::Public {
            return Ok(Admitted { context: None });
        }
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = head.headers.iter();
        let request = Request {
            method: method.into(),
            path: path.into(),
            uri: format!("{}{path}", self.url).into(),
            headers: headers.map(|(n, v)| (n.as_str().into(), text(v.as_bytes()).into())).collect(),
            source_address: Some("127.0.0.1".into()),
            certificate: certificate.map(|pem| Certificate { pem: pem.into(), subject: "".into() }),
            request_id: Cow::default(),
        };
        match self.authorizer.judge(&request).await {
            Verdict::Allow(grant) => Ok(Admitted { context: Some(context(*grant)) }),
            Verdict::Unauthorized => {
                Err(ProxyResponse::problem(&UNAUTHORIZED).with_header("WWW-Authenticate", challenge("")))
            }
            Verdict::Forbidden(_) => {
                let challenge = challenge(", error=\"insufficient_scope\"");
                Err(ProxyResponse::problem(&FORBIDDEN).with_header("WWW-Authenticate", challenge))
            }
            Verdict::TooManyRequests { retry_after } => Err(ProxyResponse::problem(&TOO_MANY_REQUESTS)
                .with_header("Retry-After", retry_after.to_string())),
            Verdict::Unavailable => Err(ProxyResponse::problem(&UNAVAILABLE)),
        }
    }

    fn no_route(&self, path: &str) -> ProxyResponse {
        let methods: Vec<_> = self
            .routes
            .iter()
            .filter(|route| route.path.matches(path))
            .map(|route| route.method.as_str())
            .collect();
        match &*methods {
            [] => ProxyResponse::problem(&NOT_FOUND),
            some => ProxyResponse::problem(&METHOD).with_header("Allow", some.join(", ")),
        }
    }
}

/// As the gateway in AWS says it (infra/api.yaml): RFC 6750 section 3, RFC 9449 section 7.1.
fn challenge(error: &str) -> String {
    format!("Bearer realm=\"portcullis\"{error}, DPoP algs=\"{DPOP_ALGS}\"")
}

fn context(grant: Grant) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
    let principal = (Cow::Borrowed("principalId"), Cow::Owned(grant.principal));
    let rest = grant.context.into_iter().map(|(name, value)| (name.into(), value.into()));
    std::iter::once(principal).chain(rest).collect()
}

/// What EventBridge does in AWS.
const LOCAL_ROUTES: &str =
    "version: 1\nroutes:\n  - {method: POST, path: /events, action: 'manage:incidents'}\n";

const LEEWAY_SECONDS: u8 = 5;
/// The keys are in the database beside: a key that was taken out is heard of at once.
const KEYS: CachePolicy = CachePolicy {
    fresh: Duration::from_secs(2),
    stale: Duration::from_secs(30),
    min_interval: Duration::from_secs(1),
};

const UNAUTHORIZED: Problem =
    Problem::new(401, "unauthorized", "A valid access token is needed: see portcullis token get");
const FORBIDDEN: Problem = Problem::new(403, "forbidden", "This caller may not do this");
const TOO_MANY_REQUESTS: Problem =
    Problem::new(429, "too-many-requests", "Too many requests: try again later");
const UNAVAILABLE: Problem = Problem::new(503, "unavailable", "Try again later");
const NOT_FOUND: Problem = Problem::new(404, "not-found", "There is nothing here");
const METHOD: Problem = Problem::new(405, "method-not-allowed", "This method is not allowed here");
