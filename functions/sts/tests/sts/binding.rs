//! DPoP-bound tokens (RFC 9449), at the token endpoint and at this service's own resources.

use portcullis_token::{Algorithm, LocalSigner, Presentation, ProofExpectation, VerifiedProof, verify_proof};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, Call, ISSUER, START, Sts, proof, proof_of, sts};

fn key() -> LocalSigner {
    LocalSigner::generate(Algorithm::Es256).unwrap()
}

fn with_proof(proof: &str) -> Call {
    Call::client_credentials().basic("svc.actuator").header("DPoP", proof)
}

fn shown_to_api(key: &LocalSigner, token: &str) -> VerifiedProof {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let payload =
        json!({"jti": "r", "htm": "GET", "htu": AUDIENCE, "iat": START, "ath": crate::support::b64(hash)});
    let expected = ProofExpectation {
        method: "GET",
        uri: AUDIENCE,
        access_token: Some(token),
        nonces: None,
        max_age_seconds: 60,
    };
    verify_proof(&proof_of(key, &payload), &expected, portcullis_base::Timestamp::from_second(START).unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_proof_at_the_token_endpoint_binds_the_token_to_its_key() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256] {
        let sts = sts().await;
        let key = LocalSigner::generate(algorithm).unwrap();
        let answer = sts.send(&with_proof(&proof(&key, "/sts/token", "p-1", START, None))).await;
        assert_eq!((answer.status, &answer.body["token_type"]), (200, &json!("DPoP")), "{answer:?}");
        let token = answer.text("access_token");
        let (own, other) = (shown_to_api(&key, &token), shown_to_api(&self::key(), &token));
        let with = |dpop| Presentation { dpop, certificate: None };
        let claims = sts.verify_for(&token, AUDIENCE, with(Some(&own))).await.unwrap().into_claims();
        assert_eq!(claims.cnf.unwrap().jkt, Some(key.public().key().thumbprint()));
        assert!(sts.verify_for(&token, AUDIENCE, with(None)).await.is_err(), "{algorithm}: as a bearer");
        assert!(
            sts.verify_for(&token, AUDIENCE, with(Some(&other))).await.is_err(),
            "{algorithm}: another key"
        );
    }
}

#[tokio::test]
async fn proofs_that_are_not_for_this_request_are_refused() {
    let sts = sts().await;
    let key = key();
    let payload = json!({"jti": "p", "htm": "POST", "htu": format!("{ISSUER}/sts/token"), "iat": START});
    let with = |change: fn(&mut Value)| {
        let mut payload = payload.clone();
        change(&mut payload);
        with_proof(&proof_of(&key, &payload))
    };
    for (label, call) in [
        ("another method", with(|p| p["htm"] = json!("GET"))),
        ("another endpoint", with(|p| p["htu"] = json!(format!("{ISSUER}/sts/revoke")))),
        ("another server", with(|p| p["htu"] = json!("https://other.example/sts/token"))),
        ("too old", with(|p| p["iat"] = json!(START - 61))),
        ("in the future", with(|p| p["iat"] = json!(START + 6))),
        ("without a time", with(|p| p["iat"] = Value::Null)),
        ("without a jti", with(|p| p["jti"] = Value::Null)),
        ("not a proof", with_proof("abc")),
        ("empty", with_proof("")),
        ("two proofs", with(|_| {}).header("DPoP", &proof(&key, "/sts/token", "p-2", START, None))),
    ] {
        assert_eq!(sts.send(&call).await.error(), (400, "invalid_dpop_proof"), "{label}");
    }
    assert_eq!(sts.send(&with(|p| p["htu"] = json!(format!("{ISSUER}/sts/token?x#y")))).await.status, 200);
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let sts = sts().await;
    let key = key();
    let call = with_proof(&proof(&key, "/sts/token", "p-1", START, None));
    let answers = futures_util::future::join_all((0..8).map(|_| sts.send(&call))).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    assert!(answers.iter().filter(|a| a.status != 200).all(|a| a.error() == (400, "invalid_dpop_proof")));
    assert_eq!(sts.codes().iter().filter(|c| *c == "replay-detected").count(), 7);
    let same_name = with_proof(&proof(&self::key(), "/sts/token", "p-1", START, None));
    assert_eq!(sts.send(&same_name).await.status, 200, "the name is the key's own");
}

