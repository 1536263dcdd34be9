//! Identities over real HTTP, as a user of the local stack meets them: who may what, how often, and what keys, tokens and
//! the audit trail do.
#![cfg(test)]

use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use portcullis_access::{Identities, RouteGuard};
use portcullis_tests::binaries;
use portcullis_tests::local_stack::LocalStack;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

async fn with(stack: &LocalStack, method: Method, path: &str, token: &str) -> Response {
    let request = Client::new().request(method, stack.url(path)).bearer_auth(token);
    request.json(&json!({})).send().await.unwrap()
}

#[tokio::test]
async fn every_identity_reaches_exactly_the_routes_that_its_role_may() {
    let stack = LocalStack::start().await;
    let guard = RouteGuard::shipped().unwrap();
    let (identities, mut allowed, mut denied) = (Identities::shipped().unwrap(), 0, 0);
    for identity in identities.iter() {
        let token = stack.token(&identity.id);
        for route in guard.routes().iter() {
            let Some(action) = route.action() else { continue };
            let path = route.path.as_str().replace("{id}", "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
            let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
            let status = with(&stack, method, &path, &token).await.status().as_u16();
            // Scopes are those that policies permit: a test of the access room holds that.
            let may = identity.scopes.contains(action);
            assert_eq!(status != 403, may, "{} {route}: {status}", identity.id);
            assert!(!matches!(status, 401 | 429 | 500..), "{} {route}: {status}", identity.id);
            if may { allowed += 1 } else { denied += 1 }
        }
    }
    assert!(allowed > 10 && denied > 30, "{allowed} allowed, {denied} denied");
}

#[tokio::test]
async fn without_a_good_token_the_answer_is_401_and_says_nothing_more() {
    let stack = LocalStack::start().await;
    let good = stack.token("svc.memory");
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let other = LocalStack::start().await.token("svc.memory");
    let url = stack.url("/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let mut bodies = std::collections::BTreeSet::new();
    for (label, header) in [
        ("nothing", None),
        ("empty", Some(String::new())),
        ("basic", Some("Basic YTpi".to_owned())),
        ("no token", Some("Bearer ".to_owned())),
        ("not a token", Some("Bearer abc".to_owned())),
        ("signature cut", Some(format!("Bearer {head}.{claims}."))),
        ("signature of nothing", Some(format!("Bearer {head}.{claims}.{}", "A".repeat(signature.len())))),
        ("claims changed", Some(format!("Bearer {head}.e30.{signature}"))),
        ("of another stack", Some(format!("Bearer {other}"))),
        ("two tokens", Some(format!("Bearer {good} {good}"))),
        ("as a proof-bound token", Some(format!("DPoP {good}"))),
    ] {
        let mut request = Client::new().get(&url);
        if let Some(header) = header {
            request = request.header("Authorization", header);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{label}");
        // No error: for whoever showed no token there is none (RFC 6750 section 3.1), and all get the same.
        let challenge = "Bearer realm=\"portcullis\", DPoP algs=\"ES256 EdDSA RS256 PS256\"";
        assert_eq!(answer.headers()["www-authenticate"], challenge, "{label}");
        bodies.insert(answer.text().await.unwrap());
    }
    assert_eq!(bodies.len(), 1, "one and the same body: {bodies:?}");
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let stack = LocalStack::start().await;
    let token = stack.token("ops.security-admin");
    let path = "/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    // Its rate is 300 a minute with a burst of 30: at once, so that a slow machine does not stay below it.
    let answers = join_all((0..100).map(|_| with(&stack, Method::GET, path, &token))).await;
    let (refused, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status() == 429);
    assert!(others.len() >= 30 && others.iter().all(|answer| answer.status() == 403), "{others:?}");
    let refused = refused.into_iter().next();
    let refused = refused.expect("a limit");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:too-many-requests");
    tokio::time::sleep(Duration::from_secs(wait + 1)).await;
    let forbidden = with(&stack, Method::GET, path, &token).await;
    assert_eq!(forbidden.status(), 403);
    let challenge = forbidden.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_within_seconds() {
    let stack = LocalStack::start().await;
    let token = stack.token("svc.memory");
    let path = "/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    assert_eq!(with(&stack, Method::GET, path, &token).await.status(), 404, "the token is good");
    let request = Client::new().post(stack.url("/sts/revoke")).form(&[
        ("token", token.as_str()),
        ("client_id", "svc.memory"),
        ("client_secret", &stack.client_secret("svc.memory")),
    ]);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let mut status = 404;
    for _ in 0..50 {
        status = with(&stack, Method::GET, path, &token).await.status().as_u16();
        if status == 401 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status, 401);
    assert_eq!(with(&stack, Method::GET, path, &stack.token("svc.memory")).await.status(), 404, "another is");
}

#[tokio::test]
async fn tokens_and_clients_survive_a_sigkill() {
    let mut stack = LocalStack::start().await;
    let token = stack.token("svc.memory");
    let before: Value = reqwest::get(stack.url("/sts/jwks")).await.unwrap().json().await.unwrap();
    stack.kill();
    stack.start_again().await;
    let after: Value = reqwest::get(stack.url("/sts/jwks")).await.unwrap().json().await.unwrap();
    assert_eq!(before, after, "the same signing keys");
    let path = "/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    assert_eq!(with(&stack, Method::GET, path, &token).await.status(), 404);
    assert_ne!(stack.token("svc.memory"), token);
}

#[tokio::test]
async fn keys_rotate_by_command_and_no_request_fails() {
    let stack = LocalStack::start().await;
    let token = stack.token("svc.memory");
    let keys = |args: &[&str]| {
        let output = Command::new(binaries::portcullis())
            .args(["keys"])
            .args(args)
            .args(["--json", "--url", &stack.url(""), "--root-key"])
            .arg(stack.root_key())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let stages = |answer: &Value| {
        let keys = answer["keys"].as_array().unwrap().iter();
        let mut stages: Vec<_> = keys.map(|key| key["stage"].as_str().unwrap().to_owned()).collect();
        stages.sort();
        stages
    };
    assert_eq!(stages(&keys(&["list"])), ["active"; 3]);
    let rotated = keys(&["rotate"]);
    assert_eq!(rotated["changes"].as_array().unwrap().len(), 3, "one for each algorithm");
    assert_eq!(keys(&["rotate"])["changes"], json!([]), "asking twice rotates once");
    assert_eq!(stages(&keys(&["list"])).iter().filter(|s| *s == "published").count(), 3);
    let set: Value = reqwest::get(stack.url("/sts/jwks")).await.unwrap().json().await.unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 6, "old and new are published");
    let path = "/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    for token in [token, stack.token("svc.memory")] {
        assert_eq!(with(&stack, Method::GET, path, &token).await.status(), 404);
    }
}

/// `portcullis …` against this stack, as JSON.
fn command(stack: &LocalStack, args: &[&str]) -> Result<Value, String> {
    let output = Command::new(binaries::portcullis())
        .args(["--json"])
        .args(args)
        .args(["--url", &stack.url(""), "--root-key"])
        .arg(stack.root_key())
        .output()
        .unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn with_key(stack: &LocalStack, method: Method, path: &str, key: &str) -> u16 {
    let request = Client::new().request(method, stack.url(path)).header("X-Portcullis-Key", key);
    request.json(&json!({"text": "x"})).send().await.unwrap().status().as_u16()
}

/// The status once it is that, or after five seconds.
async fn until(expected: u16, ask: impl AsyncFn() -> u16) -> u16 {
    for _ in 0..50 {
        let status = ask().await;
        if status == expected {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ask().await
}

const NO_CONVERSATION: &str = "/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0";

#[tokio::test]
async fn an_api_key_opens_what_it_is_for_and_no_more_until_it_is_revoked() {
    let mut stack = LocalStack::start().await;
    let create =
        ["api-keys", "create", "--owner", "svc.memory", "--scope", "read:conversations", "--days", "1"];
    let made = command(&stack, &create).unwrap();
    let (key, id) = (made["api_key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned());
    assert_eq!(with_key(&stack, Method::GET, NO_CONVERSATION, &key).await, 404, "it is let in");
    assert_eq!(
        with_key(&stack, Method::POST, "/pii/classify", &key).await,
        403,
        "its owner may, the key may not"
    );
    assert_eq!(with_key(&stack, Method::GET, "/sts/api-keys", &key).await, 403);
    let (head, secret) = key.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", secret.chars().rev().collect::<String>());
    assert_eq!(with_key(&stack, Method::GET, NO_CONVERSATION, &forged).await, 401, "another secret");

    let more = ["api-keys", "create", "--owner", "svc.bff", "--scope", "decrypt:pii"];
    assert!(command(&stack, &more).unwrap_err().contains("400"), "more than its owner may");
    let listed = command(&stack, &["api-keys", "list"]).unwrap();
    assert_eq!(listed["api_keys"].as_array().unwrap().len(), 1);
    assert_eq!(listed["api_keys"][0]["id"], id.as_str());
    assert!(!listed.to_string().contains(secret), "the secret is shown once");

    stack.kill();
    stack.start_again().await;
    assert_eq!(with_key(&stack, Method::GET, NO_CONVERSATION, &key).await, 404, "kept");
    let rotated = command(&stack, &["api-keys", "rotate", &id, "--grace-hours", "1"]).unwrap();
    let new = rotated["api_key"].as_str().unwrap().to_owned();
    let ask = async || with_key(&stack, Method::GET, NO_CONVERSATION, &new).await;
    assert_eq!(until(404, ask).await, 404, "the new secret is taken within three seconds");
    assert_eq!(with_key(&stack, Method::GET, NO_CONVERSATION, &key).await, 404, "and the old one beside it");
    let ended = command(&stack, &["api-keys", "revoke", &id]).unwrap();
    assert!(ended["revoked_at"].is_i64());
    assert_eq!(until(401, async || with_key(&stack, Method::GET, NO_CONVERSATION, &new).await).await, 401);
    let ask = async || with_key(&stack, Method::GET, NO_CONVERSATION, &key).await;
    assert_eq!(until(401, ask).await, 401, "within three seconds");
    for file in stack.files() {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{}: the secret is written nowhere", file.display());
    }
}

#[tokio::test]
async fn all_that_goes_on_in_a_name_ends_by_command() {
    let stack = LocalStack::start().await;
    let form = |form: Vec<(&'static str, String)>| {
        let request = Client::new().post(stack.url("/sts/token"));
        async move { request.form(&form).send().await.unwrap() }
    };
    let secret = stack.client_secret("svc.bff");
    let client = [("client_id", "svc.bff".to_owned()), ("client_secret", secret)];
    let grant = |kind: &str| vec![("grant_type", kind.to_owned())];
    let session: Value =
        form([grant("client_credentials"), client.to_vec()].concat()).await.json().await.unwrap();
    let (old, refresh) = (session["access_token"].as_str().unwrap(), session["refresh_token"].clone());
    let other = stack.token("svc.memory");
    assert_eq!(with(&stack, Method::GET, NO_CONVERSATION, old).await.status(), 404);
    let answer = command(&stack, &["token", "revoke", "--subject", "svc.bff"]).unwrap();
    assert_eq!(answer["subject"], "svc.bff");

    let ask = async || with(&stack, Method::GET, NO_CONVERSATION, old).await.status().as_u16();
    assert_eq!(until(401, ask).await, 401);
    // The token service looks at the revocations every two seconds, as the authorizer does.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let refresh = ("refresh_token", refresh.as_str().unwrap().to_owned());
    let refused = form([grant("refresh_token"), vec![refresh], client.to_vec()].concat()).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_grant");
    assert_eq!(with(&stack, Method::GET, NO_CONVERSATION, &other).await.status(), 404, "another's goes on");
    // What is given out within five seconds may be given for an old session: it is dead as well.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let new = stack.token("svc.bff");
    assert_eq!(with(&stack, Method::GET, NO_CONVERSATION, &new).await.status(), 404, "and so does a new one");
    assert!(command(&stack, &["token", "revoke"]).is_err(), "somebody or something must be named");
}
