//! The end of everything in a name, and of a certificate.

use portcullis_access::ApiKeyStore as _;
use portcullis_base::Timestamp;
use portcullis_token::{Family, RevocationList, RevocationStore as _, Thumbprint, TokenError};
use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::{Value, json};

use crate::support::{Answer, Call, ISSUER, OUTSIDE, START, Sts, sts};

async fn revoke(sts: &Sts, who: &str, body: &Value) -> Answer {
    let token = sts.token_of(who).await;
    let call = Call::new("POST", "/sts/revocations").bearer(&token);
    sts.send(&call.header("Content-Type", "application/json").body(&body.to_string())).await
}

/// What every follower has a few seconds later.
async fn revoked(sts: &Sts) -> RevocationList {
    let mut list = RevocationList::default();
    let page = sts.tokens.since(None).await.unwrap();
    page.items.into_iter().for_each(|item| list.add(item).unwrap());
    list
}

fn refresh(token: &str) -> Call {
    Call::token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).basic("svc.bff")
}

fn certificate_of(service: &str) -> String {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    let uri = format!("spiffe://example.org/{service}");
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn by_certificate(pem: &str) -> Call {
    Call::token(&[("grant_type", "client_credentials"), ("client_id", "svc.actuator")]).certificate(pem, "")
}

#[tokio::test]
async fn a_subjects_api_keys_end_with_its_sessions_and_nobody_elses() {
    let sts = sts().await;
    let mut ids = Vec::new();
    for owner in ["svc.bff", "svc.bff", "svc.memory"] {
        let token = sts.token_of("ops.admin").await;
        let call =
            Call::new("POST", "/sts/api-keys").bearer(&token).header("Content-Type", "application/json");
        let order = json!({"owner": owner, "scopes": "read:conversations"});
        ids.push(sts.send(&call.body(&order.to_string())).await.text("id"));
    }
    let answer = revoke(&sts, "ops.admin", &json!({"subject": "svc.bff"})).await;
    assert_eq!((answer.status, &answer.body["api_keys"]), (200, &json!(2)), "{answer:?}");
    let mut ended = Vec::new();
    for id in &ids {
        ended.push(sts.credentials.load(id).await.unwrap().unwrap().key.revoked_at.is_some());
    }
    assert_eq!(ended, [true, true, false]);
    let again = revoke(&sts, "ops.admin", &json!({"subject": "svc.bff"})).await;
    assert_eq!((again.status, &again.body["api_keys"]), (200, &json!(0)), "they stay ended");
    let elsewhere = json!({"subject": "svc.memory", "issuer": "https://other.example"});
    assert_eq!(revoke(&sts, "ops.admin", &elsewhere).await.body.get("api_keys"), None, "another's subject");
}

#[tokio::test]
async fn what_was_begun_in_a_name_ends_and_what_begins_later_goes_on() {
    let sts = sts().await;
    let before = sts.send(&Call::client_credentials().basic("svc.bff")).await;
    let others = sts.token_of("svc.memory").await;
    sts.clock.advance(5_000);
    let answer = revoke(&sts, "ops.admin", &json!({"subject": "svc.bff"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["subject"], "svc.bff");
    assert_eq!((&answer.body["issuer"], &answer.body["before"]), (&json!(ISSUER), &json!(START + 10)));
    // A family lives for thirty days: none of before may be forgotten to be dead.
    assert!(answer.body["until"].as_i64().unwrap() >= START + 30 * 24 * 3600 + 900);

    let list = revoked(&sts).await;
    let old = before.text("access_token");
    assert_eq!(list.check(&sts.claims(&old).await), Err(TokenError::Revoked));
    assert_eq!(list.check(&sts.claims(&others).await), Ok(()), "another's");
    assert_eq!(sts.send(&refresh(&before.text("refresh_token"))).await.error(), (400, "invalid_grant"));
    assert_eq!(sts.codes().last().map(String::as_str), Some("token-request-refused"));
    let told = Call::form("/sts/introspect", &[("token", &old)]).basic("ops.auditor");
    assert_eq!(sts.send(&told).await.body, json!({"active": false}));

    let early = sts.token_of("svc.bff").await;
    assert_eq!(list.check(&sts.claims(&early).await), Err(TokenError::Revoked), "others may not know yet");
    sts.clock.advance(5_000);
    let after = sts.send(&Call::client_credentials().basic("svc.bff")).await;
    assert_eq!(after.status, 200, "it may begin anew");
    assert_eq!(list.check(&sts.claims(&after.text("access_token")).await), Ok(()));
    assert_eq!(sts.send(&refresh(&after.text("refresh_token"))).await.status, 200);
}

#[tokio::test]
async fn an_admin_s_token_of_before_is_refused_here_at_once() {
    let sts = sts().await;
    let token = sts.token_of("ops.admin").await;
    sts.clock.advance(1_000);
    assert_eq!(revoke(&sts, "ops.admin", &json!({"subject": "ops.admin"})).await.status, 200);
    let keys = |token: &str| Call::new("GET", "/sts/keys").bearer(token);
    assert_eq!(sts.send(&keys(&token)).await.status, 401);
    sts.clock.advance(5_000);
    assert_eq!(sts.send(&keys(&sts.token_of("ops.admin").await)).await.status, 200);
}

#[tokio::test]
async fn subjects_of_other_issuers_are_named_with_them() {
    let sts = sts().await;
    let answer = revoke(&sts, "ops.admin", &json!({"subject": "user-7", "issuer": OUTSIDE})).await;
    assert_eq!((answer.status, &answer.body["issuer"]), (200, &json!(OUTSIDE)), "{answer:?}");
    let list = revoked(&sts).await;
    let began = Timestamp::from_second(START + 5).unwrap();
    for (label, issuer, subject, began, expected) in [
        ("by its issuer's name", OUTSIDE, "user-7", Timestamp::UNIX_EPOCH, Err(TokenError::Revoked)),
        ("by ours", ISSUER, "cognito:user-7", Timestamp::UNIX_EPOCH, Err(TokenError::Revoked)),
        ("one of that name here", ISSUER, "user-7", Timestamp::UNIX_EPOCH, Ok(())),
        ("another user", ISSUER, "cognito:user-8", Timestamp::UNIX_EPOCH, Ok(())),
        ("after it", OUTSIDE, "user-7", began, Ok(())),
        ("by ours, after it", ISSUER, "cognito:user-7", began, Ok(())),
    ] {
        assert_eq!(list.check_session(issuer, &session(subject, began)), expected, "{label}");
    }
}

fn session(subject: &str, began: Timestamp) -> Family {
    Family {
        subject: subject.to_owned(),
        client_id: "svc.bff".to_owned(),
        scope: String::new(),
        created_at: began.as_millisecond(),
        rotated_at: began.as_millisecond(),
        generation: 0,
        current: Vec::new(),
        revoked: false,
    }
}

fn exchange(token: &str) -> Call {
    Call::token(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ])
    .basic("svc.bff")
}

#[tokio::test]
async fn a_user_of_another_issuer_is_ended_by_either_name() {
    for (order, also) in [
        (json!({"subject": "user-7", "issuer": OUTSIDE}), ("cognito:user-7", ISSUER)),
        (json!({"subject": "cognito:user-7"}), ("user-7", OUTSIDE)),
    ] {
        let sts = sts().await;
        let token = sts.user_token(|_| {});
        let begun = sts.send(&exchange(&token)).await;
        let others = sts.send(&exchange(&sts.user_token(|claims| claims.sub = "user-8".to_owned()))).await;
        assert_eq!((begun.status, others.status), (200, 200));
        sts.clock.advance(1_000);
        let answer = revoke(&sts, "ops.admin", &order).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let named = (&answer.body["also"]["subject"], &answer.body["also"]["issuer"]);
        assert_eq!(named, (&json!(also.0), &json!(also.1)), "{answer:?}");
        let noted: Vec<_> = sts.audit.records().iter().map(|record| record.body().to_owned()).collect();
        for name in [order["subject"].as_str().unwrap(), also.0] {
            let name = format!("\"{name}\"");
            let revoked = |body: &&String| body.contains("token-revoked") && body.contains(&name);
            assert!(noted.iter().any(|body| revoked(&body)), "{name} is on record");
        }

        sts.clock.advance(6_000);
        assert_eq!(sts.send(&exchange(&token)).await.error(), (400, "invalid_request"), "{order}");
        let next = sts.send(&refresh(&begun.text("refresh_token"))).await;
        assert_eq!(next.error(), (400, "invalid_grant"), "{order}");
        let told = Call::form("/sts/introspect", &[("token", &begun.text("access_token"))]);
        assert_eq!(sts.send(&told.basic("ops.auditor")).await.body, json!({"active": false}), "{order}");
        assert_eq!(sts.send(&refresh(&others.text("refresh_token"))).await.status, 200, "another user");
        assert_eq!(sts.send(&exchange(&sts.user_token(|_| {}))).await.status, 200, "who came in anew");
    }
}

#[tokio::test]
async fn a_service_keeps_nothing_that_it_had_in_other_names() {
    let sts = sts().await;
    let user = sts.send(&exchange(&sts.user_token(|_| {}))).await;
    let handed = Call::token(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &user.text("access_token")),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ]);
    let handed = sts.send(&handed.basic("svc.memory")).await;
    let others = sts.token_of("svc.memory").await;
    let active = async |token: &str| {
        let told = Call::form("/sts/introspect", &[("token", token)]).basic("ops.auditor");
        sts.send(&told).await.body["active"] == true
    };
    let held = [user.text("access_token"), user.text("refresh_token"), handed.text("access_token")];
    for token in &held {
        assert!(active(token).await);
    }
    sts.clock.advance(1_000);
    assert_eq!(revoke(&sts, "ops.admin", &json!({"subject": "svc.bff"})).await.status, 200);
    sts.clock.advance(6_000);
    for (index, token) in held.iter().enumerate() {
        assert!(!active(token).await, "{index}");
    }
    assert_eq!(sts.send(&refresh(&user.text("refresh_token"))).await.error(), (400, "invalid_grant"));
    assert!(active(&others).await, "another's own");
    let after = sts.send(&exchange(&sts.user_token(|_| {}))).await;
    assert_eq!(sts.send(&refresh(&after.text("refresh_token"))).await.status, 200, "it may begin anew");
}

