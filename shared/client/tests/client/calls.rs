//! The client against a token service and an API that misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{any, post};
use axum::{Json, Router};
use http::{HeaderMap, Method, StatusCode};
use portcullis_base::{ManualClock, SecretString};
use portcullis_client::{Client, ClientError, ClientSettings, Credential, OauthError, UrlError};
use portcullis_token::{Algorithm, LocalSigner};
use serde_json::{Value, json};

use crate::support::{Counter, Noted, clock, nobody, serve, serve_at};

/// Tokens `t1`, `t2`, … for whoever knows the secret.
fn sts(counter: &Counter) -> Router {
    let counter = counter.clone();
    Router::new().route(
        "/token",
        post(async move |headers: HeaderMap, body: Bytes| {
            let number = counter.next();
            // svc.a:hunter2
            if headers["authorization"] != "Basic c3ZjLmE6aHVudGVyMg==" {
                return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})));
            }
            assert_eq!(body, "grant_type=client_credentials&scope=read%3Aplans");
            let grant =
                json!({"access_token": format!("t{number}"), "token_type": "Bearer", "expires_in": 600});
            (StatusCode::OK, Json(grant))
        }),
    )
}

/// Answers with what is told for each call, the last one from then on; notes method and token.
#[derive(Clone)]
struct Api {
    answers: Arc<Vec<(u16, &'static str)>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn new(answers: &[(u16, &'static str)]) -> Self {
        Self { answers: Arc::new(answers.to_vec()), calls: Arc::default() }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn router(&self) -> Router {
        Router::new().fallback(any(answer)).with_state(self.clone())
    }
}

async fn answer(
    State(api): State<Api>,
    method: Method,
    headers: HeaderMap,
) -> (StatusCode, HeaderMap, String) {
    let mut calls = api.calls.lock().unwrap();
    let (status, extra) = *api.answers.get(calls.len()).or(api.answers.last()).unwrap();
    calls.push(format!("{method} {}", headers["authorization"].to_str().unwrap()));
    let mut answer = HeaderMap::new();
    if let Some((name, value)) = extra.split_once(": ") {
        answer.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), answer, json!({"call": calls.len()}).to_string())
}

type TestClient = Client<Arc<ManualClock>, Arc<Noted>>;

struct Bench {
    client: TestClient,
    clock: Arc<ManualClock>,
    pacing: Arc<Noted>,
    tokens: Counter,
    api: Api,
    url: String,
}

