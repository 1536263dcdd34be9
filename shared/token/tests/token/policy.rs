//! Several issuers, their rules, and bound tokens.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_token::*;
use serde_json::json;

use crate::support::*;

const COGNITO: &str = "https://cognito-idp.sa-east-1.amazonaws.com/pool";

fn two_issuers() -> (Verifier, HashMap<String, Arc<Jwks>>) {
    let user = IssuerPolicy::new(COGNITO, Audience::ClientIdAnyOf(vec!["app".into()]), &[Algorithm::Rs256])
        .unwrap()
        .with_token_type(TokenType::JwtOrAbsent)
        .with_max_lifetime(86_400);
    let mut known = keys(Jwks::new([signer(Algorithm::Es256).public().clone()]).unwrap());
    let theirs = Jwks::new([signer(Algorithm::Rs256).public().clone()]).unwrap();
    known.insert(COGNITO.to_owned(), Arc::new(theirs));
    (Verifier::new(vec![policy(&[Algorithm::Es256]), user], 10).unwrap(), known)
}

#[test]
fn each_issuer_has_its_own_keys_and_rules() {
    let (verifier, known) = two_issuers();
    let kid = signer(Algorithm::Rs256).kid();
    let user = json!({"iss": COGNITO, "sub": "u-1", "client_id": "app", "exp": NOW + 3_600, "iat": NOW});
    let theirs = |claims: &serde_json::Value| {
        signed(Algorithm::Rs256, &json!({"alg": "RS256", "kid": kid}).to_string(), &claims.to_string())
    };
    let verify = |t: &str| verifier.verify(t, &known, Presentation::default(), now()).map(|_| ());
    for (label, token, expected) in [
        ("ours", good(), Ok(())),
        ("theirs", theirs(&user), Ok(())),
        (
            "theirs for another app",
            theirs(&with(user.clone(), "client_id", json!("x"))),
            Err(TokenError::Audience),
        ),
        (
            "theirs without client",
            theirs(&without(user.clone(), "client_id")),
            Err(TokenError::ClaimMissing("client_id")),
        ),
        (
            "theirs, aud of another app",
            theirs(&with(user.clone(), "aud", json!("x"))),
            Err(TokenError::Audience),
        ),
        (
            "their key, our name",
            {
                signed(
                    Algorithm::Rs256,
                    &json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"}).to_string(),
                    &claims().to_string(),
                )
            },
            Err(TokenError::AlgorithmNotAllowed),
        ),
        (
            "our key, their name",
            es256(&header(Algorithm::Es256), &user),
            Err(TokenError::AlgorithmNotAllowed),
        ),
    ] {
        assert_eq!(verify(&token), expected, "{label}");
    }
}

#[test]
fn issuer_without_keys_is_an_unknown_key() {
    let none: HashMap<String, Arc<Jwks>> = HashMap::new();
    let got = verifier().verify(&good(), &none, Presentation::default(), now());
    assert_eq!(got.unwrap_err(), TokenError::UnknownKey);
}

#[test]
fn token_without_kid_needs_an_issuer_with_one_key() {
    let token = es256(&without(header(Algorithm::Es256), "kid"), &claims());
    let one = |a| keys(Jwks::new([signer(a).public().clone()]).unwrap());
    let verify = |k| verifier().verify(&token, &k, Presentation::default(), now()).map(|_| ());
    assert_eq!(verify(one(Algorithm::Es256)), Ok(()));
    assert_eq!(verify(one(Algorithm::EdDsa)), Err(TokenError::KeyMismatch));
    assert_eq!(verify(keys(Jwks::default())), Err(TokenError::UnknownKey));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let new = |issuer: &str, audience: &[&str], algorithms: &[Algorithm]| {
        let audience = Audience::AnyOf(audience.iter().map(|a| (*a).to_owned()).collect());
        IssuerPolicy::new(issuer, audience, algorithms).map(|_| ())
    };
    assert_eq!(new("", &["a"], &[Algorithm::Es256]), Err(PolicyError::NoIssuer));
    assert_eq!(new("i", &[], &[Algorithm::Es256]), Err(PolicyError::NoAudience));
    assert_eq!(new("i", &[""], &[Algorithm::Es256]), Err(PolicyError::NoAudience));
    assert_eq!(new("i", &["a"], &[]), Err(PolicyError::NoAlgorithm));
    let p = || policy(&Algorithm::ALL);
    assert_eq!(Verifier::new(vec![], 0).unwrap_err(), PolicyError::NoIssuer);
    assert_eq!(Verifier::new(vec![p(), p()], 0).unwrap_err(), PolicyError::IssuerTwice);
    assert_eq!(Verifier::new(vec![p()], 61).unwrap_err(), PolicyError::Leeway);
}

#[test]
fn bound_token_needs_what_it_is_bound_to() {
    let certificate = Thumbprint::of_certificate_der(b"certificate");
    let other = Thumbprint::of_certificate_der(b"another");
    let key = signer(Algorithm::EdDsa);
    let jkt = key.public().key().thumbprint();
    let token = |cnf: serde_json::Value| es256(&header(Algorithm::Es256), &with(claims(), "cnf", cnf));
    let by_certificate = token(json!({"x5t#S256": certificate.to_string()}));
    let by_key = token(json!({"jkt": jkt.to_string()}));
    let by_both = token(json!({"x5t#S256": certificate.to_string(), "jkt": jkt.to_string()}));
    let proof = |text: &str| crate::dpop::proof_for(key, text);
    let (mine, foreign) = (proof(&by_key), crate::dpop::proof_for(signer(Algorithm::Es256), &by_key));
    let (both, plain) = (proof(&by_both), proof(&good()));
    use TokenError::{BindingMismatch, BindingMissing, BindingUnknown};
    for (label, text, dpop, certificate, expected) in [
        ("certificate shown", &by_certificate, None, Some(certificate), Ok(())),
        ("no certificate", &by_certificate, None, None, Err(BindingMissing)),
        ("another certificate", &by_certificate, None, Some(other), Err(BindingMismatch)),
        ("proof shown", &by_key, Some(&mine), None, Ok(())),
        ("proof and certificate shown", &by_key, Some(&mine), Some(other), Ok(())),
        ("bound token as bearer", &by_key, None, Some(certificate), Err(BindingMissing)),
        ("proof of another key", &by_key, Some(&foreign), None, Err(BindingMismatch)),
        ("proof for another token", &by_key, Some(&both), None, Err(BindingMismatch)),
        ("both shown", &by_both, Some(&both), Some(certificate), Ok(())),
        ("one of two shown", &by_both, Some(&both), None, Err(BindingMissing)),
        ("the other of two shown", &by_both, None, Some(certificate), Err(BindingMissing)),
        ("proof with a token that is not bound", &good(), Some(&plain), None, Err(BindingMismatch)),
        ("certificate with a token that is not bound", &good(), None, Some(certificate), Ok(())),
        ("unknown way of binding", &token(json!({"kid": "k"})), None, None, Err(BindingUnknown)),
        (
            "a known and an unknown way",
            &token(json!({"jkt": jkt.to_string(), "jwe": "x"})),
            Some(&mine),
            None,
            Err(BindingUnknown),
        ),
        ("binding to nothing", &token(json!({})), None, None, Err(BindingUnknown)),
    ] {
        let shown = Presentation { dpop, certificate };
        let got = verifier().verify(text, &keys(all_keys()), shown, now()).map(|_| ());
        assert_eq!(got, expected, "{label}");
    }
}
