//! `grant_type=client_credentials` (RFC 6749 section 4.4), the token (RFC 9068) and the errors (section 5.2).

use portcullis_token::{Algorithm, UnverifiedToken};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{AUDIENCE, Answer, Call, ISSUER, START, Sts, secret_of, sts};

#[tokio::test]
async fn a_token_answer_has_the_members_and_headers_of_rfc_6749() {
    let sts = sts().await;
    let answer = sts.send(&Call::client_credentials().basic("svc.actuator")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Pragma"), Some("no-cache"));
    let members: Vec<_> = answer.body.as_object().unwrap().keys().cloned().collect();
    let mut members = members;
    members.sort();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 600);
    assert_eq!(answer.body["scope"], "read:approvals", "not what takes an approval");
}

#[tokio::test]
async fn an_access_token_has_the_header_and_claims_of_rfc_9068() {
    let sts = sts().await;
    let token = sts.token_of("svc.actuator").await;
    let parsed = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(parsed.dangerous_unverified_typ(), Some("at+jwt"));
    assert_eq!(parsed.dangerous_unverified_algorithm(), Algorithm::Es256);
    let claims = sts.claims(&token).await;
    assert_eq!((claims.iss.as_str(), claims.sub.as_str()), (ISSUER, "svc.actuator"));
    assert_eq!(claims.aud, [AUDIENCE]);
    assert_eq!(claims.client_id.as_deref(), Some("svc.actuator"));
    assert_eq!(claims.iat.map(|t| t.seconds()), Some(START));
    assert_eq!(claims.exp.seconds(), START + 600);
    assert_eq!(claims.scope.to_string(), "read:approvals");
    assert_eq!(claims.roles, ["svc.actuator"]);
    assert!(claims.cnf.is_none() && claims.act.is_none() && claims.sid.is_none());
    let again = sts.claims(&sts.token_of("svc.actuator").await).await;
    assert_ne!(claims.jti, again.jti, "no two tokens have one name");
}

#[tokio::test]
async fn scope_narrows_and_never_widens() {
    let sts = sts().await;
    for (label, scope, expected) in [
        ("all of them", "read:approvals", Some("read:approvals")),
        ("what takes an approval", "execute:external", None),
        ("that and another", "read:approvals execute:external", None),
        ("one twice", "read:approvals read:approvals", Some("read:approvals")),
        ("none named", "", Some("read:approvals")),
        ("one of another role", "rotate:keys", None),
        ("one of its own and one of another's", "read:approvals rotate:keys", None),
        ("a prefix", "read:approval", None),
        ("other case", "Read:approvals", None),
        ("malformed", "read:\"approvals\"", None),
        ("two spaces", "read:approvals  execute:external", None),
        ("a space before", " read:approvals", None),
    ] {
        let call = Call::token(&[("grant_type", "client_credentials"), ("scope", scope)]);
        let answer = sts.send(&call.basic("svc.actuator")).await;
        match expected {
            Some(scope) => {
                assert_eq!((answer.status, answer.body["scope"].as_str()), (200, Some(scope)), "{label}");
                let claims = sts.claims(&answer.text("access_token")).await;
                assert_eq!(claims.scope.to_string(), scope, "{label}");
            }
            None => assert_eq!(answer.error(), (400, "invalid_scope"), "{label}"),
        }
    }
}

#[tokio::test]
async fn a_token_is_for_an_audience_that_the_identity_may_ask_for() {
    let sts = sts().await;
    for (label, parameters, expected) in [
        ("none named", &[][..], Ok(AUDIENCE)),
        ("the api", &[("audience", AUDIENCE)], Ok(AUDIENCE)),
        ("a service", &[("audience", "svc.enterprise")], Ok("svc.enterprise")),
        ("as a resource", &[("resource", "svc.enterprise")], Ok("svc.enterprise")),
        (
            "both alike",
            &[("audience", "svc.enterprise"), ("resource", "svc.enterprise")],
            Ok("svc.enterprise"),
        ),
        (
            "both and different",
            &[("audience", "svc.enterprise"), ("resource", AUDIENCE)],
            Err("invalid_target"),
        ),
        ("a service that it has no business with", &[("audience", "svc.memory")], Err("invalid_target")),
        ("anything", &[("audience", "https://evil.example")], Err("invalid_target")),
    ] {
        let mut all = vec![("grant_type", "client_credentials")];
        all.extend_from_slice(parameters);
        let answer = sts.send(&Call::token(&all).basic("svc.actuator")).await;
        match expected {
            Ok(audience) => {
                let token = answer.text("access_token");
                assert!(sts.verify_for(&token, audience, Default::default()).await.is_ok(), "{label}");
            }
            Err(error) => assert_eq!(answer.error(), (400, error), "{label}"),
        }
    }
}

