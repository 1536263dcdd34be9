//! The layer in front of an axum service, with keys from a real JWKS endpoint.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::routing::{any, get};
use axum::{Json, Router};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use portcullis_base::{ManualClock, Timestamp};
use portcullis_client::{
    CertificateRule, DpopChecks, ExcludedPaths, HttpJwks, PeerCertificate, SecurityContext, SecurityLayer,
    Transport, UrlError, require,
};
use portcullis_token::{
    Algorithm, Audience, CachePolicy, CachedVerifier, FollowPolicy, IssuerPolicy, Jwks, JwksSource,
    JwksSourceError, LocalSigner, ReplayWindow, Revocation, RevocationFollower, RevocationPage,
    RevocationStore, RevocationTarget, Signer, StoreError, Thumbprint, Verifier,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{
    AUDIENCE, Counter, ISSUER, NOW, Pki, b64, claims, clock, nobody, serve, serve_at, signed, signer, token,
    with,
};

fn jwks() -> String {
    Jwks::new([signer().public().clone()]).unwrap().to_json()
}

async fn key_server() -> SocketAddr {
    serve(Router::new().route("/jwks", get(async || jwks()))).await
}

fn layer(keys: SocketAddr, clock: &Arc<ManualClock>) -> SecurityLayer {
    let source = HttpJwks::new([(ISSUER, format!("http://{keys}/jwks"))], &Transport::default()).unwrap();
    let audience = Audience::AnyOf(vec![AUDIENCE.to_owned()]);
    let policy = IssuerPolicy::new(ISSUER, audience, &[Algorithm::Es256]).unwrap();
    let verifier = Verifier::new(vec![policy], 10).unwrap();
    let verifier = CachedVerifier::new(verifier, source, Arc::clone(clock), CachePolicy::default());
    SecurityLayer::new(verifier)
}

/// Says whom the layer let in.
async fn who(context: SecurityContext) -> Json<Value> {
    Json(json!({
        "subject": context.subject(), "client": context.client_id(), "roles": context.roles(),
        "scopes": context.scopes().to_string(), "token": context.token_id(), "actor": context.actor(),
        "issuer": context.issuer(), "expires": context.expires_at().as_second(),
        "certificate": context.certificate().and_then(PeerCertificate::spiffe_id),
    }))
}

fn service(layer: SecurityLayer) -> Router {
    let insights = get(who).layer(require("write:insights").unwrap());
    let approvals = get(who).layer(require("read:approvals").unwrap());
    Router::new()
        .route("/insights", insights)
        .route("/approvals", approvals)
        .route("/who", any(who))
        .fallback(any(async |request: Request<Body>| {
            let known = request.extensions().get::<SecurityContext>().is_some();
            format!("open, context: {known}")
        }))
        .layer(layer)
}

fn request(path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::get(path);
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Body::empty()).unwrap()
}

