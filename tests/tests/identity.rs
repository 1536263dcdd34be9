//! Identities over real HTTP, as a user of the local stack meets them: who may what, how often, and what keys, tokens and
//! the audit trail do.
#![cfg(test)]

use std::process::Command;
use std::time::Duration;

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
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{label}");
        bodies.insert(answer.text().await.unwrap());
    }
    assert_eq!(bodies.len(), 1, "one and the same body: {bodies:?}");
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let stack = LocalStack::start().await;
    let token = stack.token("ops.security-admin");
    let path = "/conversations/0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let mut refused = None;
    // Its rate is 60 a minute with a burst of 10.
    for _ in 0..20 {
        let answer = with(&stack, Method::GET, path, &token).await;
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status(), 403);
    }
    let refused = refused.expect("a limit");
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:too-many-requests");
    tokio::time::sleep(Duration::from_secs(wait + 1)).await;
    assert_eq!(with(&stack, Method::GET, path, &token).await.status(), 403);
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
