//! The list of section 4 of the requirements, through the whole authorizer: refused as 401, and why is told to the audit
//! trail and to nobody else.

use authorizer_function::Verdict;
use portcullis_token::*;
use serde_json::{Value, json};

use crate::support::*;

fn es256_of(header: &Value, claims: &Value) -> String {
    signed(Algorithm::Es256, &header.to_string(), &claims.to_string())
}

async fn refused(attacks: Vec<(&str, String, TokenError)>) {
    for (label, token, reason) in attacks {
        let world = World::new();
        let verdict = world.judge(&read_with(&token)).await;
        assert_eq!(verdict, Verdict::Unauthorized, "{label}");
        assert_eq!(world.codes(), ["token-refused"], "{label}");
        let record = world.last_record();
        assert!(record.contains(&format!("\"{}\"", reason.as_str())), "{label}: {record}");
        assert!(
            !record.contains(token.split('.').next_back().filter(|s| s.len() > 8).unwrap_or("\u{1}")),
            "{label}"
        );
    }
}

#[tokio::test]
async fn the_token_that_all_attacks_start_from_is_good() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let world = World::new();
        let token = signed(algorithm, &header(algorithm).to_string(), &claims("svc.memory").to_string());
        let verdict = world.judge(&read_with(&token)).await;
        assert_eq!(allowed(&verdict).principal, "svc.memory", "{algorithm}");
    }
}

#[tokio::test]
async fn tokens_that_are_none() {
    let good = token_of("svc.memory");
    let [head, body, sig] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    refused(vec![
        ("JWE: five parts", format!("{head}.{body}.{sig}.{sig}.{sig}"), TokenError::Encrypted),
        ("two parts", format!("{head}.{body}"), TokenError::NotCompact),
        ("empty signature", format!("{head}.{body}."), TokenError::SignatureEmpty),
        ("padding", format!("{good}=="), TokenError::Base64),
        ("padding in the header", format!("{head}=.{body}.{sig}"), TokenError::Base64),
        ("oversize", format!("{head}.{}.{sig}", "A".repeat(9_000)), TokenError::Oversize),
        ("r=s=0", format!("{head}.{body}.{}", b64([0; 64])), TokenError::Signature),
        (
            "another payload",
            format!("{head}.{}.{sig}", b64(claims("ops.pii-reader").to_string())),
            TokenError::Signature,
        ),
    ])
    .await;
}