async fn send(service: &Router, request: Request<Body>) -> (Response<()>, String) {
    let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

async fn status(service: &Router, path: &str, authorization: &str) -> u16 {
    send(service, request(path, Some(authorization))).await.0.status().as_u16()
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", token(claims))
}

#[tokio::test]
async fn a_verified_caller_is_told_to_the_handler() {
    let service = service(layer(key_server().await, &clock()));
    let acting = with(claims(), "act", json!({"sub": "svc.bff"}));
    let (response, body) = send(&service, request("/who", Some(&bearer(&acting)))).await;
    assert_eq!(response.status(), StatusCode::OK);
    let expected = json!({
        "subject": "svc.actuator", "client": "svc.actuator", "roles": ["actuator"],
        "scopes": "read:approvals execute:external", "token": "t-1", "actor": "svc.bff", "issuer": ISSUER,
        "expires": NOW + 600, "certificate": null,
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn a_handler_is_told_what_was_approved_and_nothing_that_is_half_said() {
    async fn plan(context: SecurityContext) -> String {
        let told = context.approval();
        told.map_or("none".to_owned(), |a| format!("{} by {} as {}", a.plan, a.approver, a.id))
    }
    let service = Router::new().route("/plan", get(plan)).layer(layer(key_server().await, &clock()));
    let whole = json!({"id": "a-1", "plan": "plan-7", "approver": "svc.enterprise"});
    for (label, claim, expected) in [
        ("whole", whole.clone(), "plan-7 by svc.enterprise as a-1"),
        ("null", Value::Null, "none"),
        ("a text", json!("plan-7"), "none"),
        ("without an id", json!({"plan": "plan-7", "approver": "svc.enterprise"}), "none"),
        ("an empty plan", with(whole.clone(), "plan", json!("")), "none"),
        ("a number for the approver", with(whole, "approver", json!(7)), "none"),
    ] {
        let token = bearer(&with(claims(), "approval", claim));
        assert_eq!(send(&service, request("/plan", Some(&token))).await.1, expected, "{label}");
    }
    assert_eq!(send(&service, request("/plan", Some(&bearer(&claims())))).await.1, "none", "no claim");
}

/// Revocations, or none to be had.
struct Revoked(Option<Vec<Revocation>>);

impl RevocationStore for Revoked {
    async fn add(&self, _: &Revocation) -> Result<(), StoreError> {
        Err(StoreError::Refused)
    }

    async fn since(&self, _: Option<&str>) -> Result<RevocationPage, StoreError> {
        let items = self.0.clone().ok_or(StoreError::Unavailable)?;
        Ok(RevocationPage { items, cursor: None, more: false })
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_where_revocations_are_followed() {
    let (keys, clock) = (key_server().await, clock());
    let revoked = |jti: &str| {
        let target = RevocationTarget::Token { iss: ISSUER.to_owned(), jti: jti.to_owned() };
        Some(vec![Revocation { target, until: Timestamp::from_second(NOW + 900).unwrap() }])
    };
    for (label, known, expected) in
        [("this one", revoked("t-1"), 401), ("another", revoked("t-2"), 200), ("nobody knows", None, 503)]
    {
        let follower = RevocationFollower::new(Revoked(known), Arc::clone(&clock), FollowPolicy::default());
        let service = service(layer(keys, &clock).with_revocations(follower));
        assert_eq!(status(&service, "/who", &bearer(&claims())).await, expected, "{label}");
    }
    let unchecked = service(layer(keys, &clock));
    assert_eq!(status(&unchecked, "/who", &bearer(&claims())).await, 200, "control: nobody looks");
}

#[tokio::test]
async fn every_refusal() {
    let service = service(layer(key_server().await, &clock()));
    let tampered = token(&claims()).replacen("eyJ", "eyK", 1);
    let stranger = LocalSigner::generate(Algorithm::Es256).unwrap();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": signer().kid()});
    let forged = signed(&header, &claims(), &stranger);
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"none","typ":"at+jwt"}"#), b64(claims().to_string()));
    let invalid = Some("Bearer realm=\"portcullis\", error=\"invalid_token\"");
    for (label, authorization, expected, challenge) in [
        ("none", String::new(), 401, Some("Bearer realm=\"portcullis\"")),
        ("basic", "Basic YTpi".into(), 401, Some("Bearer realm=\"portcullis\"")),
        (
            "unreadable",
            "Bearer a b".into(),
            400,
            Some("Bearer realm=\"portcullis\", error=\"invalid_request\""),
        ),
        ("no token at all", "Bearer abc".into(), 401, invalid),
        ("tampered", format!("Bearer {tampered}"), 401, invalid),
        ("another's key", format!("Bearer {forged}"), 401, invalid),
        ("unsigned", format!("Bearer {unsigned}"), 401, invalid),
        ("expired", bearer(&with(claims(), "exp", json!(NOW - 11))), 401, invalid),
        ("another audience", bearer(&with(claims(), "aud", json!("https://other.example"))), 401, invalid),
        ("another issuer", bearer(&with(claims(), "iss", json!("https://other.example"))), 401, invalid),
        (
            "scope missing",
            bearer(&claims()),
            403,
            Some("Bearer realm=\"portcullis\", error=\"insufficient_scope\", scope=\"write:insights\""),
        ),
        ("dpop where it is not spoken", format!("DPoP {}", token(&claims())), 401, None),
    ] {
        let authorization = Some(authorization).filter(|a| !a.is_empty());
        let (response, body) = send(&service, request("/insights", authorization.as_deref())).await;
        assert_eq!(response.status().as_u16(), expected, "{label}");
        if let Some(challenge) = challenge {
            assert_eq!(response.headers()[WWW_AUTHENTICATE], challenge, "{label}");
        }
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{label}");
        assert!(!body.contains("svc.actuator") && !body.contains("eyJ"), "{label}: {body}");
    }
    assert_eq!(status(&service, "/approvals", &bearer(&claims())).await, 200);
}

#[tokio::test]
async fn clocks_may_disagree_by_ten_seconds() {
    let service = service(layer(key_server().await, &clock()));
    for (label, claim, at, expected) in [
        ("issued 10 s ahead of us", "iat", NOW + 10, 200),
        ("issued 11 s ahead of us", "iat", NOW + 11, 401),
        ("good in 10 s", "nbf", NOW + 10, 200),
        ("good in 11 s", "nbf", NOW + 11, 401),
        ("over for 9 s", "exp", NOW - 9, 200),
        ("over for 10 s", "exp", NOW - 10, 401),
    ] {
        assert_eq!(
            status(&service, "/who", &bearer(&with(claims(), claim, json!(at)))).await,
            expected,
            "{label}"
        );
    }
}

#[tokio::test]
async fn excluded_paths_are_open_and_nothing_beside_them() {
    let paths = ExcludedPaths::parse(["/health", "/docs/*"]).unwrap();
    let service = service(layer(key_server().await, &clock()).excluding(paths));
    for (path, expected) in [
        ("/health", 200),
        ("/health?x=1", 200),
        ("/docs/a", 200),
        ("/docs/../who", 401),
        ("/docs/%2e%2e/who", 401),
        ("/docs//who", 401),
        ("/healthz", 401),
        ("/HEALTH", 401),
        ("/", 401),
    ] {
        let (response, body) = send(&service, request(path, None)).await;
        assert_eq!(response.status().as_u16(), expected, "{path}");
        assert!(expected != 200 || body == "open, context: false", "{path}: {body}");
    }
    let spoofed = send(&service, request("/health", Some(&bearer(&claims())))).await.1;
    assert_eq!(spoofed, "open, context: false", "an excluded path has no caller");
}

#[tokio::test]
async fn a_bound_token_needs_its_certificate() {
    let pki = Pki::new();
    let certificate = |name: &str| {
        let pem = pki.read(name);
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        PeerCertificate::dangerous_from_verified_der(&pem.contents)
    };
    let (actuator, analyst) = (certificate("actuator/client.crt"), certificate("analyst/client.crt"));
    let (bound, free) = (
        token(&with(claims(), "cnf", json!({"x5t#S256": actuator.thumbprint().to_string()}))),
        token(&claims()),
    );
    let keys = key_server().await;
    let domain = |name: &str| CertificateRule::OfTheClient { trust_domain: name.to_owned() };
    for (label, rule, token, certificate, expected) in [
        ("its own", CertificateRule::Optional, &bound, Some(&actuator), 200),
        ("another's", CertificateRule::Optional, &bound, Some(&analyst), 401),
        ("none", CertificateRule::Optional, &bound, None, 401),
        ("free token, none", CertificateRule::Optional, &free, None, 200),
        ("free token, any", CertificateRule::Optional, &free, Some(&analyst), 200),
        ("required, there", CertificateRule::Required, &free, Some(&analyst), 200),
        ("required, none", CertificateRule::Required, &free, None, 403),
        ("of the client", domain("corp.example"), &free, Some(&actuator), 200),
        ("of another client", domain("corp.example"), &free, Some(&analyst), 403),
        ("of nobody", domain("corp.example"), &free, None, 403),
        ("of another domain", domain("corp.example.evil"), &free, Some(&actuator), 403),
        ("of a part of the domain", domain("corp"), &free, Some(&actuator), 403),
        ("of the client, bound to it", domain("corp.example"), &bound, Some(&actuator), 200),
    ] {
        let service = service(layer(keys, &clock()).with_certificates(rule));
        let mut request = request("/who", Some(&format!("Bearer {token}")));
        if let Some(certificate) = certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        assert_eq!(send(&service, request).await.0.status().as_u16(), expected, "{label}");
    }
}

/// Remembers in memory; `broken` answers nothing.
#[derive(Default)]
struct Window {
    seen: Mutex<HashSet<(String, String)>>,
    broken: bool,
}

impl ReplayWindow for Window {
    async fn first_use(&self, scope: &str, id: &str, _: Timestamp) -> Result<bool, StoreError> {
        if self.broken {
            return Err(StoreError::Unavailable);
        }
        Ok(self.seen.lock().unwrap().insert((scope.to_owned(), id.to_owned())))
    }
}

fn proof(signer: &LocalSigner, method: &str, uri: &str, token: &str, jti: &str) -> String {
    let ath = Thumbprint::of_certificate_der(token.as_bytes()).to_string();
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": signer.public()});
    signed(&header, &json!({"htm": method, "htu": uri, "iat": NOW, "jti": jti, "ath": ath}), signer)
}

#[tokio::test]
async fn a_dpop_bound_token_needs_a_fresh_proof() {
    let key = LocalSigner::generate(Algorithm::Es256).unwrap();
    let thief = LocalSigner::generate(Algorithm::Es256).unwrap();
    let bound = token(&with(claims(), "cnf", json!({"jkt": key.public().key().thumbprint().to_string()})));
    let free = token(&claims());
    let uri = "https://api.example/who";
    let keys = key_server().await;
    let guard = |window: Window| {
        let checks = DpopChecks::new("https://api.example", window, clock()).unwrap();
        service(layer(keys, &clock()).with_dpop(checks))
    };
    let service = guard(Window::default());
    for (label, scheme, token, proof, expected) in [
        ("good", "DPoP", &bound, proof(&key, "GET", uri, &bound, "1"), 200),
        ("replayed", "DPoP", &bound, proof(&key, "GET", uri, &bound, "1"), 401),
        ("another proof", "DPoP", &bound, proof(&key, "GET", uri, &bound, "2"), 200),
        ("another method", "DPoP", &bound, proof(&key, "POST", uri, &bound, "3"), 401),
        ("another path", "DPoP", &bound, proof(&key, "GET", "https://api.example/x", &bound, "4"), 401),
        ("another host", "DPoP", &bound, proof(&key, "GET", "https://evil.example/who", &bound, "5"), 401),
        ("another token", "DPoP", &bound, proof(&key, "GET", uri, &free, "6"), 401),
        ("another key", "DPoP", &bound, proof(&thief, "GET", uri, &bound, "7"), 401),
        ("no proof", "Bearer", &bound, String::new(), 401),
        ("proof with a free token", "DPoP", &free, proof(&key, "GET", uri, &free, "8"), 401),
        ("proof beside a bearer token", "Bearer", &free, proof(&key, "GET", uri, &free, "9"), 400),
        ("free token", "Bearer", &free, String::new(), 200),
    ] {
        let mut request = request("/who", Some(&format!("{scheme} {token}")));
        if !proof.is_empty() {
            request.headers_mut().insert("dpop", proof.parse().unwrap());
        }
        let status = send(&service, request).await.0.status().as_u16();
        assert_eq!(status, expected, "{label}");
    }
    let broken = guard(Window { broken: true, ..Window::default() });
    let mut request = request("/who", Some(&format!("DPoP {bound}")));
    request.headers_mut().insert("dpop", proof(&key, "GET", uri, &bound, "1").parse().unwrap());
    assert_eq!(send(&broken, request).await.0.status(), StatusCode::SERVICE_UNAVAILABLE);
    let plain = DpopChecks::new("http://api.example", Window::default(), clock());
    assert_eq!(plain.err(), Some(UrlError::Insecure));
}

#[tokio::test]
async fn keys_that_cannot_be_had_let_nobody_in_until_they_can() {
    let (address, clock) = (nobody().await, clock());
    let service = service(layer(address, &clock));
    let good = bearer(&claims());
    assert_eq!(status(&service, "/who", &good).await, 503, "the token may be good");
    let expired = bearer(&with(claims(), "exp", json!(NOW - 11)));
    assert_eq!(status(&service, "/who", &expired).await, 401, "bad under any key");
    let fetches = Counter::default();
    let counter = fetches.clone();
    let keys = get(async move || {
        counter.next();
        jwks()
    });
    serve_at(address, Router::new().route("/jwks", keys)).await;
    assert_eq!(status(&service, "/who", &good).await, 503, "asked again only after 10 s");
    clock.advance(10_000);
    for _ in 0..20 {
        assert_eq!(status(&service, "/who", &good).await, 200);
    }
    assert_eq!(fetches.count(), 1);
}

#[tokio::test]
async fn a_strange_key_server_gives_no_keys() {
    let elsewhere = Counter::default();
    let counter = elsewhere.clone();
    let target = serve(Router::new().fallback(any(async move || {
        counter.next();
        jwks()
    })))
    .await;
    let hostile = Router::new()
        .route(
            "/redirect",
            get(async move || (StatusCode::FOUND, [("location", format!("http://{target}/jwks"))])),
        )
        .route("/large", get(async || format!("{}{}", jwks(), " ".repeat(Jwks::MAX_BYTES))))
        .route("/error", get(async || (StatusCode::INTERNAL_SERVER_ERROR, jwks())))
        .route("/page", get(async || "<html>"))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_secs(30)).await;
                jwks()
            }),
        )
        .route("/jwks", get(async || jwks()));
    let address = serve(hostile).await;
    let transport = Transport::default().with_timeout(Duration::from_secs(2));
    for (path, expected) in [
        ("jwks", None),
        ("redirect", Some(JwksSourceError::Unavailable)),
        ("error", Some(JwksSourceError::Unavailable)),
        ("slow", Some(JwksSourceError::Unavailable)),
        ("large", Some(JwksSourceError::Malformed)),
        ("page", Some(JwksSourceError::Malformed)),
    ] {
        let source = HttpJwks::new([(ISSUER, format!("http://{address}/{path}"))], &transport).unwrap();
        assert_eq!(source.fetch(ISSUER).await.err(), expected, "{path}");
        assert_eq!(source.fetch("https://other.example").await.err(), Some(JwksSourceError::Unavailable));
    }
    assert_eq!(elsewhere.count(), 0, "no redirect is followed");
    assert!(HttpJwks::new([(ISSUER, "http://sts.example/jwks")], &transport).is_err());
}
