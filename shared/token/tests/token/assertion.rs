//! Client assertions (RFC 7523 section 3).

use portcullis_token::*;
use serde_json::{Value, json};

use crate::support::*;

const CLIENT: &str = "svc.actuator";

fn rules() -> AssertionPolicy {
    AssertionPolicy {
        audiences: vec![ISSUER.into(), format!("{ISSUER}/sts/token")],
        algorithms: vec![Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa],
        max_lifetime_seconds: 300,
        leeway_seconds: 5,
    }
}

fn body() -> Value {
    json!({"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "exp": NOW + 60, "jti": "a-1"})
}

fn verify(text: &str) -> Result<VerifiedAssertion, TokenError> {
    rules().verify(&UnverifiedToken::parse(text)?, CLIENT, &all_keys(), now())
}

#[test]
fn assertion_names_client_and_how_long_it_must_be_remembered() {
    let text = es256(&without(header(Algorithm::Es256), "typ"), &body());
    let token = UnverifiedToken::parse(&text).unwrap();
    assert_eq!(AssertionPolicy::dangerous_unverified_client(&token), CLIENT);
    let verified = verify(&text).unwrap();
    assert_eq!(
        (verified.client_id(), verified.jti(), verified.replay_until()),
        (CLIENT, "a-1", at(NOW + 125)),
        "exp, leeway, and a minute for clocks that disagree"
    );
    for typ in ["JWT", "jwt", "client-authentication+jwt"] {
        assert!(verify(&es256(&with(header(Algorithm::Es256), "typ", json!(typ)), &body())).is_ok(), "{typ}");
    }
}

#[test]
fn assertions_that_authenticate_nobody() {
    let head = || without(header(Algorithm::Es256), "typ");
    let c = |name: &str, value: Value| es256(&head(), &with(body(), name, value));
    let lacks = |name: &str| es256(&head(), &without(body(), name));
    let rs = without(header(Algorithm::Rs256), "typ");
    for (label, text, reason) in [
        ("issuer is another", c("iss", json!("svc.bff")), TokenError::Subject),
        ("subject is another", c("sub", json!("svc.bff")), TokenError::Subject),
        ("for another server", c("aud", json!("https://other.example")), TokenError::Audience),
        ("for another server too", c("aud", json!([ISSUER, "https://other.example"])), TokenError::Audience),
        ("for nobody", lacks("aud"), TokenError::ClaimMissing("aud")),
        ("no jti", lacks("jti"), TokenError::ClaimMissing("jti")),
        ("no exp", lacks("exp"), TokenError::ClaimMissing("exp")),
        ("expired", c("exp", json!(NOW - 5)), TokenError::Expired),
        ("lives too long", c("exp", json!(NOW + 301)), TokenError::LifetimeTooLong),
        ("lives too long by iat", c("iat", json!(NOW - 250)), TokenError::LifetimeTooLong),
        ("iat in the future", c("iat", json!(NOW + 6)), TokenError::IssuedInFuture),
        ("access token of ours", es256(&header(Algorithm::Es256), &body()), TokenError::TypeMismatch),
        (
            "algorithm not allowed",
            signed(Algorithm::Rs256, &rs.to_string(), &body().to_string()),
            TokenError::AlgorithmNotAllowed,
        ),
        (
            "key of another client",
            {
                let stranger = LocalSigner::generate(Algorithm::Es256).unwrap();
                let input = format!("{}.{}", b64(head().to_string()), b64(body().to_string()));
                format!("{input}.{}", b64(stranger.sign_now(input.as_bytes()).unwrap()))
            },
            TokenError::Signature,
        ),
    ] {
        assert_eq!(verify(&text).unwrap_err(), reason, "{label}");
    }
}