impl Bench {
    async fn new(answers: &[(u16, &'static str)]) -> Self {
        let (tokens, api) = (Counter::default(), Api::new(answers));
        let (sts, address) = (serve(sts(&tokens)).await, serve(api.router()).await);
        Self::over(sts, address, tokens, api, |settings| settings)
    }

    fn over(
        sts: SocketAddr,
        address: SocketAddr,
        tokens: Counter,
        api: Api,
        change: impl FnOnce(ClientSettings) -> ClientSettings,
    ) -> Self {
        let (clock, pacing, origin) = (clock(), Arc::new(Noted::default()), format!("http://{address}"));
        let settings =
            ClientSettings::new(&format!("http://{sts}/token"), secret("hunter2"), [&origin]).unwrap();
        let settings = change(settings.with_scope("read:plans"));
        let client = Client::with_parts(settings, Arc::clone(&clock), Arc::clone(&pacing)).unwrap();
        Self { client, clock, pacing, tokens, api, url: format!("{origin}/plans") }
    }

    async fn get(&self) -> Result<u16, ClientError> {
        Ok(self.client.get(&self.url).send().await?.status().as_u16())
    }
}

fn secret(text: &str) -> Credential {
    Credential::Secret { client_id: "svc.a".into(), secret: SecretString::from(text) }
}

#[tokio::test]
async fn many_calls_at_once_make_one_token_request() {
    let bench = Arc::new(Bench::new(&[(200, "")]).await);
    for requests in 1..=2 {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { bench.get().await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(200));
        }
        assert_eq!(bench.tokens.count(), requests);
        bench.clock.advance(600_000);
    }
    assert!(bench.api.calls()[..50].iter().all(|call| call == "GET Bearer t1"));
    assert!(bench.api.calls()[50..].iter().all(|call| call == "GET Bearer t2"));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let bench = Bench::new(&[(401, ""), (200, "")]).await;
    let sent = bench.client.post(&bench.url).json(&json!({"x": 1})).send().await.unwrap();
    assert_eq!(sent.json::<Value>().await.unwrap(), json!({"call": 2}));
    assert_eq!(bench.api.calls(), ["POST Bearer t1", "POST Bearer t2"]);

    let bench = Bench::new(&[(401, "")]).await;
    assert_eq!(bench.get().await, Ok(401), "the second refusal stands");
    assert_eq!((bench.api.calls().len(), bench.tokens.count()), (2, 2));
    assert_eq!(bench.get().await, Ok(401));
    assert_eq!((bench.api.calls().len(), bench.tokens.count()), (3, 2), "no new token for each refusal");
}

#[tokio::test]
async fn only_what_may_be_repeated_is_and_only_so_often() {
    let seconds = |s: &[u64]| s.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
    for (label, answers, method, declared, expected, calls, pauses) in [
        ("passes", vec![(503, ""), (200, "")], Method::GET, false, 200, 2, seconds(&[0])),
        ("does not pass", vec![(502, "")], Method::GET, false, 502, 3, seconds(&[0, 0])),
        (
            "told when",
            vec![(503, "retry-after: 7"), (504, ""), (200, "")],
            Method::PUT,
            false,
            200,
            3,
            seconds(&[7, 0]),
        ),
        ("told too long", vec![(503, "retry-after: 3600")], Method::GET, false, 503, 1, seconds(&[])),
        ("limited", vec![(429, "retry-after: 2"), (200, "")], Method::GET, false, 200, 2, seconds(&[2])),
        ("not idempotent", vec![(503, "")], Method::POST, false, 503, 1, seconds(&[])),
        ("declared idempotent", vec![(503, ""), (201, "")], Method::POST, true, 201, 2, seconds(&[0])),
        ("broken for good", vec![(500, "")], Method::GET, false, 500, 1, seconds(&[])),
    ] {
        let bench = Bench::new(&answers).await;
        let request = bench.client.request(method, &bench.url);
        let request = if declared { request.idempotent() } else { request };
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{label}");
        assert_eq!(bench.api.calls().len(), calls, "{label}");
        assert_eq!(bench.pacing.pauses(), pauses, "{label}");
    }
}

#[tokio::test]
async fn a_service_that_is_down_is_tried_three_times() {
    let (tokens, api) = (Counter::default(), Api::new(&[(200, "")]));
    let bench = Bench::over(serve(sts(&tokens)).await, nobody().await, tokens, api, |s| s);
    assert_eq!(bench.get().await, Err(ClientError::Connect));
    assert_eq!(bench.pacing.pauses().len(), 2);
    assert_eq!(bench.client.post(&bench.url).send().await.unwrap_err(), ClientError::Connect);
    assert_eq!(bench.pacing.pauses().len(), 2, "not what is not idempotent");
}

#[tokio::test]
async fn a_token_service_that_is_down_and_comes_back() {
    let (tokens, api, address) = (Counter::default(), Api::new(&[(200, "")]), nobody().await);
    let target = serve(api.router()).await;
    let bench = Bench::over(address, target, tokens.clone(), api, |s| s);
    assert_eq!(bench.get().await, Err(ClientError::TokenUnavailable));
    serve_at(address, sts(&tokens)).await;
    assert_eq!(bench.get().await, Err(ClientError::TokenUnavailable), "left alone for a while");
    assert_eq!(tokens.count(), 0);
    bench.clock.advance(1_000);
    assert_eq!(bench.get().await, Ok(200));
    assert!(bench.api.calls().len() == 1 && tokens.count() == 1, "nothing was sent without a token");
}

#[tokio::test]
async fn no_redirect_carries_credentials_away() {
    let elsewhere = Counter::default();
    let counter = elsewhere.clone();
    let thief = serve(Router::new().fallback(any(async move || {
        counter.next();
        Json(json!({"access_token": "evil", "token_type": "Bearer", "expires_in": 600}))
    })))
    .await;
    let location: &'static str = format!("location: http://{thief}/plans").leak();
    for status in [301, 302, 303, 307, 308] {
        let bench = Bench::new(&[(status, location)]).await;
        assert_eq!(bench.get().await, Ok(status), "handed to the caller");
        let target = format!("http://{thief}/token");
        let redirect = post(async move || (StatusCode::from_u16(status).unwrap(), [("location", target)]));
        let sts = serve(Router::new().route("/token", redirect)).await;
        let (tokens, api) = (Counter::default(), Api::new(&[(200, "")]));
        let bench = Bench::over(sts, serve(api.router()).await, tokens, api, |s| s);
        assert_eq!(bench.get().await, Err(ClientError::TokenUnavailable), "{status}");
        assert!(bench.api.calls().is_empty());
    }
    assert_eq!(elsewhere.count(), 0, "nothing reached the other host");
}

#[tokio::test]
async fn the_token_goes_only_where_it_may() {
    let bench = Bench::new(&[(200, "")]).await;
    let other = serve(bench.api.router()).await;
    for (url, error) in [
        (format!("http://{other}/plans"), ClientError::Origin),
        (bench.url.replace("127.0.0.1", "localhost"), ClientError::Origin),
        ("https://evil.example/".into(), ClientError::Origin),
        ("http://plans.example/".into(), ClientError::Url(UrlError::Insecure)),
        (bench.url.replace("http://", "http://svc.a@"), ClientError::Url(UrlError::Form)),
        ("plans".into(), ClientError::Url(UrlError::Form)),
    ] {
        assert_eq!(bench.client.get(&url).send().await.unwrap_err(), error, "{url}");
    }
    let own = bench.client.get(&bench.url).header("Authorization", "Bearer mine").send().await;
    assert_eq!(own.unwrap_err(), ClientError::Request);
    assert_eq!((bench.tokens.count(), bench.api.calls().len()), (0, 0), "nothing was sent at all");
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let large = Router::new().fallback(any(async || "x".repeat(2_000)));
    let slow = Router::new().fallback(any(async || tokio::time::sleep(Duration::from_secs(30)).await));
    let tokens = Counter::default();
    let bench = async |service: Router, timeout: u64| {
        let sts = serve(sts(&tokens)).await;
        let limits = |settings: ClientSettings| {
            settings.with_max_body(1_000).with_timeout(Duration::from_millis(timeout))
        };
        Bench::over(sts, serve(service).await, tokens.clone(), Api::new(&[(200, "")]), limits)
    };
    let answer = bench(large, 20_000).await;
    let answer = answer.client.get(&answer.url).send().await.unwrap();
    assert_eq!(answer.bytes().await.unwrap_err(), ClientError::TooLarge);
    assert_eq!(bench(slow, 600).await.get().await, Err(ClientError::Timeout));
}

#[tokio::test]
async fn a_strange_token_service_gives_no_token() {
    let grant =
        |token: &str| json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}).to_string();
    for (label, status, body, error) in [
        (
            "refusal",
            401,
            r#"{"error":"invalid_client"}"#.to_owned(),
            ClientError::TokenRefused(OauthError::InvalidClient),
        ),
        ("refusal without a code", 400, "no".into(), ClientError::TokenRefused(OauthError::Other)),
        ("failure", 500, grant("t"), ClientError::TokenUnavailable),
        ("throttled", 429, String::new(), ClientError::TokenUnavailable),
        ("page", 200, "<html>".into(), ClientError::TokenMalformed),
        ("array form", 200, r#"["t","Bearer",600]"#.into(), ClientError::TokenMalformed),
        ("header injection", 200, grant("t\r\nx: y"), ClientError::TokenMalformed),
        ("too large", 200, format!("{}{}", grant("t"), " ".repeat(70_000)), ClientError::TokenMalformed),
    ] {
        let answer = post(async move || (StatusCode::from_u16(status).unwrap(), body));
        let sts = serve(Router::new().route("/token", answer)).await;
        let api = Api::new(&[(200, "")]);
        let bench = Bench::over(sts, serve(api.router()).await, Counter::default(), api, |s| s);
        let failed = bench.get().await.unwrap_err();
        assert_eq!(failed, error, "{label}");
        assert!(!format!("{failed} {failed:?}").contains("hunter2"), "{label}");
        assert!(bench.api.calls().is_empty(), "{label}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_not_repeated() {
    let tokens = Counter::default();
    let sts = serve(sts(&tokens)).await;
    let settings =
        ClientSettings::new(&format!("http://{sts}/token"), secret("wrong"), ["http://127.0.0.1"]).unwrap();
    let client: TestClient = Client::with_parts(settings, clock(), Arc::default()).unwrap();
    for _ in 0..5 {
        let refused = client.get("http://127.0.0.1/").send().await.unwrap_err();
        assert_eq!(refused, ClientError::TokenRefused(OauthError::InvalidClient));
    }
    assert_eq!(tokens.count(), 1);
}

#[tokio::test]
async fn a_key_authenticates_with_a_new_assertion_each_time() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let token = post(async move |headers: HeaderMap, body: String| {
        assert!(!headers.contains_key("authorization"));
        noted.lock().unwrap().push(body);
        Json(json!({"access_token": "t", "token_type": "Bearer", "expires_in": 600}))
    });
    let (sts, api) = (serve(Router::new().route("/token", token)).await, Api::new(&[(200, "")]));
    let origin = format!("http://{}", serve(api.router()).await);
    let signer = Arc::new(LocalSigner::generate(Algorithm::EdDsa).unwrap());
    let credential =
        Credential::PrivateKey { client_id: "svc.a".into(), signer, audience: "https://sts.example".into() };
    let settings = ClientSettings::new(&format!("http://{sts}/token"), credential, [&origin]).unwrap();
    let clock = clock();
    let client: TestClient = Client::with_parts(settings, Arc::clone(&clock), Arc::default()).unwrap();
    for _ in 0..2 {
        assert_eq!(client.get(&origin).send().await.unwrap().status(), StatusCode::OK);
        clock.advance(600_000);
    }
    let seen = seen.lock().unwrap();
    let start = "grant_type=client_credentials&client_id=svc.a&client_assertion_type=\
        urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=eyJ";
    assert!(seen.len() == 2 && seen[0] != seen[1] && seen.iter().all(|body| body.starts_with(start)));
}
