//! Introspection (RFC 7662) and revocation (RFC 7009).

use serde_json::json;

use crate::support::{AUDIENCE, Answer, Call, ISSUER, START, Sts, sts};

fn introspect(token: &str) -> Call {
    Call::form("/sts/introspect", &[("token", token)])
}

fn revoke(token: &str) -> Call {
    Call::form("/sts/revoke", &[("token", token)])
}

async fn is_active(sts: &Sts, token: &str) -> bool {
    let answer = sts.send(&introspect(token).basic("ops.auditor")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["active"].as_bool().unwrap()
}

#[tokio::test]
async fn an_active_token_is_described_with_the_members_of_section_2_2() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    let answer = sts.send(&introspect(&token).basic("svc.actuator")).await;
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    let jti = sts.claims(&token).await.jti;
    assert_eq!(
        answer.body,
        json!({
            "active": true, "token_type": "Bearer", "iss": ISSUER, "sub": "svc.actuator", "aud": AUDIENCE,
            "client_id": "svc.actuator", "scope": "read:approvals", "roles": ["svc.actuator"],
            "iat": START, "exp": START + 600, "jti": jti,
        })
    );
    assert!(sts.codes().contains(&"token-introspected".to_owned()));
}

#[tokio::test]
async fn who_may_not_know_is_told_what_is_told_of_nothing() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    let for_enterprise = sts
        .send(
            &Call::token(&[("grant_type", "client_credentials"), ("audience", "svc.enterprise")])
                .basic("svc.actuator"),
        )
        .await
        .text("access_token");
    for (label, token, client, active) in [
        ("its own client", &token, "svc.actuator", true),
        ("whoever may introspect", &token, "ops.auditor", true),
        ("another client", &token, "svc.memory", false),
        ("its audience", &for_enterprise, "svc.enterprise", true),
        ("no audience of it", &for_enterprise, "svc.memory", false),
        ("a token that is none", &"abc".to_owned(), "ops.auditor", false),
    ] {
        let answer = sts.send(&introspect(token).basic(client)).await;
        assert_eq!(answer.status, 200, "{label}");
        assert_eq!(answer.body["active"], active, "{label}");
        if !active {
            assert_eq!(answer.body, json!({"active": false}), "{label}: and nothing else");
        }
    }
}

#[tokio::test]
async fn introspection_needs_a_caller_and_a_token() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    let auditor = sts.token_of("ops.auditor").await;
    for (label, call, status, error) in [
        ("nobody", introspect(&token), 401, "invalid_client"),
        ("a wrong secret", introspect(&token).basic_with("ops.auditor", "x"), 401, "invalid_client"),
        ("no token", Call::form("/sts/introspect", &[]).basic("ops.auditor"), 400, "invalid_request"),
        (
            "two tokens",
            Call::new("POST", "/sts/introspect")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body("token=a&token=b")
                .basic("ops.auditor"),
            400,
            "invalid_request",
        ),
        (
            "json",
            Call::new("POST", "/sts/introspect")
                .header("Content-Type", "application/json")
                .body("{}")
                .basic("ops.auditor"),
            400,
            "invalid_request",
        ),
        (
            "the token in the url",
            introspect(&token).basic("ops.auditor").query("token", &token),
            400,
            "invalid_request",
        ),
        ("a bearer without the scope", introspect(&token).bearer(&token), 403, "insufficient_scope"),
        ("a bearer of nothing", introspect(&token).bearer("abc"), 401, "invalid_token"),
    ] {
        assert_eq!(sts.send(&call).await.error(), (status, error), "{label}");
    }
    let answer = sts.send(&introspect(&token).bearer(&auditor)).await;
    assert_eq!(answer.body["active"], true, "a bearer with the scope");
}

#[tokio::test]
async fn a_token_is_inactive_from_its_end_on() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    sts.clock.advance(599_000);
    assert!(is_active(&sts, &token).await);
    sts.clock.advance(6_001);
    assert!(!is_active(&sts, &token).await);
}