async fn bound_admin(sts: &Sts, key: &LocalSigner) -> String {
    let call = Call::client_credentials().basic("ops.admin");
    let call = call.header("DPoP", &proof(key, "/sts/token", "first", START, None));
    sts.send(&call).await.text("access_token")
}

#[tokio::test]
async fn a_bound_token_opens_this_services_own_endpoints_with_its_proof_alone() {
    let sts = sts().await;
    let key = key();
    let token = bound_admin(&sts, &key).await;
    let plain = sts.token_of("ops.admin").await;
    let rotate = |scheme: &str, token: &str| {
        Call::new("POST", "/sts/rotate-keys").header("Authorization", &format!("{scheme} {token}"))
    };
    let path = "/sts/rotate-keys";
    let of = |jti: &str, token: Option<&str>| proof(&key, path, jti, START, token);
    for (label, call) in [
        ("as a bearer", rotate("Bearer", &token)),
        ("without a proof", rotate("DPoP", &token)),
        ("as a bearer with a proof", rotate("Bearer", &token).header("DPoP", &of("1", Some(&token)))),
        ("a proof without the token", rotate("DPoP", &token).header("DPoP", &of("2", None))),
        ("a proof for another token", rotate("DPoP", &token).header("DPoP", &of("3", Some(&plain)))),
        (
            "a proof of another key",
            rotate("DPoP", &token).header("DPoP", &proof(&self::key(), path, "4", START, Some(&token))),
        ),
        ("an unbound token with a proof", rotate("DPoP", &plain).header("DPoP", &of("5", Some(&plain)))),
        (
            "a proof for another endpoint",
            rotate("DPoP", &token).header("DPoP", &proof(&key, "/sts/token", "6", START, Some(&token))),
        ),
    ] {
        let answer = sts.send(&call).await;
        assert_eq!(answer.error(), (401, "invalid_token"), "{label}: {answer:?}");
        assert!(answer.header("WWW-Authenticate").unwrap().contains("invalid_token"), "{label}");
    }
    // A proof that came with a token that is none, or is bound to another key, was not taken note of.
    let forged = format!("{token}A");
    for (jti, token) in [("good", &forged), ("good", &plain)] {
        let call = rotate("DPoP", token).header("DPoP", &of(jti, Some(token)));
        assert_eq!(sts.send(&call).await.status, 401);
    }
    assert!(!sts.codes().contains(&"replay-detected".to_owned()));
    let call = rotate("DPoP", &token).header("DPoP", &of("good", Some(&token)));
    assert_eq!(sts.send(&call).await.status, 200);
    assert_eq!(sts.send(&call).await.error(), (401, "invalid_token"), "the proof is used up");
}

#[tokio::test]
async fn refreshed_and_exchanged_tokens_are_bound_as_well() {
    let sts = sts().await;
    let key = key();
    let first = sts.send(&Call::client_credentials().basic("svc.bff")).await;
    let refresh = first.text("refresh_token");
    let user = sts.user_token(|_| {});
    let access = "urn:ietf:params:oauth:token-type:access_token";
    for (i, parameters) in [
        vec![("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())],
        vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", user.as_str()),
            ("subject_token_type", access),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let proof = proof(&key, "/sts/token", &i.to_string(), START, None);
        let answer = sts.send(&Call::token(&parameters).basic("svc.bff").header("DPoP", &proof)).await;
        assert_eq!(answer.body["token_type"], "DPoP", "{answer:?}");
        assert!(sts.verify(&answer.text("access_token")).await.is_err(), "as a bearer");
    }
}

#[tokio::test]
async fn a_bound_subject_token_is_exchanged_with_its_proof_alone() {
    let sts = sts().await;
    let key = key();
    let bound = sts
        .send(
            &Call::client_credentials()
                .basic("svc.bff")
                .header("DPoP", &proof(&key, "/sts/token", "1", START, None)),
        )
        .await
        .text("access_token");
    let exchange = Call::token(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &bound),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ])
    .basic("svc.bff");
    assert_eq!(sts.send(&exchange).await.error(), (400, "invalid_request"), "without");
    let call = exchange.header("DPoP", &proof(&key, "/sts/token", "2", START, Some(&bound)));
    assert_eq!(sts.send(&call).await.status, 200);
}
