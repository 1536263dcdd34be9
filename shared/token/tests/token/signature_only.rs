//! The signature alone, by RFC 7515: which key is meant, and what is refused all the same.

use portcullis_token::*;
use serde_json::{Value, json};

use crate::support::*;

fn set(keys: &[Value]) -> Result<SignatureKeys, JwksError> {
    SignatureKeys::parse(json!({"keys": keys}).to_string().as_bytes())
}

fn public(algorithm: Algorithm) -> Value {
    serde_json::to_value(signer(algorithm).public()).unwrap()
}

fn jws(algorithm: Algorithm, header: Value, payload: &str) -> String {
    signed(algorithm, &header.to_string(), payload)
}

#[test]
fn claims_and_type_do_not_matter() {
    let keys = set(&Algorithm::ALL.map(public)).unwrap();
    for algorithm in Algorithm::ALL {
        let kid = signer(algorithm).kid();
        for (label, header, payload) in [
            ("not JSON", json!({"alg": algorithm, "kid": kid}), "not JSON"),
            ("nothing", json!({"alg": algorithm, "kid": kid}), ""),
            ("another type", json!({"alg": algorithm, "kid": kid, "typ": "x"}), "{}"),
            ("expired", json!({"alg": algorithm, "kid": kid}), r#"{"exp":1}"#),
            ("no kid", json!({"alg": algorithm}), "{}"),
            (
                "a jwk that nobody looks at",
                json!({"alg": algorithm, "kid": kid, "jwk": {"kty": "oct"}}),
                "{}",
            ),
            ("nested", json!({"alg": algorithm, "kid": kid, "cty": "JWT"}), "eyJ"),
        ] {
            assert_eq!(
                verify_signature_only(&jws(algorithm, header, payload), &keys),
                Ok(()),
                "{algorithm}: {label}"
            );
        }
        let text = jws(algorithm, json!({"alg": algorithm, "kid": "another"}), "{}");
        assert_eq!(
            verify_signature_only(&text, &keys),
            Err(TokenError::UnknownKey),
            "{algorithm}: other kid"
        );
    }
}

#[test]
fn key_is_found_by_name_then_without_name() {
    let unnamed = || without(without(public(Algorithm::Es256), "kid"), "alg");
    let text = jws(Algorithm::Es256, json!({"alg": "ES256", "kid": "x"}), "{}");
    let judge = |keys: &[Value]| verify_signature_only(&text, &set(keys).unwrap());
    let stranger = LocalSigner::generate(Algorithm::Es256).unwrap();
    let named = with(serde_json::to_value(stranger.public()).unwrap(), "kid", json!("x"));
    assert_eq!(judge(&[unnamed()]), Ok(()));
    assert_eq!(judge(&[with(unnamed(), "kid", json!("x"))]), Ok(()));
    assert_eq!(judge(&[with(unnamed(), "kid", json!("y"))]), Err(TokenError::UnknownKey));
    assert_eq!(judge(&[named, unnamed()]), Err(TokenError::Signature), "the named one decides");
    assert_eq!(judge(&[with(unnamed(), "use", json!("enc"))]), Err(TokenError::UnknownKey));
    assert_eq!(judge(&[with(unnamed(), "alg", json!("ES384"))]), Err(TokenError::UnknownKey));
    assert_eq!(judge(&[]), Err(TokenError::UnknownKey));
}

#[test]
fn what_is_no_jws_stays_none() {
    let keys = set(&[public(Algorithm::Es256)]).unwrap();
    let text = jws(Algorithm::Es256, json!({"alg": "ES256"}), "{}");
    let huge = format!("{}.{text}", "A".repeat(1 << 20));
    let header = |h: Value| jws(Algorithm::Es256, h, "{}");
    for (label, text, reason) in [
        ("empty signature", format!("{}.", text.rsplit_once('.').unwrap().0), TokenError::SignatureEmpty),
        ("padding", format!("{text}="), TokenError::Base64),
        ("payload not base64url", text.replacen('.', ".?", 1), TokenError::Base64),
        (
            "duplicate member",
            signed(Algorithm::Es256, r#"{"alg":"ES256","alg":"ES256"}"#, "{}"),
            TokenError::DuplicateMember,
        ),
        ("none", header(json!({"alg": "none"})), TokenError::AlgorithmNone),
        ("unknown algorithm", header(json!({"alg": "ES256K"})), TokenError::AlgorithmNotAllowed),
        (
            "b64 false",
            header(json!({"alg": "ES256", "b64": false, "crit": ["b64"]})),
            TokenError::UnencodedPayload,
        ),
        ("HMAC with a public key", header(json!({"alg": "HS256"})), TokenError::UnknownKey),
        ("oversize", huge, TokenError::Oversize),
    ] {
        assert_eq!(verify_signature_only(&text, &keys), Err(reason), "{label}");
    }
}

#[test]
fn sets_that_are_refused() {
    let secret = |len: usize| json!({"kty": "oct", "k": b64(vec![1; len])});
    assert_eq!(set(&[secret(32), public(Algorithm::Es256)]).unwrap_err(), JwksError::Mixed);
    assert_eq!(set(&[with(public(Algorithm::Es256), "d", json!("AA"))]).unwrap_err(), JwksError::Private);
    assert_eq!(
        set(&[public(Algorithm::Es256), public(Algorithm::Es256)]).unwrap_err(),
        JwksError::DuplicateKid
    );
    assert!(set(&[secret(32), secret(64)]).is_ok());
    assert!(!format!("{:?}", set(&[secret(32)]).unwrap()).contains("AQ"), "no secret in debug output");
}