#[tokio::test]
async fn the_source_documents_json_body_is_answered_in_its_own_form() {
    let sts = sts().await;
    let body = json!({"service_id": "svc.actuator", "client_secret": secret_of("svc.actuator")});
    let call =
        |body: &str| Call::new("POST", "/sts/token").header("Content-Type", "application/json").body(body);
    let answer = sts.send(&call(&body.to_string())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut members: Vec<_> = answer.body.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["access_token", "expires_in", "token_type"]);
    assert_eq!(answer.body["token_type"], "bearer");
    assert_eq!(sts.claims(&answer.text("access_token")).await.sub, "svc.actuator");
    for (label, body, error) in [
        (
            "a wrong secret",
            json!({"service_id": "svc.actuator", "client_secret": "x"}).to_string(),
            (401, "invalid_client"),
        ),
        (
            "an identity without that way",
            json!({"service_id": "svc.analyst", "client_secret": secret_of("svc.analyst")}).to_string(),
            (401, "invalid_client"),
        ),
        (
            "an array",
            json!(["svc.actuator", secret_of("svc.actuator")]).to_string(),
            (400, "invalid_request"),
        ),
        (
            "a member too many",
            json!({"service_id": "a", "client_secret": "x", "scope": "y"}).to_string(),
            (400, "invalid_request"),
        ),
        ("not json", "service_id=a".to_owned(), (400, "invalid_request")),
        ("nothing", String::new(), (400, "invalid_request")),
    ] {
        assert_eq!(sts.send(&call(&body)).await.error(), error, "{label}");
    }
    let both = call(&body.to_string()).basic("svc.actuator");
    assert_eq!(sts.send(&both).await.error(), (400, "invalid_request"), "two ways at once");
}

#[tokio::test]
async fn malformed_requests_are_refused_as_section_5_2_says() {
    let sts = sts().await;
    let form = |body: &str| {
        Call::new("POST", "/sts/token")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
            .basic("svc.actuator")
    };
    let good = "grant_type=client_credentials";
    for (label, call, error) in [
        ("no grant type", form("scope=read:approvals"), (400, "invalid_request")),
        ("an empty grant type", form("grant_type="), (400, "invalid_request")),
        ("an unknown grant type", form("grant_type=password"), (400, "unsupported_grant_type")),
        (
            "a grant type in other case",
            form("grant_type=Client_Credentials"),
            (400, "unsupported_grant_type"),
        ),
        ("the implicit grant", form("grant_type=token"), (400, "unsupported_grant_type")),
        ("a repeated parameter", form(&format!("{good}&{good}")), (400, "invalid_request")),
        ("a repeated parameter that is unknown", form(&format!("{good}&x=1&x=2")), (400, "invalid_request")),
        ("a malformed escape", form(&format!("{good}&scope=%zz")), (400, "invalid_request")),
        ("no body", form(""), (400, "invalid_request")),
        (
            "a grant that the client may not use",
            form("grant_type=refresh_token&refresh_token=x"),
            (400, "unauthorized_client"),
        ),
        (
            "parameters in the url",
            form(good).query("grant_type", "client_credentials"),
            (400, "invalid_request"),
        ),
        ("a secret in the url", form(good).query("client_secret", "x"), (400, "invalid_request")),
        ("no content type", form(good).without("Content-Type"), (400, "invalid_request")),
        (
            "another content type",
            form(good).without("Content-Type").header("Content-Type", "text/plain"),
            (400, "invalid_request"),
        ),
        (
            "a multipart form",
            form(good).without("Content-Type").header("Content-Type", "multipart/form-data; boundary=x"),
            (400, "invalid_request"),
        ),
        (
            "two content types",
            form(good).header("Content-Type", "application/json"),
            (400, "invalid_request"),
        ),
        ("base64 that is none", form(good).body("!").base64().body("!"), (400, "invalid_request")),
        ("a body over 64 KB", form(&format!("{good}&x={}", "y".repeat(64 * 1024))), (413, "invalid_request")),
    ] {
        let answer = sts.send(&call).await;
        assert_eq!(answer.error(), error, "{label}: {answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{label}");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{label}");
        assert_eq!(answer.header("Pragma"), Some("no-cache"), "{label}");
        assert!(answer.body["error_description"].is_string(), "{label}");
    }
}