#[tokio::test]
async fn a_revoked_token_is_dead_at_once() {
    let sts = sts().await;
    let (token, other) = (sts.token_of("svc.actuator").await, sts.token_of("svc.actuator").await);
    let answer = sts.send(&revoke(&token).basic("svc.actuator")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert!(!is_active(&sts, &token).await);
    assert!(is_active(&sts, &other).await, "its sister lives");
    assert!(sts.codes().contains(&"token-revoked".to_owned()));
}

#[tokio::test]
async fn revocation_of_what_is_none_or_dead_is_a_success() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    for (label, call) in [
        ("made up", revoke("abc")),
        ("revoked", revoke(&token)),
        ("revoked again", revoke(&token)),
        (
            "with a wrong hint",
            Call::form("/sts/revoke", &[("token", &token), ("token_type_hint", "refresh_token")]),
        ),
        ("with an unknown hint", Call::form("/sts/revoke", &[("token", &token), ("token_type_hint", "x")])),
    ] {
        assert_eq!(sts.send(&call.basic("svc.actuator")).await.status, 200, "{label}");
    }
    sts.clock.advance(700_000);
    assert_eq!(sts.send(&revoke(&token).basic("svc.actuator")).await.status, 200, "expired");
}

#[tokio::test]
async fn only_its_own_client_and_the_security_admin_revoke_a_token() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    let error =
        |answer: Answer| (answer.status, answer.body["error"].as_str().unwrap_or_default().to_owned());
    let refused = |code: u16, e: &str| (code, e.to_owned());
    assert_eq!(
        error(sts.send(&revoke(&token).basic("svc.memory")).await),
        refused(400, "unauthorized_client")
    );
    assert_eq!(
        error(sts.send(&revoke(&token).basic("ops.auditor")).await),
        refused(400, "unauthorized_client")
    );
    assert_eq!(error(sts.send(&revoke(&token)).await), refused(401, "invalid_client"));
    assert_eq!(
        error(sts.send(&Call::form("/sts/revoke", &[]).basic("svc.actuator")).await),
        refused(400, "invalid_request")
    );
    assert!(is_active(&sts, &token).await);
    assert_eq!(sts.send(&revoke(&token).basic("ops.admin")).await.status, 200);
    assert!(!is_active(&sts, &token).await);
    let another = sts.token_of("svc.actuator").await;
    let admin = sts.token_of("ops.admin").await;
    assert_eq!(sts.send(&revoke(&another).bearer(&admin)).await.status, 200);
    assert!(!is_active(&sts, &another).await);
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_its_whole_session() {
    let sts = sts().await;
    let first = sts.send(&Call::client_credentials().basic("svc.bff")).await;
    let (access, refresh) = (first.text("access_token"), first.text("refresh_token"));
    let answer = sts.send(&introspect(&refresh).basic("svc.bff")).await;
    assert_eq!((&answer.body["active"], &answer.body["client_id"]), (&json!(true), &json!("svc.bff")));
    assert_eq!(sts.send(&introspect(&refresh).basic("svc.memory")).await.body, json!({"active": false}));
    assert_eq!(sts.send(&revoke(&refresh).basic("svc.actuator")).await.error(), (400, "unauthorized_client"));
    assert_eq!(sts.send(&revoke(&refresh).basic("svc.bff")).await.status, 200);
    assert!(!is_active(&sts, &refresh).await && !is_active(&sts, &access).await);
    let call = Call::token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).basic("svc.bff");
    assert_eq!(sts.send(&call).await.error(), (400, "invalid_grant"));
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_called_active() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    sts.clock.advance(61_000);
    sts.tokens.fail_next(9, portcullis_token::StoreError::Unavailable);
    let answer = sts.send(&introspect(&token).basic("svc.actuator")).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable"));
}
