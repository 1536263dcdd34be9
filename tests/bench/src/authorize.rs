//! An authorizer event's bytes in, the answer's bytes out: the authorizer function as it is, with the runner's issuer and
//! one route.

use authorizer_function::{
    ApiKeys, AuthorizerFunction, AuthorizerSettings, IssuerSettings, Issuers, Parts, Ports,
};
use futures_util::FutureExt;
use portcullis_access::{Identities, PolicySet, Rates, RouteGuard, Routes};
use portcullis_audit::{AuditError, AuditRecord, AuditSink, Auditor, AuditorSettings};
use portcullis_base::Timestamp;
use portcullis_lambda::{Failure, Handler, Invocation, Metrics, SystemClock};
use portcullis_limit::{LeasedLimiter, LimiterSettings, MemoryLimits};
use portcullis_local::EnvSecrets;
use portcullis_local::memory::{Credentials, Tokens};
use portcullis_secrets::{CacheSettings, CachedSecrets};
use portcullis_token::{
    Algorithm, CachePolicy, CachedVerifier, FollowPolicy, Jwks, JwksSource, JwksSourceError,
    RevocationFollower,
};
use serde_json::{Value, json};

use crate::measure::Job;
use crate::sign::{AUDIENCE, ISSUER};

struct Memory;

impl Ports for Memory {
    type Jwks = Nowhere;
    type Revocations = Tokens;
    type Replay = Tokens;
    type ApiKeys = Credentials;
    type Secrets = EnvSecrets;
    type Limits = MemoryLimits;
    type Audit = Gone;
    type Clock = SystemClock;
}

/// Every key set is in the settings.
struct Nowhere;

impl JwksSource for Nowhere {
    async fn fetch(&self, _: &str) -> Result<Jwks, JwksSourceError> {
        Err(JwksSourceError::Unavailable)
    }
}

/// Keeps nothing, so that millions of refusals do not fill the memory.
struct Gone;

impl AuditSink for Gone {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), AuditError> {
        std::hint::black_box(records);
        Ok(())
    }
}

pub(crate) fn run(job: &Job, algorithm: Algorithm) {
    let function = function(job);
    let events: Vec<_> =
        job.lines(&format!("authorizer-{algorithm}.jsonl")).iter().map(|line| request(line)).collect();
    let invocation = Invocation { request_id: "bench".to_owned(), deadline: Timestamp::MAX };
    job.run(
        &events,
        Vec::len,
        |event| {
            // Over adapters in memory nothing ever waits.
            function.handle(event, &invocation).now_or_never().expect("an answer at once")
        },
        |answers| {
            let (mut allow, mut deny, mut unauthorized) = (0, 0, 0);
            for answer in answers {
                match effect(answer).as_deref() {
                    Some("Allow") => allow += 1,
                    Some("Deny") => deny += 1,
                    _ => unauthorized += 1,
                }
            }
            json!({"allow": allow, "deny": deny, "unauthorized": unauthorized})
        },
    );
}

fn effect(answer: Result<Vec<u8>, Failure>) -> Option<String> {
    let answer: Value = match answer {
        Ok(bytes) => serde_json::from_slice(&bytes).expect("JSON"),
        Err(failure) => {
            assert_eq!(failure.message, "Unauthorized");
            return None;
        }
    };
    answer["policyDocument"]["Statement"][0]["Effect"].as_str().map(str::to_owned)
}

/// The runner's TOKEN events as the gateway would send them to a REQUEST authorizer.
fn request(line: &[u8]) -> Vec<u8> {
    let event: Value = serde_json::from_slice(line).expect("an event");
    let mut headers = json!({"Accept": "*/*", "Host": "api.example", "User-Agent": "bench"});
    if let Some(token) = event["authorizationToken"].as_str() {
        headers["Authorization"] = token.into();
    }
    let event = json!({
        "type": "REQUEST", "methodArn": event["methodArn"], "resource": "/messages", "path": "/messages",
        "httpMethod": "POST", "headers": headers, "queryStringParameters": {}, "pathParameters": {},
        "requestContext": {"path": "/prod/messages", "requestId": "bench", "domainName": "api.example",
                           "identity": {"sourceIp": "203.0.113.7"}},
    });
    serde_json::to_vec(&event).expect("JSON")
}

fn function(job: &Job) -> AuthorizerFunction<Memory> {
    let set: Value = serde_json::from_slice(&job.read("jwks.json")).expect("a key set");
    let issuer = json!([{"issuer": ISSUER, "jwks": set, "audiences": [AUDIENCE], "typ": "jwt",
                         "algorithms": Algorithm::ALL, "max_lifetime_seconds": u32::MAX}]);
    let own = IssuerSettings::parse_list(&issuer.to_string()).expect("an issuer").remove(0);
    let issuers = Issuers::new(&own, &[], 10).expect("issuers");
    let secrets =
        CachedSecrets::new(EnvSecrets::from_pairs("S_", Vec::new()), SystemClock, CacheSettings::default());
    let store = Tokens::default();
    AuthorizerFunction::new(Parts {
        verifier: CachedVerifier::new(
            issuers.verifier(),
            issuers.key_source(Nowhere),
            SystemClock,
            CachePolicy::default(),
        ),
        issuers,
        revocations: RevocationFollower::new(Tokens::default(), SystemClock, FollowPolicy::default()),
        replay: store,
        api_keys: ApiKeys::new(Credentials::default(), secrets, "none", SystemClock),
        identities: Identities::shipped().expect("identities"),
        guard: guard(),
        rates: Rates::parse(RATES).expect("rates"),
        limiter: LeasedLimiter::new(MemoryLimits::new(10_000), SystemClock, LimiterSettings::default()),
        auditor: Auditor::new(Gone, SystemClock, AuditorSettings::new("authorizer")),
        clock: SystemClock,
        metrics: Metrics::off("authorizer"),
        settings: AuthorizerSettings::default(),
    })
}

/// Who has the scope may write: the runner's tokens name no roles.
fn guard() -> RouteGuard {
    let routes = Routes::parse(ROUTES).expect("routes");
    RouteGuard::new(PolicySet::parse(&[POLICY], SCHEMA).expect("policies"), routes)
}

const ROUTES: &str = "version: 1\nroutes: [{method: POST, path: /messages, action: \"messages:write\"}]\n";
const RATES: &str = "version: 1\naddress: 1000000/s\nprincipal: 1000000/s\ntiers: {any: 1000000/s}\n";
const POLICY: &str =
    r#"@id("bench.write") permit (principal, action == Action::"messages:write", resource);"#;
const SCHEMA: &str = r#"
entity Role;
entity Principal in [Role];
entity Object { name: String };
type Approval = { plan: String, approver: Principal };
type Circumstances = { approval?: Approval };
action messages;
action "messages:write"
  in [messages] appliesTo { principal: [Principal], resource: [Object], context: Circumstances };
"#;
