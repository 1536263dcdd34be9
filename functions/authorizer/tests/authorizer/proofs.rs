//! Proofs of possession (RFC 9449) through the authorizer.

use authorizer_function::Verdict;
use portcullis_token::{Algorithm, LocalSigner, Signer};
use serde_json::{Value, json};

use crate::support::*;

const URI: &str = "https://api.example/conversations/0f1e";

fn proof(key: &LocalSigner, body: &Value) -> String {
    let jwk = serde_json::to_value(key.public()).unwrap();
    let header =
        json!({"alg": key.algorithm(), "typ": "dpop+jwt", "jwk": without(without(jwk, "kid"), "use")});
    let input = format!("{}.{}", b64(header.to_string()), b64(body.to_string()));
    format!("{input}.{}", b64(key.sign_now(input.as_bytes()).unwrap()))
}

fn body(token: &str, jti: &str) -> Value {
    let ath = b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()));
    json!({"jti": jti, "htm": "GET", "htu": URI, "iat": NOW, "ath": ath})
}

fn bound(key: &LocalSigner) -> String {
    let jkt = key.public().key().thumbprint().to_string();
    es256(&with(claims("svc.memory"), "cnf", json!({"jkt": jkt})))
}

async fn judged(world: &World, token: &str, proof: &str) -> Verdict {
    let authorization = format!("DPoP {token}");
    let headers = [("Authorization", authorization.as_str()), ("DPoP", proof)];
    world.judge(&request("GET", "/conversations/0f1e", &headers)).await
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let world = World::new();
    let key = signer(Algorithm::EdDsa);
    let token = bound(key);
    let first = proof(key, &body(&token, "p-1"));
    let _ = allowed(&judged(&world, &token, &first).await);
    assert_eq!(judged(&world, &token, &first).await, Verdict::Unauthorized);
    assert!(world.last_record().contains("replay-detected"), "{}", world.last_record());
    let _ = allowed(&judged(&world, &token, &proof(key, &body(&token, "p-2"))).await);
}

#[tokio::test]
async fn proofs_that_prove_nothing_here() {
    let key = signer(Algorithm::EdDsa);
    let (token, plain) = (bound(key), token_of("svc.memory"));
    let with_body = |name: &str, value: Value| proof(key, &with(body(&token, "p-1"), name, value));
    for (label, token, proof, reason) in [
        ("another uri", &token, with_body("htu", json!("https://api.example/pii/decrypt")), "proof-uri"),
        (
            "another host",
            &token,
            with_body("htu", json!("https://evil.example/conversations/0f1e")),
            "proof-uri",
        ),
        ("another method", &token, with_body("htm", json!("POST")), "proof-method"),
        ("old", &token, with_body("iat", json!(NOW - 120)), "expired"),
        ("another token", &token, proof(key, &body("x", "p-1")), "proof-token"),
        ("another key", &token, proof(signer(Algorithm::Es256), &body(&token, "p-1")), "binding-mismatch"),
        ("a token that is not bound", &plain, proof(key, &body(&plain, "p")), "binding-mismatch"),
        ("not a proof", &token, "x.y.z".to_owned(), "base64"),
    ] {
        let world = World::new();
        assert_eq!(judged(&world, token, &proof).await, Verdict::Unauthorized, "{label}");
        assert!(world.last_record().contains(reason), "{label}: {}", world.last_record());
        assert!(!world.calls.take().contains(&"replay"), "{label}: nothing of it is noted");
    }
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    let world = World::new();
    let token = bound(signer(Algorithm::EdDsa));
    assert_eq!(world.judge(&read_with(&token)).await, Verdict::Unauthorized);
    assert!(world.last_record().contains("binding-missing"));
}

#[tokio::test]
async fn while_the_gateway_keeps_answers_no_token_is_taken_that_needs_more_than_itself() {
    let world = World::with(|setup| setup.settings.answers_are_kept = true);
    let key = signer(Algorithm::EdDsa);
    let token = bound(key);
    assert_eq!(judged(&world, &token, &proof(key, &body(&token, "p-1"))).await, Verdict::Unauthorized);
    assert!(world.last_record().contains("bound-while-answers-are-kept"), "{}", world.last_record());
    assert!(!world.calls.take().contains(&"replay"), "the proof is not used up");
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
}

#[tokio::test]
async fn without_the_replay_window_no_proof_is_taken() {
    let world = World::new();
    let key = signer(Algorithm::EdDsa);
    // The revocations, of the same table, are in hand already.
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    world.tokens.fail(true);
    let token = bound(key);
    assert_eq!(judged(&world, &token, &proof(key, &body(&token, "p-1"))).await, Verdict::Unavailable);
}