#[tokio::test]
async fn algorithm_confusion() {
    let of = |alg: &str| with(header(Algorithm::Es256), "alg", json!(alg));
    let body = claims("svc.memory");
    let unsigned = |alg: &str| {
        let token = es256_of(&of(alg), &body);
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    // HMAC with the published public key as its secret.
    let public = serde_json::to_string(signer(Algorithm::Rs256).public()).unwrap();
    let confused = with(header(Algorithm::Rs256), "alg", json!("HS256"));
    let input = format!("{}.{}", b64(confused.to_string()), b64(body.to_string()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    let hs256 = format!("{input}.{}", b64(tag.as_ref()));
    refused(vec![
        ("none", es256_of(&of("none"), &body), TokenError::AlgorithmNone),
        ("none without a signature", unsigned("none"), TokenError::AlgorithmNone),
        ("NoNe", unsigned("NoNe"), TokenError::AlgorithmNone),
        ("HS256 with the public key", hs256, TokenError::AlgorithmNotAllowed),
        ("RS256 said, ES256 signed", es256_of(&of("RS256"), &body), TokenError::KeyMismatch),
        (
            "PS256, which is not pinned",
            signed(Algorithm::Ps256, &header(Algorithm::Ps256).to_string(), &body.to_string()),
            TokenError::AlgorithmNotAllowed,
        ),
    ])
    .await;
}

#[tokio::test]
async fn headers_that_bring_keys_or_demands() {
    let h = |name: &str, value: Value| with(header(Algorithm::Es256), name, value);
    let body = claims("svc.memory");
    let jwk = serde_json::to_value(signer(Algorithm::Es256).public()).unwrap();
    let duplicated = header(Algorithm::Es256).to_string().replacen('{', "{\"alg\":\"none\",", 1);
    let twice = body.to_string().replacen('{', "{\"roles\":[\"pii-reader\"],", 1);
    refused(vec![
        ("jwk", es256_of(&h("jwk", jwk), &body), TokenError::EmbeddedKey),
        ("jku", es256_of(&h("jku", json!("https://evil.example/keys")), &body), TokenError::EmbeddedKey),
        ("x5u", es256_of(&h("x5u", json!("https://evil.example/cert")), &body), TokenError::EmbeddedKey),
        ("x5c", es256_of(&h("x5c", json!(["MIIB"])), &body), TokenError::EmbeddedKey),
        (
            "unknown crit",
            es256_of(&with(h("crit", json!(["exp2"])), "exp2", json!(1)), &body),
            TokenError::CriticalHeader,
        ),
        ("alg twice", signed(Algorithm::Es256, &duplicated, &body.to_string()), TokenError::DuplicateMember),
        (
            "roles twice",
            signed(Algorithm::Es256, &header(Algorithm::Es256).to_string(), &twice),
            TokenError::DuplicateMember,
        ),
        ("an ID token", es256_of(&h("typ", json!("JWT")), &body), TokenError::TypeMismatch),
        ("an approval", es256_of(&h("typ", json!("approval+jwt")), &body), TokenError::TypeMismatch),
        ("unknown kid", es256_of(&h("kid", json!("nobody")), &body), TokenError::UnknownKey),
        ("a kid that climbs", es256_of(&h("kid", json!("../../dev/null")), &body), TokenError::UnknownKey),
        (
            "another key's kid",
            es256_of(&h("kid", json!(signer(Algorithm::EdDsa).kid())), &body),
            TokenError::KeyMismatch,
        ),
    ])
    .await;
}

#[tokio::test]
async fn claims_that_do_not_hold() {
    let c = |name: &str, value: Value| es256(&with(claims("svc.memory"), name, value));
    let lacks = |name: &str| es256(&without(claims("svc.memory"), name));
    refused(vec![
        ("expired", c("exp", json!(NOW - 5)), TokenError::Expired),
        ("not yet valid", c("nbf", json!(NOW + 60)), TokenError::NotYetValid),
        ("issued in the future", c("iat", json!(NOW + 60)), TokenError::IssuedInFuture),
        ("lives for a day", c("exp", json!(NOW + 86_400)), TokenError::LifetimeTooLong),
        ("another issuer", c("iss", json!("https://evil.example")), TokenError::Issuer),
        ("an issuer with a slash more", c("iss", json!("https://sts.example/")), TokenError::Issuer),
        ("another audience", c("aud", json!("https://other.example")), TokenError::Audience),
        ("no audience", lacks("aud"), TokenError::ClaimMissing("aud")),
        ("no expiry", lacks("exp"), TokenError::ClaimMissing("exp")),
        ("no id", lacks("jti"), TokenError::ClaimMissing("jti")),
        ("an unknown binding", c("cnf", json!({"kid": "x"})), TokenError::BindingUnknown),
        (
            "bound to a certificate that is not shown",
            c("cnf", json!({"x5t#S256": b64([1; 32])})),
            TokenError::BindingMissing,
        ),
        ("bound to a key without proof", c("cnf", json!({"jkt": b64([1; 32])})), TokenError::BindingMissing),
    ])
    .await;
}

/// The other issuer signs with a key that is in its own set and, here, in ours as well.
#[tokio::test]
async fn one_issuer_s_algorithm_and_type_are_not_another_s() {
    let user = json!({"iss": USERS, "sub": "u-1", "client_id": "web", "exp": NOW + 600, "iat": NOW, "roles": ["auditor"], "scope": "read:conversations"});
    let plain = with(without(header(Algorithm::Rs256), "typ"), "typ", json!("JWT"));
    let good = signed(Algorithm::Rs256, &plain.to_string(), &user.to_string());
    let world = World::new();
    assert_eq!(allowed(&world.judge(&read_with(&good)).await).principal, "https://users.example|u-1");
    let ours = with(user, "iss", json!(ISSUER));
    refused(vec![
        (
            "their type for our token",
            signed(Algorithm::Rs256, &plain.to_string(), &ours.to_string()),
            TokenError::TypeMismatch,
        ),
        (
            "our algorithm for their token",
            es256(&with(claims("svc.memory"), "iss", json!(USERS))),
            TokenError::AlgorithmNotAllowed,
        ),
    ])
    .await;
}

#[tokio::test]
async fn another_issuer_gives_only_the_roles_that_it_may() {
    let world = World::new();
    let user = json!({"iss": USERS, "sub": "svc.memory", "client_id": "web", "exp": NOW + 600, "iat": NOW,
                      "roles": ["pii-reader", "security-admin", "auditor"],
                      "scope": "decrypt:pii rotate:keys read:conversations"});
    let head = with(header(Algorithm::Rs256), "typ", json!("JWT"));
    let token = signed(Algorithm::Rs256, &head.to_string(), &user.to_string());
    let bearer = format!("Bearer {token}");
    for (method, path, passes) in [
        ("GET", "/conversations/0f1e", true),
        ("POST", "/pii/decrypt", false),
        ("POST", "/sts/rotate-keys", false),
    ] {
        let verdict = world.judge(&request(method, path, &[("Authorization", &bearer)])).await;
        assert_eq!(matches!(verdict, Verdict::Allow(_)), passes, "{path}: {verdict:?}");
    }
}

#[tokio::test]
async fn forged_key_names_fetch_at_most_once_in_ten_seconds() {
    let world = World::new();
    let _ = world.judge(&read_with(&token_of("svc.memory"))).await;
    let _ = world.calls.take();
    let fetches = |calls: Vec<&str>| calls.iter().filter(|c| **c == "jwks").count();
    for i in 0..50 {
        let head = with(header(Algorithm::Es256), "kid", json!(format!("forged-{i}")));
        let _ = world.judge(&read_with(&es256_of(&head, &claims("svc.memory")))).await;
    }
    assert_eq!(fetches(world.calls.take()), 0, "the set was fetched a moment ago");
    for (millis, expected) in [(10_000, 1), (9_000, 0), (1_000, 1)] {
        world.clock.advance(millis);
        for i in 0..20 {
            let head = with(header(Algorithm::Es256), "kid", json!(format!("forged-{millis}-{i}")));
            let _ = world.judge(&read_with(&es256_of(&head, &claims("svc.memory")))).await;
        }
        assert_eq!(fetches(world.calls.take()), expected, "after {millis} ms");
    }
    assert_eq!(allowed(&world.judge(&read_with(&token_of("svc.memory"))).await).principal, "svc.memory");
}

#[tokio::test]
async fn a_revocation_is_honoured_within_seconds() {
    for (label, target) in [
        ("the token", RevocationTarget::Token { iss: ISSUER.into(), jti: "t-svc.memory".into() }),
        (
            "the subject's tokens",
            RevocationTarget::Subject { iss: ISSUER.into(), sub: "svc.memory".into(), before: at(NOW + 1) },
        ),
    ] {
        let world = World::new();
        let token = token_of("svc.memory");
        let _ = allowed(&world.judge(&read_with(&token)).await);
        let revocation = Revocation { target, until: at(NOW + 600) };
        RevocationStore::add(&world.tokens, &revocation).await.unwrap();
        world.clock.advance(2_001);
        assert_eq!(world.judge(&read_with(&token)).await, Verdict::Unauthorized, "{label}");
        assert!(world.last_record().contains("revoked"), "{label}");
        assert_eq!(
            allowed(&world.judge(&read_with(&token_of("svc.bff"))).await).principal,
            "svc.bff",
            "{label}"
        );
    }
}

#[tokio::test]
async fn what_a_revoked_service_holds_in_other_names_is_dead_too() {
    for (label, token) in [
        ("given to it", with(claims("svc.bff"), "sub", json!("cognito:user-7"))),
        (
            "used by it",
            with(
                with(claims("svc.memory"), "sub", json!("cognito:user-7")),
                "act",
                json!({"sub": "svc.bff"}),
            ),
        ),
    ] {
        let world = World::new();
        let _ = allowed(&world.judge(&read_with(&es256(&token))).await);
        let target =
            RevocationTarget::Subject { iss: ISSUER.into(), sub: "svc.bff".into(), before: at(NOW + 1) };
        let revocation = Revocation { target, until: at(NOW + 600) };
        RevocationStore::add(&world.tokens, &revocation).await.unwrap();
        world.clock.advance(2_001);
        assert_eq!(world.judge(&read_with(&es256(&token))).await, Verdict::Unauthorized, "{label}");
        assert!(world.last_record().contains("revoked"), "{label}");
    }
}

#[tokio::test]
async fn a_session_that_begins_after_the_revocation_goes_on() {
    let world = World::new();
    let target =
        RevocationTarget::Subject { iss: ISSUER.into(), sub: "svc.memory".into(), before: at(NOW - 60) };
    let revocation = Revocation { target, until: at(NOW + 600) };
    RevocationStore::add(&world.tokens, &revocation).await.unwrap();
    let old = with(claims("svc.memory"), "iat", json!(NOW - 61));
    assert_eq!(world.judge(&read_with(&es256(&old))).await, Verdict::Unauthorized);
    let new = with(claims("svc.memory"), "iat", json!(NOW - 60));
    assert_eq!(allowed(&world.judge(&read_with(&es256(&new))).await).principal, "svc.memory");
}

#[tokio::test]
async fn without_the_revocations_nothing_is_taken_for_good() {
    let world = World::new();
    world.tokens.fail(true);
    assert_eq!(world.judge(&read_with(&token_of("svc.memory"))).await, Verdict::Unavailable);
    world.tokens.fail(false);
    world.clock.advance(2_000);
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    world.tokens.fail(true);
    world.clock.advance(20_000);
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    world.clock.advance(20_000);
    assert_eq!(world.judge(&read_with(&token_of("svc.memory"))).await, Verdict::Unavailable, "too old");
}

#[tokio::test]
async fn no_credentials_are_401_and_fill_no_log() {
    let world = World::new();
    for headers in [&[][..], &[("X-Api-Key", "x")], &[("DPoP", "x")], &[("Cookie", "token=x")]] {
        let verdict = world.judge(&request("GET", "/conversations/0f1e", headers)).await;
        assert_eq!(verdict, Verdict::Unauthorized, "{headers:?}");
    }
    assert!(world.codes().is_empty(), "{:?}", world.codes());
    assert!(world.metric_lines().contains("no-credentials"));
    let basic = request("GET", "/conversations/0f1e", &[("Authorization", "Basic YTpi")]);
    assert_eq!(world.judge(&basic).await, Verdict::Unauthorized);
    assert_eq!(world.codes(), ["token-refused"]);
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_say_nothing_of_a_token_and_old_ones_do_for_an_hour() {
    let world = World::new();
    world.keys.fail(true);
    assert_eq!(world.judge(&read_with(&token_of("svc.memory"))).await, Verdict::Unavailable);
    assert!(world.codes().is_empty(), "no token was refused: {:?}", world.codes());
    let lines = world.metric_lines();
    assert!(
        lines.contains("\"Verdict\":\"unavailable\"") && lines.contains("\"Reason\":\"keys\""),
        "{lines}"
    );
    let expired = with(claims("svc.memory"), "exp", json!(NOW - 600));
    assert_eq!(world.judge(&read_with(&es256(&expired))).await, Verdict::Unauthorized, "under any key");
    world.keys.fail(false);
    world.clock.advance(10_000);
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    world.keys.fail(true);
    world.clock.advance(400_000);
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
    world.clock.advance(3_600_000);
    let fresh = with(with(claims("svc.memory"), "exp", json!(NOW + 4_600)), "iat", json!(NOW + 4_000));
    assert_eq!(world.judge(&read_with(&es256(&fresh))).await, Verdict::Unavailable, "a key set too old");
}
