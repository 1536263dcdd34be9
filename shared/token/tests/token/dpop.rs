//! DPoP proofs, by the list of RFC 9449 section 4.3.

use portcullis_token::*;
use serde_json::{Value, json};

use crate::support::*;

const URI: &str = "https://api.example/conversations/1";
const TOKEN: &str = "access-token";

fn ath(token: &str) -> String {
    b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()))
}

fn bare_jwk(key: &LocalSigner) -> Value {
    without(without(serde_json::to_value(key.public()).unwrap(), "kid"), "use")
}

fn header_of(key: &LocalSigner) -> Value {
    json!({"alg": key.algorithm(), "typ": "dpop+jwt", "jwk": bare_jwk(key)})
}

fn body() -> Value {
    json!({"jti": "p-1", "htm": "GET", "htu": URI, "iat": NOW, "ath": ath(TOKEN)})
}

fn sign(key: &LocalSigner, header: &Value, body: &Value) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(body.to_string()));
    format!("{input}.{}", b64(key.sign_now(input.as_bytes()).unwrap()))
}

fn expected() -> ProofExpectation<'static> {
    ProofExpectation { method: "GET", uri: URI, access_token: Some(TOKEN), nonces: None, max_age_seconds: 60 }
}

/// A good proof of `key` for `token`.
pub(crate) fn proof_for(key: &LocalSigner, token: &str) -> VerifiedProof {
    let text = sign(key, &header_of(key), &with(body(), "ath", json!(ath(token))));
    verify_proof(&text, &ProofExpectation { access_token: Some(token), ..expected() }, now()).unwrap()
}

#[test]
fn proof_of_every_algorithm_names_its_key() {
    for algorithm in Algorithm::ALL {
        let key = signer(algorithm);
        let proof = verify_proof(&sign(key, &header_of(key), &body()), &expected(), now()).unwrap();
        assert_eq!(proof.jkt(), key.public().key().thumbprint(), "{algorithm}");
        assert_eq!((proof.jti(), proof.replay_until(60)), ("p-1", at(NOW + 121)), "a minute beyond");
        assert!(DPOP_ALGS.split(' ').any(|name| name == algorithm.to_string()), "{algorithm} is not told of");
    }
}

#[test]
fn proofs_that_prove_nothing() {
    let key = signer(Algorithm::EdDsa);
    let h = |name: &str, value: Value| sign(key, &with(header_of(key), name, value), &body());
    let c = |name: &str, value: Value| sign(key, &header_of(key), &with(body(), name, value));
    let lacks = |name: &str| sign(key, &header_of(key), &without(body(), name));
    let private = with(bare_jwk(key), "d", json!("AAAA"));
    let good = sign(key, &header_of(key), &body());
    let t = ProofError::Token;
    for (label, text, reason) in [
        ("typ of a token", h("typ", json!("at+jwt")), t(TokenError::TypeMismatch)),
        ("no typ", sign(key, &without(header_of(key), "typ"), &body()), t(TokenError::TypeMismatch)),
        ("no key", sign(key, &without(header_of(key), "jwk"), &body()), ProofError::Key),
        ("private key", h("jwk", private), ProofError::Key),
        ("secret key", h("jwk", json!({"kty": "oct", "k": "AAAA"})), ProofError::Key),
        (
            "another key",
            h("jwk", bare_jwk(&LocalSigner::generate(Algorithm::EdDsa).unwrap())),
            t(TokenError::Signature),
        ),
        ("key of another type", h("jwk", bare_jwk(signer(Algorithm::Es256))), t(TokenError::KeyMismatch)),
        ("jku", h("jku", json!("https://x.example")), t(TokenError::EmbeddedKey)),
        ("x5c", h("x5c", json!([])), t(TokenError::EmbeddedKey)),
        ("none", h("alg", json!("none")), t(TokenError::AlgorithmNone)),
        ("HS256", h("alg", json!("HS256")), t(TokenError::AlgorithmNotAllowed)),
        ("crit", h("crit", json!(["x"])), t(TokenError::CriticalHeader)),
        ("signature cut", good[..good.len() - 2].to_owned(), t(TokenError::Signature)),
        ("oversize", format!("{}.{good}", "A".repeat(5_000)), t(TokenError::Oversize)),
        ("another method", c("htm", json!("POST")), ProofError::Method),
        ("method in lower case", c("htm", json!("get")), ProofError::Method),
        ("no method", lacks("htm"), t(TokenError::ClaimMissing("htm"))),
        ("another path", c("htu", json!("https://api.example/conversations/2")), ProofError::Uri),
        (
            "another host",
            c("htu", json!("https://api.example.attacker.example/conversations/1")),
            ProofError::Uri,
        ),
        ("another scheme", c("htu", json!("http://api.example/conversations/1")), ProofError::Uri),
        ("another port", c("htu", json!("https://api.example:8443/conversations/1")), ProofError::Uri),
        ("user in the URI", c("htu", json!("https://a@api.example/conversations/1")), ProofError::Uri),
        ("path only", c("htu", json!("/conversations/1")), ProofError::Uri),
        ("no URI", lacks("htu"), t(TokenError::ClaimMissing("htu"))),
        ("no jti", lacks("jti"), t(TokenError::ClaimMissing("jti"))),
        ("jti empty", c("jti", json!("")), t(TokenError::ClaimMalformed("jti"))),
        ("no iat", lacks("iat"), t(TokenError::ClaimMissing("iat"))),
        ("too old", c("iat", json!(NOW - 61)), t(TokenError::Expired)),
        ("of the future", c("iat", json!(NOW + 6)), t(TokenError::IssuedInFuture)),
        ("no token hash", lacks("ath"), ProofError::AccessToken),
        ("another token's hash", c("ath", json!(ath("x"))), ProofError::AccessToken),
        ("hash not base64url", c("ath", json!("=")), t(TokenError::ClaimMalformed("ath"))),
    ] {
        assert_eq!(verify_proof(&text, &expected(), now()).unwrap_err(), reason, "{label}");
    }
}

#[test]
fn uris_that_mean_the_same() {
    let key = signer(Algorithm::Es256);
    for same in [
        "https://api.example/conversations/1?page=2",
        "https://api.example/conversations/1#top",
        "HTTPS://API.EXAMPLE:443/conversations/1",
        "https://api.example/x/../conversations/1",
    ] {
        let text = sign(key, &header_of(key), &with(body(), "htu", json!(same)));
        assert!(verify_proof(&text, &expected(), now()).is_ok(), "{same}");
    }
}

#[test]
fn nonce_is_one_of_those_given_out() {
    let key = signer(Algorithm::Es256);
    let valid = ["n-2", "n-1"];
    let expected = ProofExpectation { nonces: Some(&valid), ..expected() };
    for (label, nonce, taken) in [
        ("current", json!("n-2"), true),
        ("previous", json!("n-1"), true),
        ("older", json!("n-0"), false),
        ("number", json!(1), false),
    ] {
        let text = sign(key, &header_of(key), &with(body(), "nonce", nonce));
        let got = verify_proof(&text, &expected, now()).map(|_| ());
        assert_eq!(got, if taken { Ok(()) } else { Err(ProofError::Nonce) }, "{label}");
    }
    let none = sign(key, &header_of(key), &body());
    assert_eq!(verify_proof(&none, &expected, now()).unwrap_err(), ProofError::Nonce);
}
