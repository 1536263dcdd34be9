//! Token exchange (RFC 8693).

use portcullis_token::{Algorithm, Claims, IssuedType, LocalSigner, NumericDate};

use crate::support::{AUDIENCE, Answer, Call, OUTSIDE, START, Sts, sts};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

fn exchange(client: &str, token: &str, typ: &str, more: &[(&str, &str)]) -> Call {
    let mut parameters =
        vec![("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", typ)];
    parameters.extend_from_slice(more);
    Call::token(&parameters).basic(client)
}

async fn of_user(sts: &Sts) -> Answer {
    let answer = sts.send(&exchange("svc.bff", &sts.user_token(|_| {}), ACCESS, &[])).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[tokio::test]
async fn a_users_token_becomes_an_internal_one_with_the_client_as_its_actor() {
    let sts = sts().await;
    let answer = of_user(&sts).await;
    assert_eq!(answer.body["issued_token_type"], ACCESS);
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    let claims = sts.claims(&answer.text("access_token")).await;
    assert_eq!(claims.sub, "cognito:user-7");
    assert_eq!(claims.client_id.as_deref(), Some("svc.bff"));
    assert_eq!(claims.roles, ["svc.bff"]);
    assert_eq!(
        claims.scope.to_string(),
        "read:conversations relay:requests",
        "what the client could do itself"
    );
    let act = claims.act.unwrap();
    assert_eq!((act.sub.as_str(), act.act.is_none()), ("svc.bff", true));
    assert!(sts.codes().contains(&"token-exchanged".to_owned()));
}

#[tokio::test]
async fn the_session_of_a_user_is_refreshed_for_that_user() {
    let sts = sts().await;
    let first = of_user(&sts).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &first.text("refresh_token"))];
    let next = sts.send(&Call::token(&refresh).basic("svc.bff")).await;
    let claims = sts.claims(&next.text("access_token")).await;
    assert_eq!((claims.sub.as_str(), claims.act.unwrap().sub.as_str()), ("cognito:user-7", "svc.bff"));
    assert_eq!(claims.sid, sts.claims(&first.text("access_token")).await.sid);
}

#[tokio::test]
async fn other_types_and_targets_are_exchanged_as_asked() {
    let sts = sts().await;
    let user = sts.user_token(|_| {});
    for (label, typ, more, audience, issued) in [
        ("a jwt", JWT, &[][..], AUDIENCE, ACCESS),
        ("for a service", ACCESS, &[("audience", "svc.memory")], "svc.memory", ACCESS),
        ("an access token by name", ACCESS, &[("requested_token_type", ACCESS)], AUDIENCE, ACCESS),
        ("a jwt by name", ACCESS, &[("requested_token_type", JWT)], AUDIENCE, JWT),
    ] {
        let answer = sts.send(&exchange("svc.bff", &user, typ, more)).await;
        assert_eq!(
            (answer.status, &answer.body["issued_token_type"]),
            (200, &issued.into()),
            "{label}: {answer:?}"
        );
        let token = answer.text("access_token");
        assert!(sts.verify_for(&token, audience, Default::default()).await.is_ok(), "{label}");
    }
}

