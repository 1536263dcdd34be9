//! Single-use approvals: an approver's token lets the actuator execute one named plan, once.

use portcullis_token::StoreError;

use crate::support::{Answer, Call, START, Sts, sts};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const APPROVAL: &str = "urn:portcullis:params:oauth:token-type:approval";
const PLAN: &str = "urn:portcullis:plan:plan-7";

fn give(token: &str, plan: &str, actor: &str) -> Call {
    Call::token(&[
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ACCESS),
        ("requested_token_type", APPROVAL),
        ("resource", plan),
        ("audience", actor),
    ])
}

fn execute(approval: &str, plan: &str) -> Call {
    Call::token(&[
        ("grant_type", EXCHANGE),
        ("subject_token", approval),
        ("subject_token_type", APPROVAL),
        ("resource", plan),
    ])
}

async fn given(sts: &Sts) -> Answer {
    let token = sts.token_of("svc.enterprise").await;
    let answer = sts.send(&give(&token, PLAN, "svc.actuator").basic("svc.enterprise")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[tokio::test]
async fn an_approval_is_executed_once_by_whom_it_names() {
    let sts = sts().await;
    let approval = given(&sts).await;
    assert_eq!(approval.body["issued_token_type"], APPROVAL);
    assert_eq!(approval.body["token_type"], "N_A");
    assert_eq!(approval.body["expires_in"], 900);
    let call = execute(&approval.text("access_token"), PLAN).basic("svc.actuator");
    let answer = sts.send(&call).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let claims = sts.claims(&answer.text("access_token")).await;
    assert_eq!(claims.sub, "svc.actuator");
    assert_eq!(claims.scope.to_string(), "execute:external", "and nothing else");
    assert_eq!(claims.other["approval"]["plan"], "plan-7");
    assert_eq!(claims.other["approval"]["approver"], "svc.enterprise");
    assert_eq!(sts.send(&call).await.error(), (400, "invalid_request"), "the second time");
    let codes = sts.codes();
    for code in ["approval-issued", "approval-consumed", "approval-refused"] {
        assert_eq!(codes.iter().filter(|c| *c == code).count(), 1, "{code}: {codes:?}");
    }
}

#[tokio::test]
async fn of_many_uses_at_once_one_succeeds() {
    let sts = sts().await;
    for _ in 0..5 {
        let call = execute(&given(&sts).await.text("access_token"), PLAN).basic("svc.actuator");
        let answers = futures_util::future::join_all((0..16).map(|_| sts.send(&call))).await;
        assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
        assert!(answers.iter().filter(|a| a.status != 200).all(|a| a.error() == (400, "invalid_request")));
    }
}

#[test]
fn of_uses_on_several_threads_at_once_one_succeeds() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let sts = std::sync::Arc::new(sts().await);
        let call = execute(&given(&sts).await.text("access_token"), PLAN).basic("svc.actuator");
        let uses: Vec<_> = (0..16)
            .map(|_| {
                let (sts, call) = (sts.clone(), call.clone());
                tokio::spawn(async move { sts.send(&call).await.status })
            })
            .collect();
        let statuses = futures_util::future::join_all(uses).await;
        assert_eq!(statuses.into_iter().filter(|s| *s.as_ref().unwrap() == 200).count(), 1);
    });
}

#[tokio::test]
async fn only_an_approver_approves_and_only_for_whom_may_act_for_it() {
    let sts = sts().await;
    let token = sts.token_of("svc.enterprise").await;
    let of_actuator = sts.token_of("svc.actuator").await;
    let narrowed = sts
        .send(
            &Call::token(&[("grant_type", "client_credentials"), ("scope", "read:plans")])
                .basic("svc.enterprise"),
        )
        .await
        .text("access_token");
    let approval = given(&sts).await.text("access_token");
    for (label, call, error) in [
        (
            "the actuator for itself",
            give(&of_actuator, PLAN, "svc.actuator").basic("svc.actuator"),
            "invalid_request",
        ),
        (
            "with the token of another",
            give(&of_actuator, PLAN, "svc.actuator").basic("svc.enterprise"),
            "invalid_request",
        ),
        (
            "another with the approver's token",
            give(&token, PLAN, "svc.actuator").basic("svc.actuator"),
            "invalid_request",
        ),
        (
            "without the scope",
            give(&narrowed, PLAN, "svc.actuator").basic("svc.enterprise"),
            "invalid_request",
        ),
        (
            "with an approval",
            give(&approval, PLAN, "svc.actuator").basic("svc.enterprise"),
            "invalid_request",
        ),
        (
            "for one that may not act for it",
            give(&token, PLAN, "svc.bff").basic("svc.enterprise"),
            "invalid_target",
        ),
        ("for itself", give(&token, PLAN, "svc.enterprise").basic("svc.enterprise"), "invalid_target"),
        ("for nobody", give(&token, PLAN, "").basic("svc.enterprise"), "invalid_target"),
        ("of no plan", give(&token, "", "svc.actuator").basic("svc.enterprise"), "invalid_target"),
        (
            "of a plan without a name",
            give(&token, "urn:portcullis:plan:", "svc.actuator").basic("svc.enterprise"),
            "invalid_target",
        ),
        (
            "of something else",
            give(&token, "urn:portcullis:budget:7", "svc.actuator").basic("svc.enterprise"),
            "invalid_target",
        ),
        (
            "of a plan with a blank",
            give(&token, "urn:portcullis:plan:a b", "svc.actuator").basic("svc.enterprise"),
            "invalid_target",
        ),
    ] {
        let answer = sts.send(&call).await;
        assert_eq!(answer.error(), (400, error), "{label}: {answer:?}");
    }
}