#[tokio::test]
async fn a_revoked_certificate_authenticates_nobody_and_what_is_bound_to_it_is_dead() {
    let sts = sts().await;
    let (pem, other) = (certificate_of("svc.actuator"), certificate_of("svc.actuator"));
    let bound = sts.send(&by_certificate(&pem)).await;
    assert_eq!(bound.status, 200, "{bound:?}");
    let answer = revoke(&sts, "ops.admin", &json!({"certificate": pem})).await;
    let thumbprint = Thumbprint::of_certificate_pem(&pem).unwrap();
    assert_eq!(
        (answer.status, &answer.body["thumbprint"]),
        (200, &json!(thumbprint.to_string())),
        "{answer:?}"
    );

    assert_eq!(sts.send(&by_certificate(&pem)).await.error(), (401, "invalid_client"));
    let refused = sts.audit.records().last().unwrap().body().to_owned();
    assert!(refused.contains("certificate-revoked") && refused.contains("certificate-refused"), "{refused}");
    let told = Call::form("/sts/introspect", &[("token", &bound.text("access_token"))]).basic("ops.auditor");
    assert_eq!(sts.send(&told).await.body, json!({"active": false}), "bound to it");
    let with_secret = Call::client_credentials().basic("svc.actuator").certificate(&pem, "");
    assert_eq!(sts.send(&with_secret).await.status, 401, "with a good secret too");
    assert_eq!(sts.send(&Call::new("GET", "/sts/jwks").certificate(&pem, "")).await.status, 200, "published");
    assert_eq!(sts.send(&by_certificate(&other)).await.status, 200, "another of the same service");
    assert!(sts.codes().contains(&"certificate-revoked".to_owned()));
}