#[tokio::test]
async fn well_formed_requests_in_other_clothes_are_the_same() {
    let sts = sts().await;
    let form = Call::client_credentials().basic("svc.actuator");
    let with_type = |t: &str| form.clone().without("Content-Type").header("Content-Type", t);
    for (label, call) in [
        ("charset", with_type("application/x-www-form-urlencoded; charset=UTF-8")),
        ("other case", with_type("Application/X-WWW-Form-UrlEncoded")),
        ("base64 body", form.clone().base64()),
        (
            "header in small letters",
            form.clone().without("Content-Type").header("content-type", "application/x-www-form-urlencoded"),
        ),
        (
            "unknown parameters",
            Call::token(&[("grant_type", "client_credentials"), ("foo", "bar")]).basic("svc.actuator"),
        ),
        (
            "empty parameters",
            Call::token(&[("grant_type", "client_credentials"), ("scope", ""), ("client_secret", "")])
                .basic("svc.actuator"),
        ),
        (
            "its own client_id beside basic",
            Call::token(&[("grant_type", "client_credentials"), ("client_id", "svc.actuator")])
                .basic("svc.actuator"),
        ),
    ] {
        assert_eq!(sts.send(&call).await.status, 200, "{label}");
    }
}

#[tokio::test]
async fn paths_and_methods_are_those_of_the_table() {
    let sts = sts().await;
    for (method, path, status, allow) in [
        ("GET", "/sts/token", 405, Some("POST")),
        ("PUT", "/sts/token", 405, Some("POST")),
        ("post", "/sts/token", 405, Some("POST")),
        ("POST", "/sts/jwks", 405, Some("GET")),
        ("GET", "/sts/introspect", 405, Some("POST")),
        ("GET", "/sts/revoke", 405, Some("POST")),
        ("GET", "/sts/rotate-keys", 405, Some("POST")),
        ("POST", "/sts/token/", 404, None),
        ("POST", "/sts/Token", 404, None),
        ("GET", "/", 404, None),
    ] {
        let answer = sts.send(&Call::new(method, path)).await;
        assert_eq!((answer.status, answer.header("Allow")), (status, allow), "{method} {path}");
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
    }
}

#[tokio::test]
async fn an_answer_never_shows_what_was_sent() {
    let sts = sts().await;
    let call = Call::token(&[
        ("grant_type", "client_credentials"),
        ("client_id", "svc.actuator"),
        ("client_secret", "SENTINEL-SECRET"),
        ("scope", "SENTINEL-SCOPE"),
    ]);
    let answer = sts.send(&call).await;
    assert!(!format!("{answer:?}").contains("SENTINEL"), "{answer:?}");
    assert!(!sts.audit.events().iter().any(|event| event.to_string().contains("SENTINEL")));
    assert!(!sts.metrics.lock().unwrap().iter().any(|line| line.contains("SENTINEL")));
}

fn is_answer(answer: &Answer) -> bool {
    let known = [200, 400, 401, 404, 405, 413, 429];
    known.contains(&answer.status) && (answer.status != 200 || answer.body["access_token"].is_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body_gets_an_answer_and_never_a_token(body in "[ -~]{0,200}", json in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sts: Sts = sts().await;
            let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
            let call = Call::new("POST", "/sts/token").header("Content-Type", kind).body(&body);
            let answer = sts.send(&call).await;
            assert!(is_answer(&answer), "{answer:?}");
            assert_eq!(answer.body.get("access_token"), None::<&Value>);
        });
    }
}