#[tokio::test]
async fn whoever_else_shows_an_approval_gets_nothing_and_spends_nothing() {
    let sts = sts().await;
    let approval = given(&sts).await.text("access_token");
    for (label, call, error) in [
        ("another client", execute(&approval, PLAN).basic("svc.memory"), "invalid_scope"),
        ("its approver", execute(&approval, PLAN).basic("svc.enterprise"), "invalid_scope"),
        (
            "for another plan",
            execute(&approval, "urn:portcullis:plan:plan-8").basic("svc.actuator"),
            "invalid_request",
        ),
        ("for no plan", execute(&approval, "").basic("svc.actuator"), "invalid_target"),
        (
            "as an access token",
            Call::token(&[
                ("grant_type", EXCHANGE),
                ("subject_token", &approval),
                ("subject_token_type", ACCESS),
            ])
            .basic("svc.actuator"),
            "invalid_request",
        ),
    ] {
        assert_eq!(sts.send(&call).await.error(), (400, error), "{label}");
    }
    assert!(sts.verify(&approval).await.is_err(), "it is no access token anywhere");
    let access = sts.token_of("svc.actuator").await;
    let swapped = execute(&access, PLAN).basic("svc.actuator");
    assert_eq!(
        sts.send(&swapped).await.error(),
        (400, "invalid_request"),
        "nor is an access token an approval"
    );
    assert_eq!(sts.send(&execute(&approval, PLAN).basic("svc.actuator")).await.status, 200);
}

#[tokio::test]
async fn approvals_end_after_fifteen_minutes_or_when_they_are_withdrawn() {
    let sts = sts().await;
    let approval = given(&sts).await.text("access_token");
    sts.clock.advance(899_000);
    let late = given(&sts).await.text("access_token");
    sts.clock.advance(1_000);
    assert_eq!(
        sts.send(&execute(&approval, PLAN).basic("svc.actuator")).await.error(),
        (400, "invalid_request")
    );
    let revoke = |client: &str| Call::form("/sts/revoke", &[("token", &late)]).basic(client);
    assert_eq!(sts.send(&revoke("svc.actuator")).await.error(), (400, "unauthorized_client"));
    assert_eq!(sts.send(&revoke("svc.enterprise")).await.status, 200);
    assert_eq!(sts.send(&execute(&late, PLAN).basic("svc.actuator")).await.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn what_came_of_an_approval_goes_no_further() {
    let sts = sts().await;
    let approval = given(&sts).await.text("access_token");
    let access = sts.send(&execute(&approval, PLAN).basic("svc.actuator")).await.text("access_token");
    let exchange = |client: &str| {
        Call::token(&[("grant_type", EXCHANGE), ("subject_token", &access), ("subject_token_type", ACCESS)])
            .basic(client)
    };
    assert_eq!(sts.send(&exchange("svc.memory")).await.error(), (400, "invalid_request"));
    let own = sts.send(&exchange("svc.actuator")).await;
    assert_eq!(own.error(), (400, "invalid_scope"), "without the approval nothing of its scope is left");
}

/// What a token may be used for must not depend on which grant it was asked with.
#[tokio::test]
async fn no_other_grant_gives_what_takes_an_approval() {
    let sts = sts().await;
    let own = sts.token_of("svc.actuator").await;
    let user = sts.user_token(|_| {});
    let json = serde_json::json!({
        "service_id": "svc.actuator", "client_secret": crate::support::secret_of("svc.actuator"),
    });
    let json =
        Call::new("POST", "/sts/token").header("Content-Type", "application/json").body(&json.to_string());
    let exchange = |token: &str| {
        Call::token(&[("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS)])
            .basic("svc.actuator")
    };
    for (label, call) in [
        ("client credentials", Call::client_credentials().basic("svc.actuator")),
        ("the document's JSON", json),
        ("its own token", exchange(&own)),
        ("a user's token", exchange(&user)),
    ] {
        let answer = sts.send(&call).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
        let claims = sts.claims(&answer.text("access_token")).await;
        assert_eq!(claims.scope.to_string(), "read:approvals", "{label}");
    }
    for (label, token) in [("its own token", &own), ("a user's token", &user)] {
        let call = Call::token(&[
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ACCESS),
            ("scope", "execute:external"),
        ]);
        assert_eq!(sts.send(&call.basic("svc.actuator")).await.error(), (400, "invalid_scope"), "{label}");
    }
}

#[tokio::test]
async fn an_approval_is_executed_for_no_other_audience() {
    let sts = sts().await;
    let approval = given(&sts).await.text("access_token");
    let execute_for = |audience: &str| {
        Call::token(&[
            ("grant_type", EXCHANGE),
            ("subject_token", &approval),
            ("subject_token_type", APPROVAL),
            ("resource", PLAN),
            ("audience", audience),
        ])
        .basic("svc.actuator")
    };
    for audience in ["svc.enterprise", "https://elsewhere.example", PLAN] {
        assert_eq!(sts.send(&execute_for(audience)).await.error(), (400, "invalid_target"), "{audience}");
    }
    let answer = sts.send(&execute_for(crate::support::AUDIENCE)).await;
    assert_eq!(answer.status, 200, "none of that used it up: {answer:?}");
}

#[tokio::test]
async fn a_store_that_fails_approves_and_executes_nothing() {
    let sts = sts().await;
    let token = sts.token_of("svc.enterprise").await;
    let approval = given(&sts).await.text("access_token");
    sts.tokens.fail_next(9, StoreError::Unavailable);
    let answer = sts.send(&give(&token, PLAN, "svc.actuator").basic("svc.enterprise")).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable"));
    let answer = sts.send(&execute(&approval, PLAN).basic("svc.actuator")).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable"));
    assert!(START > 0 && answer.body.get("access_token").is_none());
}