#[tokio::test]
async fn a_certificate_may_be_named_by_its_thumbprint() {
    let sts = sts().await;
    let pem = certificate_of("svc.actuator");
    let thumbprint = Thumbprint::of_certificate_pem(&pem).unwrap();
    let answer = revoke(&sts, "ops.admin", &json!({"thumbprint": thumbprint.to_string()})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body["until"].as_i64().unwrap() > START + 365 * 24 * 3600);
    assert_eq!(sts.send(&by_certificate(&pem)).await.status, 401);
}

#[tokio::test]
async fn orders_that_cannot_be_meant_revoke_nothing() {
    let sts = sts().await;
    let pem = certificate_of("svc.actuator");
    for (label, order) in [
        ("nothing", json!({})),
        ("an issuer alone", json!({"issuer": ISSUER})),
        ("two things", json!({"subject": "svc.bff", "certificate": pem})),
        ("a certificate with an issuer", json!({"certificate": pem, "issuer": ISSUER})),
        ("an empty subject", json!({"subject": ""})),
        ("a subject over two lines", json!({"subject": "a\nb"})),
        ("a long subject", json!({"subject": "a".repeat(513)})),
        ("not a certificate", json!({"certificate": "x"})),
        ("not a thumbprint", json!({"thumbprint": "x"})),
        ("an unknown member", json!({"subject": "svc.bff", "why": "x"})),
        ("an array", json!(["svc.bff"])),
    ] {
        assert_eq!(revoke(&sts, "ops.admin", &order).await.error(), (400, "invalid_request"), "{label}");
    }
    assert!(revoked(&sts).await.is_empty());
    for who in ["svc.bff", "ops.auditor"] {
        assert_eq!(revoke(&sts, who, &json!({"subject": "svc.memory"})).await.status, 403, "{who}");
    }
    assert_eq!(sts.send(&Call::new("POST", "/sts/revocations")).await.status, 401);
    assert!(revoked(&sts).await.is_empty());
}

#[tokio::test]
async fn while_revocations_are_unknown_no_certificate_is_taken() {
    let sts = sts().await;
    let pem = certificate_of("svc.actuator");
    sts.tokens.fail_next(1, portcullis_token::StoreError::Unavailable);
    assert_eq!(sts.send(&by_certificate(&pem)).await.status, 503);
    assert_eq!(sts.send(&by_certificate(&pem)).await.status, 200);
}