#[tokio::test]
async fn a_subject_token_is_what_it_is_said_to_be() {
    let sts = sts().await;
    let (user, id, own) = (sts.user_token(|_| {}), sts.id_token(|_| {}), sts.token_of("svc.bff").await);
    let issue = |change| sts.id_token(change);
    for (label, token, typ, good) in [
        ("an access token", &user, ACCESS, true),
        ("an access token as a jwt", &user, JWT, true),
        ("an access token as an id token", &user, ID, false),
        ("an id token", &id, ID, true),
        ("an id token as a jwt", &id, JWT, true),
        ("an id token as an access token", &id, ACCESS, false),
        ("our own", &own, ACCESS, true),
        ("our own as a jwt", &own, JWT, true),
        ("our own as an id token", &own, ID, false),
        (
            "an id token among access tokens",
            &sts.user_token(|c| drop(c.other.insert("token_use".to_owned(), "id".into()))),
            ACCESS,
            false,
        ),
        ("an id token for others besides", &issue(|c| c.aud.push("other".to_owned())), ID, false),
        (
            "an id token of another client",
            &issue(|c| drop(c.other.insert("azp".to_owned(), "other".into()))),
            ID,
            false,
        ),
        ("an id token that is not dated", &issue(|c| c.iat = None), ID, false),
    ] {
        let answer = sts.send(&exchange("svc.bff", token, typ, &[])).await;
        match good {
            true => assert_eq!(answer.status, 200, "{label}: {answer:?}"),
            false => {
                assert_eq!(answer.error(), (400, "invalid_request"), "{label}");
                let record = sts.audit.records().last().unwrap().body().to_owned();
                assert!(record.contains("\"type-mismatch\""), "{label}: {record}");
            }
        }
    }
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_no_fault_of_the_token() {
    let sts = sts().await;
    sts.outside.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let user = sts.user_token(|_| {});
    let answer = sts.send(&exchange("svc.bff", &user, ACCESS, &[])).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable"));
    assert!(!sts.codes().contains(&"token-refused".to_owned()), "nothing is known of it");
    let bad = sts.user_token(|c| c.exp = NumericDate::from_seconds(START - 60).unwrap());
    assert_eq!(sts.send(&exchange("svc.bff", &bad, ACCESS, &[])).await.error(), (400, "invalid_request"));
    sts.outside.is_down.store(false, std::sync::atomic::Ordering::SeqCst);
    sts.clock.advance(10_000);
    assert_eq!(sts.send(&exchange("svc.bff", &user, ACCESS, &[])).await.status, 200, "it was good");
}

#[tokio::test]
async fn whatever_is_wrong_with_the_subject_token_is_an_invalid_request() {
    let sts = sts().await;
    let stranger = LocalSigner::generate(Algorithm::Rs256).unwrap();
    let now = NumericDate::from_seconds(START).unwrap();
    let forged = Claims {
        iat: Some(now),
        client_id: Some("app".to_owned()),
        aud: vec![],
        ..Claims::new(OUTSIDE, "user-7", "", now.plus_seconds(60))
    };
    let cases = [
        ("signed by a stranger", stranger.issue_now(&forged, IssuedType::Jwt).unwrap()),
        ("expired", sts.user_token(|c| c.exp = NumericDate::from_seconds(START - 60).unwrap())),
        ("of another app", sts.user_token(|c| c.client_id = Some("other".to_owned()))),
        ("of an unknown issuer", sts.user_token(|c| c.iss = "https://evil.example".to_owned())),
        ("without a client", sts.user_token(|c| c.client_id = None)),
        (
            "issued in the future",
            sts.user_token(|c| c.iat = Some(NumericDate::from_seconds(START + 600).unwrap())),
        ),
        (
            "bound to a key that nobody shows",
            sts.user_token(|c| {
                c.cnf = Some(portcullis_token::Confirmation::dpop(
                    portcullis_token::Thumbprint::of_certificate_der(b"x"),
                ));
            }),
        ),
        ("a client secret", "secret".to_owned()),
    ];
    for (label, token) in cases {
        let answer = sts.send(&exchange("svc.bff", &token, ACCESS, &[])).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{label}: {answer:?}");
    }
    assert!(sts.codes().iter().filter(|c| *c == "token-refused").count() >= 7);
}

#[tokio::test]
async fn malformed_exchanges_are_refused_by_what_is_wrong() {
    let sts = sts().await;
    let user = sts.user_token(|_| {});
    let form = |parameters: &[(&str, &str)]| Call::token(parameters).basic("svc.bff");
    for (label, call, error) in [
        (
            "no subject token",
            form(&[("grant_type", EXCHANGE), ("subject_token_type", ACCESS)]),
            "invalid_request",
        ),
        ("no subject type", form(&[("grant_type", EXCHANGE), ("subject_token", &user)]), "invalid_request"),
        ("an unknown subject type", exchange("svc.bff", &user, "urn:x", &[]), "invalid_request"),
        (
            "saml",
            exchange("svc.bff", &user, "urn:ietf:params:oauth:token-type:saml2", &[]),
            "invalid_request",
        ),
        (
            "an unknown requested type",
            exchange("svc.bff", &user, ACCESS, &[("requested_token_type", "urn:x")]),
            "invalid_request",
        ),
        (
            "a refresh token asked for",
            exchange(
                "svc.bff",
                &user,
                ACCESS,
                &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            ),
            "invalid_request",
        ),
        (
            "a foreign audience",
            exchange("svc.bff", &user, ACCESS, &[("audience", "svc.actuator")]),
            "invalid_target",
        ),
        (
            "a scope that the client lacks",
            exchange("svc.bff", &user, ACCESS, &[("scope", "rotate:keys")]),
            "invalid_scope",
        ),
        (
            "an actor type without a token",
            exchange("svc.bff", &user, ACCESS, &[("actor_token_type", ACCESS)]),
            "invalid_request",
        ),
        (
            "an actor token without a type",
            exchange("svc.bff", &user, ACCESS, &[("actor_token", "x")]),
            "invalid_request",
        ),
        (
            "an actor token of no worth",
            exchange("svc.bff", &user, ACCESS, &[("actor_token", "x"), ("actor_token_type", ACCESS)]),
            "invalid_request",
        ),
        (
            "a client that may not exchange",
            exchange("svc.optimizer", &user, ACCESS, &[]),
            "unauthorized_client",
        ),
    ] {
        assert_eq!(sts.send(&call).await.error(), (400, error), "{label}");
    }
}

#[tokio::test]
async fn the_actor_is_the_client_and_nobody_else() {
    let sts = sts().await;
    let user = sts.user_token(|_| {});
    let own = sts.token_of("svc.bff").await;
    let others = sts.token_of("svc.actuator").await;
    let with = |token: &str| {
        exchange("svc.bff", &user, ACCESS, &[("actor_token", token), ("actor_token_type", ACCESS)])
    };
    assert_eq!(sts.send(&with(&own)).await.status, 200);
    assert_eq!(sts.send(&with(&others)).await.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn those_who_may_act_for_a_client_pass_its_subject_on_and_the_chain_grows() {
    let sts = sts().await;
    let user = of_user(&sts).await.text("access_token");
    // The BFF names svc.memory in may_act; what both may do is what is left.
    let answer = sts.send(&exchange("svc.memory", &user, ACCESS, &[])).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let claims = sts.claims(&answer.text("access_token")).await;
    assert_eq!(claims.sub, "cognito:user-7");
    assert_eq!(claims.scope.to_string(), "read:conversations");
    let act = claims.act.unwrap();
    assert_eq!((act.sub.as_str(), act.act.unwrap().sub.as_str()), ("svc.memory", "svc.bff"));
    assert_eq!(claims.sid, sts.claims(&user).await.sid, "revoking the session reaches it");
    // svc.actuator is not named by anybody here.
    let answer = sts.send(&exchange("svc.actuator", &user, ACCESS, &[])).await;
    assert_eq!(answer.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn a_services_own_token_may_be_narrowed_and_delegated() {
    let sts = sts().await;
    let own = sts.token_of("svc.bff").await;
    let narrowed = sts.send(&exchange("svc.bff", &own, ACCESS, &[("scope", "relay:requests")])).await;
    let claims = sts.claims(&narrowed.text("access_token")).await;
    assert_eq!((claims.sub.as_str(), claims.scope.to_string().as_str()), ("svc.bff", "relay:requests"));
    assert!(claims.act.is_none());
    let delegated = sts.send(&exchange("svc.memory", &own, ACCESS, &[])).await;
    let claims = sts.claims(&delegated.text("access_token")).await;
    assert_eq!((claims.sub.as_str(), claims.act.unwrap().sub.as_str()), ("svc.bff", "svc.memory"));
    let back = sts
        .send(&exchange(
            "svc.bff",
            &narrowed.text("access_token"),
            ACCESS,
            &[("scope", "read:conversations")],
        ))
        .await;
    assert_eq!(back.error(), (400, "invalid_scope"), "what was given up stays given up");
}

#[tokio::test]
async fn exchanging_does_not_lengthen_a_life() {
    let sts = sts().await;
    let user = of_user(&sts).await.text("access_token");
    let end = sts.claims(&user).await.exp;
    sts.clock.advance(400_000);
    let again = sts.send(&exchange("svc.bff", &user, ACCESS, &[])).await;
    assert_eq!(sts.claims(&again.text("access_token")).await.exp, end);
    assert_eq!(again.body["expires_in"], 200);
    // Within the leeway of verifiers it is still taken, and gives nothing any more.
    sts.clock.advance(202_000);
    let late = sts.send(&exchange("svc.bff", &user, ACCESS, &[])).await;
    assert_eq!(late.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn a_revoked_token_is_exchanged_for_nothing() {
    let sts = sts().await;
    let token = sts.token_of("svc.bff").await;
    let revoke = Call::form("/sts/revoke", &[("token", &token)]).basic("svc.bff");
    assert_eq!(sts.send(&revoke).await.status, 200);
    assert_eq!(sts.send(&exchange("svc.bff", &token, ACCESS, &[])).await.error(), (400, "invalid_request"));
}
